"""One run, one transaction: the fenced cursors first, then the fold. What fails is narrowed down to the partition, the record, the statement at fault."""
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import asyncpg
import structlog

from services.core.errors import Halted
from services.projector import aside, metrics
from services.projector.cursor import IDLE_IN_TRANSACTION_S, SPANNED, Fenced, Step, advance, sql
from services.projector.next_run import Part
from services.projector.run import Projection, Run
from services.runtime import failpoint
from services.runtime.migrate import schema_of
from services.runtime.postgres import connect, transient

Connection = asyncpg.Connection
_PRUNE_S = 1.0
_log = structlog.get_logger()


class Committer:
    """Folds runs of one projection on one connection. After any error but Halted and Fenced the connection may be in any state: throw it away and `look` again.

    A run holds records of one or several partitions, and the cursors of all of them move in its transaction, or none does.
    """

    def __init__(self, conn: Connection, projection: Projection, *, tells: bool, spans: bool) -> None:
        """`tells`: somebody waits for this version; `spans`: the log has several partitions, so that Consistent-Through could cut a record."""
        self._conn, self._projection, self._tells = conn, projection, tells
        self._spans = spans and projection.name == SPANNED
        self._pruned: dict[int, float] = {}

    async def fold(self, parts: Sequence[Part], *, wanted: int | None = None) -> None:
        """Fold and commit, in one transaction if that works, else in smaller ones; other processes are asked to pass the instant `wanted`.

        Raises Fenced (nothing of what was left is committed: try again without those partitions), Halted (all that could be committed is, also of its own
        partition before the record at fault), or something transient.
        """
        if not any(part.has_content for part in parts):
            await self._let_pass(parts)
            return
        try:
            await self._commit(parts, self._whole, wanted)
        except (Fenced, Halted):
            raise
        except Exception as error:
            if transient(error) or self._conn.is_closed():
                raise
            await self._narrow(parts, error, wanted)

    async def _let_pass(self, parts: Sequence[Part]) -> None:
        """Move on over ticks: nothing but cursors changes, so one statement is all the transaction there has to be."""
        steps = [part.step() for part in parts]
        try:
            await advance(self._conn, steps, tells=self._tells)
        except Fenced as fenced:
            _moved([step for step in steps if step.cursor.partition not in fenced.partitions])
            raise
        _moved(steps)
        if self._spans:
            await self._prune_spans(parts)

    async def _narrow(self, parts: Sequence[Part], error: Exception, wanted: int | None) -> None:
        part = parts[0]
        cursor, records = part.cursor, part.records
        _log.warning("run failed", projection=cursor.name, partitions=[each.cursor.partition for each in parts], offset=records[0].offset,
                     records=sum(len(each.records) for each in parts), error=repr(error))
        if len(parts) > 1:
            await self._one_by_one(parts, wanted)
        elif len(records) > 1:
            middle = len(records) // 2
            await self.fold([Part(cursor, records[:middle])], wanted=wanted)
            await self.fold([Part(cursor, records[middle:])], wanted=wanted)
        elif self._projection.sets_aside:
            await self._commit(parts, self._apart, wanted)
        else:
            await self._once_more(parts, wanted)

    async def _one_by_one(self, parts: Sequence[Part], wanted: int | None) -> None:
        """Fold each partition by itself, so that one that halts keeps none of the others back."""
        halted: Halted | None = None
        for part in parts:
            try:
                await self.fold([part], wanted=wanted)
            except Halted as error:  # of several the others will be met again
                halted = halted or error
        if halted is not None:
            raise halted

    async def _once_more(self, parts: Sequence[Part], wanted: int | None) -> None:
        try:
            await self._commit(parts, self._whole, wanted)
        except (Fenced, Halted):
            raise
        except Exception as error:
            if transient(error) or self._conn.is_closed():
                raise
            cursor, records = parts[0].cursor, parts[0].records
            reason = f"the {cursor.name} projection cannot fold it: {type(error).__name__}: {error}"
            raise Halted(cursor.partition, records[0].offset, reason) from error

    async def _commit(self, parts: Sequence[Part], fold: Callable[[Sequence[Part]], Awaitable[int]], wanted: int | None) -> None:
        steps = [part.step() for part in parts]
        transaction = self._conn.transaction()
        await transaction.start()
        try:
            await advance(self._conn, steps, tells=self._tells, wanted=wanted)
            failpoint.hit("projector.in_transaction")
            conflicts = await fold(parts)
            if conflicts:  # readers take the sum over the partitions, so any of the run's cursors may count them
                await self._conn.execute(sql.add_conflicts, *parts[0].cursor.key, conflicts)
            if self._spans:
                await self._keep_spans(parts)
            failpoint.hit("projector.before_commit")
        except Exception:
            if not self._conn.is_closed():
                await transaction.rollback()
            raise
        await transaction.commit()
        failpoint.hit("projector.after_commit")
        _moved(steps)
        if conflicts:
            metrics.CONFLICTS.labels(self._projection.name, parts[0].cursor.partition).inc(conflicts)

    async def _whole(self, parts: Sequence[Part]) -> int:
        return await self._projection.apply(self._conn, run_of(parts))

    async def _apart(self, parts: Sequence[Part]) -> int:
        return await aside.fold_apart(self._conn, parts[0].cursor, self._projection, parts[0].records[0])

    async def _keep_spans(self, parts: Sequence[Part]) -> None:
        """Note what must not be cut."""
        long = [(part.cursor.partition, record.first, record.last) for part in parts for record in part.records if record.last > record.first]
        if long:
            cursor = parts[0].cursor
            await self._conn.execute(sql.add_spans, cursor.name, cursor.version, *map(list, zip(*long, strict=True)))
        await self._prune_spans(parts)

    async def _prune_spans(self, parts: Sequence[Part]) -> None:
        now = time.monotonic()
        due = [part.cursor for part in parts if now - self._pruned.get(part.cursor.partition, 0.0) > _PRUNE_S]
        if due:
            await self._conn.execute(sql.prune_spans, due[0].name, due[0].version, [cursor.partition for cursor in due])
            self._pruned |= {cursor.partition: now for cursor in due}


def _moved(steps: Sequence[Step]) -> None:
    for step in steps:
        step.cursor.moved(step.position, step.last_stored, step.tail)


def run_of(parts: Sequence[Part]) -> Run:
    """Return the records of a run as what a projection folds."""
    records = [record for part in parts for record in part.records]
    return Run([item for record in records for item in record.items], [record.other for record in records if record.other])


async def open_connection(dsn: str, name: str, version: int, owner: UUID) -> Connection:
    """Return a connection that folds a version of a projection: it commits without waiting for the disk, for a crash replays to the same rows."""
    return await connect(
        dsn, search_path=f"{schema_of(name, version)}, testamur", application_name=f"testamur projector {name} {owner}"[:63],
        idle_in_transaction_s=IDLE_IN_TRANSACTION_S, server_settings={"synchronous_commit": "off", "default_transaction_isolation": "read committed"},
    )
