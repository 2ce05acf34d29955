"""One partition in a worker's hands: its cursor, and what is read of it while Postgres folds what came before."""
import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable

import asyncpg
import structlog

from services.core.errors import Halted, Unavailable
from services.projector import metrics
from services.projector.cursor import Cursor
from services.projector.reader import MAX_BYTES, MAX_RECORDS, MAX_STATEMENTS, READ_BYTES, READ_RECORDS, READ_STATEMENTS, PartitionReader, Record
from services.runtime.log import Log, LogRecord
from services.runtime.postgres import transient

READ_S = 1.0
RECORD = 4
"""What folding a record costs besides its statements, as so many of them."""
BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_RECORDS, _BYTES, _STATEMENTS = MAX_RECORDS + READ_RECORDS, MAX_BYTES + READ_BYTES, MAX_STATEMENTS + READ_STATEMENTS
_log = structlog.get_logger()


def passing(error: BaseException) -> bool:
    """Return whether an error passes by itself: it is waited out for ever."""
    return transient(error) or isinstance(error, Unavailable | asyncpg.InterfaceError)


class Lane:
    """A leased partition. What ends its reading is a fault that its worker has to deal with; what passes is waited out here, and keeps no other lane back."""

    def __init__(self, cursor: Cursor, log: Log, reader: PartitionReader, came: Callable[[list[Record]], object]) -> None:
        """The cursor was just acquired. `came` is called with what was read, and with nothing when there is anything else to look at."""
        self.cursor, self._log, self._reader, self._came = cursor, log, reader, came
        self.records: deque[Record] = deque()
        self.leaving = False
        """Whether the worker is to give it back."""
        self.is_open = False
        """Whether what other code had set aside was tried again, so that it may be folded."""
        self.heard = self.renewed = time.monotonic()
        """When time last passed here, by a record or a tick; when the lease was last renewed."""
        self.expected = 0
        """Up to which offset ticks are known to have been written."""
        self._room = asyncio.Event()
        self.statements = self._bytes = 0
        """Statements in `records`."""
        self.waiting = 0
        """What folding `records` costs, in statements: RECORD for each of them that is no tick, besides its own."""
        self._urgent: int | None = None
        """The offset of the first of `records` that is no statements, but a decision, a link or a description."""
        self._verified = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_verified(self) -> bool:
        """Whether the log was seen to be the one that was folded."""
        return self._verified

    @property
    def is_running(self) -> bool:
        """Whether it reads, or has read all it may."""
        return self._reading is not None

    @property
    def head(self) -> int:
        """The last instant that is known here, folded or not."""
        return self.records[-1].last if self.records else self.cursor.last_stored

    @property
    def next_offset(self) -> int:
        """The first offset that was not read yet."""
        return self.records[-1].offset + 1 if self.records else self.cursor.position

    def start(self) -> None:
        """Read from where the cursor is."""
        self.stop()
        self.records.clear()
        self.statements = self._bytes = self.waiting = 0
        self._urgent = None
        self._room.set()
        self._reading = asyncio.create_task(self._read(), name=f"{self.cursor.name}/{self.cursor.partition}")
        self._reading.add_done_callback(lambda _done: self._came([]))

    def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def leave(self) -> None:
        """Read no more, and have nothing kept for it."""
        self.stop()
        self._reader.leave(self.cursor.key)

    @property
    def fault(self) -> BaseException | None:
        """What ended the reading, if anything did."""
        reading = self._reading
        return reading.exception() if reading is not None and reading.done() and not reading.cancelled() else None

    def meet(self, tick: LogRecord) -> None:
        """Take a tick that this process has just written, if it is what comes next."""
        if tick.offset == self.next_offset and self._verified and self._reading is not None and not self._reading.done():
            self._keep([self._reader.bare(tick, self.head)])

    def is_urgent(self, limit: int | None) -> bool:
        """Return whether there is something before the offset `limit` that somebody looks out for, and that comes alone: a decision, a link, a description."""
        return self._urgent is not None and (limit is None or self._urgent < limit)

    def settle(self) -> int:
        """Forget what the cursor has passed; return how many statements that were."""
        folded = 0
        while self.records and self.records[0].offset < self.cursor.position:
            record = self.records.popleft()
            folded += len(record.items)
            self._bytes -= len(record.value)
            self.waiting -= _cost(record)
        self.statements -= folded
        if self._urgent is not None and self._urgent < self.cursor.position:
            self._urgent = _first_urgent(self.records)
        self._make_room()
        return folded

    async def _read(self) -> None:
        failures = 0
        while True:
            try:
                if not self._verified:
                    await self._verify()
                    self._verified = True
                    self._came([])
                await self._room.wait()
                records = await self._reader.read(self.cursor.key, self.next_offset, self.head, READ_S)
                failures = 0
                if records := [record for record in records if record.offset >= self.next_offset]:  # a tick may have been met meanwhile
                    self._keep(records)
            except Exception as error:
                if not passing(error):
                    raise
                failures += 1
                metrics.RETRIES.labels(self.cursor.name, self.cursor.partition).inc()
                _log.warning("waiting for the log", projection=self.cursor.name, partition=self.cursor.partition, error=repr(error), failures=failures)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])

    async def _verify(self) -> None:
        """See that the log is the one that was folded. Raises Halted."""
        cursor, log = self.cursor, self._log
        if cursor.log_id != log.log_id:
            raise Halted(cursor.partition, cursor.position, f"the cursor belongs to the log {cursor.log_id}, this is {log.log_id}")
        if cursor.position:
            record = await self._reader.raw(cursor.position - 1)
            if cursor.tail is not None and hashlib.sha256(record.value).digest() != cursor.tail:
                raise Halted(cursor.partition, cursor.position - 1, "the log has another record here than the one that was folded")

    def _keep(self, records: list[Record]) -> None:
        self.records.extend(records)
        self.statements += sum(len(record.items) for record in records)
        self._bytes += sum(len(record.value) for record in records)
        self.waiting += sum(map(_cost, records))
        if self._urgent is None:
            self._urgent = _first_urgent(records)
        self.heard = time.monotonic()
        self._make_room()
        self._came(records)

    def _make_room(self) -> None:
        """Read on while less is waiting than a run may hold and half of the next one: what is folded just now is among it."""
        if self.statements < _STATEMENTS and self._bytes < _BYTES and len(self.records) < _RECORDS:
            self._room.set()
        else:
            self._room.clear()


def _cost(record: Record) -> int:
    return len(record.items) + RECORD if record.items or record.other is not None else 0


def _first_urgent(records: Iterable[Record]) -> int | None:
    return next((record.offset for record in records if record.other is not None), None)
