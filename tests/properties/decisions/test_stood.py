"""The naive check itself: what an award that is held is measured by, and from when on a state stands."""
from typing import Any

import pytest

from tests.properties.decisions import held
from tests.properties.decisions.held import IRIS
from tests.properties.decisions.oracle import Placed, Said
from tests.properties.decisions.programmes import ACTIVITIES, PROGRAMMES
from tests.properties.decisions.stood import NotDecidedError, assert_stood
from tests.reference_rules import Answer

SECOND = 1_000_000
PASSED = {"verb": {"id": "http://adlnet.gov/expapi/verbs/passed"}, "object": {"id": ACTIVITIES["algebra"]}, "result": {"score": {"scaled": 0.9}}}


def _award(**said: Any) -> Said:
    return {"id": ("term", "me", 1), "state": "issued", "closed": False, "suspended": False, "after": None, "ended": None, "valid_until": 19} | said


def test_an_award_that_is_held_is_judged_as_following_the_end_it_followed_when_it_was_issued() -> None:
    now = Answer(met=True, since=11, valid_until=20)
    then = Answer(met=True, since=10, valid_until=19)
    says = {None: now, 10: then}.__getitem__
    assert held.due([_award(after=10)], says, 15) == {("term", "me", 1): then}
    assert held.due([_award(state="revoked", closed=True, after=10)], says, 15) == {None: now}
    assert held.due([_award(state="expired", closed=True, ended=10)], says, 15) == {None: then}


def test_an_award_that_is_held_is_over_when_its_rule_is_met_only_since_its_end() -> None:
    assert held.due([_award()], lambda _end: Answer(met=True, since=20), 19) == {("term", "me", 1): None}
    assert held.due([_award()], lambda _end: Answer(met=True, since=19), 19) == {("term", "me", 1): Answer(met=True, since=19)}
    assert held.due([_award()], lambda _end: Answer(met=False), 15) == {("term", "me", 1): None}


def test_what_is_to_come_of_a_retired_programme_stands_from_when_it_is_published_again() -> None:
    records = [_published(1, 1), _about_plain(2, "programme.retired"), _passed(3), _published(10 * SECOND, 2)]
    looks = [(at,) for at in (1, 2, 3, 5 * SECOND, 10 * SECOND, 11 * SECOND - 1)]
    assert_stood(records, [], [looks], 0)
    with pytest.raises(NotDecidedError):
        assert_stood(records, [], [[*looks, (11 * SECOND,)]], 0)


def test_what_stands_for_a_second_has_to_be_in_the_ledger() -> None:
    records, looks = [_published(1, 1), _passed(3)], [(1,), (3,), (SECOND + 2,)]
    assert_stood(records, [], [looks], 0)
    with pytest.raises(NotDecidedError):
        assert_stood(records, [], [[*looks, (SECOND + 3,)]], 0)


def _passed(stored: int) -> Placed:
    statement = {"id": "one", "actor": {"account": {"homePage": "https://lms.example.org", "name": "1"}}, **PASSED}
    said = {"kind": "statements", "authority": {"mbox": "mailto:tool@example.org"}, "scopes": ["statements/write"], "statements": [{"raw": statement}]}
    return Placed(0, stored, said)


def _published(stored: int, version: int) -> Placed:
    return _about_plain(stored, "programme.published", version=version, programme=PROGRAMMES["plain"][version - 1])


def _about_plain(stored: int, kind: str, **said: Any) -> Placed:
    return Placed(0, stored, {"kind": kind, "body": {"iri": IRIS["plain"], **said}})
