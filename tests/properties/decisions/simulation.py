"""A log and a fold driven step by step: time passes when the history says so, appends go wrong when it says so, partitions lag as they like and have clocks
of their own.
"""
import random
from collections.abc import Sequence
from typing import Any

import asyncpg

from services.core.sequence import Sequence as Head
from services.core.timeline import seq_of
from services.projector.projections.learners import LearnersProjection
from services.projector.reader import statements_of
from services.projector.run import RecordAt, Run
from services.runtime.log import LogEnd, LogRecord, NewRecord, Position
from services.runtime.log.group_commit import unavailable
from services.runtime.log.memory_log import MemoryLog

TENANT_ID = 1
OUTCOMES = (*["well"] * 8, "lost", "unheard", "late", "refused")
"""What may become of an append."""
_MOVE = "update projection_cursor set position = $3, last_stored = greatest(last_stored, $4) where name = 'learners' and version = $1 and partition = $2"


class Clocks:
    """The partitions' clocks, each ahead of or behind the history's time. One may be set back: what its partition stores rises all the same."""

    def __init__(self, partitions: int, chance: random.Random, widest: int, *, shift: bool) -> None:
        """None is ever wrong by more than `widest` microseconds; `shift`: they are set anew now and then."""
        self._chance, self._widest, self._shift = chance, widest, shift
        self.wrong_by = self._anew(partitions)
        self._least, self._most = min(self.wrong_by), max(self.wrong_by)

    def shift(self) -> None:
        """Set each of them anew, if they are such clocks."""
        if self._shift:
            self.wrong_by = self._anew(len(self.wrong_by))
            self._least, self._most = min(self._least, *self.wrong_by), max(self._most, *self.wrong_by)

    @property
    def difference(self) -> int:
        """By how much one partition may be ahead of another: one whose clock was set back stays ahead till time has caught up."""
        return 0 if len(self.wrong_by) == 1 else self._most - self._least

    def _anew(self, partitions: int) -> list[int]:
        return [self._chance.randint(-self._widest, self._widest) for _ in range(partitions)]


class FaultyLog(MemoryLog):
    """A log in memory whose next append may fail: refused, of unknown outcome and lost, or of unknown outcome and landing later, or twice."""

    def __init__(self, partitions: int, now: int, clocks: Clocks) -> None:
        """It stands at the instant `now` until that is set anew."""
        self.now, self.clocks = now, clocks
        self.next_append = "well"
        self.late: list[NewRecord] = []
        self._reads = 0
        super().__init__(partitions, clock=lambda: self.now + self.clocks.wrong_by[self._reads])

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

    async def tick(self, partitions: Sequence[int]) -> list[LogEnd]:
        """Let everything to come be stored after now, by each partition's own clock."""
        ends = []
        for partition in partitions:
            self._reads = partition
            ends += await super().tick([partition])
        return ends

    async def land(self) -> None:
        """Let what was late arrive."""
        late, self.late = self.late, []
        await super().append(late)

    def records(self, partition: int) -> list[LogRecord]:
        """Return all records of a partition."""
        return self._partitions[partition].records

    @property
    def gap(self) -> int:
        """How far the partition that is most ahead has stored past the one that is most behind."""
        passed = [self.passed(partition) for partition in range(self.partitions)]
        return max(passed) - min(passed)

    @property
    def size(self) -> int:
        """How many records there are."""
        return sum(len(kept.records) for kept in self._partitions)

    def passed(self, partition: int) -> int:
        """Return the instant that everything to come will be stored after."""
        return self._partitions[partition].last_stored

    def _append(self, record: NewRecord) -> Position:
        self._reads = record.partition
        return super()._append(record)


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
