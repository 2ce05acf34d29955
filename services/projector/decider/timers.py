"""Timers of what was judged: when time alone may change something, its learner is woken."""
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import asyncpg

from services.runtime.postgres import Statements

Timer = tuple[UUID, str, str, int | None]
"""Learner, kind and IRI of a matter, and the instant; None: nothing changes by time alone."""
_sql = Statements(Path(__file__).with_name("queue.sql"))


async def set_timers(conn: asyncpg.Connection, tenant_id: int, timers: Iterable[Timer]) -> None:
    """Replace the timers of these matters of learners who are locked."""
    due: list[tuple[UUID, str, str, int]] = []
    none: list[tuple[UUID, str, str]] = []
    for learner, kind, matter, at in timers:
        if at is None:
            none.append((learner, kind, matter))
        else:
            due.append((learner, kind, matter, at))
    if due:
        await conn.execute(_sql.set_timers, tenant_id, *map(list, zip(*due, strict=True)))
    if none:  # most learners have no timer at all, whatever they are judged in
        some = {row["learner"] for row in await conn.fetch(_sql.with_timers, tenant_id, list({learner for learner, *_ in none}))}
        none = [place for place in none if place[0] in some]
    if none:
        await conn.execute(_sql.drop_timers, tenant_id, *map(list, zip(*none, strict=True)))
