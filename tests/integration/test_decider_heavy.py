"""Learners and tenants that are too much for a batch: they are judged slowly and apart, or later, and everybody else is decided about meanwhile."""
import asyncio
import threading
import time
from typing import Any

import orjson
import pytest

from services.projector.decider import decider, judging, metrics
from services.projector.decider.batch import decide
from services.projector.decider.turn import Turn
from services.projector.turns import Turns
from services.runtime.evaluation import load
from services.runtime.evaluation.catalog import Catalogs
from services.runtime.evaluation.judge import judge_programme
from services.runtime.log import NewRecord
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import HASHES, deciding, decisions, did, fold_all, ifi_of, make, passes, post, programme, publish, ready, settled, story
from tests.integration.projecting import append, fetch, until

ALL_FOUR = [(name, 1, 1, "issued") for name in ("ada", "bo", "cy", "di")]
OTHERS = ALL_FOUR[1:]


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Have judging ada take so long, and computing all the while; return where it is judged, each time."""
    real, places = judge_programme, list[str]()

    def judged(person: Any, *arguments: Any) -> Any:
        if person.members.learner == ifi_of("ada"):
            places.append("loop" if threading.current_thread() is threading.main_thread() else "thread")
            time.sleep(seconds)  # noqa: TID251 - what takes long is what is tested
        return real(person, *arguments)

    monkeypatch.setattr(judging, "judge_programme", judged)
    return places


async def four(log: MemoryLog) -> None:
    """Append a programme, and four who meet it."""
    await append(log, publish(log, programme("climber", passes("rope"))), *(post(log, did(who, "rope"), actor=who) for who in ("ada", "bo", "cy", "di")))


async def test_who_takes_so_long_that_postgres_ends_the_session_is_judged_alone_and_nobody_waits(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decider, "IDLE_IN_TRANSACTION_S", 0.3)
    places, log = slow(monkeypatch, 1.0), MemoryLog(1)
    await four(log)
    async with deciding(database, log):
        await settled(database, log)
    assert sorted(await story(database)) == ALL_FOUR
    assert "thread" in places


async def test_who_has_more_statements_than_a_batch_holds_is_judged_alone(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_FACTS", 3)
    log, before = MemoryLog(1), metrics.APART._value.get()
    await four(log)
    await append(log, *(post(log, did("ada", "rope")) for _ in range(8)))
    async with deciding(database, log):
        await settled(database, log)
    assert sorted(await story(database)) == ALL_FOUR
    assert metrics.APART._value.get() > before


async def test_who_takes_longer_than_a_batch_has_for_one_is_judged_alone_in_a_thread(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope"), did("bo", "rope")) as conn:
        await append(log, publish(log, programme("other", passes("rope"))), post(log, did("ada", "rope")), post(log, did("bo", "rope"), actor="bo"))
        await fold_all(database, log)
        monkeypatch.setattr(judging, "_LEARNER_S", 0.05)
        places, mine = slow(monkeypatch, 0.1), make(log)
        await conn.execute("delete from sweep; update wake set key = -1")
        _, decided = await decide(conn, mine, 1, "default")
        assert {each.ifis for each in decided} == {(ifi_of("bo"),)}
        (one,) = [mine.apart.next()]
        assert one is not None
        assert one.ifis == (ifi_of("ada"),)
        _, decided = await decide(conn, mine, 1, "default", one.ifis)
        assert {each.ifis for each in decided} == {(ifi_of("ada"),)}
    assert places == ["loop", "thread", "thread"]


async def test_a_batch_whose_time_is_over_commits_what_is_judged_and_leaves_the_rest(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_BATCH_S", 0.0)
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope"), did("bo", "rope"), did("cy", "rope")) as conn:
        found = [await decide(conn, make(log), 1, "default") for _ in range(4)]
    assert [len(decided) for _, decided in found] == [1, 1, 1, 0]
    assert len({orjson.loads(each.record.value)["body"]["identity"] for _, decided in found for each in decided}) == 3


@pytest.mark.parametrize("error", [TimeoutError, ValueError])
@pytest.mark.parametrize("where", ["load_people", "load_facts"])
async def test_who_cannot_be_loaded_stays_in_the_queue_and_everybody_else_is_decided_about(
    database: str, monkeypatch: pytest.MonkeyPatch, where: str, error: type[Exception],
) -> None:
    real, log = getattr(load, where), MemoryLog(1)

    async def broken(rows: Any, tenant_id: int, people: Any, *arguments: Any) -> Any:
        if any(ifi_of("ada") in getattr(one, "members", one).ifis for one in people):
            raise error
        return await real(rows, tenant_id, people, *arguments)

    monkeypatch.setattr(judging, where, broken)
    await four(log)
    async with deciding(database, log):

        async def others() -> bool:
            return sorted(await story(database)) == OTHERS

        await until(others)
        assert {row["ifi"] for row in await fetch(database, "select ifi from wake where key <> 0")} >= {ifi_of("ada")}
        monkeypatch.undo()
        await settled(database, log)
    assert sorted(await story(database)) == ALL_FOUR


async def test_a_tenant_whose_programmes_cannot_be_read_keeps_no_other_tenant_waiting(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, log = Catalogs.at, MemoryLog(1)

    async def broken(self: Catalogs, rows: Any, tenant_id: int, *arguments: Any, **more: Any) -> Any:
        if tenant_id == 1:
            raise ValueError(tenant_id)
        return await real(self, rows, tenant_id, *arguments, **more)

    monkeypatch.setattr(Catalogs, "at", broken)
    made = [publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope"))]
    await append(log, *made)
    await append(log, *(NewRecord(one.partition, one.key, one.value.replace(b'"tenant":"default"', b'"tenant":"other"'), one.count) for one in made))
    async with deciding(database, log):

        async def other_decided() -> bool:
            rows = await fetch(database, "select t.name from decision d join tenant t on t.id = d.tenant_id where d.accepted")
            return [row["name"] for row in rows] == ["other"]

        await until(other_decided)
        assert await fetch(database, "select 1 from wake where tenant_id = 1") + await fetch(database, "select 1 from sweep where tenant_id = 1")
        monkeypatch.undo()
        await settled(database, log)
    assert len(await decisions(database)) == 2


async def test_folds_have_their_time_after_a_learner_who_was_judged_alone(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, rests, ahead = MemoryLog(1), list[float](), [0.0]
    turns = Turns(lambda: time.monotonic() + ahead[0])

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        ahead[0] += seconds

    async def rested() -> bool:
        return bool(rests)

    monkeypatch.setattr(decider, "Turn", lambda turns: Turn(turns, rest))
    async with ready(database, log, did("ada", "rope")):
        with turns.folding():
            ahead[0] += 60
            one = decider.Decider(database, log, HASHES, turns)
            one._deciding.apart.add(1, [load.Members((ifi_of("ada"),), ("mailto:ada@example.org",))])
            work = asyncio.create_task(one._run_apart())
            await until(rested)
            one._stopping = True
            one._set_apart.set()
            await work
    assert len(one._deciding.apart) == 0
    assert 0.01 < sum(rests) <= 15
