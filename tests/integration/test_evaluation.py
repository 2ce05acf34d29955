"""Judging learners at a moment: what was known then, of whom, by which rules; and that a decision evaluated again at its moment says the same."""
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from services.core.keys import key128
from services.core.rules.language import parse
from services.core.timeline import stored_of
from services.runtime.evaluation.catalog import Catalogs, Version, alignments_of
from services.runtime.evaluation.judge import Judgement, judge_course, judge_programme
from services.runtime.evaluation.load import COURSE, activities_of, load_courses, load_facts, load_members, load_people
from services.runtime.evaluation.moment import Moment, Rows
from services.runtime.log.memory_log import MemoryLog
from services.runtime.tenant_rows import open_tenant_rows
from tests.integration.deciding import (
    COMPLETED,
    HOME,
    PASSED,
    activity_of,
    decider_connection,
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
    revoke,
    settled,
    voids,
)
from tests.integration.projecting import append, fetch, until

CLIMBER = f"{HOME}/programmes/climber"
MOST = Moment.at(2**54)
HOUR = 3_600_000_000


async def judged(rows: Rows, who: UUID, matter: str, moment: Moment, kind: str = "programme") -> Judgement:
    """Return what someone had in a matter at a moment."""
    catalog = await Catalogs().at(rows, 1, moment)
    members = await load_members(rows, 1, [who], moment.known)
    (person,) = await load_people(rows, 1, members, moment, catalog)
    if kind == COURSE:
        courses = await load_courses(rows, 1, [key128(matter)], moment.known)
        await load_facts(rows, 1, [person], moment, [key128(matter)])
        return judge_course(person, courses[key128(matter)], moment)
    await load_facts(rows, 1, [person], moment, None)
    return judge_programme(person, matter, catalog, moment)


async def again(rows: Rows, row: asyncpg.Record) -> bool:
    """Return whether a decision, evaluated again at its moment, says the same."""
    found = await judged(rows, row["ifi"], row["matter"], Moment.at(row["known_at"]), row["kind"])
    said = [(one.ifi, one.n, one.k, one.change.state, one.change.since, one.change.valid_until, one.change.reason) for one in found.proposed]
    return (row["ifi"], row["n"], row["k"], row["state"], row["since"], row["valid_until"], row["reason"]) in said


async def test_every_decision_evaluated_again_at_its_moment_says_the_same(database: str) -> None:
    log, joined, passed = MemoryLog(2), uuid4(), did("ada", "rope", timestamp="2026-02-01T00:00:00Z")
    above = {"all": [{"credential": {"achievement": f"{HOME}/achievements/climber"}}, passes("knots")]}
    await append(log, publish(log, programme("climber", passes("rope"), on={"input_voided": "suspend"})), publish(log, programme("guide", above)))
    steps: list[Any] = [
        post(log, passed), post(log, did("ada", "knots"), did("ada", "c", verb=COMPLETED)), describe(log, "c"), post(log, did("bo", "rope"), actor="bo"),
        link(log, joined, "ada", "bo"), post(log, voids(passed)), link(log, joined), post(log, did("ada", "rope", timestamp="2026-03-01T00:00:00Z")),
        publish(log, programme("climber", {"all": [passes("rope"), passes("swim")]}, version=2, on={"rule_changed": "reevaluate"})),
        post(log, did("ada", "swim"), did("ada", "c"), did("bo", "swim"), actor="bo"),
    ]
    async with deciding(database, log):
        for step in steps:
            await append(log, step)
            await settled(database, log)
        await append(log, revoke(log, (await decisions(database, matter="climber"))[-1]))
        await settled(database, log)
    rows = [row for kind in ("programme", "course") for row in await decisions(database, kind=kind)]
    assert {row["state"] for row in rows} >= {"issued", "updated", "revoked", "suspended", "reinstated"}
    async with decider_connection(database) as conn:
        for row in rows:
            if orjson.loads(row["body"]).get("known_at"):
                assert await again(conn, row), dict(row)


