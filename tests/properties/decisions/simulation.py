"""A log, a fold and deciders driven step by step: time passes when the history says so, appends go wrong when it says so, partitions lag as they like."""
from collections.abc import Sequence
from typing import Any

import asyncpg

from services.core.sequence import Sequence as Head
from services.core.timeline import seq_of
from services.projector.projections.learners import LearnersProjection
from services.projector.reader import statements_of
from services.projector.run import RecordAt, Run
from services.runtime.group_commit import unavailable
from services.runtime.log import LogRecord, NewRecord, Position
from services.runtime.memory_log import MemoryLog

TENANT_ID = 1
_MOVE = "update projection_cursor set position = $3, last_stored = greatest(last_stored, $4) where name = 'learners' and version = $1 and partition = $2"


class FaultyLog(MemoryLog):
    """A log in memory whose next append may fail: refused, of unknown outcome and lost, or of unknown outcome and landing later, or twice."""

    def __init__(self, partitions: int, now: int) -> None:
        """It stands at the instant `now` until that is set anew."""
        self.now = now
        self.next_append = "well"
        self.late: list[NewRecord] = []
        super().__init__(partitions, clock=lambda: self.now)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append, or fail as `next_append` says."""
        how, self.next_append = self.next_append, "well"
        if how == "well":
            return await super().append(records)
        if how == "late":
            self.late += records
        elif how == "unheard":
            await super().append(records)
        raise unavailable(f"The append went {how}.", sent=how != "refused")

    async def land(self) -> None:
        """Let what was late arrive."""
        late, self.late = self.late, []
        await super().append(late)

    def records(self, partition: int) -> list[LogRecord]:
        """Return all records of a partition."""
        return self._partitions[partition].records

    def passed(self, partition: int) -> int:
        """Return the instant that everything to come will be stored after."""
        return self._partitions[partition].last_stored


class Fold:
    """One version of the learners projection, folded record by record as far as it is told."""

    def __init__(self, conn: "asyncpg.Connection[Any]", log: FaultyLog, projection: LearnersProjection, version: int) -> None:
        """`conn` reaches the version's tables; its cursors are at the beginning."""
        self._conn, self._log, self._projection, self._version = conn, log, projection, version
        self._heads = [Head(partition, log.log_id, 0, 0) for partition in range(log.partitions)]

    async def step(self, partition: int, most: int) -> bool:
        """Fold at most so many records of a partition in one run; if there are none, let time pass there. Return whether there were any."""
        head = self._heads[partition]
        run = Run()
        for record in self._log.records(partition)[head.next_offset:head.next_offset + most]:
            placed = head.place(record.offset, record.timestamp, record.value)
            if placed.envelope.kind == "statements":
                run.items += statements_of(placed, TENANT_ID)
            elif placed.envelope.kind not in {"genesis", "tick"}:
                tenant = placed.envelope.tenant or ""
                run.others.append(RecordAt(placed.envelope.kind, TENANT_ID, tenant, seq_of(placed.first, partition), placed.envelope, placed.offset))
        through = head.head if run.items or run.others else max(head.head, self._log.passed(partition) if self._is_at_end(partition) else 0)
        async with self._conn.transaction():
            await self._conn.execute(_MOVE, self._version, partition, head.next_offset, through)
            if run.items or run.others:
                await self._projection.apply(self._conn, run)
        return bool(run.items or run.others)

    async def catch_up(self) -> None:
        """Fold everything there is, and let time pass everywhere."""
        for partition in range(self._log.partitions):
            while not self._is_at_end(partition):
                await self.step(partition, 100)
            await self._log.tick([partition])
            await self.step(partition, 1)

    async def follow(self, other: "Fold") -> None:
        """Fold as far as another one has, from the beginning."""
        for partition, head in enumerate(other._heads):
            while self._heads[partition].next_offset < head.next_offset:
                await self.step(partition, head.next_offset - self._heads[partition].next_offset)

    def take_over(self, other: "Fold") -> None:
        """Go on where another one, of the same version, stopped."""
        self._heads = other._heads

    def _is_at_end(self, partition: int) -> bool:
        return self._heads[partition].next_offset >= len(self._log.records(partition))


