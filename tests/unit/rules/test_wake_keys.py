"""A statement wakes the programmes that may read it, and few others; a programme wakes those that read its credentials."""
from typing import Any

import pytest

from services.core import vocabulary
from services.core.rules.course import structure
from services.core.rules.facts import Fact
from services.core.rules.tree import Programme
from services.core.rules.wake_keys import ANY, COMPLETION, key_of_programme, keys_of, keys_of_award, keys_of_fact
from tests.unit.rules.given import award, fact, programme, rule

ITEM = "https://case.example.org/items/welding"
COURSE = {"id": "https://courses.example.org/safety", "cmi5": {"children": [
    {"id": "https://courses.example.org/safety/fire", "type": "au", "moveOn": "Passed"}]}}


def woken(of: Programme, known: Fact) -> bool:
    return not keys_of(of, {}).isdisjoint(keys_of_fact(known.said, known.activity, vocabulary.verb(known.said.verb)))


@pytest.mark.parametrize(("clause", "said", "wakes"), [
    ("{activity: https://courses.example.org/a}", {}, True),
    ("{activity: https://courses.example.org/a, verb: passed}", {}, True),
    ("{activity: https://courses.example.org/a, verb: failed}", {}, False),
    ("{activity: https://courses.example.org/b}", {}, False),
    ("{activity_in: [https://courses.example.org/b, https://courses.example.org/a]}", {}, True),
    ("{verb_in: [failed, https://w3id.org/xapi/adl/verbs/passed]}", {}, True),
    ("{competency: https://courses.example.org/a}", {}, True),
    (f"{{competency: {ITEM}}}", {"other": [ITEM]}, True),
    (f"{{competency: {ITEM}}}", {"category": [ITEM]}, True),
    (f"{{category: {ITEM}}}", {"category": [ITEM]}, True),
    (f"{{category: {ITEM}}}", {"under": [ITEM]}, False),
    (f"{{under: {ITEM}, verb: passed}}", {"under": [ITEM]}, True),
    ("{type: http://adlnet.gov/expapi/activities/course}", {"type": "https://w3id.org/xapi/cmi5/activitytype/course"}, True),
    ("{type: module}", {"type": "http://adlnet.gov/expapi/activities/course"}, False),
    ("{identity: none}", {}, True),
])
def test_a_clause_is_woken_by_what_it_may_count(clause: str, said: dict[str, Any], wakes: bool) -> None:
    assert woken(rule(f"{{statement: {clause}}}"), fact(1, "a", "2023-01-01", **said)) is wakes
    assert woken(rule(f"{{sum: {{of: duration, at_least: 1, match: {clause}}}}}"), fact(1, "a", "2023-01-01", **said)) is wakes


def test_a_cmi5_course_is_woken_by_its_units_once_its_structure_is_known() -> None:
    units, found = programme("units"), structure(COURSE)
    assert found is not None
    known = fact(1, "safety/fire", "2023-01-01")
    answers = set(keys_of_fact(known.said, known.activity, "passed"))

    assert not answers & keys_of(units, {})
    assert answers & keys_of(units, {COURSE["id"]: found} if isinstance(COURSE["id"], str) else {})


@pytest.mark.parametrize(("clause", "wakes"), [
    ("{achievement: 'x:a'}", True), ("{achievement: 'x:b'}", False), ("{issuer: university}", True),
    ("{issuer_in: [college, 'did:web:university.example.org']}", True),
    ("{issuer: college}", False), ("{alignment: 'x:framework'}", True), ("{alignment: 'x:other'}", False), ("{achievement: 'x:a', issuer: university}", True),
])
def test_a_credential_wakes_those_that_may_count_it(clause: str, wakes: bool) -> None:
    given = award(1, "x:a", "2023-01-01", alignments=("x:target", "x:framework"))

    assert keys_of(rule(f"{{credential: {clause}}}"), {}).isdisjoint(keys_of_award(given)) is not wakes


def test_keys_are_signed_integers_of_64_bits_and_none_is_one_that_means_something_else() -> None:
    known = fact(1, "a", "2023-01-01", under=[ITEM], category=[ITEM], other=[ITEM], type="http://adlnet.gov/expapi/activities/course")
    keys = [*keys_of_fact(known.said, known.activity, "passed"), *keys_of(programme("specialization"), {}), key_of_programme("https://x.example/p")]

    assert all(-2**63 <= key < 2**63 for key in keys)
    assert not {ANY, COMPLETION} & set(keys)
