"""The work on one leased cursor: read a run, fold it, and while there is none let time pass in the partition.

An error that passes by itself is waited out for ever, on a new connection and from where the cursor really is; a lost lease ends the work silently, a
record that must not be skipped ends it loudly.
"""
import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import structlog

from services.core.errors import Halted, Unavailable
from services.projector import aside, metrics
from services.projector.commit import Committer
from services.projector.cursor import IDLE_IN_TRANSACTION_S, SPANNED, Cursor, Fenced, sql
from services.projector.reader import MAX_STATEMENTS, PartitionReader, Record
from services.projector.run import Projection
from services.projector.tenants import Tenants
from services.projector.turns import Turns
from services.runtime.log import Log
from services.runtime.migrate import schema_of
from services.runtime.postgres import connect, transient

IDLE_S = 1.0
TICK_APART_S = 0.05
HOLD_S = 0.02
_TICK_S = 2.0
_BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_CLOSE_S = 2.0
Connection = asyncpg.Connection
_log = structlog.get_logger()


@dataclass(slots=True)
class Tools:
    """What all workers of a process share."""

    dsn: str
    log: Log
    readers: dict[int, PartitionReader]
    tenants: Tenants
    live: bool = True
    """False while a version is built by a replay: it lets no time pass and wakes nobody, for it is not read."""
    until: dict[int, int] | None = None
    """While a replay compares: the offset of each partition that must not be folded yet."""
    turns: Turns = field(default_factory=Turns)


