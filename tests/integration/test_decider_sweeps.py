"""Sweeps and batches beside everything else: whoever is woken meanwhile waits for a few learners at most, and every sweep comes to its end."""
import time
from typing import Any

import pytest

from services.projector.decider import deciding, judging, pace
from services.projector.decider.decider import Decider
from services.runtime.evaluation.judge import judge_programme
from services.runtime.evaluation.load import load_facts
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import HASHES, did, fold_all, ifi_of, passes, post, programme, publish, ready
from tests.integration.projecting import append, fetch, until

PEOPLE = 40


async def swept(database: str, log: MemoryLog) -> None:
    """Publish a programme that concerns everybody, fold it, and decide nothing."""
    await append(log, *(post(log, did(f"p{n}", "knots"), actor=f"p{n}") for n in range(PEOPLE)))
    await fold_all(database, log)
    await append(log, publish(log, programme("guide", passes("knots"))))
    await fold_all(database, log)


def slow(*arguments: Any) -> Any:
    """Judge as ever, in 0.02 s."""
    time.sleep(0.02)  # noqa: TID251 - what takes long is what is tested
    return judge_programme(*arguments)


async def test_a_sweep_comes_to_its_end_though_somebody_else_is_woken_before_each_turn(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn:
        await swept(database, log)
        decider = Decider("", log, HASHES)

        async def over() -> bool:
            await conn.execute("insert into wake values (1, $1, -1, md5('')::uuid, 1, null, null) on conflict do nothing", ifi_of("bo"))
            await decider.round(conn)
            return not await conn.fetchval("select exists (select from sweep)")

        await append(log, post(log, did("bo", "stone"), actor="bo"))
        await fold_all(database, log)
        await until(over)
        await conn.execute("delete from wake where ifi = $1", ifi_of("bo"))
        while await decider.round(conn):
            pass
        assert len(await fetch(database, "select distinct ifi from under_way_ifi")) >= PEOPLE


async def test_of_rules_that_take_long_few_learners_are_woken_at_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, woken = MemoryLog(1), list[int]()
    async with ready(database, log) as conn:
        await swept(database, log)
        monkeypatch.setattr(judging, "judge_programme", slow)
        monkeypatch.setattr(pace, "PAGE_S", 0.03)
        decider = Decider("", log, HASHES)
        while await decider.round(conn):
            woken.append(await conn.fetchval("select count(distinct ifi) from wake"))
        assert len(await fetch(database, "select distinct ifi from under_way_ifi")) == PEOPLE
    assert max(woken) <= 2, "one takes 0.02 s: more than two never fit"


async def test_a_batch_that_came_to_judge_few_reads_few_the_next_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, read = MemoryLog(1), list[int]()

    async def counted(conn: Any, tenant_id: int, people: Any, *rest: Any) -> None:
        read.append(len(people))
        await load_facts(conn, tenant_id, people, *rest)

    async with ready(database, log) as conn:
        await append(log, publish(log, programme("guide", passes("knots"))))
        await fold_all(database, log)
        await append(log, *(post(log, did(f"p{n}", "knots"), actor=f"p{n}") for n in range(PEOPLE)))
        await fold_all(database, log)
        for name, value in (("judge_programme", slow), ("load_facts", counted), ("_BATCH_S", 0.05)):
            monkeypatch.setattr(judging, name, value)
        monkeypatch.setattr(deciding, "_USUAL_S", 0.04)
        decider = Decider("", log, HASHES)
        while await decider.round(conn):
            pass
        assert len(await fetch(database, "select distinct ifi from under_way_ifi")) == PEOPLE
    assert (read[0], max(read[1:]) <= 4) == (PEOPLE, True), read
