"""Decisions under way: a decider dies between its commit and its append, or the log says nothing, or says it late; each change happens once."""
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.projector.decider import batch, judging, under_way
from services.projector.decider.batch import decide
from services.projector.decider.decider import Decider
from services.runtime.evaluation.judge import judge_programme
from services.runtime.log.memory_log import MemoryLog
from services.runtime.log.postgres_log import open_postgres_log
from tests.integration.deciding import (
    HASHES,
    deciding,
    decisions,
    did,
    fold_all,
    ifi_of,
    make,
    passes,
    post,
    programme,
    publish,
    ready,
    settled,
    story,
    voids,
)
from tests.integration.projecting import DEADLINE_S, SETTINGS, append, fetch

LATER = "2026-02-01T00:00:00Z"


async def test_nobody_decides_about_a_learner_until_what_is_under_way_is_folded_and_passed(database: str) -> None:
    log, passed = MemoryLog(1), did("ada", "rope")
    async with ready(database, log, passed) as conn:
        _, decided = await decide(conn, make(log), 1, "default")
        await append(log, post(log, voids(passed)))
        await fold_all(database, log)
        assert await decide(conn, make(log), 1, "default") == (0, [])
        assert await under_way.append(conn, log, decided)
        await fold_all(database, log)
        assert await decide(conn, make(log), 1, "default") == (0, []), "folded, but nobody has seen that it is passed"
        (row,) = await fetch(database, "select folded, sent from under_way")
        assert row["folded"] is not None
        assert row["sent"] is not None
        await under_way.settle(conn, (row["folded"] >> 8) - 1)
        assert await decide(conn, make(log), 1, "default") == (0, [])
        await under_way.settle(conn, row["folded"] >> 8)
        taken, decided = await decide(conn, make(log), 1, "default")
        assert (taken, [orjson.loads(each.record.value)["body"]["state"] for each in decided]) == (1, ["revoked"])


async def test_a_publication_reaches_everybody_else_while_somebody_who_was_woken_waits_for_a_decision_under_way(database: str) -> None:
    log, passed = MemoryLog(1), did("ada", "rope")
    async with ready(database, log, passed) as conn:
        await decide(conn, make(log), 1, "default")
        await append(log, post(log, voids(passed)), post(log, did("bo", "knots"), actor="bo"))
        await publish_and_decide(database, log, conn)
        assert {row["ifi"] for row in await fetch(database, "select ifi from wake")} >= {ifi_of("ada")}
        assert {row["ifi"] for row in await fetch(database, "select ifi from under_way_ifi")} == {ifi_of("ada"), ifi_of("bo")}


async def test_a_publication_does_not_wait_for_whom_nobody_can_judge_while_decisions_are_under_way(
    database: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, log = judge_programme, MemoryLog(1)

    def judged(person: Any, *arguments: Any) -> Any:
        if person.members.learner == ifi_of("ada"):
            raise ValueError
        return real(person, *arguments)

    monkeypatch.setattr(judging, "judge_programme", judged)
    async with ready(database, log, did("ada", "rope"), did("bo", "rope")) as conn:
        await decide(conn, make(log), 1, "default")
        await append(log, post(log, did("cy", "knots"), actor="cy"))
        await publish_and_decide(database, log, conn)
        assert {row["ifi"] for row in await fetch(database, "select ifi from wake")} >= {ifi_of("ada")}
        assert {row["ifi"] for row in await fetch(database, "select ifi from under_way_ifi")} == {ifi_of("bo"), ifi_of("cy")}


async def publish_and_decide(database: str, log: MemoryLog, conn: batch.Connection) -> None:
    """Publish a programme, and have a decider do all there is to do while nothing is folded any more: what is under way stays so."""
    await fold_all(database, log)
    await append(log, publish(log, programme("guide", passes("knots"))))
    await fold_all(database, log)
    decider = Decider("", log, HASHES)
    while await decider.round(conn):
        pass


async def test_what_a_dead_decider_left_behind_is_appended_unchanged_by_another(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn:
        _, (decided,) = await decide(conn, make(log), 1, "default")
        assert await under_way.left_behind(conn, 0) == [], "it may still be at it"
        await conn.execute("update under_way set made = made - interval '6 s'")
        async with deciding(database, log):
            await settled(database, log)
    (row,) = await decisions(database)
    assert row["id"] == decided.id
    assert orjson.loads(row["body"]) == orjson.loads(decided.record.value)["body"]


async def test_a_decider_killed_between_commit_and_append_loses_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "LEFT_BEHIND", under_way.LEFT_BEHIND / 50)
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log, failpoints="decider.after_commit=error@2,decider.before_commit=error"):
        for actor in ("ada", "bo", "cy"):
            await append(log, post(log, did(actor, "rope"), actor=actor))
            await settled(database, log)
    assert sorted(await story(database)) == [("ada", 1, 1, "issued"), ("bo", 1, 1, "issued"), ("cy", 1, 1, "issued")]