class Worker:
    """Folds one cursor from `run` until `stop`, or until the lease is lost or the partition halts."""

    def __init__(self, cursor: Cursor, projection: Projection, tools: Tools) -> None:
        """The cursor was just acquired."""
        self.cursor, self._projection, self._tools = cursor, projection, tools
        self._reader = tools.readers[cursor.partition]
        self._leads = cursor.name == SPANNED
        self._ticks = self._leads and tools.live
        self._nudge = asyncio.Event()
        self._stopping = False
        self.parked = False
        """Whether it has folded all it may for now and holds no transaction."""
        self._wanted = 0
        self._heeds = True
        """Whether asking the log can let time pass here without a record."""
        self._failures = 0
        self._renewed = self._ticked = time.monotonic()
        self._read: asyncio.Task[list[Record]] | None = None
        self._log = _log.bind(projection=cursor.name, version=cursor.version, partition=cursor.partition, epoch=cursor.epoch)

    def want(self, stored: int) -> None:
        """Ask that time in this partition passes `stored` soon. Costs next to nothing where it has passed, or is about to."""
        is_new = self.cursor.last_stored >= self._wanted and stored > self.cursor.last_stored and self._heeds
        self._wanted = max(self._wanted, stored)
        if is_new:
            self._nudge.set()

    def stop(self) -> None:
        """Ask it to end after the run it is in."""
        self._stopping = True
        self._nudge.set()

    async def run(self) -> None:
        """Work until stopped, fenced or halted, and give the lease back."""
        try:
            while not self._stopping:
                try:
                    await self._on_one_connection()
                except (Fenced, Halted):
                    raise
                except Exception as error:
                    if not (transient(error) or isinstance(error, Unavailable | asyncpg.InterfaceError)):
                        raise
                    self._failures += 1
                    metrics.RETRIES.labels(self.cursor.name, self.cursor.partition).inc()
                    self._log.warning("waiting for what passes", error=repr(error), failures=self._failures)
                    await self._pause(_BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1])
        except Fenced:
            metrics.FENCED.labels(self.cursor.name, self.cursor.partition).inc()
            self._log.info("lease lost")
        except Halted as halted:
            metrics.HALTED.labels(self.cursor.name, self.cursor.partition).set(1)
            self._log.critical("partition halted", offset=halted.offset, reason=halted.reason)
        finally:
            await self._leave()

    async def _on_one_connection(self) -> None:
        """Fold until an error or the stop; the connection is never used after an error."""
        conn = await open_connection(self._tools.dsn, self.cursor)
        try:
            await self._begin(conn)
            committer = Committer(conn, self.cursor, self._projection, tells=self._tools.live, spans=self._tools.log.partitions > 1)
            while not self._stopping:
                if records := self._allowed(await self._next(conn)):
                    self._read_on(records)
                    async with self._turn(records):
                        began = time.monotonic()
                        records = [*records, *self._came_meanwhile(records)]
                        await committer.fold(records)
                    self._folded(records, began)
                    self._failures = 0
                del records  # what is parsed is large: it must not outlive the fold while this waits
            await self.cursor.release(conn)
            await conn.close(timeout=_CLOSE_S)
        except Halted as halted:
            await self.cursor.halt(conn, f"offset {halted.offset}: {halted.reason}")
            raise
        finally:
            await self._stop_reading()
            if not conn.is_closed():
                conn.terminate()

    async def _begin(self, conn: Connection) -> None:
        """See where the cursor really is and that the log is the one it was folded from; make ready to fold."""
        cursor, log = self.cursor, self._tools.log
        await cursor.look(conn)
        if cursor.log_id != log.log_id:
            raise Halted(cursor.partition, cursor.position, f"the cursor belongs to the log {cursor.log_id}, this is {log.log_id}")
        if cursor.position:
            record = await self._reader.raw(cursor.position - 1)
            if cursor.tail is not None and hashlib.sha256(record.value).digest() != cursor.tail:
                raise Halted(cursor.partition, cursor.position - 1, "the log has another record here than the one that was folded")
        if self._leads:
            self._tools.turns.lead(cursor.partition, cursor.position)
        await self._projection.prepare(conn)
        if self._projection.sets_aside:
            await aside.retry(conn, cursor, self._projection, self._reader, self._tools.tenants)
        metrics.HALTED.labels(cursor.name, cursor.partition).set(0)

    async def _next(self, conn: Connection) -> list[Record]:
        """Wait for records, a moment to let time pass, or the stop; return the records."""
        read = self._read or self._start_reading(self.cursor.position, self.cursor.last_stored)
        now = time.monotonic()
        due = self._due()
        if not read.done() and not self._stopping and due > now:
            self.parked = True
            nudged = asyncio.create_task(self._nudge.wait())
            await asyncio.wait({read, nudged}, timeout=due - now, return_when=asyncio.FIRST_COMPLETED)
            nudged.cancel()
            self._nudge.clear()
        if self._stopping:
            return []
        if self._tools.until is not None and self.cursor.position >= self._tools.until.get(self.cursor.partition, 0):
            self.parked = True
            await self._pause(HOLD_S)
            return []
        if read.done():
            self._read = None
            if records := read.result():
                return records
        if self._due() <= time.monotonic():
            await self._pass_time(conn)
        return []

    def _start_reading(self, offset: int, head: int) -> "asyncio.Task[list[Record]]":
        self._read = asyncio.create_task(self._reader.read(self.cursor.key, offset, head, IDLE_S))
        return self._read

    def _read_on(self, records: list[Record]) -> None:
        """Read what comes after these records while Postgres folds them."""
        if self._tools.until is None:
            self._start_reading(records[-1].offset + 1, records[-1].last)

    @asynccontextmanager
    async def _turn(self, records: list[Record]) -> AsyncIterator[None]:
        """Wait until the projection that goes first has passed these records, and for one of the turns."""
        turns, cursor = self._tools.turns, self.cursor
        if not self._leads:
            await turns.behind(cursor.partition, records[-1].offset + 1)
        async with turns.of[cursor.name]:
            yield

    def _came_meanwhile(self, records: list[Record]) -> list[Record]:
        """Return what was read on while others had their turn, if it fits into the run."""
        read = self._read
        if read is None or not read.done() or read.cancelled() or read.exception():
            return []
        more = read.result()
        if not more or sum(len(record.items) for record in (*records, *more)) > MAX_STATEMENTS:
            return []
        self._read_on(more)
        return more

    async def _stop_reading(self) -> None:
        if self._read is not None:
            self._read.cancel()
            await asyncio.gather(self._read, return_exceptions=True)
            self._read = None

    def _allowed(self, records: list[Record]) -> list[Record]:
        until = None if self._tools.until is None else self._tools.until.get(self.cursor.partition, 0)
        allowed = records if until is None else [record for record in records if record.offset < until]
        self.parked = not allowed
        return allowed

    def _due(self) -> float:
        """Return when time has to pass here: each second, and as soon as another partition is ahead."""
        idle = self._renewed + IDLE_S
        if self._heeds and self.cursor.last_stored < self._wanted:
            return min(idle, self._ticked + TICK_APART_S)
        return idle

    async def _pass_time(self, conn: Connection) -> None:
        self._ticked = self._renewed = time.monotonic()
        cursor, log = self.cursor, self._tools.log
        try:
            async with asyncio.timeout(_TICK_S):
                end = await (log.tick(cursor.partition) if self._ticks else log.end(cursor.partition))
        except (Unavailable, TimeoutError) as error:  # appends are refused or the broker is away: the lease is kept, time stands still
            self._log.warning("no tick", error=repr(error))
            await cursor.pass_time(conn, cursor.last_stored)
            return
        self._heeds = self._ticks or end.stored is not None
        passed = end.stored if end.stored is not None and end.next_offset == cursor.position else cursor.last_stored
        moved = passed > cursor.last_stored
        async with conn.transaction():
            await cursor.pass_time(conn, passed)
            if moved and self._tools.live:
                await conn.execute(sql.folded)
        if self._ticks:
            metrics.TICKS.labels(cursor.partition).inc()

    def _folded(self, records: list[Record], began: float) -> None:
        self._renewed = time.monotonic()
        if self._leads:
            self._tools.turns.lead(self.cursor.partition, self.cursor.position)
        metrics.RUNS.labels(self.cursor.name).observe(self._renewed - began)
        metrics.STATEMENTS.labels(self.cursor.name, self.cursor.partition).inc(sum(len(record.items) for record in records))

    async def _pause(self, seconds: float) -> None:
        if not self._stopping:
            self._nudge.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._nudge.wait()
            except TimeoutError:
                return

    async def _leave(self) -> None:
        await self._stop_reading()
        if self._leads:
            self._tools.turns.lead(self.cursor.partition, None)
        self._reader.leave(self.cursor.key)


async def open_connection(dsn: str, cursor: Cursor) -> Connection:
    """Return a connection that folds this cursor's version: it commits without waiting for the disk, for a crash replays to the same rows."""
    return await connect(
        dsn, search_path=f"{schema_of(cursor.name, cursor.version)}, testamur", application_name=f"testamur projector {cursor.name}/{cursor.partition}",
        idle_in_transaction_s=IDLE_IN_TRANSACTION_S, server_settings={"synchronous_commit": "off", "default_transaction_isolation": "read committed"},
    )
