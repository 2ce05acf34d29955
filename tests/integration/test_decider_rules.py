"""What deciders decide when links, rules or other awards change, with a real fold on a real Postgres."""
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from services.core.timeline import micros, rfc3339, stored_of
from services.projector.decider.pace import MOST
from services.runtime.log.memory_log import MemoryLog
from services.runtime.log.postgres_log import open_postgres_log
from tests.integration.deciding import (
    HOME,
    deciding,
    decisions,
    describe,
    did,
    ifi_of,
    link,
    passes,
    post,
    programme,
    publish,
    retire,
    revoke,
    settled,
    story,
    voids,
)
from tests.integration.projecting import append, fetch, until

ACHIEVEMENT = f"{HOME}/achievements/"
HAS_CLIMBER = {"credential": {"achievement": f"{ACHIEVEMENT}climber"}}
HOUR = 3_600_000_000


async def test_a_link_issues_no_third_award_and_its_end_leaves_each_what_is_theirs(database: str) -> None:
    log, joined = MemoryLog(2), uuid4()
    needs_both = {"all": [passes("rope"), passes("knots")]}
    await append(log, publish(log, programme("climber", passes("rope"))), publish(log, programme("guide", needs_both)))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp="2026-02-01T00:00:00Z")), post(log, did("bo", "rope"), did("bo", "swim"), actor="bo"))
        await append(log, post(log, did("ada", "knots", timestamp="2026-01-05T00:00:00Z")))
        await settled(database, log)
        assert sorted(await story(database, matter="climber")) == [("ada", 1, 1, "issued"), ("bo", 1, 1, "issued")]
        await append(log, link(log, joined, "ada", "bo"))
        await settled(database, log)
        climber = [(row["ifi"], row["n"], row["state"], rfc3339(row["since"])[:10]) for row in await decisions(database, matter="climber")]
        assert climber[2:] == [(ifi_of("ada"), 1, "updated", "2026-01-01")]
        assert [row["ifi"] for row in await decisions(database, matter="guide")] == [ifi_of("ada"), ifi_of("ada")]
        await append(log, link(log, joined))
        await settled(database, log)
        climber = [(row["ifi"], row["n"], row["state"], rfc3339(row["since"])[:10]) for row in await decisions(database, matter="climber")]
        assert climber[3:] == [(ifi_of("ada"), 1, "updated", "2026-02-01")]
    assert not [state for _, _, _, state in await story(database) if state == "revoked"]


async def test_what_only_two_linked_identities_have_is_theirs_while_the_link_holds(database: str) -> None:
    log, joined = MemoryLog(2), uuid4()
    await append(log, publish(log, programme("guide", {"all": [passes("rope"), passes("knots")]})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope")), post(log, did("bo", "knots", timestamp="2026-01-02T00:00:00Z"), actor="bo"))
        await append(log, link(log, joined, "ada", "bo"))
        await settled(database, log)
        await append(log, link(log, joined))
        await settled(database, log)
    assert await story(database) == [("bo", 1, 1, "issued"), ("bo", 1, 2, "revoked")]


async def test_a_programme_published_after_its_evidence_reaches_everybody_page_by_page(database: str) -> None:
    log, people = MemoryLog(2), MOST + 120
    for start in range(0, people, 100):
        await append(log, *(post(log, did(f"p{n}", "rope"), actor=f"p{n}") for n in range(start, min(start + 100, people))))
    async with deciding(database, log):
        await append(log, publish(log, programme("climber", passes("rope"))), publish(log, programme("guide", passes("rope"))))
        await append(log, describe(log, "elsewhere"))
        await settled(database, log)
    rows = await fetch(database, "select matter, count(*) as n, count(distinct ifi) as people from award group by 1")
    assert {(row["n"], row["people"]) for row in rows} == {(people, people)}
    assert len(rows) == 2


async def test_a_version_with_an_effective_date_issues_from_then_on(database: str) -> None:
    log = await open_postgres_log(database)
    effective = datetime.now(UTC) + timedelta(seconds=2)
    try:
        await append(log, post(log, did("ada", "rope")), publish(log, programme("later", passes("rope"), effective=effective.isoformat())))
        async with deciding(database, log):

            async def issued() -> bool:
                return bool(await decisions(database))

            await until(issued, 10)
        (row,) = await decisions(database)
        assert row["known_at"] >= micros(effective)
    finally:
        await log.close()


async def test_a_retired_programme_issues_nothing_new_and_its_awards_are_judged_on(database: str) -> None:
    log, passed = MemoryLog(1), did("ada", "rope")
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, passed))
    async with deciding(database, log):
        await settled(database, log)
        await append(log, retire(log, "climber"))
        await append(log, post(log, did("bo", "rope"), actor="bo"), post(log, voids(passed)))
        await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked")]


@pytest.mark.parametrize(("policy", "states"), [("keep", ["issued"]), ("review", ["issued"]), ("reevaluate", ["issued", "revoked"])])
async def test_a_stricter_version_takes_awards_back_only_if_it_says_so(database: str, policy: str, states: list[str]) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope")))
    async with deciding(database, log):
        await settled(database, log)
        stricter = programme("climber", {"all": [passes("rope"), passes("knots")]}, version=2, on={"rule_changed": policy})
        await append(log, publish(log, stricter))
        await settled(database, log)
        assert [state for _, _, _, state in await story(database)] == states
        await append(log, post(log, did("bo", "rope"), actor="bo"))
        await settled(database, log)
        assert [state for _, _, _, state in await story(database)] == states
    if len(states) > 1:
        assert (await decisions(database))[-1]["reason"] == "rule_changed"


