"""The headline of an explanation: what is held, at the moment that the page is about."""
from typing import Any

import msgspec
import pytest

from services.api.programmes.explain_words import about_rule, headline
from tests.unit.rules.given import rule

AT = "2024-01-01T00:00:00.000000Z"
AWARDED = rule("{statement: {verb: passed}}", award="{type: Badge}")
BARE = msgspec.structs.replace(AWARDED, award=None)


def said(state: str = "satisfied", *awards: dict[str, Any], **more: Any) -> dict[str, Any]:
    tree = {"amount": {"got": 0, "wanted": 25, "unit": "hours"}}
    return {"state": state, "awards": list(awards), "since": AT, "valid_until": None, "lapses_at": None, "tree": tree, **more}


def award(state: str, *history: tuple[str, str, str | None]) -> dict[str, Any]:
    return {"state": state, "history": [{"state": each, "since": since, "valid_until": until} for each, since, until in history]}


ISSUED = ("issued", "2022-05-01T00:00:00Z", None)


@pytest.mark.parametrize(("state", "awards", "text", "good"), [
    ("unsatisfied", [], "Not awarded", False),
    ("satisfied", [], "Met, not awarded yet", False),
    ("satisfied", [award("issued", ISSUED)], "Awarded, in force", True),
    ("unsatisfied", [award("issued", ISSUED)], "Awarded, in force", True),
    ("expired", [award("issued", ("issued", "2022-05-01T00:00:00Z", "2023-05-01T00:00:00Z"))], "Awarded; its time was over on 2023-05-01 00:00 UTC", False),
    ("unsatisfied", [award("revoked", ISSUED, ("revoked", "2023-02-01T00:00:00Z", None))], "Awarded, but revoked on 2023-02-01 00:00 UTC", False),
    ("unsatisfied", [award("suspended", ISSUED, ("suspended", "2023-02-01T00:00:00Z", None), ("updated", "2022-05-01T00:00:00Z", None))],
     "Awarded, but suspended on 2023-02-01 00:00 UTC", False),
    ("satisfied", [award("expired", ISSUED, ("expired", "2023-02-01T00:00:00Z", None)), award("issued", ISSUED)], "Awarded, in force", True),
])
def test_an_award_is_what_the_ledger_says_of_it(state: str, awards: list[dict[str, Any]], text: str, good: bool) -> None:
    found = headline(said(state, *awards), AWARDED, AT)

    assert (found.text, found.good) == (text, good)


def test_of_several_that_are_in_force_the_one_that_lasts_longest_counts() -> None:
    shorter = award("issued", ("issued", "2022-05-01T00:00:00Z", "2024-07-01T00:00:00Z"))

    assert headline(said("satisfied", shorter), AWARDED, AT).until == "2024-07-01 00:00 UTC"
    assert headline(said("satisfied", shorter, award("issued", ISSUED)), AWARDED, AT).until == "no end date"


@pytest.mark.parametrize(("state", "text"), [("satisfied", "Met"), ("unsatisfied", "Not met"), ("expired", "Met, but its time is over")])
def test_a_programme_without_an_award_is_met_or_not(state: str, text: str) -> None:
    assert headline(said(state), BARE, AT).text == text


def test_the_sentence_about_the_rule_says_how_far_or_until_when() -> None:
    assert about_rule(said("unsatisfied")) == "What the rule asks for is not met: 0 of 25 hours so far."
    assert about_rule(said("unsatisfied", award("issued", ISSUED))).endswith("What was given stands all the same.")
    assert about_rule(said("satisfied", lapses_at="2025-01-01T00:00:00Z")) == (
        "What the rule asks for is met since 2024-01-01 00:00 UTC; if nothing new comes, until 2025-01-01 00:00 UTC.")
    assert about_rule(said("expired", valid_until="2023-01-01T00:00:00Z")).endswith(", but was good until 2023-01-01 00:00 UTC only.")
