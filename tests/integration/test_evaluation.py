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
from services.runtime.memory_log import MemoryLog
from services.runtime.tenant_rows import open_tenant_rows
from tests.integration.deciding import (
    COMPLETED,
    HOME,
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
from tests.integration.projecting import append, fetch

CLIMBER = f"{HOME}/programmes/climber"
MOST = Moment.at(2**54)


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


