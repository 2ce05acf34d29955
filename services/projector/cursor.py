"""A lease on one cursor and the fenced writes that move it: whoever lost the lease, or never learnt that it was taken, can change nothing.

Stealing is always safe, the lease only prevents thrash: each write carries owner, epoch and the old position, and finds no row once they differ.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from services.runtime.postgres import Statements

LEASE = timedelta(seconds=5)
IDLE_IN_TRANSACTION_S = 4.0
"""A worker frozen inside its transaction keeps others out no longer than this."""
SPANNED = "statements"
"""The projection whose cursors are Consistent-Through."""

sql = Statements(Path(__file__).with_suffix(".sql"))
Connection = asyncpg.Connection


class Fenced(Exception):
    """The lease is lost: somebody else folds this cursor, or nobody may."""


@dataclass(slots=True)
class Cursor:
    """A leased cursor as this worker last left it: `position` is the next offset to fold, everything stored up to `last_stored` is folded."""

    name: str
    version: int
    partition: int
    log_id: UUID
    owner: UUID
    epoch: int
    position: int
    last_stored: int
    tail: bytes | None

    @property
    def key(self) -> tuple[str, int, int]:
        """Which cursor it is."""
        return self.name, self.version, self.partition

    @property
    def _fence(self) -> tuple[str, int, int, UUID, int]:
        return self.name, self.version, self.partition, self.owner, self.epoch

    async def advance(
        self, conn: Connection, position: int, last_stored: int, tail: bytes, *, tells: bool = True, wanted: int | None = None,
    ) -> None:
        """Move the cursor in the transaction of the run. Raises Fenced. The caller notes the new place with `moved` once it is committed.

        At the commit it `tells` those who wait for the fold, and asks all partitions to pass the instant `wanted`.
        """
        if await conn.fetchrow(sql.advance, *self._fence, self.position, position, last_stored, tail, LEASE, tells, wanted) is None:
            raise Fenced

    def moved(self, position: int, last_stored: int, tail: bytes) -> None:
        """Note that a run was committed."""
        self.position, self.last_stored, self.tail = position, last_stored, tail

    async def pass_time(self, conn: Connection, stored: int) -> None:
        """Note that all stored up to `stored` is folded, with no record to show for it, and renew the lease. Raises Fenced."""
        _fence(await conn.execute(sql.pass_time, *self._fence, self.position, stored, LEASE))
        self.last_stored = max(self.last_stored, stored)

    async def look(self, conn: Connection) -> None:
        """Read where the cursor is, waiting for whatever still holds it, and renew the lease. Raises Fenced."""
        row = await conn.fetchrow(sql.look, *self._fence, LEASE)
        if row is None:
            raise Fenced
        self.position, self.last_stored, self.tail = row["position"], row["last_stored"], row["tail"]

    async def release(self, conn: Any) -> None:
        """Give the lease back, if it is still ours."""
        await conn.execute(sql.release, *self._fence)

    async def halt(self, conn: Any, reason: str) -> None:
        """Stand still, for a reason an operator can read, until `clear_halt`. Raises Fenced."""
        _fence(await conn.execute(sql.halt, *self._fence, reason))


async def acquire(conn: Any, owner: UUID, names: Sequence[str], limit: int, state: str = "active") -> list[Cursor]:
    """Take at most `limit` free cursors of these projections' versions in `state`, several projections of one partition together."""
    rows = await conn.fetch(sql.acquire, owner, LEASE, list(names), limit, state)
    return [Cursor(owner=owner, **row) for row in rows]


async def free_leases(conn: Any, owner: UUID) -> None:
    """Give back all that a worker holds that is known to be dead: others need not wait for its leases to end, nor leave it a share."""
    await conn.execute(sql.free_owner, owner)
    await conn.execute(sql.forget_worker, owner)


async def free_frozen(conn: Any, names: Sequence[str]) -> None:
    """End the sessions of workers of these projections that froze inside a statement and whose leases are over: where they are the server waits for ever."""
    await conn.execute(sql.free_frozen, list(names), timedelta(seconds=IDLE_IN_TRANSACTION_S))


async def clear_halt(conn: Any, name: str | None = None, partition: int | None = None) -> list[tuple[str, int]]:
    """Let halted cursors go on (all, or one projection's, or one partition's); return which. A worker takes them within a second and tries the record again."""
    return [(row["name"], row["partition"]) for row in await conn.fetch(sql.clear_halt, name, partition)]


def _fence(status: str) -> None:
    if status.rsplit(" ", 1)[-1] == "0":
        raise Fenced