async def test_a_past_moment_knows_the_rules_links_voids_and_awards_of_then(database: str) -> None:
    log, joined, passed = MemoryLog(1), uuid4(), did("ada", "rope")
    moments: list[Moment] = []
    async with deciding(database, log):
        for step in (
            post(log, passed), publish(log, programme("climber", passes("rope"))), link(log, joined, "ada", "bo"), post(log, voids(passed)),
            publish(log, programme("climber", {"all": [passes("rope"), passes("knots")]}, version=2)), link(log, joined),
        ):
            await append(log, step, post(log, did("bo", "x"), actor="bo"))
            await settled(database, log)
            (row,) = await fetch(database, "select min(last_stored) as t from projection_cursor where name = 'learners'")
            moments.append(Moment.at(row["t"]))
    async with decider_connection(database) as conn:
        found = [await judged(conn, ifi_of("bo"), CLIMBER, moment) for moment in moments]
        theirs = [await judged(conn, ifi_of("ada"), CLIMBER, moment) for moment in moments]
        members = [(await load_members(conn, 1, [ifi_of("bo")], moment.known))[0] for moment in moments]
    assert [len(one.ifis) for one in members] == [1, 1, 2, 2, 2, 1]
    assert [None if one.version is None else one.version.number for one in theirs] == [None, 1, 1, 1, 2, 2]
    assert [one.outcome is not None and one.outcome.met for one in found] == [False, False, True, False, False, False]
    assert [[held.held.state for held in one.holdings] for one in theirs] == [[], ["issued"], ["issued"], ["revoked"], ["revoked"], ["revoked"]]
    assert not any(one.proposed for one in theirs + found), "at rest the ledger lacks nothing"


