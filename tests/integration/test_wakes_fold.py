"""Whom the fold has evaluated again: what each change of evidence, links and the ledger queues, with which dues."""
import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest_asyncio

from services.core.keys import key128
from services.core.rules.wake_keys import ANY, COMPLETION, NO_ACTIVITY, key_of_programme
from services.core.timeline import rfc3339
from services.projector.projections.learners import LearnersProjection
from tests.folding import HASHES, TENANT, At, apply, authority, course_at, folding, link_at, record_at, run_of, statement_at
from tests.integration.projecting import until
from tests.ledger_bodies import COURSE, achievement_of, decision_body, iri_of, programme_body, revocation_body

Connection = asyncpg.Connection
NOW = 217_000_000_000_000
ADL = "http://adlnet.gov/expapi/verbs/"
VERIFIED = "https://w3id.org/xapi/tla/verbs/verified"
LMS, REGISTRAR = authority("lms@example.org"), authority("registrar@example.org", "lrs:void", "lrs:assure")
ADA, BO = "openid:https://openid.example.org/ada", "openid:https://openid.example.org/bo"
UNIT = "https://a.example.org/unit"
PAGE = "https://a.example.org/page"


class Wake(NamedTuple):
    """A row of the queue: instants count from NOW."""

    who: str
    what: str
    due: int
    at: int | None


class Fold:
    """A fold to which records are given as runs, and the queue it fills."""

    def __init__(self, connection: "Connection[asyncpg.Record]") -> None:
        self.connection, self.projection = connection, LearnersProjection(HASHES)

    async def run(self, *records: At) -> list[Wake]:
        """Fold records as one run and take what it queued, sorted."""
        await apply(self.connection, self.projection, records)
        rows = await self.connection.fetch("delete from wake returning ifi, key, activity, due, at")
        who = {HASHES.ifi(TENANT, identity): identity.rpartition("/")[2] for identity in (ADA, BO)}
        return sorted(Wake(who[row["ifi"]], what(row), row["due"] - NOW, None if row["at"] is None else row["at"] - NOW) for row in rows)


def what(row: Any) -> str:
    """Return what a row of the queue concerns: programmes by their own key, anything else that is a fact key as `fact`."""
    if row["key"] == COMPLETION:
        return {key128(iri): iri.rpartition("/")[2] for iri in (COURSE, UNIT, PAGE)}[row["activity"]]
    assert row["activity"] == NO_ACTIVITY
    own = {key_of_programme(iri_of(slug)): slug for slug in ("welding", "crane")}
    return {ANY: "any", **own}.get(row["key"], "fact")


@pytest_asyncio.fixture
async def fold(database: str) -> AsyncIterator[Fold]:
    async with folding(database, LearnersProjection(HASHES)) as connection:
        found = Fold(connection)
        await found.run(published(-1000))
        await connection.execute("delete from sweep")
        yield found


def published(number: int, **members: Any) -> At:
    return record_at("programme.published", programme_body(**members), NOW + number, 0, "lrs:manage")


def said(  # noqa: PLR0913 - each of them matters to some test
    number: int, verb: str = "passed", who: str = ADA, activity: str = COURSE, *, id_: UUID | None = None, ago: int = 0,
    kind: str | None = "module", partition: int = 0,
) -> At:
    """Return a statement stored at NOW + number that happened `ago` microseconds before."""
    target = {"id": activity, **({"definition": {"type": "http://adlnet.gov/expapi/activities/" + kind}} if kind else {})}
    return statement_at({
        "id": str(id_ or uuid4()), "actor": {"openid": who.removeprefix("openid:")}, "verb": {"id": verb if ":" in verb else ADL + verb}, "object": target,
        "timestamp": rfc3339(NOW + number - ago)}, NOW + number, partition, LMS)







def about(number: int, verb: str, target: UUID, by: Any = LMS, *, id_: UUID | None = None, partition: int = 0) -> At:
    return statement_at({
        "id": str(id_ or uuid4()), "actor": {"openid": ADA.removeprefix("openid:")}, "verb": {"id": verb},
        "object": {"objectType": "StatementRef", "id": str(target)}}, NOW + number, partition, by)


async def test_a_new_statement_wakes_what_reads_it_with_its_event_time(fold: Fold) -> None:
    assert await fold.run(said(10, ago=7)) == [Wake("ada", "fact", 10, 3)]
    assert await fold.run(said(11, "experienced"), said(12, activity=PAGE), said(13, "completed")) == []


