"""What the ledger lacks: the next entry of an award that is held, and the first of a new one."""
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.core.decide import (
    INPUT_REVOKED,
    INPUT_VOIDED,
    LAPSED,
    RULE_CHANGED,
    SUPERSEDED,
    Change,
    Unmet,
    course_change,
    first_entry,
    next_change,
    reminders,
)
from services.core.ledger import Held
from services.core.rules.calendar import DAY, Span, span
from services.core.rules.outcome import Explained, Input, Outcome
from services.core.rules.tree import Match, Policies, Programme, Renewal, Statements, Validity
from services.core.timeline import micros

NOW = 1000 * DAY
IFI = UUID(int=1)
GIVEN = Input("statement", UUID(int=7), 100 * DAY, 100 * DAY << 8, IFI)
NO_REASON = Unmet("not asked for")


def programme(*, validity: Validity | None = None, remind: tuple[str, ...] = (), version: int = 1, **on: str) -> Programme:
    """Return a programme with these policies."""
    spans = tuple(one for text in remind if (one := span(text)) is not None)
    return Programme(
        iri="https://lrs.example.org/programmes/p", slug="p", version=version, title="P", requires=Statements(Match()), award=None, validity=validity,
        renewal=Renewal(remind=spans), on=Policies(**on), effective=None, issuer=None, document={}, sha256=f"rule {version}")


def held(**changes: Any) -> Held:
    """Return an award since day 100 of version 1."""
    plain = Held(
        n=1, k=1, state="issued", since=100 * DAY, valid_until=None, ended=None, version=1, rule="rule 1", status=None, reminded=None,
        issued_seq=101 * DAY << 8, last_seq=101 * DAY << 8, closed=False, credential=None, inputs=({"statement": str(GIVEN.id)},))
    return msgspec.structs.replace(plain, **changes)


def outcome(*, met: bool = True, since: int | None = 100 * DAY, valid_until: int | None = None, expired: bool = False) -> Outcome:
    """Return what a rule says."""
    tree = Explained("statement", "x", met, 1.0 if met else 0.0, ())
    rest = (GIVEN,) if met else ()
    return Outcome(met, since if met else None, valid_until if met else None, expired, None, None, lambda: tree, lambda: rest, lambda bare: bare)


def change(award: Held, rule: Programme, says: Outcome, why: Unmet = NO_REASON) -> Change | None:
    """Return the next entry at NOW."""
    return next_change(award, rule, says, NOW, lambda: why)


def unmet(award: Held, rule: Programme, reason: str, since: int | None = None) -> Change | None:
    """Return the next entry when the rule is not met for this reason."""
    return change(award, rule, outcome(met=False), Unmet(reason, since))


def test_an_award_whose_outcome_is_the_same_gets_no_entry() -> None:
    assert change(held(), programme(), outcome()) is None


def test_an_award_that_began_earlier_than_known_is_updated() -> None:
    found = change(held(), programme(), outcome(since=90 * DAY))
    assert found is not None
    assert (found.state, found.since, found.inputs) == ("updated", 90 * DAY, (GIVEN,))


def test_an_award_that_is_good_for_longer_is_updated() -> None:
    found = change(held(valid_until=1100 * DAY), programme(validity=Validity(None)), outcome(valid_until=1200 * DAY))
    assert found is not None
    assert (found.state, found.valid_until) == ("updated", 1200 * DAY)


@pytest.mark.parametrize("reason", [INPUT_VOIDED, INPUT_REVOKED])
@pytest.mark.parametrize(("policy", "state"), [("revoke", "revoked"), ("suspend", "suspended"), ("keep", None), ("review", None)])
def test_an_award_whose_inputs_do_not_count_follows_the_policy_for_that(reason: str, policy: str, state: str | None) -> None:
    rule = programme(input_voided=policy) if reason == INPUT_VOIDED else programme(input_revoked=policy)
    found = unmet(held(valid_until=1500 * DAY), rule, reason)
    assert (None if found is None else found.state) == state
    if found is not None:
        assert (found.reason, found.since, found.valid_until) == (reason, NOW, 1500 * DAY)


def test_the_policy_for_voided_inputs_is_not_that_for_revoked_ones() -> None:
    rule = programme(input_voided="keep", input_revoked="suspend")
    assert unmet(held(), rule, INPUT_VOIDED) is None
    assert (found := unmet(held(), rule, INPUT_REVOKED)) is not None
    assert found.state == "suspended"


@pytest.mark.parametrize(("policy", "state"), [("expire", "expired"), ("keep", None)])
def test_an_award_whose_time_is_over_expires_at_that_time_or_is_kept(policy: str, state: str | None) -> None:
    for says in (outcome(met=False), outcome(valid_until=900 * DAY, expired=True)):
        found = change(held(valid_until=900 * DAY), programme(lapsed=policy), says)
        assert (None if found is None else found.state) == state
        if found is not None:
            assert (found.since, found.reason, found.valid_until) == (900 * DAY, LAPSED, 900 * DAY)


@pytest.mark.parametrize(("policy", "state"), [("expire", "expired"), ("keep", None)])
def test_an_award_without_an_end_that_a_window_has_left_expires_when_it_did_or_is_kept(policy: str, state: str | None) -> None:
    found = unmet(held(), programme(lapsed=policy), LAPSED, 800 * DAY)
    assert (None if found is None else (found.state, found.since)) == (None if state is None else (state, 800 * DAY))


def test_an_award_ends_at_the_very_instant_it_is_valid_until() -> None:
    assert (found := change(held(valid_until=NOW), programme(), outcome(met=False))) is not None
    assert found.state == "expired"
    assert change(held(valid_until=NOW + 1), programme(), outcome(valid_until=NOW + 1)) is None


