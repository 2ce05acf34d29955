"""Deciders that race, meet what changes under their hands, or cannot judge somebody: each change happens once, and nobody is kept back."""
import asyncio
from typing import Any
from uuid import uuid4

import orjson
import pytest

from services.projector.decider import batch, metrics, sweeps, under_way
from services.projector.decider.batch import Replaced, decide
from services.projector.decider.decider import Decider
from services.runtime.evaluation import load
from services.runtime.evaluation.judge import judge_programme
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import (
    FINGERPRINT,
    HASHES,
    decider_connection,
    deciding,
    decisions,
    did,
    fold_all,
    ifi_of,
    link,
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
from tests.integration.projecting import append, fetch

LATER = "2026-02-01T00:00:00Z"


async def test_of_two_deciders_at_once_one_takes_a_learner(database: str) -> None:
    log = MemoryLog(2)
    async with ready(database, log, *(did(f"p{n}", "rope") for n in range(8))) as one, decider_connection(database) as other:
        (taken, decided), (taken_too, decided_too) = await asyncio.gather(decide(one, make(log), 1, "default"), decide(other, make(log), 1, "default"))
        assert taken + taken_too == 8
        assert len({each.id for each in decided + decided_too}) == 8


async def test_a_learner_whose_other_identity_is_locked_is_left_alone(database: str) -> None:
    log = MemoryLog(2)
    async with ready(database, log) as conn, decider_connection(database) as other:
        await append(log, link(log, uuid4(), "ada", "bo"), post(log, did("ada", "rope")), post(log, did("bo", "x"), actor="bo"))
        await fold_all(database, log)
        async with other.transaction():
            await other.execute(
                "select pg_advisory_xact_lock(('x' || left(replace($1::uuid::text, '-', ''), 16))::bit(64)::bigint # 1)", max(ifi_of("ada"), ifi_of("bo")))
            assert await decide(conn, make(log), 1, "default") == (0, [])
        taken, decided = await decide(conn, make(log), 1, "default")
        assert (taken, len(decided)) == (1, 1)
        assert set(decided[0].ifis) == {ifi_of("ada"), ifi_of("bo")}


async def test_two_whole_projectors_decide_everything_once(database: str) -> None:
    log, target = MemoryLog(3), did("p0", "rope")
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log), deciding(database, log):
        for start in range(0, 60, 20):
            await append(log, *(post(log, target if n == 0 else did(f"p{n}", "rope"), actor=f"p{n}") for n in range(start, start + 20)))
        await append(log, post(log, voids(target)))
        await append(log, post(log, did("p0", "rope", timestamp=LATER), actor="p0"))
        await settled(database, log)
    rows = await decisions(database)
    of_first = [(row["n"], row["state"]) for row in rows if row["ifi"] == ifi_of("p0")]
    assert of_first[-1] in {(1, "issued"), (1, "updated"), (2, "issued")}
    assert len([row for row in rows if row["ifi"] != ifi_of("p0")]) == 59
    open_awards = await fetch(database, "select ifi, count(*) as n from award where not closed group by 1")
    assert {row["n"] for row in open_awards} == {1}
    assert len(open_awards) == 60


