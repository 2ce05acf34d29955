"""One Postgres connection kept for one purpose: made when first needed, made again when it was lost, every use under a deadline.

A use that runs out of time or is cancelled takes the connection with it: nothing is known about what the server still does on it.
"""
import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from services.runtime.postgres import connect

T = TypeVar("T")


class Session:
    """A connection used by one task at a time; the others wait their turn within their deadline."""

    def __init__(self, dsn: str, application_name: str) -> None:
        """Connect at the first use."""
        self._dsn, self._application_name = dsn, application_name
        self._lock = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def use(self, work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]", timeout_s: float) -> T:
        """Do `work` on the connection within `timeout_s`. Raises TimeoutError, and whatever `connect` and `work` raise."""
        async with asyncio.timeout(timeout_s) as limit, self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._dsn, application_name=self._application_name)
            try:
                return await work_until(self._connection, work(self._connection), limit.when())
            except asyncpg.PostgresError:
                raise  # said in good order: the connection is as good as before, or closed
            except BaseException:
                self._connection.terminate()
                raise

    def terminate(self) -> None:
        """Let go of the connection at once."""
        if self._connection is not None:
            self._connection.terminate()


async def work_until(connection: "asyncpg.Connection[asyncpg.Record]", work: Awaitable[T], deadline: float | None) -> T:
    """Await `work`, which uses `connection`, and cut the connection at `deadline` of the loop's clock. Raises ConnectionDoesNotExistError then.

    A timeout of asyncpg's own would ask the server to cancel, over a new connection, and wait for it: a frozen server would keep us.
    """
    loop = asyncio.get_running_loop()
    cut = loop.call_at((loop.time() if deadline is None else deadline) - 0.001, connection.terminate)
    try:
        return await work
    finally:
        cut.cancel()