async def test_as_of_asks_what_was_true_then_by_what_is_known_now(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope", timestamp="2026-02-01T00:00:00Z")))
    async with deciding(database, log):
        await settled(database, log)
    (row,) = await decisions(database)
    async with decider_connection(database) as conn:
        before = await judged(conn, ifi_of("ada"), CLIMBER, Moment(stored_of(row["seq"]), row["since"] - 1))
        after = await judged(conn, ifi_of("ada"), CLIMBER, Moment(stored_of(row["seq"]), row["since"]))
    assert before.outcome is not None
    assert after.outcome is not None
    assert (before.outcome.met, before.outcome.next_change_at, after.outcome.met) == (False, row["since"], True)


async def test_a_proposed_version_says_who_would_gain_and_who_would_lose(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(database, log):
        await append(log, post(log, did("ada", "rope")), post(log, did("bo", "knots"), actor="bo"), post(log, did("cy", "x"), actor="cy"))
        await settled(database, log)
    proposed = parse(orjson.dumps(programme("climber", passes("knots"), version=2, on={"rule_changed": "reevaluate"})))
    async with decider_connection(database) as conn:
        catalog = (await Catalogs().at(conn, 1, MOST)).proposing(Version(proposed, MOST.known, f"{HOME}/achievements/climber", (), alignments_of(proposed)))
        members = await load_members(conn, 1, [ifi_of(name) for name in ("ada", "bo", "cy")], MOST.known)
        people = await load_people(conn, 1, members, MOST, catalog)
        await load_facts(conn, 1, people, MOST, activities_of(catalog.versions.values()))
        found = {person.members.learner: judge_programme(person, CLIMBER, catalog, MOST) for person in people}
    assert {ifi: (one.gains, one.loses) for ifi, one in found.items()} == {
        ifi_of("ada"): (False, True), ifi_of("bo"): (True, False), ifi_of("cy"): (False, False)}
    assert found[ifi_of("ada")].proposed[0].change.reason == "rule_changed"


async def test_who_calls_an_activity_something_else_than_a_course_completes_none_unless_it_was_described_as_one(database: str) -> None:
    def about(name: str, kind: str | None, verb: str = PASSED) -> bytes:
        typed = {} if kind is None else {"definition": {"type": f"http://adlnet.gov/expapi/activities/{kind}"}}
        return did("ada", name, verb=verb, object={"id": activity_of(name), **typed})

    log = MemoryLog(1)
    said = [("module", "module", PASSED), ("both", "module", PASSED), ("both", "course", COMPLETED), ("plain", None, PASSED), ("plain", "course", COMPLETED),
            ("described", "module", PASSED)]
    await append(log, describe(log, "described"), post(log, *(about(*each) for each in said)))
    async with deciding(database, log):
        await settled(database, log)
    recorded = {row["matter"].rpartition("/")[2]: row["status"] for row in await decisions(database, kind="course")}
    async with decider_connection(database) as conn:
        found = {name: (await judged(conn, ifi_of("ada"), activity_of(name), MOST, COURSE)).status for name, _, _ in said}
    assert found == {"module": None, "both": "completed", "plain": "passed", "described": "passed"}
    assert recorded == {name: status for name, status in found.items() if status is not None}


async def test_requests_read_the_same_as_deciders_and_only_their_own_tenant(database: str) -> None:
    log = MemoryLog(1)
    await append(log, publish(log, programme("climber", passes("rope"))), post(log, did("ada", "rope")), describe(log, "rope"))
    async with deciding(database, log):
        await settled(database, log)
    rows = await open_tenant_rows(database, max=2)
    try:
        mine = await judged(rows.of(1), ifi_of("ada"), CLIMBER, MOST)
        course = await judged(rows.of(1), ifi_of("ada"), activity_of("rope"), MOST, COURSE)
        assert [holding.held.state for holding in mine.held] == ["issued"]
        assert course.status == "passed"
        assert (await Catalogs().at(rows.of(1), 2, MOST)).versions == {}
    finally:
        await rows.close()


async def test_an_award_that_has_expired_since_was_held_before_its_end(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    await append(log, publish(log, programme("climber", passes("rope"), validity={"for": "PT1H"})), post(log, did("ada", "rope", timestamp=None)))
    async with deciding(database, log):
        await settled(database, log)
        now[0] += 2 * HOUR

        async def expired() -> bool:
            return len(await decisions(database)) > 1

        await until(expired)
    issued, over = await decisions(database)
    async with decider_connection(database) as conn:
        known = stored_of(over["seq"])
        before, within, after = [await judged(conn, ifi_of("ada"), CLIMBER, Moment(known, issued["since"] + at)) for at in (-1, HOUR // 2, HOUR)]
    assert [each.outcome is not None and each.outcome.met for each in (before, within, after)] == [False, True, False]
    assert [[held.held.state for held in each.holdings] for each in (before, within, after)] == [[], ["issued"], ["expired"]]
    assert not any(each.proposed for each in (before, within, after))


async def test_an_award_that_was_revoked_by_hand_was_held_before_that_by_the_evidence_it_rested_on(database: str) -> None:
    now = [200_000_000_000_000]
    log = MemoryLog(1, clock=lambda: now[0])
    above = {"credential": {"achievement": f"{HOME}/achievements/climber"}}
    await append(
        log, publish(log, programme("climber", passes("rope"))), publish(log, programme("guide", above)), post(log, did("ada", "rope", timestamp=None)))
    async with deciding(database, log):
        await settled(database, log)
        now[0] += HOUR
        await append(log, revoke(log, (await decisions(database, matter="climber"))[0]))
        await settled(database, log)
    issued, revoked = await decisions(database, matter="climber")
    guide = f"{HOME}/programmes/guide"
    async with decider_connection(database) as conn:
        known = 2**54
        found = [[await judged(conn, ifi_of("ada"), iri, Moment(known, at)) for iri in (CLIMBER, guide)] for at in (revoked["since"] - 1, now[0] + HOUR)]
    assert issued["since"] < revoked["since"]
    assert [[[held.held.state for held in each.holdings] for each in line] for line in found] == [[["issued"], ["issued"]], [["revoked"], ["revoked"]]]
    assert [[each.outcome is not None and each.outcome.met for each in line] for line in found] == [[True, True], [False, False]]
    assert not any(each.proposed for line in found for each in line)
