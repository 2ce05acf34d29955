"""Decisions on their way into the log: committed to a table first, appended after the commit, and appended again by whoever finds one left behind."""
import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from services.core.errors import LogUnavailable, Overloaded
from services.core.timeline import greatest_seq, moment
from services.projector.decider import metrics
from services.runtime import failpoint
from services.runtime.log import Log, NewRecord
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
LEFT_BEHIND = timedelta(seconds=5)
LOST_US = 60_000_000
"""So far past an append that the log confirmed everything of it is folded."""
APPEND_S = 15.0
_AT_ONCE = 1000
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger()


class Decided(NamedTuple):
    """A decision, and the IFIs of its learner."""

    tenant_id: int
    id: UUID
    ifis: tuple[UUID, ...]
    record: NewRecord


async def settle(conn: Connection, through: int) -> None:
    """Forget those that are folded and that T has passed: their IFIs may be decided about again."""
    await conn.execute(_sql.settle, greatest_seq(through), _AT_ONCE)


async def blocked(conn: Connection, tenant_id: int, ifis: Collection[UUID]) -> set[UUID]:
    """Return those of these IFIs that nobody decides about for now."""
    return {row["ifi"] for row in await conn.fetch(_sql.blocked, tenant_id, list(ifis))}


async def add(conn: Connection, tenant_id: int, decided: Sequence[Decided]) -> None:
    """Note decisions, in the transaction that makes them."""
    if decided:
        await conn.execute(
            _sql.add, tenant_id, [one.id for one in decided], ["{" + ",".join(map(str, one.ifis)) + "}" for one in decided],
            [one.record.key for one in decided], [one.record.partition for one in decided], [one.record.value for one in decided])


async def append(conn: Connection, log: Log, decided: Sequence[Decided]) -> bool:
    """Append decisions that are committed, outside any transaction; return whether the log keeps them. What became of others is found later."""
    if not decided:
        return True
    try:
        async with asyncio.timeout(APPEND_S):
            await log.append([one.record for one in decided])
    except (LogUnavailable, Overloaded, TimeoutError) as error:
        metrics.UNCONFIRMED.inc(len(decided))
        _log.warning("decisions may not be in the log; they will be looked for", decisions=len(decided), error=repr(error))
        return False
    failpoint.hit("decider.after_append")
    places = sorted((one.tenant_id, one.id) for one in decided)  # as folds lock them
    await conn.execute(_sql.sent, *map(list, zip(*places, strict=True)))
    return True


async def left_behind(conn: Connection, through: int) -> list[Decided]:
    """Return decisions that nobody may have appended, or whose append did not last; nobody else gets them for a while."""
    rows: list[Any] = await conn.fetch(_sql.left_behind, LEFT_BEHIND, _AT_ONCE, moment(through - LOST_US))
    return [Decided(row["tenant_id"], row["id"], (), NewRecord(row["partition"], row["key"], row["value"])) for row in rows]
