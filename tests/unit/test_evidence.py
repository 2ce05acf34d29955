"""What a statement is evidence of: who, what, when, its class and its facts, and what it says of other statements."""
from typing import Any
from uuid import UUID

import pytest

from services.core.actor import ifi
from services.core.evidence import (
    ASSERTED,
    ATTEMPTED,
    COMPLETED,
    FAILED,
    NONE,
    PASSED,
    PROCTORED,
    REGISTERED,
    VERIFIED,
    WITHDRAWN,
    Evidence,
    assures,
    display,
    evidence_of,
    identity_level,
    pack,
    unpack,
    voids,
)

ADL = "http://adlnet.gov/expapi/verbs/"
ID = "6f1f2a53-3c0e-4d4e-9a3e-0a51d0c0ffee"
REFERENCE = {"objectType": "StatementRef", "id": ID}
ASSURANCE = "https://w3id.org/testamur/ext/identity-assurance"
SESSION = "https://w3id.org/xapi/cmi5/context/extensions/sessionid"
ATTEMPT = "http://id.tincanapi.com/extension/attempt-id"
STORED = 10**12


def statement(verb: str = "experienced", **members: Any) -> dict[str, Any]:
    iri = verb if ":" in verb else ADL + verb
    return {"actor": {"mbox": "mailto:ada@Example.org"}, "verb": {"id": iri}, "object": {"id": "https://a.example/x"}, **members}


def evidence(told: dict[str, Any], *scopes: str) -> Evidence | None:
    return evidence_of(told, ifi=ifi(told["actor"]), stored=STORED, authority="mbox:mailto:lms@example.org", scopes=scopes)


def found(told: dict[str, Any], *scopes: str) -> Evidence:
    made = evidence(told, *scopes)
    assert made is not None
    return made


@pytest.mark.parametrize(("verb", "result", "expected"), [
    ("experienced", {}, ATTEMPTED), ("registered", {}, REGISTERED), ("completed", {}, COMPLETED), ("passed", {}, PASSED), ("failed", {}, FAILED),
    ("http://id.tincanapi.com/verb/unregistered", {}, WITHDRAWN), ("http://id.tincanapi.com/verb/unregistered", {"success": False}, WITHDRAWN),
    ("https://adlnet.gov/expapi/verbs/passed", {}, PASSED), ("passed", {"success": False}, PASSED), ("completed", {"success": True}, PASSED),
    ("completed", {"success": False}, FAILED), ("scored", {"success": True}, PASSED), ("experienced", {"completion": True}, COMPLETED),
    ("experienced", {"completion": False}, ATTEMPTED), ("https://w3id.org/xapi/adl/verbs/satisfied", {"success": True}, COMPLETED),
    ("https://w3id.org/xapi/adl/verbs/waived", {"success": False}, COMPLETED),
    ("http://www.tincanapi.co.uk/verbs/planned_learning", {}, REGISTERED), ("https://unknown.example/verb", {}, ATTEMPTED),
])
def test_a_statement_has_the_highest_class_its_verb_and_result_make(verb: str, result: dict[str, Any], expected: int) -> None:
    assert found(statement(verb, result=result)).facts.klass == expected


@pytest.mark.parametrize("changes", [
    {"actor": {"mbox": "mailto:unknown@example.com"}}, {"actor": {"account": {"homePage": "https://edx.example", "name": "anonymous"}}},
    {"actor": {"objectType": "Group", "member": [{"mbox": "mailto:a@b.example"}]}},
    {"object": REFERENCE}, {"object": {"objectType": "Agent", "mbox": "mailto:a@b.example"}}, {"object": {"objectType": "SubStatement"}},
])
def test_nobody_a_placeholder_or_no_activity_makes_no_evidence(changes: dict[str, Any]) -> None:
    assert evidence(statement(**changes)) is None


def test_a_mailbox_and_its_sum_are_one_identity() -> None:
    sum_of = found(statement()).identity.removeprefix("sha1:")

    assert found(statement(actor={"mbox_sha1sum": sum_of.upper()})).identity == f"sha1:{sum_of}"


@pytest.mark.parametrize(("timestamp", "expected"), [
    (None, STORED), ("2020-01-01T00:00:01Z", 10**6), ("2020-01-01T01:00:01.5+01:00", 1_500_000), ("2020-01-01T00:00:01", 10**6),
    ("2019-12-31T23:59:60Z", 0), ("2036-01-01T00:00:00Z", STORED), ("1969-12-31T00:00:00Z", -1_577_923_200_000_000),
    ("2020-01-01T00:00:01.1234569Z", 1_123_456),
])
def test_event_time_is_the_timestamp_unless_it_is_later_than_stored(timestamp: str | None, expected: int) -> None:
    assert found(statement(**({"timestamp": timestamp} if timestamp else {}))).at == expected


@pytest.mark.parametrize(("score", "expected"), [
    ({"scaled": .5, "raw": 1, "min": 0, "max": 1}, .5), ({"raw": 85, "min": 0, "max": 100}, .85), ({"raw": 3}, None),
    ({"raw": 0, "min": 0, "max": 0}, None), ({"raw": 1e308, "min": -1e308, "max": 1e308}, None), ({}, None),
])
def test_a_score_is_the_scaled_one_or_made_of_raw_min_and_max(score: dict[str, float], expected: float | None) -> None:
    assert found(statement(result={"score": score})).facts.scaled == expected


