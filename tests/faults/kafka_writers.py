"""Many writers and a tailing reader on one log while its brokers suffer, and the check afterwards that nothing acknowledged was lost or doubled."""
import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from services.core import envelope
from services.core.errors import LogUnavailable, LrsError
from services.runtime.log import Log, NewRecord, Position

WRITERS = 32


def record(partition: int, size: int = 600) -> NewRecord:
    """Return a record unlike any other."""
    return NewRecord(partition, b"key", envelope.encode("course.described", batch=uuid4(), body={"course": {"x": "x" * size}}))


@dataclass
class Writers:
    """32 tasks that append one record after another to all partitions in turn, and remember what they were told; and one for each partition that reads."""

    log: Log
    pause_s: float = 0.01
    """What each writer waits between two records: brokers share this machine's cores with their writers."""
    acked: dict[bytes, Position] = field(default_factory=dict)
    unknown: set[bytes] = field(default_factory=set)
    rejected: set[bytes] = field(default_factory=set)
    slowest_s: float = 0.0
    longest_without_ack_s: float = 0.0
    longest_unread_s: float = 0.0
    """The longest time from the acknowledgement of a record to its being read."""
    _acked_at: dict[Position, float] = field(default_factory=dict)
    _last_ack: float = 0.0
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _readers: list["asyncio.Task[None]"] = field(default_factory=list)
    _stopping: bool = False

    async def __aenter__(self) -> Self:
        self._last_ack = time.monotonic()
        self._tasks = [asyncio.create_task(self._write(i)) for i in range(WRITERS)]
        self._readers = [asyncio.create_task(self._tail(partition)) for partition in range(self.log.partitions)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)
        async with asyncio.timeout(30):
            await asyncio.gather(*self._readers)

    async def go_on(self, acks: int = 500, within_s: float = 40.0) -> None:
        """Return when that many more records are acknowledged, evenly over all partitions."""
        until = time.monotonic() + within_s
        before = Counter(position.partition for position in self.acked.values())
        while True:
            now = Counter(position.partition for position in self.acked.values())
            if all(now[partition] >= before[partition] + acks // self.log.partitions for partition in range(self.log.partitions)):
                return
            assert time.monotonic() < until, f"the writers do not go on: {len(self.acked)} acknowledged"
            await asyncio.sleep(0.05)  # noqa: TID251 - a poll with a deadline

    async def check(self) -> str:
        """Read the whole log and compare; return the figures."""
        found: dict[bytes, list[Position]] = {}
        for partition in range(self.log.partitions):
            end, offset = (await self.log.end(partition)).next_offset, 0
            while offset < end:
                for read in await self.log.read(partition, offset, max_records=5000, max_bytes=4 << 20, wait_s=2.0):
                    assert read.offset == offset, f"partition {partition} has a gap at {offset}"
                    found.setdefault(read.value, []).append(Position(partition, offset))
                    offset += 1
        lost = [position for value, position in self.acked.items() if position not in found.get(value, [])]
        written = {value for value in [*self.acked, *self.unknown, *self.rejected] if value in found}
        assert not lost, f"{len(lost)} acknowledged records are not where they should be: {lost[:3]}"
        assert not written & self.rejected, "a record said to be rejected is in the log"
        assert all(len(found[value]) == 1 for value in written), "a record is in the log twice"
        landed = len(self.unknown & written)
        return (f"acked {len(self.acked)}, unknown {len(self.unknown)} (of which in the log {landed}), rejected {len(self.rejected)}, "
                f"longest without an ack {self.longest_without_ack_s:.1f} s, slowest answer {self.slowest_s:.1f} s, "
                f"longest unread {self.longest_unread_s:.1f} s")

    async def _write(self, i: int) -> None:
        n = i
        while not self._stopping:
            n += 1
            new, began = record(n % self.log.partitions), time.monotonic()
            try:
                (position,) = await self.log.append([new])
                now = time.monotonic()
                self.acked[new.value], self._acked_at[position] = position, now
                self.longest_without_ack_s, self._last_ack = max(self.longest_without_ack_s, now - self._last_ack), now
            except LogUnavailable as error:
                (self.unknown if error.outcome == "unknown" else self.rejected).add(new.value)
            except LrsError:
                self.rejected.add(new.value)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(self.pause_s)  # noqa: TID251 - the pace of a writer

    async def _tail(self, partition: int) -> None:
        """Read a partition as a projector does, until the writers have stopped and everything is read."""
        offset = 0
        while not self._stopping or offset < (await self.log.end(partition)).next_offset:
            try:
                records = await self.log.read(partition, offset, max_records=500, max_bytes=1 << 20, wait_s=0.5)
            except LogUnavailable:
                continue
            now = time.monotonic()
            for read in records:
                assert read.offset == offset, f"a reader met {read.offset} instead of {offset}"
                self.longest_unread_s = max(self.longest_unread_s, now - self._acked_at.pop(Position(partition, offset), now))
                offset += 1
