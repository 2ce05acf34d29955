"""The one way from a request to the rows of tenants: connections that act for one tenant at a time, whose rows alone Postgres shows them.

A connection keeps its tenant between two uses, so that most need no round trip of their own; whoever gets it next has it say his own tenant first. Nobody
gets a connection without saying for whom.
"""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg

from services.runtime.postgres import Connection, Pool, open_pool


class TenantRows:
    """A pool of connections, each of which sees the rows of one tenant, or none."""

    def __init__(self, pool: Pool) -> None:
        """`pool` is one that `open_tenant_rows` made."""
        self._pool = pool

    def of(self, tenant_id: int) -> "RowsOf":
        """Return the rows of one tenant."""
        return RowsOf(self._pool, tenant_id)

    async def close(self) -> None:
        """Close all connections once they are given back."""
        await self._pool.close()

    def terminate(self) -> None:
        """Cut all connections."""
        self._pool.terminate()


class RowsOf:
    """What one tenant has, to be asked for as of a pool."""

    __slots__ = ("_pool", "_tenant_id")

    def __init__(self, pool: Pool, tenant_id: int) -> None:
        """`tenant_id` is that of who asks, never one that a request names."""
        self._pool, self._tenant_id = pool, tenant_id

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Give a connection, for transactions."""
        async with self._pool.acquire() as connection:
            await cast("_OneTenant", connection).show(self._tenant_id)
            yield connection

    async def fetch(self, text: str, *args: object) -> list[Any]:
        """Return the rows of a query."""
        async with self._pool.acquire() as connection:
            await cast("_OneTenant", connection).show(self._tenant_id)
            return await connection.fetch(text, *args)

    async def fetchrow(self, text: str, *args: object) -> Any:
        """Return the first row of a query, None when there is none."""
        async with self._pool.acquire() as connection:
            await cast("_OneTenant", connection).show(self._tenant_id)
            return await connection.fetchrow(text, *args)

    async def fetchval(self, text: str, *args: object) -> Any:
        """Return the first value of the first row, None when there is none."""
        row = await self.fetchrow(text, *args)
        return None if row is None else row[0]

    async def execute(self, text: str, *args: object) -> str:
        """Execute a statement; return what Postgres says it did."""
        async with self._pool.acquire() as connection:
            await cast("_OneTenant", connection).show(self._tenant_id)
            return await connection.execute(text, *args)


class _OneTenant(asyncpg.Connection):
    """A connection that knows whose rows its session shows. Its pool must reset nothing: then it would show none."""

    shown: int | None = None

    async def show(self, tenant_id: int) -> None:
        if self.shown != tenant_id:
            self.shown = None  # whatever becomes of the next line
            await self.fetchval("select set_config('testamur.tenant', $1, false)", str(tenant_id))
            self.shown = tenant_id


async def open_tenant_rows(dsn: str, *, max: int) -> TenantRows:  # noqa: A002 - as of pools
    """Open a pool at `dsn`, whose user is subject to row-level security where that is in force."""
    return TenantRows(await open_pool(dsn, min=1, max=max, application_name="testamur-web", reset=False, connection_class=_OneTenant))