async def test_a_revocation_by_hand_is_final_and_only_what_comes_after_it_counts(database: str) -> None:
    log, joined = MemoryLog(2), uuid4()
    await append(log, publish(log, programme("climber", passes("rope"))), link(log, joined, "ada", "bo"))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope")), post(log, did("bo", "rope", timestamp="2026-01-02T00:00:00Z"), actor="bo"))
        await settled(database, log)
        (award,) = await decisions(database)
        await append(log, revoke(log, award))
        await settled(database, log)
        assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked")]
        await append(log, link(log, joined))
        await settled(database, log)
        assert len(await decisions(database)) == 2, "what bo had done then does not count for the programme any more"
        await append(log, post(log, did("ada", "rope", timestamp="2026-03-01T00:00:00Z")))
        await settled(database, log)
    assert await story(database) == [("ada", 1, 1, "issued"), ("ada", 1, 2, "revoked"), ("ada", 2, 1, "issued")]
    assert [row["reason"] for row in await decisions(database)] == [None, "misconduct", None]


async def test_a_credential_built_on_another_follows_it(database: str) -> None:
    log, passed = MemoryLog(2), did("ada", "rope")
    above = {"all": [{"credential": {"achievement": f"{ACHIEVEMENT}climber"}}, passes("knots")]}
    await append(log, publish(log, programme("climber", passes("rope"))), publish(log, programme("guide", above, on={"input_revoked": "suspend"})))
    async with deciding(database, log):
        await append(log, post(log, passed), post(log, did("ada", "knots")))
        await settled(database, log)
        (below,), (guide,) = await decisions(database, matter="climber"), await decisions(database, matter="guide")
        assert {"credential": below["credential"]} in orjson.loads(guide["body"])["inputs"]
        assert guide["known_at"] >= stored_of(below["seq"])
        await append(log, post(log, voids(passed)))
        await settled(database, log)
        assert [(row["state"], row["reason"]) for row in await decisions(database, matter="guide")] == [("issued", None), ("suspended", "input_revoked")]
        await append(log, post(log, did("ada", "rope", timestamp="2026-03-01T00:00:00Z")))
        await settled(database, log)
    assert [row["state"] for row in await decisions(database, matter="guide")] == ["issued", "suspended", "reinstated"]


async def test_what_rests_on_a_credential_that_ends_lapses_with_it_and_is_not_revoked(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    await append(
        log, publish(log, programme("climber", passes("rope"), validity={"for": "PT1H"})), publish(log, programme("guide", HAS_CLIMBER)),
        publish(log, programme("keeper", HAS_CLIMBER, on={"lapsed": "keep"})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=None)))
        await settled(database, log)
        now[0] += 2 * HOUR

        async def expired() -> bool:
            return bool((await story(database, matter="climber"))[1:] and (await story(database, matter="guide"))[1:])

        await until(expired)
        await settled(database, log)
    (below, _), (_, over) = await decisions(database, matter="climber"), await decisions(database, matter="guide")
    assert (over["state"], over["reason"], over["since"]) == ("expired", "lapsed", below["valid_until"])
    assert await story(database, matter="keeper") == [("ada", 1, 1, "issued")]


async def test_a_statement_that_is_voided_is_the_reason_though_a_credential_beside_it_has_expired(database: str) -> None:
    now = [200_000_000_000_000]
    log, knots = MemoryLog(1, clock=lambda: now[0]), did("ada", "knots", timestamp=None)
    had = {"credential": {**HAS_CLIMBER["credential"], "status": "issued"}}
    await append(
        log, publish(log, programme("climber", passes("rope"), validity={"for": "PT1H"})),
        publish(log, programme("guide", {"all": [had, passes("knots")]}, on={"input_voided": "suspend"})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=None), knots))
        await settled(database, log)
        now[0] += 2 * HOUR

        async def expired() -> bool:
            return len(await story(database, matter="climber")) > 1

        await until(expired)
        await append(log, post(log, voids(knots)))
        await settled(database, log)
    assert [(row["state"], row["reason"]) for row in await decisions(database, matter="guide")] == [("issued", None), ("suspended", "input_voided")]


async def test_later_evidence_takes_away_the_end_that_a_credential_gave(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    await append(
        log, publish(log, programme("climber", passes("rope"), validity={"for": "PT1H"})),
        publish(log, programme("guide", {"any": [HAS_CLIMBER, passes("knots")]}, validity={"until": "lapse"})))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope", timestamp=None)))
        await settled(database, log)
        now[0] += HOUR // 2
        await append(log, post(log, did("ada", "knots", timestamp=None)))
        await settled(database, log)
    issued, updated = await decisions(database, matter="guide")
    assert issued["valid_until"] == issued["since"] + HOUR
    assert (updated["state"], updated["since"], updated["valid_until"]) == ("updated", issued["since"], None)
