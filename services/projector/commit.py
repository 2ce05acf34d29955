"""One run, one transaction: the fenced cursor first, then the fold. What fails by itself is narrowed down to the record, or the statement, at fault."""
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog

from services.core.errors import Halted
from services.projector import aside, metrics
from services.projector.cursor import SPANNED, Cursor, Fenced, sql
from services.projector.reader import Record
from services.projector.run import Projection, Run
from services.runtime import failpoint
from services.runtime.postgres import transient

Connection = asyncpg.Connection
_PRUNE_S = 1.0
_log = structlog.get_logger()


class Committer:
    """Folds runs of one cursor on one connection. After any error but Halted the connection may be in any state: throw it away and `look` again."""

    def __init__(self, conn: Connection, cursor: Cursor, projection: Projection, *, tells: bool, spans: bool) -> None:
        """`tells`: somebody waits for this version; `spans`: the log has several partitions, so that Consistent-Through could cut a record."""
        self._conn, self._cursor, self._projection, self._tells = conn, cursor, projection, tells
        self._spans = spans and cursor.name == SPANNED
        self._pruned = time.monotonic()

    async def fold(self, records: Sequence[Record]) -> None:
        """Fold and commit these records, in one transaction if that works, else in smaller ones.

        Raises Fenced, Halted (all before the record at fault is committed), or something transient.
        """
        if not any(record.items or record.other for record in records):
            await self._let_pass(records[-1])
            return
        try:
            await self._commit(records, self._whole)
        except (Fenced, Halted):
            raise
        except Exception as error:
            if transient(error) or self._conn.is_closed():
                raise
            await self._narrow(records, error)

    async def _let_pass(self, last: Record) -> None:
        """Move on over ticks: nothing but the cursor changes, so one statement is all the transaction there has to be."""
        tail = hashlib.sha256(last.value).digest()
        await self._cursor.advance(self._conn, last.offset + 1, last.last, tail, tells=self._tells)
        self._cursor.moved(last.offset + 1, last.last, tail)
        if self._spans:
            await self._prune_spans()

    async def _narrow(self, records: Sequence[Record], error: Exception) -> None:
        cursor = self._cursor
        _log.warning("run failed", projection=cursor.name, partition=cursor.partition, offset=records[0].offset, records=len(records), error=repr(error))
        if len(records) > 1:
            middle = len(records) // 2
            await self.fold(records[:middle])
            await self.fold(records[middle:])
        elif self._projection.sets_aside:
            await self._commit(records, self._apart)
        else:
            await self._once_more(records)

    async def _once_more(self, records: Sequence[Record]) -> None:
        try:
            await self._commit(records, self._whole)
        except (Fenced, Halted):
            raise
        except Exception as error:
            if transient(error) or self._conn.is_closed():
                raise
            reason = f"the {self._cursor.name} projection cannot fold it: {type(error).__name__}: {error}"
            raise Halted(self._cursor.partition, records[0].offset, reason) from error

    async def _commit(self, records: Sequence[Record], fold: Callable[[Sequence[Record]], Awaitable[int]]) -> None:
        cursor, last = self._cursor, records[-1]
        tail = hashlib.sha256(last.value).digest()
        transaction = self._conn.transaction()
        await transaction.start()
        try:
            await cursor.advance(self._conn, last.offset + 1, last.last, tail, tells=self._tells, wanted=self._wanted(records))
            failpoint.hit("projector.in_transaction")
            conflicts = await fold(records)
            if conflicts:
                await self._conn.execute(sql.add_conflicts, *cursor.key, conflicts)
            if self._spans:
                await self._keep_spans(records)
            failpoint.hit("projector.before_commit")
        except Exception:
            if not self._conn.is_closed():
                await transaction.rollback()
            raise
        await transaction.commit()
        failpoint.hit("projector.after_commit")
        cursor.moved(last.offset + 1, last.last, tail)
        if conflicts:
            metrics.CONFLICTS.labels(cursor.name, cursor.partition).inc(conflicts)

    async def _whole(self, records: Sequence[Record]) -> int:
        return await self._projection.apply(self._conn, run_of(self._cursor.partition, records))

    async def _apart(self, records: Sequence[Record]) -> int:
        return await aside.fold_apart(self._conn, self._cursor, self._projection, records[0])

    def _wanted(self, records: Sequence[Record]) -> int | None:
        """Return what the other partitions have to pass, so that what was stored here can be seen. A tick wants nothing."""
        return max((record.last for record in records if record.items or record.other), default=None) if self._spans and self._tells else None

    async def _keep_spans(self, records: Sequence[Record]) -> None:
        """Note what must not be cut."""
        long = [record for record in records if record.last > record.first]
        if long:
            await self._conn.execute(sql.add_spans, *self._cursor.key, [span.first for span in long], [span.last for span in long])
        await self._prune_spans()

    async def _prune_spans(self) -> None:
        if time.monotonic() - self._pruned > _PRUNE_S:
            await self._conn.execute(sql.prune_spans, *self._cursor.key)
            self._pruned = time.monotonic()


def run_of(partition: int, records: Sequence[Record]) -> Run:
    """Return consecutive records as what a projection folds."""
    return Run(
        partition, records[0].first, records[-1].last,
        [item for record in records for item in record.items], [record.other for record in records if record.other],
    )
