"""One batch: learners of one tenant taken from the queue under locks, judged at T, and what the ledger lacks committed as decisions under way.

A batch is bounded by statements and time: what is judged when they run out is committed, the rest stays in the queue, and who is too much for any batch is
judged alone, in a thread, by a connection that is allowed to take its time.
"""
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

import asyncpg

from services.projector.decider import metrics, under_way
from services.projector.decider.deciding import Deciding
from services.projector.decider.judging import Judging
from services.projector.decider.matters import Waking
from services.projector.decider.under_way import Decided
from services.runtime import failpoint
from services.runtime.evaluation.load import Members, load_members
from services.runtime.evaluation.moment import Moment
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
_MOST_ROWS = 20_000
_WINDOW = 2_000
"""Of so many rows, longest due first, the learners of a batch are found."""
_BUSY_S = 1.0
"""Whom somebody else has in hand is looked at again after so long."""

_sql = Statements(Path(__file__).with_name("queue.sql"))


class Replaced(Exception):
    """The version in use is not of this code, or is just being replaced: nothing may be decided."""


async def through(conn: Connection, fingerprint: str) -> int:
    """Return T, and keep the version in use in use until the transaction ends. Raises Replaced."""
    found = await conn.fetchval(_sql.through, fingerprint)
    if found is None:
        raise Replaced
    return int(found)


async def decide(conn: Connection, deciding: Deciding, tenant_id: int, tenant: str, alone: Sequence[UUID] = ()) -> tuple[int, list[Decided]]:
    """Decide about the learners who wait longest, in a transaction of its own; return how many were taken, and the decisions to append now.

    `alone`: about the learner of these IFIs, however long it takes. Raises Replaced, or whatever went wrong, with nothing changed: `apart.fail` then
    has those in hand judged alone.
    """
    began = time.monotonic()
    if not alone:
        deciding.apart.put_down()
    async with conn.transaction():
        members, now = await _take(conn, deciding, tenant_id, alone)
        if not members:
            return 0, []
        catalog = await deciding.catalogs.at(conn, tenant_id, Moment.at(now))
        if not alone:
            deciding.apart.take_up(tenant_id, members)
        rows = [Waking(*row) for row in await conn.fetch(_sql.rows, tenant_id, [ifi for one in members for ifi in one.ifis], now, _MOST_ROWS)]
        swept = {row.ifi for row in rows if row.cause is None}
        if not alone:
            deciding.turn.begin_part(hurries=bool(swept) and _awaits(deciding, tenant_id))
        batch = Judging(conn, deciding, tenant_id, tenant, Moment.at(now), alone=bool(alone))
        decided = await batch.judge(members, rows, catalog)
        await under_way.add(conn, tenant_id, decided)
        if done := sorted(((*row[:5], row.place) for row in rows if row.ifi in batch.done), key=lambda row: row[:4]):  # as folds lock them
            await conn.execute(_sql.forget, tenant_id, *map(list, zip(*done, strict=True)))
        failpoint.hit("decider.before_commit")
    if not alone:
        deciding.apart.put_down()
        _measure(deciding, tenant_id, [one for one in members if one.learner in batch.done], swept, time.monotonic() - began)
    failpoint.hit("decider.after_commit")
    return len(members), decided


def _awaits(deciding: Deciding, tenant_id: int) -> bool:
    """Return whether a page of a sweep is to be judged that this decider woke: it alone can have the sweep rest for it."""
    return tenant_id in deciding.paces and deciding.paces[tenant_id].awaits_its_page


def _measure(deciding: Deciding, tenant_id: int, judged: Collection[Members], swept: set[UUID], seconds: float) -> None:
    """Note how long it took to judge so many. What no statement woke tells of the pace of a sweep, and the sweep rests for its page."""
    deciding.portions[tenant_id].judged(sum(len(one.ifis) for one in judged), seconds)
    if swept and (pace := deciding.paces.get(tenant_id)):
        of_sweep = sum(not swept.isdisjoint(one.ifis) for one in judged)
        if pace.awaits_its_page:
            pace.owe(deciding.turn.hand_over(of_sweep / max(1, len(judged))))
        pace.judged(of_sweep, seconds)


async def _take(conn: Connection, deciding: Deciding, tenant_id: int, alone: Sequence[UUID]) -> tuple[list[Members], int]:
    """Return learners that nobody else decides about, all of whose IFIs are locked, and T as read after that."""
    before = await through(conn, deciding.fingerprint)
    if alone:
        claimed = [row["ifi"] for row in await conn.fetch(_sql.lock, tenant_id, sorted(alone))]
    else:
        claimed = await _claim(conn, deciding, tenant_id, before)
    if not claimed:
        return [], before
    candidates = await load_members(conn, tenant_id, claimed, Moment.at(before).known)
    more = sorted({ifi for one in candidates for ifi in one.ifis} - set(claimed))
    locked = set(claimed)
    if more:
        locked |= {row["ifi"] for row in await conn.fetch(_sql.lock, tenant_id, more)}
    mine = [one for one in candidates if locked.issuperset(one.ifis)]
    if mine:  # before T is read: whoever settles what is under way now has seen no later one
        busy = await under_way.blocked(conn, tenant_id, [ifi for one in mine for ifi in one.ifis])
        mine = [one for one in mine if busy.isdisjoint(one.ifis)]
    now = await through(conn, deciding.fingerprint)
    if mine and now != before:
        again = set(await load_members(conn, tenant_id, [ifi for one in mine for ifi in one.ifis], Moment.at(now).known))
        mine = [one for one in mine if one in again]
    metrics.AGAIN.inc(len(candidates) - len(mine))
    metrics.JUDGED.inc(len(mine))
    return mine, now


async def _claim(conn: Connection, deciding: Deciding, tenant_id: int, before: int) -> list[UUID]:
    """Return IFIs that are locked now. If somebody else has all in hand that wait longest, look behind them from now on."""
    not_now = _not_now(deciding)
    claimed = [row["ifi"] for row in await conn.fetch(_sql.claim, tenant_id, before, _WINDOW, deciding.portions[tenant_id].size, not_now)]
    if not claimed:
        in_front = [row["ifi"] for row in await conn.fetch(_sql.in_front, tenant_id, before, _WINDOW, not_now)]
        deciding.failed.update(dict.fromkeys(in_front, time.monotonic() + _BUSY_S))
    return claimed


def _not_now(deciding: Deciding) -> list[UUID]:
    """Return whom no batch is to take for now."""
    now = time.monotonic()
    for ifi in [ifi for ifi, again in deciding.failed.items() if again <= now]:
        del deciding.failed[ifi]
    return [*deciding.failed, *deciding.apart.ifis]