async def test_a_version_that_is_not_of_this_code_or_not_in_use_decides_nothing(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn:
        with pytest.raises(Replaced):
            await decide(conn, make(log, "2:other"), 1, "default")
        await conn.execute("update projection set state = 'retired' where name = 'learners'")
        with pytest.raises(Replaced):
            await decide(conn, make(log), 1, "default")
        assert not await Decider(database, log, HASHES).round(conn)
        assert await fetch(database, "select 1 from wake")


async def test_nothing_is_decided_while_a_partition_lags(database: str) -> None:
    log, passed = MemoryLog(2), did("ada", "rope")
    async with ready(database, log, passed) as conn:
        due = (await fetch(database, "select max(due) as due from wake"))[0]["due"]
        await conn.execute("update projection_cursor set last_stored = $1 where name = 'learners' and partition = 1", due - 1)
        assert await decide(conn, make(log), 1, "default") == (0, [])
        await conn.execute("update projection_cursor set last_stored = $1 where name = 'learners' and partition = 1", due)
        taken, decided = await decide(conn, make(log), 1, "default")
        assert taken == 1
        assert orjson.loads(decided[0].record.value)["body"]["known_at"]
        (known,) = {row["known"] for row in await fetch(database, "select convert_from(value, 'utf8')::jsonb -> 'body' ->> 'known_at' as known from under_way")}
        assert known.endswith("Z")


async def test_a_link_that_comes_between_the_look_and_the_lock_sets_the_learner_aside(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, real = MemoryLog(1), load.load_members
    async with ready(database, log, did("ada", "rope"), did("bo", "rope")) as conn:
        calls = 0

        async def meanwhile(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            found = await real(*arguments)
            if calls == 1:
                await append(log, link(log, uuid4(), "ada", "bo"))
                await fold_all(database, log)
            return found

        monkeypatch.setattr("services.projector.decider.batch.load_members", meanwhile)
        assert await decide(conn, make(log), 1, "default") == (0, [])
        taken, decided = await decide(conn, make(log), 1, "default")
        assert (taken, len(decided)) == (1, 1), "two identities of one learner get one award"


async def test_a_row_that_the_fold_changed_after_it_was_read_stays(database: str) -> None:
    log = MemoryLog(1)
    async with ready(database, log, did("ada", "rope")) as conn, decider_connection(database) as fold:
        real = under_way.add

        async def meanwhile(*arguments: Any) -> None:
            await fold.execute("update wake set at = null")
            await real(*arguments)

        under_way.add = meanwhile  # type: ignore[assignment]
        try:
            await decide(conn, make(log), 1, "default")
        finally:
            under_way.add = real
        assert await fetch(database, "select 1 from wake where at is null")


async def test_later_evidence_of_an_active_award_without_a_window_is_not_judged(database: str) -> None:
    log = MemoryLog(1)
    windowed = {"statement": {**passes("knots")["statement"], "window": {"last": "P5Y"}}}
    await append(log, publish(log, programme("climber", passes("rope"))), publish(log, programme("knotter", windowed)))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope"), did("ada", "knots"), did("bo", "x")))
        await settled(database, log)
        skipped = metrics.SKIPPED._value.get()
        await append(log, post(log, did("ada", "rope", timestamp=LATER, object={"id": "https://courses.example.org/rope",
                                                                                  "definition": {"type": "http://id.tincanapi.com/activitytype/lesson"}})))
        await settled(database, log)
        assert metrics.SKIPPED._value.get() == skipped + 1
        await append(log, post(log, did("ada", "knots", timestamp=LATER)))
        await settled(database, log)
        assert metrics.SKIPPED._value.get() == skipped + 1
    assert sorted(await story(database)) == [("ada", 1, 1, "issued"), ("ada", 1, 1, "issued")]


async def test_a_learner_who_cannot_be_judged_stays_in_the_queue_and_keeps_nobody_back(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, real = MemoryLog(1), judge_programme

    def broken(person: Any, *arguments: Any) -> Any:
        if person.members.learner == ifi_of("ada"):
            raise ZeroDivisionError
        return real(person, *arguments)

    async with ready(database, log, did("ada", "rope"), did("bo", "rope")) as conn:
        monkeypatch.setattr("services.projector.decider.judging.judge_programme", broken)
        mine = make(log)
        taken, decided = await decide(conn, mine, 1, "default")
        assert (taken, len(decided)) == (2, 1)
        assert await decide(conn, mine, 1, "default") == (0, []), "not again at once"
        monkeypatch.undo()
        mine.failed.clear()
        taken, decided = await decide(conn, mine, 1, "default")
        assert (taken, [each.ifis for each in decided]) == (1, [(ifi_of("ada"),)])


async def test_the_queue_and_the_ledger_are_reached_by_their_indexes_whatever_the_statistics_say(database: str) -> None:
    async with decider_connection(database) as conn:
        await conn.execute("insert into wake select 1, md5(n::text)::uuid, n, md5('')::uuid, n, null, null from generate_series(1, 3000) n")
        one = [uuid4()]
        for sql, arguments, index in (
            (batch._sql.claim, (1, 5, 2000, 200, []), "wake_due"), (batch._sql.rows, (1, one, 5, 100), "wake_pkey"),
            (batch._sql.forget, (1, one, [1], one, [1], [None], [(0, 1)]), "Tid Scan on wake"), (load._sql.entries, (1, one, 5), "decision_ledger"),
            (load._sql.revocations, (1, one, 5), "revocation_of"), (load._sql.facts, (1, one, 5, None), "evidence_fold"),
            (load._sql.facts_about, (1, one, 5, None, one), "evidence_fold"), (load._sql.members, (1, one, 5), "link_a"),
        ):
            plan = "\n".join(row[0] for row in await conn.fetch(f"explain {sql}", *arguments))
            assert "Seq Scan" not in plan, plan
            assert index in plan, plan


async def test_an_evaluation_that_closes_an_award_opens_none_and_the_next_one_does(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    await append(log, publish(log, programme("brief", passes("rope"), validity={"for": "PT1H"})), post(log, did("ada", "rope", timestamp=None)))
    async with deciding(database, log):
        await settled(database, log)
    now[0] += 2 * 3_600_000_000
    await append(log, post(log, did("ada", "rope", timestamp=None)))
    await fold_all(database, log)
    for _ in range(2):
        async with decider_connection(database) as conn:
            (row,) = await fetch(database, "select max(folded) as folded from under_way")
            await under_way.settle(conn, (row["folded"] or 0) >> 8)
            await sweeps.ring(conn, FINGERPRINT)
            _, decided = await decide(conn, make(log), 1, "default")
            assert len(decided) == 1
            await under_way.append(conn, log, decided)
        await fold_all(database, log)
    rows = await decisions(database)
    assert [(row["n"], row["k"], row["state"]) for row in rows] == [(1, 1, "issued"), (1, 2, "expired"), (2, 1, "issued")]
    assert rows[1]["since"] == rows[0]["valid_until"] < rows[2]["since"]
    assert orjson.loads(rows[2]["body"])["after"] == orjson.loads(rows[0]["body"])["valid_until"]
