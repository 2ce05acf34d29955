"""What deciders decide when evidence comes, late or voided, and when time passes, with a real fold on a real Postgres."""
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from services.core.timeline import micros, rfc3339, stored_of
from services.projector.projections.learners import LearnersProjection
from services.projector.replay import replay_projection
from services.runtime.log.memory_log import MemoryLog
from services.runtime.log.postgres_log import open_postgres_log
from tests.integration.deciding import (
    COMPLETED,
    COURSE_TYPE,
    HASHES,
    HOME,
    deciding,
    decisions,
    describe,
    did,
    fold_all,
    id_of,
    ifi_of,
    passes,
    post,
    programme,
    publish,
    settled,
    story,
    voids,
)
from tests.integration.projecting import OTHER_AUTHORITY, append, fetch, record, until

HOUR = 3_600_000_000
COURSE = {"definition": {"type": COURSE_TYPE}}


async def test_who_meets_a_programme_gets_one_credential_which_says_why(database: str) -> None:
    log, passed = MemoryLog(2), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        await append(log, post(log, passed), post(log, did("bo", "knots"), actor="bo"))
        await settled(database, log)
    (row,) = await decisions(database, matter="climber")
    body = orjson.loads(row["body"])
    assert (row["state"], row["n"], row["k"], row["ifi"], row["version"]) == ("issued", 1, 1, ifi_of("ada"), 1)
    assert body["inputs"] == [{"statement": str(id_of(passed))}]
    assert body["causes"] == [str(id_of(passed))]
    assert (body["since"], body["valid_until"], body["reason"]) == ("2026-01-01T00:00:00.000000Z", None, None)
    assert row["credential"] == str(HASHES.id("credential", "default", f"{HOME}/programmes/climber", row["identity"], "1"))
    assert str(row["id"]) == str(HASHES.id("decision", "default", "programme", row["matter"], row["identity"], "1", "1", body["known_at"], "issued"))
    assert stored_of(row["seq"]) > row["known_at"]
    (award,) = await fetch(database, "select state, closed from award where kind = 'programme'")
    assert tuple(award) == ("issued", False)


async def test_a_programme_without_an_award_is_satisfied_and_no_credential(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("quiet", passes("rope"), award=False)), post(log, did("ada", "rope")))
    async with deciding(database, log):
        await settled(database, log)
    (row,) = await decisions(database)
    assert (row["state"], row["credential"]) == ("issued", None)


@pytest.mark.parametrize("first", ["void", "target"])
async def test_what_is_voided_before_it_is_decided_about_never_issues(database: str, first: str) -> None:
    log, passed = MemoryLog(2), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope"))))
    records = [post(log, voids(passed), actor="bo"), post(log, passed)]
    await append(log, *(records if first == "void" else reversed(records)))
    await fold_all(database, log)
    async with deciding(database, log):
        await settled(database, log)
    assert await decisions(database) == []


async def test_a_void_stored_before_its_target_never_lets_it_issue_though_it_is_folded_later(database: str) -> None:
    log, passed = MemoryLog(1), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        await append(log, post(log, voids(passed)))
        await append(log, post(log, passed))
        await settled(database, log)
    assert await decisions(database) == []


async def test_pass_revoke_and_pass_again_are_two_credentials_and_a_replay_decides_nothing(database: str) -> None:
    log, first, second = MemoryLog(2), did("ada", "rope"), did("ada", "rope", timestamp="2026-02-01T00:00:00Z")
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        for each in (first, voids(first), second):
            await append(log, post(log, each))
            await settled(database, log)
        told = await story(database)
        assert told == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked"), ("ada", 2, 1, "issued")]
        assert [row["reason"] for row in await decisions(database)] == [None, "input_voided", None]
        before = await decisions(database)
        assert len({row["credential"] for row in before}) == 2
        report = await replay_projection(database, log, LearnersProjection(HASHES), lambda *_: None)
        assert (report.differences, report.cut_over) == ({}, True)
        await settled(database, log)
        assert await decisions(database) == before
    assert (await fetch(database, "select count(*) from decision where not accepted"))[0][0] == 0