def test_minus_zero_is_zero_so_that_equal_scores_have_equal_bytes() -> None:
    assert pack(found(statement(result={"score": {"scaled": -.0}})).facts) == pack(found(statement(result={"score": {"scaled": 0}})).facts)


def keys(verb: str, context: dict[str, Any], timestamp: str = "2020-01-01T00:00:01Z", result: dict[str, Any] | None = None) -> tuple[int | None, ...]:
    facts = found(statement(verb, context=context, timestamp=timestamp, result=result or {})).facts
    return facts.session, facts.begin, facts.outcome


def test_an_attempt_is_a_session_else_registration_and_attempt_else_when_it_began() -> None:
    session = {"registration": ID, "extensions": {SESSION: "s", ATTEMPT: 1}}
    attempt, later = {"registration": ID, "extensions": {ATTEMPT: 1}}, "2020-01-01T00:00:02Z"

    assert keys("launched", session)[1] == keys("passed", session)[2] == keys("initialized", session, later)[1]
    assert keys("attempted", attempt)[1] == keys("completed", attempt)[2] != keys("completed", {"registration": ID})[2]
    assert keys("attempted", {"registration": ID})[1] != keys("attempted", {"registration": ID}, later)[1]
    assert keys("experienced", session) == (None, None, None)


def test_a_duration_belongs_to_its_session() -> None:
    session, timed = {"extensions": {SESSION: "s"}}, {"duration": "PT1M"}

    assert keys("terminated", session, result=timed)[0] == keys("passed", session, result=timed)[0] is not None
    assert found(statement("terminated", result=timed)).facts.duration == 60_000_000


@pytest.mark.parametrize(("hours", "expected"), [(1.1, 1_100_000), (2, 2_000_000), (True, 0), (-1, 0), (1e300, 0), ("2", 0), (None, 0), (1e-9, 0)])
def test_hours_are_exact_millionths_and_nonsense_is_none(hours: Any, expected: int) -> None:
    assert found(statement(result={"extensions": {"https://w3id.org/testamur/ext/pd-hours": hours}})).facts.hours == expected


@pytest.mark.parametrize(("claim", "expected"), [
    ({"method": "proctored", "level": "low"}, PROCTORED), ({"method": "photo-id", "level": "substantial"}, VERIFIED), ({"level": "high"}, VERIFIED),
    ({"method": "photo-id", "level": "low"}, ASSERTED), ({}, ASSERTED), ("verified", VERIFIED), (7, ASSERTED), ({"level": "none"}, NONE), (None, NONE),
])
def test_an_identity_assurance_claims_a_level(claim: Any, expected: int) -> None:
    assert identity_level({ASSURANCE: claim}) == expected


def test_identity_assurance_counts_only_from_a_record_that_may_assure() -> None:
    told = statement(context={"extensions": {ASSURANCE: {"method": "proctored"}}})

    assert [found(told, *scopes).facts.level for scopes in ((), ("all",), ("lrs:assure",), ("lrs:admin",))] == [NONE, NONE, PROCTORED, PROCTORED]


def test_only_the_one_verb_with_a_reference_voids() -> None:
    assert voids(statement("voided", object=REFERENCE)) == UUID(ID)
    assert voids(statement("https://adlnet.gov/expapi/verbs/voided", object=REFERENCE)) is None
    assert voids(statement("completed", object=REFERENCE)) is None


@pytest.mark.parametrize(("members", "level"), [
    ({}, VERIFIED), ({"context": {"extensions": {ASSURANCE: {"method": "proctored"}}}}, PROCTORED),
    ({"result": {"extensions": {ASSURANCE: {"level": "low"}}}}, ASSERTED), ({"context": {"extensions": {SESSION: 1}}}, VERIFIED),
])
def test_a_verified_statement_about_another_assures_it(members: dict[str, Any], level: int) -> None:
    assert assures(statement("https://w3id.org/xapi/tla/verbs/verified", object=REFERENCE, **members)) == (UUID(ID), level)
    assert assures(statement("https://w3id.org/xapi/tla/verbs/verified", **members)) is None


@pytest.mark.parametrize(("texts", "expected"), [
    ({"sv": "Kurs", "en": "Course"}, "Course"), ({"sv": "Kurs", "en-GB": "Course"}, "Course"), ({"sv": "Kurs", "de": "Lehrgang"}, "Lehrgang"), ({}, None),
])
def test_a_language_map_is_shown_in_english_or_by_its_least_tag(texts: dict[str, str], expected: str | None) -> None:
    assert display(texts) == expected


def test_facts_are_the_same_after_packing() -> None:
    result = {"score": {"scaled": .5}, "duration": "PT1S", "success": True}
    facts = found(statement("passed", result=result, context={"registration": ID}, attachments=[{"usageType": "https://example.org/evidence"}])).facts

    assert unpack(pack(facts)) == facts
    assert facts.attachments