async def test_statements_of_one_run_are_one_row_due_when_all_are_folded(fold: Fold) -> None:
    assert await fold.run(said(10, ago=1), said(11, ago=9), said(12, ago=3), said(11, who=BO, partition=1)) == [
        Wake("ada", "fact", 12, 2), Wake("bo", "fact", 11, 11)]


async def test_an_outcome_of_what_is_or_may_be_a_course_wakes_its_completion(fold: Fold) -> None:
    assert await fold.run(said(10, "completed", activity=UNIT, kind="course")) == [Wake("ada", "unit", 10, 10)]
    assert await fold.run(said(11, "registered", activity=UNIT, kind=None)) == [Wake("ada", "unit", 11, 11)]
    assert await fold.run(said(12, "attempted", activity=UNIT, kind="course"), said(13, "completed", activity=UNIT)) == []

    assert await fold.run(course_at({"id": UNIT}, NOW + 20, 0), said(21, "completed", activity=UNIT)) == [Wake("ada", "unit", 21, 21)]


async def test_a_voided_statement_wakes_once_for_itself_and_once_for_its_void(fold: Fold) -> None:
    id_ = uuid4()
    await fold.run(said(10, id_=id_, ago=5))

    assert await fold.run(about(30, ADL + "voided", id_)) == [Wake("ada", "fact", 10, None), Wake("ada", "fact", 30, None)]


async def test_a_target_that_comes_after_its_void_waits_for_the_void_s_due_too(fold: Fold) -> None:
    id_ = uuid4()
    assert await fold.run(about(30, ADL + "voided", id_, partition=1)) == []
    assert await fold.run(said(10, id_=id_)) == [Wake("ada", "fact", 10, None), Wake("ada", "fact", 30, None)]

    both = uuid4()
    assert await fold.run(said(40, id_=both), about(41, ADL + "voided", both)) == [Wake("ada", "fact", 40, None), Wake("ada", "fact", 41, None)]


async def test_a_void_stored_before_its_target_or_without_effect_adds_no_due(fold: Fold) -> None:
    early, foreign = uuid4(), uuid4()
    await fold.run(about(5, ADL + "voided", early, partition=1))
    assert await fold.run(said(10, id_=early)) == [Wake("ada", "fact", 10, None)]

    await fold.run(said(20, id_=foreign))
    assert await fold.run(about(30, ADL + "voided", foreign, authority("stranger@example.org"))) == [Wake("ada", "fact", 20, None)]


async def test_an_assurance_and_its_end_wake_whom_they_are_about(fold: Fold) -> None:
    id_, assurance = uuid4(), uuid4()
    await fold.run(said(10, id_=id_))

    assert await fold.run(about(20, VERIFIED, id_, REGISTRAR, id_=assurance)) == [Wake("ada", "fact", 10, None), Wake("ada", "fact", 20, None)]
    assert await fold.run(about(30, ADL + "voided", assurance, REGISTRAR)) == [
        Wake("ada", "fact", 10, None), Wake("ada", "fact", 20, None), Wake("ada", "fact", 30, None)]


async def test_an_earlier_copy_wakes_those_it_is_about_and_those_the_later_one_was_about(fold: Fold) -> None:
    id_ = uuid4()
    await fold.run(said(50, id_=id_, partition=1))

    assert await fold.run(said(20, id_=id_, who=BO)) == [Wake("ada", "fact", 20, None), Wake("bo", "fact", 20, None)]
    assert await fold.run(said(10, "experienced", id_=id_, who=BO, activity=PAGE, partition=2)) == [Wake("bo", "fact", 10, None)]
    assert await fold.run(said(60, id_=id_)) == []  # the loser


async def test_a_copy_that_falls_sets_free_what_it_voided(fold: Fold) -> None:
    target, void = uuid4(), uuid4()
    await fold.run(said(10, id_=target))
    await fold.run(about(30, ADL + "voided", target, id_=void))

    assert await fold.run(said(25, "experienced", activity=PAGE, id_=void, partition=1)) == [Wake("ada", "fact", 10, None)]


async def test_a_link_and_its_end_wake_everything_of_both(fold: Fold) -> None:
    id_ = uuid4()
    agents = [{"openid": identity.removeprefix("openid:")} for identity in (ADA, BO)]
    assert await fold.run(link_at(id_, agents, NOW + 10, 0)) == [Wake("ada", "any", 10, None), Wake("bo", "any", 10, None)]
    assert await fold.run(link_at(id_, None, NOW + 20, 1)) == [
        Wake("ada", "any", 10, None), Wake("ada", "any", 20, None), Wake("bo", "any", 10, None), Wake("bo", "any", 20, None)]

    late = uuid4()
    assert await fold.run(link_at(late, None, NOW + 40, 1)) == []
    assert await fold.run(link_at(late, agents, NOW + 30, 0)) == [
        Wake("ada", "any", 30, None), Wake("ada", "any", 40, None), Wake("bo", "any", 30, None), Wake("bo", "any", 40, None)]