async def test_a_suspended_award_is_reinstated_by_new_evidence(database: str) -> None:
    log, first = MemoryLog(1), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope"), on={"input_voided": "suspend"})))
    async with deciding(database, log):
        for each in (first, voids(first), did("ada", "rope", timestamp="2026-02-01T00:00:00Z")):
            await append(log, post(log, each))
            await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "suspended"), ("ada", 1, 3, "reinstated")]
    assert (await decisions(database))[-1]["since"] == micros(datetime(2026, 2, 1, tzinfo=UTC))


async def test_late_evidence_updates_when_an_award_began_and_later_evidence_does_not(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        for day in ("2026-03-01", "2026-02-01", "2026-04-01"):
            await append(log, post(log, did("ada", "rope", timestamp=f"{day}T00:00:00Z")))
            await settled(database, log)
    rows = await decisions(database)
    assert [(row["state"], rfc3339(row["since"])[:10]) for row in rows] == [("issued", "2026-03-01"), ("updated", "2026-02-01")]


async def test_an_award_expires_by_the_log_s_time_within_seconds_though_nothing_happens(database: str) -> None:
    log = await open_postgres_log(database)
    try:
        await append(log, publish(log, programme("brief", passes("rope"), validity={"for": "PT2S"})))
        async with deciding(database, log):
            await append(log, post(log, did("ada", "rope", timestamp=None)))

            async def expired() -> bool:
                return ("ada", 1, 2, "expired") in await story(database)

            await until(expired, 10)
        issued, over = await decisions(database)
        assert over["since"] == issued["valid_until"] == issued["since"] + 2_000_000
        assert stored_of(over["seq"]) - over["since"] < 5_000_000
    finally:
        await log.close()


async def test_an_award_without_an_end_expires_when_its_window_has_left_the_evidence_behind(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    recent = {"statement": {**passes("rope")["statement"], "window": {"last": "PT1H"}}}
    await append(log, publish(log, programme("fresh", recent)), publish(log, programme("fresher", recent, validity={"until": "lapse"})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=None)))
        await settled(database, log)
        now[0] += HOUR // 2
        await append(log, post(log, did("ada", "rope", timestamp=None)))
        await settled(database, log)
        now[0] += 2 * HOUR

        async def expired() -> bool:
            return [state for *_, state in await story(database)].count("expired") == 2

        await until(expired)
    for matter, states in (("fresh", ["issued", "expired"]), ("fresher", ["issued", "updated", "expired"])):
        rows = await decisions(database, matter=matter)
        assert [(row["state"], row["reason"]) for row in rows] == [(state, "lapsed" if state == "expired" else None) for state in states]
        assert abs(rows[-1]["since"] - rows[0]["since"] - HOUR * 3 // 2) < 1000
    assert (await decisions(database, matter="fresher"))[1]["valid_until"] == rows[-1]["since"]


async def test_a_reminder_comes_before_the_end(database: str) -> None:
    log, now = MemoryLog(1), datetime.now(UTC)
    passed = (now - timedelta(days=30)).isoformat().replace("+00:00", "Z")
    await append(log, publish(log, programme("brief", passes("rope"), validity={"for": "P31D"}, renewal={"remind": ["P20D", "P2D"]})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=passed)))
        await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "expiring")]
    row = (await decisions(database))[-1]
    assert orjson.loads(row["body"])["remind"] == rfc3339(row["valid_until"] - 2 * 86_400_000_000)
    (timer,) = await fetch(database, "select at from timer")
    assert timer["at"] == row["valid_until"]


async def test_what_was_over_when_it_was_first_known_is_not_issued(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("brief", passes("rope"), validity={"for": "P1D"})), post(log, did("ada", "rope")))
    async with deciding(database, log):
        await settled(database, log)
    assert await decisions(database) == []


