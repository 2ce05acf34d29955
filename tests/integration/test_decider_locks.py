"""The locks that deciders, folds and a replay take from each other: all in one order, nobody overtaken for ever, and nothing judged by what was read before."""
import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg
import orjson
import pytest

from services.core.syntax import timestamp
from services.core.timeline import stored_of
from services.projector.decider import under_way
from services.projector.decider.batch import Replaced, decide, through
from services.projector.projections import learners_wakes
from services.projector.projections.learners import LearnersProjection
from services.projector.projections.learners_places import columns
from services.projector.replay import replay_projection
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import FINGERPRINT, HASHES, decider_connection, decisions, did, fold_all, ifi_of, make, post, ready
from tests.integration.projecting import DEADLINE_S, append, fetch, until

Connection = asyncpg.Connection
FAR = 1 << 60
"""An instant that T does not reach."""


async def waiting(database: str, many: int) -> None:
    """Wait until so many sessions of the database wait for a lock."""

    async def waits() -> bool:
        (row,) = await fetch(database, "select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
        return bool(row["n"] >= many)

    await until(waits)


async def test_who_is_judged_while_a_decision_about_them_is_folded_and_forgotten_is_judged_by_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, real = MemoryLog(1), under_way.blocked
    async with ready(database, log, did("ada", "rope")) as conn, decider_connection(database) as other:
        _, decided = await decide(conn, make(log), 1, "default")
        await append(log, post(log, did("ada", "rope", timestamp="2025-01-01T00:00:00Z")))
        await fold_all(database, log)

        async def settled_meanwhile(*arguments: Any) -> Any:
            assert await under_way.append(other, log, decided)
            await fold_all(database, log)
            passed: int = await other.fetchval("select min(last_stored) from projection_cursor where name = 'learners'")
            await under_way.settle(other, passed)
            return await real(*arguments)

        monkeypatch.setattr(under_way, "blocked", settled_meanwhile)
        taken, again = await decide(conn, make(log), 1, "default", [ifi_of("ada")])
        (first,) = await decisions(database)
        assert taken == 1
        (known_at,) = [timestamp(orjson.loads(each.record.value)["body"]["known_at"]) for each in again]
        assert known_at is not None
        assert known_at >= stored_of(first["seq"])
        assert await under_way.append(other, log, again)
        await fold_all(database, log)
    assert [(row["n"], row["k"], row["state"]) for row in await decisions(database)] == [(1, 1, "issued"), (1, 2, "updated")]


async def test_noting_that_the_log_keeps_decisions_never_deadlocks_with_the_fold_of_them(database: str) -> None:
    log = MemoryLog(1)
    async with (
        ready(database, log, *(did(f"p{n}", "rope") for n in range(3))) as conn, decider_connection(database) as fold, decider_connection(database) as third,
    ):
        _, decided = await decide(conn, make(log), 1, "default")
        first, second, last = sorted(decided, key=lambda one: one.id)
        async with asyncio.TaskGroup() as both, third.transaction():
            await third.execute("select from under_way where id = $1 for update", second.id)
            rows = [(one.tenant_id, one.id, seq) for seq, one in enumerate((first, second, last), 1)]
            both.create_task(fold.execute(learners_wakes._sql.folded, *columns(rows)))
            await waiting(database, 1)
            noted = both.create_task(under_way.append(conn, log, [last, first]))
            await waiting(database, 2)
        assert noted.result()
        kept = await fetch(database, "select folded, sent is not null as sent from under_way order by id")
    assert [tuple(row) for row in kept] == [(1, True), (2, False), (3, True)]


async def test_forgetting_rows_never_deadlocks_with_the_fold_that_queues_them_again(database: str) -> None:
    log = MemoryLog(1)
    async with (
        ready(database, log, *(did(f"p{n}", "rope") for n in range(3))) as conn, decider_connection(database) as fold, decider_connection(database) as third,
    ):
        first, second, last = sorted(ifi_of(f"p{n}") for n in range(3))
        for ifi, due in (first, 2), (second, FAR), (last, 1):  # who waits longest is the last in the order of locks
            await conn.execute("update wake set due = $2 where ifi = $1", ifi, due)
        rows = await fetch(database, "select tenant_id, ifi, key, activity, due, null::bigint, cause from wake")
        async with asyncio.TaskGroup() as both, third.transaction():
            await third.execute("select from wake where ifi = $1 for update", second)
            both.create_task(fold.execute(learners_wakes._sql.queue, *columns([tuple(row) for row in rows])))
            await waiting(database, 1)
            deciding = both.create_task(decide(conn, make(log), 1, "default"))
            await waiting(database, 2)
        taken, decided = deciding.result()
        assert (taken, len(decided)) == (2, 2)
        left = await fetch(database, "select distinct ifi from wake where at is null order by 1")
    assert [row["ifi"] for row in left] == [first, second, last], "what the fold queued again meanwhile stays"


async def always_at_work(conns: tuple[Connection, Connection], over: asyncio.Event) -> int:
    """Keep the version in use in use as batches do, each of which begins before the one before it ends; return how many there were."""
    before, begun, batches = AsyncExitStack(), 0, 0
    while not over.is_set():
        conn, now = conns[begun % 2], AsyncExitStack()
        begun += 1
        await now.enter_async_context(conn.transaction())
        with suppress(Replaced):
            await through(conn, FINGERPRINT)
            batches += 1
        await before.aclose()
        before = now
        await asyncio.sleep(0.005)  # noqa: TID251 - a batch takes a while
    await before.aclose()
    return batches


async def test_a_replay_changes_over_though_there_always_is_a_decider_at_work(database: str) -> None:
    log, over = MemoryLog(1), asyncio.Event()
    async with ready(database, log, did("ada", "rope")) as one, decider_connection(database) as other:
        working = asyncio.create_task(always_at_work((one, other), over))
        try:
            async with asyncio.timeout(DEADLINE_S):
                report = await replay_projection(database, log, LearnersProjection(HASHES), lambda *_: None)
        finally:
            over.set()
            batches = await working
        assert report.cut_over
        assert batches > 2
        assert (await decide(one, make(log), 1, "default"))[0] == 1, "by the version that is in use now"