async def test_a_decision_accepted_or_not_wakes_its_matter_and_a_revocation_its_programme(fold: Fold) -> None:
    def decided(number: int, **members: Any) -> At:
        return record_at("decision", decision_body(ADA, "issued", NOW + number - 1, **members), NOW + number, 0)

    assert await fold.run(decided(10)) == [Wake("ada", "welding", 10, None)]
    assert await fold.run(decided(20)) == [Wake("ada", "welding", 20, None)]
    assert await fold.run(decided(30, course=UNIT)) == [Wake("ada", "unit", 30, None)]
    assert await fold.run(record_at("credential.revoked", revocation_body(ADA), NOW + 40, 0)) == [Wake("ada", "welding", 40, None)]


async def test_what_was_awarded_wakes_the_programmes_that_read_it(fold: Fold) -> None:
    await fold.run(published(5, slug="crane", requires={"credential": {"achievement": achievement_of("welding")}}))
    decision = record_at("decision", decision_body(ADA, "issued", NOW + 9, credential=str(uuid4())), NOW + 10, 0)

    assert await fold.run(decision) == [Wake("ada", "fact", 10, None), Wake("ada", "welding", 10, None)]


async def test_what_counts_otherwise_since_something_came_late_wakes_as_that_does(fold: Fold) -> None:
    await fold.run(
        record_at("decision", decision_body(ADA, "issued", NOW + 19), NOW + 20, 0),
        record_at("decision", decision_body(ADA, "updated", NOW + 29, k=2), NOW + 30, 0))

    assert await fold.run(record_at("decision", decision_body(ADA, "issued", NOW + 9), NOW + 10, 1)) == [
        Wake("ada", "welding", 10, None), Wake("ada", "welding", 20, None)]  # that of 30 is the second entry still


async def test_a_programme_published_in_another_partition_wakes_from_then_on(fold: Fold) -> None:
    assert await fold.run(said(10, "completed", activity=PAGE)) == []

    fresh = Fold(fold.connection)  # another process
    await fresh.run(record_at("programme.published", programme_body("crane", requires={"statement": {"verb": "completed", "activity": PAGE}}), NOW - 50, 1))

    assert await fold.run(said(11, "completed", activity=PAGE)) == [Wake("ada", "fact", 11, 11)]


async def test_units_of_a_cmi5_course_wake_once_the_course_is_described(fold: Fold) -> None:
    await fold.run(published(5, slug="crane", requires={"cmi5": {"course": UNIT}}))
    assert await fold.run(said(10, activity=PAGE)) == []
    structure = {"id": UNIT, "cmi5": {"children": [{"id": PAGE, "type": "au", "moveOn": "Passed"}]}}
    await fold.run(course_at(structure, NOW + 11, 1))

    assert await fold.run(said(12, activity=PAGE)) == [Wake("ada", "fact", 12, 12)]


async def test_a_version_that_is_not_in_use_wakes_nobody(fold: Fold) -> None:
    await fold.connection.execute("update projection set state = 'building' where name = 'learners'")
    decision = record_at("decision", decision_body(ADA, "issued", NOW + 9), NOW + 10, 0)

    assert await fold.run(said(10), decision) == []
    assert await fold.connection.fetchval("select count(*) from award") == 1


async def test_a_run_beside_a_publication_waits_for_it_and_wakes_what_it_asks_for(fold: Fold, database: str) -> None:
    other = LearnersProjection(HASHES)
    async with folding(database, other) as publishing:
        transaction = publishing.transaction()
        await transaction.start()
        asked = programme_body("crane", requires={"statement": {"verb": "completed", "activity": PAGE}})
        await other.apply(publishing, run_of([record_at("programme.published", asked, NOW + 5, 1)]))
        beside = asyncio.create_task(fold.run(said(10, "completed", activity=PAGE)))

        async def waits() -> bool:
            return bool(await publishing.fetchval("select count(*) from pg_locks where locktype = 'advisory' and not granted"))

        await until(waits)
        await transaction.commit()
        assert await beside == [Wake("ada", "fact", 10, 10)]
