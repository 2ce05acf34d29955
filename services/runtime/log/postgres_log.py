"""The log as a table of Postgres: a locked head row hands out offsets, so that the order of commits is the order of offsets and there are no gaps.

A bare sequence would not do: whoever tails one skips what commits late.
"""
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import asyncpg

from services.core import envelope
from services.core.errors import Halted, LogUnavailable, TooLarge
from services.runtime.log import LogEnd, LogRecord, NewRecord, Position, WrongLog
from services.runtime.log.group_commit import GroupCommit
from services.runtime.log.postgres_tail import PostgresTail
from services.runtime.log.postgres_writer import PostgresWriter
from services.runtime.postgres import GENESIS_LOCK, Statements, connect, transient
from services.runtime.session import Session

DEADLINE_S = 10.0
READ_TIMEOUT_S = 8.0
CLOSE_PATIENCE_S = 1.5
MAX_PENDING_BYTES = 64 << 20
MAX_RECORD_BYTES = 32 << 20
_POLL_S = 1.0

T = TypeVar("T")

_sql = Statements(Path(__file__).with_suffix(".sql"))


class PostgresLog:
    """The Log protocol over the tables log_head and log_record. It connects when first used, and again whenever a connection was lost."""

    def __init__(self, dsn: str, log_id: UUID, partitions: int, *, deadline_s: float = DEADLINE_S, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        """`open_postgres_log` finds out what these are; every append ends within `deadline_s`."""
        self.log_id, self.partitions = log_id, partitions
        self._tail = PostgresTail(dsn)
        self._writer = PostgresWriter(dsn, self._tail)
        self._appends = GroupCommit(self._writer.write, deadline_s=deadline_s, max_pending_bytes=max_pending_bytes)
        self._reading, self._asking = Session(dsn, "testamur log reader"), Session(dsn, "testamur log head")

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append each record atomically, within 10 s; see `Log.append`. Raises Overloaded when too much is waiting already."""
        for record in records:
            if len(record.value) > MAX_RECORD_BYTES:
                raise TooLarge(f"One record of the log may have {MAX_RECORD_BYTES} bytes at most; send fewer statements in one request.")
            if not 0 <= record.partition < self.partitions:
                raise ValueError(f"the log has no partition {record.partition}")
        return await self._appends.append(records)

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        """Return a run of records from `offset`, within `wait_s` + 8 s; see `Log.read`. It wakes as soon as a record is committed."""
        self._tail.watch()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            if self._tail.known(partition) != offset and (records := await self._fetch(partition, offset, max_records, max_bytes)):
                return records
            if (left := deadline - loop.time()) <= 0:
                return []
            await self._tail.passed(partition, offset, min(left, _POLL_S))

    async def end(self, partition: int) -> LogEnd:
        """Return the end of a partition as of now, within 8 s."""
        return (await self._ask(_sql.end, [partition]))[0]

    async def tick(self, partitions: Sequence[int]) -> list[LogEnd]:
        """Let everything to come be stored after now; no record is written. Return the ends after it, within 8 s."""
        return await self._ask(_sql.tick, partitions)

    async def close(self) -> None:
        """Let go of everything, within 3 s: appends under way get 1.5 s, reads none."""
        await self._appends.close(CLOSE_PATIENCE_S)
        await self._tail.close()
        for user in (self._writer, self._reading, self._asking):
            user.terminate()

    async def _fetch(self, partition: int, offset: int, max_records: int, max_bytes: int) -> list[LogRecord]:
        """Read what there is from `offset`. Raises Halted if what is there is not what must be."""
        async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> list[asyncpg.Record]:
            return await connection.fetch(_sql.read, partition, offset, max_records, max_bytes)
        if not (rows := await _guarded(self._reading, work)):
            end = (await self.end(partition)).next_offset
            if end == offset:
                return []
            if end < offset:
                raise Halted(partition, offset, f"the log ends at offset {end}, before what was read of it: it was replaced or cut")
            if not (rows := await _guarded(self._reading, work)):  # written in between, or lost
                raise Halted(partition, offset, f"the log says it ends at offset {end}, but has no record from here on")
        records = [LogRecord(partition, row[0], row[1], row[2]) for row in rows]
        for expected, record in enumerate(records, offset):
            if record.offset != expected:
                raise Halted(partition, expected, f"the log has a record at offset {record.offset}, but none at offset {expected}")
        return records

    async def _ask(self, statement: str, partitions: Sequence[int]) -> list[LogEnd]:
        async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> list[asyncpg.Record]:
            return await connection.fetch(statement, list(partitions))
        ends = {row["partition"]: LogEnd(row["next_offset"], row["last_stored"]) for row in await _guarded(self._asking, work)}
        for partition in partitions:
            if partition not in ends:
                raise Halted(partition, 0, "the log has no such partition")
            self._tail.advance(partition, ends[partition].next_offset)
        return [ends[partition] for partition in partitions]


async def open_postgres_log(dsn: str, partitions: int | None = None, *, deadline_s: float = DEADLINE_S) -> PostgresLog:
    """Return the log of the migrated database at `dsn`, made at the first call: of several processes that race one makes it.

    `partitions` is how many a new log gets (None: one). Raises WrongLog when the database knows another log, or the log has another number of partitions,
    and LogUnavailable when Postgres cannot be reached.
    """
    try:
        log_id, n = await _make(dsn, partitions)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if not transient(error):
            raise
        raise LogUnavailable(f"The log cannot be opened right now: {error or repr(error)}") from error
    return PostgresLog(dsn, log_id, n, deadline_s=deadline_s)


async def _make(dsn: str, partitions: int | None) -> tuple[UUID, int]:
    """Return the log's uuid and its number of partitions, made if there is none."""
    connection = await connect(dsn, application_name="testamur genesis", command_timeout_s=30)
    try:
        async with connection.transaction():
            await connection.execute(_sql.lock, GENESIS_LOCK)
            await connection.execute(_sql.identify, uuid4(), partitions or 1)
            identity = await connection.fetchrow(_sql.identity)
            assert identity is not None
            log_id, kind, n = identity
            if kind != "postgres":
                raise WrongLog(f"This database belongs to a log kept in {str(kind).title()}: set TESTAMUR_KAFKA, or take another database.")
            if partitions not in (None, n):
                raise WrongLog(f"The log has {n} partitions, and their number is fixed when it is made: set TESTAMUR_PARTITIONS to {n}, or leave it out.")
            for partition in range(n):
                body = {"log": str(log_id), "partition": partition, "partitions": n}
                await connection.execute(_sql.begin, partition, log_id, envelope.encode("genesis", body=body))
        await connection.close(timeout=5)
    finally:
        connection.terminate()
    return log_id, n


async def _guarded(session: Session, work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]") -> T:
    """Use a session, and raise LogUnavailable for what passes by itself."""
    try:
        return await session.use(work, READ_TIMEOUT_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if not transient(error):
            raise
        raise LogUnavailable(f"The log cannot be read right now: {error or repr(error)}") from error