async def test_an_append_of_unknown_outcome_that_lands_late_and_twice_counts_once(database: str) -> None:
    log, passed = MemoryLog(2), did("ada", "rope")
    async with ready(database, log, passed) as conn:
        _, decided = await decide(conn, make(log), 1, "default")
        late = [each.record for each in decided]
        await conn.execute("update under_way set made = made - interval '6 s'")
        async with deciding(database, log):
            await settled(database, log)
            await append(log, post(log, voids(passed)))
            await settled(database, log)
            await append(log, *late)
            await append(log, *late)
            await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked")]
    assert [row["accepted"] for row in await fetch(database, "select accepted from decision order by seq")] == [True, True, False, False]


async def test_a_log_that_confirms_nothing_is_asked_again_until_it_does(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(MemoryLog):
        refusals = 3

        async def append(self, records: Any) -> Any:
            if self.refusals and b'"kind":"decision"' in records[0].value:
                self.refusals -= 1
                raise TimeoutError
            return await super().append(records)

    monkeypatch.setattr(under_way, "LEFT_BEHIND", under_way.LEFT_BEHIND / 50)
    log = Deaf(1)
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope")))
    async with deciding(database, log):
        await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued")]
    assert log.refusals == 0


async def test_decisions_that_the_log_confirmed_are_looked_for_only_when_the_fold_is_far_past_them(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn:
        await decide(conn, make(log), 1, "default")
        await conn.execute("update under_way set made = made - interval '6 s', sent = clock_timestamp()")
        (through,) = {row["t"] for row in await fetch(database, "select max(last_stored) as t from projection_cursor where name = 'learners'")}
        assert await under_way.left_behind(conn, through) == []
        assert len(await under_way.left_behind(conn, through + 2 * under_way.LOST_US)) == 1


async def test_a_copy_of_the_same_decision_is_one_row_under_way(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn:
        _, decided = await decide(conn, make(log), 1, "default")
        await under_way.add(conn, 1, decided)
        assert [tuple(row) for row in await fetch(database, "select count(*) from under_way")] == [(1,)]


@pytest.mark.parametrize("place", ["decider.before_commit", "decider.after_commit", "decider.after_append"])
async def test_a_projector_killed_while_it_decides_loses_and_doubles_nothing(database: str, tmp_path: Path, place: str) -> None:
    log = await open_postgres_log(database)
    assert SETTINGS.secret is not None
    try:
        await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope")))
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TESTAMUR_DATABASE_URL": database, "TESTAMUR_SECRET": SETTINGS.secret.get_secret_value(),
            "TESTAMUR_DATA_DIR": str(tmp_path), "TESTAMUR_FAILPOINTS": f"{place}=kill",
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.cli", "projector", env=environment)
        try:
            async with asyncio.timeout(DEADLINE_S):
                assert await process.wait() == -signal.SIGKILL
        finally:
            if process.returncode is None:
                process.kill()
        async with deciding(database, log):
            await settled(database, log)
        assert await story(database) == [("ada", 1, 1, "issued")]
    finally:
        await log.close()
