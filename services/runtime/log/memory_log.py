"""The log in this process's memory, for tests and experiments: the same promises, but for surviving its process."""
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from services.core import envelope
from services.core.errors import Halted, TooLarge
from services.core.timeline import micros
from services.runtime.log import LogEnd, LogRecord, NewRecord, Position
from services.runtime.log.group_commit import unavailable

MAX_RECORD_BYTES = 32 << 20


@dataclass(slots=True)
class _Partition:
    records: list[LogRecord] = field(default_factory=list)
    last_stored: int = 0
    grown: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryLog:
    """The Log protocol over lists. `clock` gives instants and may go back: `stored` does not."""

    def __init__(self, partitions: int = 1, *, log_id: UUID | None = None, clock: Callable[[], int] | None = None) -> None:
        """Make the log, with its genesis records."""
        self.log_id, self.partitions = log_id or uuid4(), partitions
        self._clock = clock or (lambda: micros(datetime.now(UTC)))
        self._partitions = [_Partition() for _ in range(partitions)]
        self._closed = False
        for partition in range(partitions):
            body = {"log": str(self.log_id), "partition": partition, "partitions": partitions}
            self._append(NewRecord(partition, b"genesis", envelope.encode("genesis", body=body)))

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append each record; see `Log.append`."""
        if self._closed:
            raise unavailable("The log is closed.", sent=False)
        if any(len(record.value) > MAX_RECORD_BYTES for record in records):
            raise TooLarge(f"One record of the log may have {MAX_RECORD_BYTES} bytes at most; send fewer statements in one request.")
        return [self._append(record) for record in records]

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        """Return a run of records from `offset`; see `Log.read`."""
        kept = self._partitions[partition]
        if offset > len(kept.records):
            raise Halted(partition, offset, f"the log ends at offset {len(kept.records)}, before what was read of it: it was replaced or cut")
        try:
            async with asyncio.timeout(wait_s):
                while offset >= len(kept.records):
                    await kept.grown.wait()
        except TimeoutError:
            return []
        run: list[LogRecord] = []
        for record in kept.records[offset:offset + max_records]:
            if run and max_bytes <= 0:
                break
            run.append(record)
            max_bytes -= len(record.value)
        return run

    async def end(self, partition: int) -> LogEnd:
        """Return the end of a partition."""
        kept = self._partitions[partition]
        return LogEnd(len(kept.records), kept.last_stored)

    async def tick(self, partitions: Sequence[int]) -> list[LogEnd]:
        """Let everything to come be stored after now."""
        for kept in (self._partitions[partition] for partition in partitions):
            kept.last_stored = max(kept.last_stored, self._clock())
        return [await self.end(partition) for partition in partitions]

    async def close(self) -> None:
        """Take no more records."""
        self._closed = True

    def _append(self, record: NewRecord) -> Position:
        kept = self._partitions[record.partition]
        first = max(self._clock(), kept.last_stored + 1) if record.carried_stored is None else record.carried_stored
        kept.last_stored = max(kept.last_stored, first + record.count - 1)
        offset = len(kept.records)
        kept.records.append(LogRecord(record.partition, offset, first, record.value))
        kept.grown.set()
        kept.grown = asyncio.Event()
        return Position(record.partition, offset)
