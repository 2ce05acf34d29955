"""A lease on one cursor and the fenced writes that move it: whoever lost the lease, or never learnt that it was taken, can change nothing.

Stealing is always safe, the lease only prevents thrash: each write carries owner, epoch and the old position, and finds no row once they differ.
"""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from services.runtime.migrate import fingerprint_of
from services.runtime.postgres import Statements

LEASE = timedelta(seconds=5)
IDLE_IN_TRANSACTION_S = 4.0
"""A worker frozen inside its transaction keeps others out no longer than this."""
SPANNED = "statements"
"""The projection whose cursors are Consistent-Through."""

sql = Statements(Path(__file__).with_suffix(".sql"))
Connection = asyncpg.Connection


class Fenced(Exception):
    """Leases are lost: somebody else folds these partitions, or nobody may."""

    def __init__(self, partitions: Iterable[int]) -> None:
        """Name the partitions."""
        super().__init__(f"lost: {sorted(partitions)}")
        self.partitions = frozenset(partitions)


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

    def moved(self, position: int, last_stored: int, tail: bytes) -> None:
        """Note that a run was committed."""
        self.position, self.last_stored, self.tail = position, last_stored, tail

    async def look(self, conn: Connection) -> None:
        """Read where the cursor is, waiting for whatever still holds it, and renew the lease. Raises Fenced."""
        row = await conn.fetchrow(sql.look, *self._fence, LEASE)
        if row is None:
            raise Fenced((self.partition,))
        self.position, self.last_stored, self.tail = row["position"], row["last_stored"], row["tail"]

    async def release(self, conn: Any) -> None:
        """Give the lease back, if it is still ours."""
        await conn.execute(sql.release, *self._fence)

    async def halt(self, conn: Any, reason: str) -> None:
        """Stand still, for a reason an operator can read, until `clear_halt`. Raises Fenced."""
        if (await conn.execute(sql.halt, *self._fence, reason)).rsplit(" ", 1)[-1] == "0":
            raise Fenced((self.partition,))


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run brings one cursor."""

    cursor: Cursor
    position: int
    last_stored: int
    tail: bytes


async def advance(conn: Connection, steps: Sequence[Step], *, tells: bool = True, wanted: int | None = None) -> None:
    """Move cursors of one projection and one owner, in the transaction of the run. The caller notes the new places with `moved` once it is committed.

    Raises Fenced, naming those that did not move; the others did, until the caller rolls back. At the commit it `tells` those who wait for the fold, and asks
    all partitions to pass the instant `wanted`.
    """
    one = steps[0].cursor
    moved = await conn.fetchval(
        sql.advance, one.name, one.version, one.owner, [step.cursor.partition for step in steps], [step.cursor.epoch for step in steps],
        [step.cursor.position for step in steps], [step.position for step in steps], [step.last_stored for step in steps], [step.tail for step in steps],
        LEASE, tells, wanted)
    if lost := {step.cursor.partition for step in steps} - set(moved):
        raise Fenced(lost)


async def pass_time(conn: Connection, passed: Sequence[tuple[Cursor, int]], *, tells: bool = False) -> None:
    """Note for cursors of one projection and one owner up to which instant all is folded, with no record to show for it, and renew their leases.

    Raises Fenced as `advance` does.
    """
    one = passed[0][0]
    moved = await conn.fetchval(
        sql.pass_time, one.name, one.version, one.owner, [cursor.partition for cursor, _ in passed], [cursor.epoch for cursor, _ in passed],
        [cursor.position for cursor, _ in passed], [stored for _, stored in passed], LEASE, tells)
    for cursor, stored in passed:
        if cursor.partition in moved:
            cursor.last_stored = max(cursor.last_stored, stored)
    if lost := {cursor.partition for cursor, _ in passed} - set(moved):
        raise Fenced(lost)


async def acquire(conn: Any, owner: UUID, names: Sequence[str], limit: int, state: str = "active") -> list[Cursor]:
    """Take at most `limit` free cursors of these projections' versions in `state`, several projections of one partition together.

    Only of versions that this code made: who slept through an upgrade finds nothing to fold.
    """
    rows = await conn.fetch(sql.acquire, owner, LEASE, list(names), limit, state, [fingerprint_of(name) for name in names])
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
