"""Reading a partition for several projections at once: what one waits for, the others share, but never what is over."""
import asyncio

from services.projector.reader import PartitionReader
from services.projector.tenants import Tenants
from services.runtime.log import LogRecord
from services.runtime.log.memory_log import MemoryLog

WAIT_S = 0.01


class _EndingLog(MemoryLog):
    """A log of which another projection begins to read at the very moment when a read has found nothing, before anybody has heard of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.reader = PartitionReader(self, 0, Tenants(None))
        self.second: asyncio.Task[object] | None = None

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        self.reads += 1
        found = await super().read(partition, offset, max_records=max_records, max_bytes=max_bytes, wait_s=wait_s)
        if self.second is None:
            self.second = asyncio.create_task(self.reader.read("second", offset, 0, WAIT_S))
        return found


async def test_a_read_that_begins_as_another_ends_with_nothing_waits_anew_and_does_not_go_round_and_round() -> None:
    log = _EndingLog()
    end = (await log.end(0)).next_offset

    assert await log.reader.read("first", end, 0, WAIT_S) == []
    assert log.second is not None
    assert await log.second == []

    assert log.reads == 2
