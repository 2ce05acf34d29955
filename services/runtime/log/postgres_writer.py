"""The one writer of a process to the log in Postgres: one statement for each batch and partition, and the truth about those whose answer was lost."""
import asyncio
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.prepared_stmt import PreparedStatement

from services.core.errors import Halted
from services.runtime.log import Position
from services.runtime.log.group_commit import Append
from services.runtime.log.postgres_tail import PostgresTail
from services.runtime.postgres import Statements, connect, transient
from services.runtime.session import work_until

STATEMENT_TIMEOUT_S = 4.0
"""How long one statement may take before its connection is given up; below the deadline of an append, so that there is time to find out."""
CONNECT_TIMEOUT_S = 3.0
PAUSE_S = 0.1
GENERIC_PLANS = {"plan_cache_mode": "force_generic_plan"}
"""Planning anew for each batch would cost more than writing it."""

log = structlog.get_logger(__name__)
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, Halted)
_sql = Statements(Path(__file__).with_name("postgres_log.sql"))
Piece = tuple[Append, int]
"""A record: a call, and which of its records."""


class PostgresWriter:
    """Writes batches one after the other over one connection."""

    def __init__(self, dsn: str, tail: PostgresTail) -> None:
        """`tail` learns at once of what was written here."""
        self._dsn, self._tail = dsn, tail
        self._link: _Link | None = None
        self._floors: dict[int, int] = {}

    async def write(self, batch: list[Append]) -> None:
        """Write a batch: each call ends when its records are durable, or certainly are not; what stays unknown is left to its deadline."""
        runs: dict[tuple[int, bool], list[Piece]] = {}
        for entry in batch:
            for i, record in enumerate(entry.records):
                runs.setdefault((record.partition, record.carried_stored is not None), []).append((entry, i))
        for (partition, carried), run in runs.items():
            await self._write_run(partition, run, carried=carried)

    def terminate(self) -> None:
        """Let go of the connection at once."""
        if self._link is not None:
            self._link.connection.terminate()

    async def _write_run(self, partition: int, run: list[Piece], *, carried: bool) -> None:
        """Write records of one partition, again if they were certainly not written, until all their calls have ended."""
        lost: _Sent | None = None
        while alive := [piece for piece in run if not piece[0].future.done()]:
            sending: _Sent | None = None
            first: int | None
            try:
                link = await self._connect()
                if lost is None:
                    sending = _Sent(link, partition, uuid4(), self._floors.get(partition, 0), alive)
                    _mark(alive, sent=True)
                    first = await _execute(link, sending, carried=carried)
                else:
                    first = await _settle(link, lost)
            except _FAILURES as error:
                lost = self._left_unknown(error, sending, lost)
                if not transient(error):
                    _refuse(alive, error)
                    return
                log.warning("log write interrupted", partition=partition, records=len(alive), unknown=lost is not None, error=str(error) or repr(error))
                await asyncio.sleep(PAUSE_S)
                continue
            if first is not None:
                self._place(sending or lost, first)
                return
            _mark(alive, sent=False)
            lost = None

    def _left_unknown(self, error: Exception, sending: "_Sent | None", lost: "_Sent | None") -> "_Sent | None":
        """Return the append of which, after an error, nobody knows whether it was written, if there is one; the connection is given up then."""
        if sending is not None and _certain(error):
            _mark(sending.run, sent=False)
            return None
        self.terminate()
        return sending or lost

    async def _connect(self) -> "_Link":
        """Return the connection, made anew if it was lost. Raises what `connect` raises."""
        if self._link is not None and not self._link.connection.is_closed():
            return self._link
        connection = await connect(self._dsn, application_name="testamur log", connect_timeout_s=CONNECT_TIMEOUT_S, server_settings=GENERIC_PLANS)
        try:
            self._link = await work_until(connection, self._prepare(connection), asyncio.get_running_loop().time() + CONNECT_TIMEOUT_S)
        except BaseException:
            connection.terminate()
            raise
        return self._link

    async def _prepare(self, connection: "asyncpg.Connection[asyncpg.Record]") -> "_Link":
        who = await connection.fetchrow(_sql.who_am_i)
        assert who is not None
        for partition, next_offset in await connection.fetch(_sql.heads):
            self._floors[partition] = next_offset
        return _Link(connection, who["pid"], who["backend_start"], await connection.prepare(_sql.append), await connection.prepare(_sql.append_carried))

    def _place(self, written: "_Sent | None", first: int) -> None:
        assert written is not None
        for offset, (entry, i) in enumerate(written.run, first):
            entry.place(i, Position(written.partition, offset))
        self._floors[written.partition] = end = first + len(written.run)
        self._tail.advance(written.partition, end)


@dataclass(slots=True)
class _Link:
    """A connection, its server process, and the prepared statements on it."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    pid: int
    since: datetime
    append: "PreparedStatement[asyncpg.Record]"
    append_carried: "PreparedStatement[asyncpg.Record]"


@dataclass(slots=True)
class _Sent:
    """An append that was sent: over which connection, under which name, what was in it, and an offset that it cannot be below."""

    link: _Link
    partition: int
    append_id: UUID
    floor: int
    run: list[Piece]


async def _execute(link: _Link, sending: _Sent, *, carried: bool) -> int:
    """Write a run and return the offset of its first record. Raises what asyncpg raises."""
    records = [entry.records[i] for entry, i in sending.run]
    if carried:
        instants = [record.carried_stored or 0 for record in records]
        statement, third = link.append_carried, max(instant + record.count - 1 for instant, record in zip(instants, records, strict=True))
    else:
        *instants, third = accumulate([record.count for record in records], initial=0)
        statement = link.append
    row = await work_until(link.connection, statement.fetchrow(
        sending.partition, len(records), third, sending.append_id, instants, [record.key for record in records], [record.value for record in records],
    ), asyncio.get_running_loop().time() + STATEMENT_TIMEOUT_S)
    if row is None:
        raise Halted(sending.partition, sending.floor, "the partition has lost its head row")
    first: int = row[0]
    return first


async def _settle(link: _Link, lost: _Sent) -> int | None:
    """Return where an append whose answer was lost begins, None if it was not and never will be written."""
    async def ask() -> int | None:
        if await link.connection.fetchval(_sql.fence, lost.link.pid, lost.link.since) is False:
            raise TimeoutError("the server process that may still write does not end")
        first: int | None = await link.connection.fetchval(_sql.find_append, lost.partition, lost.floor, lost.append_id)
        return first
    return await work_until(link.connection, ask(), asyncio.get_running_loop().time() + STATEMENT_TIMEOUT_S)


def _certain(error: Exception) -> bool:
    """Return whether the server itself said, in good order, that the statement failed: then nothing of it is written."""
    return isinstance(error, Halted) or (isinstance(error, asyncpg.PostgresError) and not str(error.sqlstate or "08").startswith(("08", "57P")))


def _mark(run: list[Piece], *, sent: bool) -> None:
    for entry, _ in run:
        entry.sent = sent or entry.unplaced < len(entry.records)


def _refuse(run: list[Piece], error: Exception) -> None:
    log.error("the log refuses a write", error=repr(error))
    for entry, _ in run:
        entry.give_up(f"The log refuses the write: {error}.")