def test_a_rule_that_became_another_revokes_what_it_judges_and_does_not_grant() -> None:
    found = unmet(held(), programme(version=2, rule_changed="reevaluate", input_voided="keep"), RULE_CHANGED)
    assert found is not None
    assert (found.state, found.reason, found.version, found.rule) == ("revoked", RULE_CHANGED, 2, "rule 2")


def test_an_award_judged_by_a_new_version_that_says_the_same_gets_no_entry() -> None:
    assert change(held(), programme(version=2, rule_changed="reevaluate"), outcome()) is None


def test_what_was_met_again_only_after_the_end_expires_first() -> None:
    found = change(held(valid_until=500 * DAY), programme(validity=Validity(None)), outcome(since=600 * DAY, valid_until=1500 * DAY))
    assert found is not None
    assert (found.state, found.since) == ("expired", 500 * DAY)


def test_what_was_renewed_before_its_end_goes_on_though_it_is_known_after_it() -> None:
    found = change(held(valid_until=500 * DAY), programme(validity=Validity(None)), outcome(valid_until=1500 * DAY))
    assert found is not None
    assert (found.state, found.since, found.valid_until) == ("updated", 100 * DAY, 1500 * DAY)


def test_a_suspended_award_is_reinstated_when_it_is_met_again() -> None:
    found = change(held(state="suspended", k=2), programme(input_voided="suspend"), outcome(since=120 * DAY))
    assert found is not None
    assert (found.state, found.since, found.inputs) == ("reinstated", 120 * DAY, (GIVEN,))


def test_a_suspended_award_is_not_suspended_twice() -> None:
    assert unmet(held(state="suspended", k=2), programme(input_voided="suspend"), INPUT_VOIDED) is None


def test_a_suspended_award_expires_when_its_time_is_over() -> None:
    found = change(held(state="suspended", k=2, valid_until=900 * DAY), programme(input_voided="suspend"), outcome(met=False), Unmet(INPUT_VOIDED))
    assert found is not None
    assert found.state == "expired"


def test_a_suspended_award_is_revoked_when_another_policy_asks_for_it() -> None:
    found = unmet(held(state="suspended", k=2), programme(input_voided="suspend", input_revoked="revoke"), INPUT_REVOKED)
    assert found is not None
    assert found.state == "revoked"


def test_each_reminder_is_given_once_and_of_several_that_are_due_only_the_last() -> None:
    rule = programme(remind=("P60D", "P30D", "P7D"))
    award, says = held(valid_until=NOW + 20 * DAY), outcome(valid_until=NOW + 20 * DAY)
    found = change(award, rule, says)
    assert found is not None
    assert (found.state, found.remind, found.since, found.valid_until) == ("expiring", NOW - 10 * DAY, 100 * DAY, NOW + 20 * DAY)
    assert change(msgspec.structs.replace(award, reminded=NOW - 10 * DAY), rule, says) is None
    assert change(msgspec.structs.replace(award, reminded=NOW - 40 * DAY), rule, says) == found


def test_a_suspended_award_is_not_reminded_of() -> None:
    rule = programme(remind=("P30D",), input_voided="suspend")
    assert unmet(held(state="suspended", valid_until=NOW + DAY), rule, INPUT_VOIDED) is None


def test_no_reminder_is_due_before_the_award_began() -> None:
    assert change(held(since=NOW - DAY, valid_until=NOW + DAY), programme(remind=("P1Y",)), outcome(since=NOW - DAY, valid_until=NOW + DAY)) is None


def test_reminders_are_reckoned_by_the_calendar() -> None:
    rule = programme(remind=("P1M",))
    assert reminders(rule, micros(datetime(2026, 3, 31, tzinfo=UTC))) == [micros(datetime(2026, 2, 28, tzinfo=UTC))]
    assert reminders(rule, None) == []


def test_what_is_met_is_issued() -> None:
    found = first_entry(programme(version=3), outcome(valid_until=1500 * DAY))
    assert found is not None
    assert (found.state, found.since, found.valid_until, found.version, found.rule, found.inputs) == (
        "issued", 100 * DAY, 1500 * DAY, 3, "rule 3", (GIVEN,))


def test_what_was_over_when_it_was_first_met_is_not_issued() -> None:
    assert first_entry(programme(validity=Validity(Span("P1D", 0, 1, 0))), outcome(valid_until=101 * DAY, expired=True)) is None
    assert first_entry(programme(), outcome(met=False)) is None


def test_a_course_is_completed_updated_and_retracted_as_its_status_says() -> None:
    award = held(status="completed", rule="", version=0)
    assert course_change(None, "passed", GIVEN, INPUT_VOIDED, NOW) == Change(state="issued", since=GIVEN.at, status="passed", inputs=(GIVEN,))
    assert course_change(None, None, None, INPUT_VOIDED, NOW) is None
    assert course_change(award, "completed", GIVEN, INPUT_VOIDED, NOW) is None
    assert course_change(award, "passed", GIVEN, INPUT_VOIDED, NOW) == Change(state="updated", since=GIVEN.at, status="passed", inputs=(GIVEN,))
    earlier = Input("statement", UUID(int=8), 90 * DAY, 5, IFI)
    assert course_change(award, "completed", earlier, INPUT_VOIDED, NOW) == Change(state="updated", since=90 * DAY, status="completed", inputs=(earlier,))
    assert course_change(award, None, None, SUPERSEDED, NOW) == Change(state="revoked", since=NOW, reason=SUPERSEDED, status="completed")