async def test_who_met_a_rule_long_ago_can_meet_it_again(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("brief", passes("rope"), validity={"for": "P30D"})), post(log, did("ada", "rope")))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=None)))
        await settled(database, log)
    (row,) = await decisions(database)
    assert (row["n"], row["state"], row["valid_until"]) == (1, "issued", row["since"] + 30 * 86_400_000_000)
    assert orjson.loads(row["body"])["after"] == "2026-01-31T00:00:00.000000Z"


async def test_a_course_is_completed_passed_and_retracted_as_the_transcript_says(database: str) -> None:
    log, done, passed = MemoryLog(1), did("ada", "c", verb=COMPLETED), did("ada", "c", timestamp="2026-02-01T00:00:00Z")
    async with deciding(database, log):
        await append(log, post(log, done), post(log, did("bo", "not-described", verb=COMPLETED), actor="bo"))
        await settled(database, log)
        assert await decisions(database, kind="course") == []
        await append(log, describe(log, "c", name="A course"))
        await settled(database, log)
        for each in (passed, voids(passed), voids(done)):
            await append(log, post(log, each))
            await settled(database, log)
    rows = await decisions(database, matter="c", kind="course")
    assert [(row["state"], row["status"], row["n"], row["k"]) for row in rows] == [
        ("issued", "completed", 1, 1), ("updated", "passed", 1, 2), ("updated", "completed", 1, 3), ("revoked", "completed", 1, 4)]
    assert rows[-1]["reason"] == "input_voided"


async def test_a_course_by_its_type_is_one_whoever_described_it(database: str) -> None:
    log = MemoryLog(1)
    done = did("ada", "c", verb=COMPLETED, object={"id": "https://courses.example.org/c", **COURSE})
    async with deciding(database, log):
        await append(log, post(log, done))
        await settled(database, log)
    (row,) = await decisions(database, kind="course")
    assert (row["status"], row["matter"]) == ("completed", "https://courses.example.org/c")
    assert orjson.loads(row["body"])["inputs"] == [{"statement": str(id_of(done))}]


async def test_assurance_by_others_counts_from_when_it_was_stored(database: str) -> None:
    log, passed = MemoryLog(1), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope", identity="verified"))))
    async with deciding(database, log):
        await append(log, post(log, passed))
        await settled(database, log)
        assert await decisions(database) == []
        verified = did("ada", "x", verb="http://id.tincanapi.com/verb/verified", object={"objectType": "StatementRef", "id": str(id_of(passed))})
        assurance = record(0, verified, authority=OTHER_AUTHORITY, scopes=["statements/write", "lrs:assure"])
        await append(log, assurance)
        await settled(database, log)
        assert await story(database) == [("ada", 1, 1, "issued")]
        await append(log, record(0, voids(verified), authority=OTHER_AUTHORITY))
        await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked")]


async def test_tenants_are_decided_apart(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope")))
    elsewhere = post(log, did("ada", "rope"))
    await append(log, type(elsewhere)(elsewhere.partition, elsewhere.key, elsewhere.value.replace(b'"tenant":"default"', b'"tenant":"other"'), 1))
    async with deciding(database, log):
        await settled(database, log)
    assert len(await decisions(database)) == 1


async def test_each_decision_is_in_the_partition_of_its_identity(database: str) -> None:
    log = MemoryLog(3)
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        await append(log, *(post(log, did(f"p{n}", "rope"), actor=f"p{n}") for n in range(12)))
        await settled(database, log)
    rows = await decisions(database)
    assert len(rows) == 12
    assert {row["seq"] & 255 for row in rows} == {0, 1, 2}
    for row in rows:
        assert int.from_bytes(HASHES.partition_key("default", row["identity"])[:8], "big") % 3 == row["seq"] & 255
