"""Dead letters: a statement that makes a fold raise is set aside with its reason, everyone else moves on, and other code tries it again."""
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from services.core.timeline import seq_of, stored_of
from services.projector import metrics
from services.projector.cursor import Cursor, Fenced, sql
from services.projector.reader import PartitionReader, Record, statements_of
from services.projector.run import Projection, RecordAt, Run, StatementAt
from services.projector.tenants import Tenants
from services.runtime.postgres import transient

Connection = asyncpg.Connection
Item = StatementAt | RecordAt
_log = structlog.get_logger()


async def fold_apart(conn: Connection, cursor: Cursor, projection: Projection, record: Record) -> int:
    """Fold one record statement by statement inside the caller's transaction, setting aside each that fails; return its conflicts."""
    items: list[Item] = [*record.items, *([record.other] if record.other else [])]
    conflicts = 0
    for item in items:
        try:
            async with conn.transaction():
                conflicts += await projection.apply(conn, _alone(item))
        except Exception as error:
            if transient(error) or conn.is_closed():
                raise
            await _set_aside(conn, cursor, projection, item, error)
    return conflicts


async def retry(conn: Connection, cursor: Cursor, projection: Projection, reader: PartitionReader, tenants: Tenants) -> None:
    """Fold again what other code set aside, each in a transaction of its own under the cursor's lock. Raises Fenced, Halted or something transient."""
    for row in await conn.fetch(sql.dead_letters, *cursor.key, projection.code_hash):
        item = await _item(cursor.partition, reader, tenants, row)
        async with conn.transaction():
            await cursor.look(conn)
            await conn.execute(sql.forget_dead_letter, *cursor.key, row["offset"], row["idx"])
            try:
                async with conn.transaction():
                    conflicts = await projection.apply(conn, _alone(item))
            except Exception as error:
                if transient(error) or conn.is_closed() or isinstance(error, Fenced):
                    raise
                await _set_aside(conn, cursor, projection, item, error)
            else:
                await conn.execute(sql.add_conflicts, *cursor.key, conflicts)
                await conn.execute(sql.folded)
                _log.info("dead letter folded", projection=cursor.name, partition=cursor.partition, offset=row["offset"], idx=row["idx"])


async def _item(partition: int, reader: PartitionReader, tenants: Tenants, row: Any) -> Item:
    """Read what was set aside from the log; its `seq` was kept, for what is stored depends on all records before."""
    placed = await reader.one(row["offset"], stored_of(row["seq"]) - row["idx"])
    tenant_id = await tenants.id(placed.envelope.tenant or "")
    if placed.envelope.kind == "statements":
        idx: int = row["idx"]
        return statements_of(placed, tenant_id)[idx]
    return RecordAt(placed.envelope.kind, tenant_id, placed.envelope.tenant or "", seq_of(placed.first, partition), placed.envelope, placed.offset)


async def _set_aside(conn: Connection, cursor: Cursor, projection: Projection, item: Item, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"[:1000]
    offset, idx, statement_id = item.offset, item.idx if isinstance(item, StatementAt) else 0, item.id if isinstance(item, StatementAt) else None
    _log.error("set aside", projection=cursor.name, partition=cursor.partition, offset=offset, idx=idx, statement=str(statement_id), reason=reason)
    await conn.execute(
        sql.set_aside, *cursor.key, offset, idx, item.tenant_id, statement_id, _blame(projection, item), reason, projection.code_hash, item.seq)
    metrics.DEAD_LETTERS.labels(cursor.name, cursor.partition).inc()


def _blame(projection: Projection, item: Item) -> UUID | None:
    try:
        return projection.blame(item)
    except Exception as error:  # noqa: BLE001 - it is broken enough to be set aside: whose it is may be just what cannot be told
        _log.warning("nobody to name for a dead letter", offset=item.offset, error=repr(error))
        return None


def _alone(item: Item) -> Run:
    return Run(items=[item]) if isinstance(item, StatementAt) else Run(others=[item])
