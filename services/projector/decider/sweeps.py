"""Sweeps and timers: what concerns everybody is spread over learners page by page, and what time alone may change is queued when it is due."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from services.core.rules.wake_keys import ANY, key_of_programme
from services.projector.decider.batch import through
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
_TIMERS = 500
_sql = Statements(Path(__file__).with_suffix(".sql"))
_queue = Statements(Path(__file__).with_name("queue.sql"))


async def ring(conn: Connection, fingerprint: str) -> bool:
    """Queue what is due by its timer, some of it; return whether there was anything that nobody else queues."""
    async with conn.transaction():
        now = await through(conn, fingerprint)
        if rows := await conn.fetch(_queue.due_timers, now, _TIMERS):
            tenants, learners, kinds, matters, due = map(list, zip(*map(tuple, rows), strict=True))
            await conn.execute(_queue.ring, tenants, learners, kinds, matters, due, [key_of_programme(matter) for matter in matters])
    return bool(rows)


async def spread(conn: Connection, fingerprint: str, tenant_id: int, most: int) -> int | None:
    """Wake at most so many more learners for what concerns them all; return how many rows that took, None if there was no sweep that nobody else goes on with.

    Sweeps that have not begun go along with the first that does.
    """
    async with conn.transaction():
        now = await through(conn, fingerprint)
        sweep = await conn.fetchrow(_sql.take, tenant_id, now)
        if sweep is None:
            return None
        due, keys, activities = sweep["due"], sweep["keys"], sweep["activities"]
        if sweep["after"] is None and (others := await conn.fetch(_sql.others, tenant_id, now, sweep["id"])):
            due, keys, activities = _merged([sweep, *others])
            await conn.execute(_sql.merge, tenant_id, sweep["id"], due, keys, activities, [other["id"] for other in others])
        page = [row["id"] for row in await conn.fetch(_sql.page, tenant_id, sweep["after"], most)]
        woken = await _wake(conn, tenant_id, page, now, keys, activities)  # due now, so that what is due since the sweep came goes first
        if len(page) < most:
            await conn.execute(_sql.finish, tenant_id, sweep["id"])
        else:
            await conn.execute(_sql.go_on, tenant_id, sweep["id"], page[-1])
    return woken


async def _wake(conn: Connection, tenant_id: int, learners: list[UUID], due: int, keys: list[int] | None, activities: list[UUID] | None) -> int:
    if keys is None and activities is None:
        keys = [ANY]
    tags = []
    if learners and keys:
        tags.append(await conn.execute(_sql.wake, tenant_id, learners, keys, due))
    if learners and activities:
        tags.append(await conn.execute(_sql.wake_for_courses, tenant_id, learners, activities, due))
    return sum(int(tag.split()[-1]) for tag in tags)


def _merged(sweeps: Sequence[Any]) -> tuple[int, list[int] | None, list[UUID] | None]:
    """Return one sweep that does what these do: its due, keys and activities."""
    due = max(sweep["due"] for sweep in sweeps)
    if any(sweep["keys"] is None and sweep["activities"] is None for sweep in sweeps):
        return due, None, None
    keys = {key for sweep in sweeps for key in sweep["keys"] or ()}
    return due, sorted(keys), sorted({activity for sweep in sweeps for activity in sweep["activities"] or ()})
