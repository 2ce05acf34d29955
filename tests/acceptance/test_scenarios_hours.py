"""A certification to be kept up: 25 professional-development hours in any five years, 10 of each activity at most; it lapses by time alone, and comes back."""
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.servers.campus import Campus, clause, course, mailbox, said, statements_in, states

HOURS = "https://w3id.org/testamur/ext/pd-hours"
PROFILE = {"contextActivities": {"category": [{"id": "https://teachers.example.org/profiles/pd"}]}}
CURRENT = """
programme: https://teachers.example.org/programmes/continuing-education
version: 1
title: Teaching assistant, continuing education current
award: {type: Certification}
requires:
  label: professional development hours
  sum:
    of: https://w3id.org/testamur/ext/pd-hours
    at_least: 25
    window: {last: P5Y}
    cap_each: 10
    distinct: activity
    match: {category: https://teachers.example.org/profiles/pd, authority_in: [https://providers.example.org/north]}
validity: {until: lapse}
on: {lapsed: expire}
"""


@pytest.fixture(scope="module")
def provider(campus: Campus) -> httpx.Client:
    """The approved provider; and with it the programme is published."""
    campus.publish_by_command(CURRENT)
    return campus.sender("provider", "statements/write", authority={"account": {"homePage": "https://providers.example.org", "name": "north"}})


def attended(who: dict[str, Any], name: str, at: str, hours: float) -> dict[str, Any]:
    workshop = course(f"https://teachers.example.org/workshops/{name}", "meeting")
    return said(who, "attended", workshop, at, result={"extensions": {HOURS: hours}}, context=PROFILE)


def years_ago(years: int, *, and_yet: timedelta = timedelta(0)) -> str:
    """Return the moment that leaves a window of that many years when `and_yet` has passed."""
    moment = datetime.now(UTC) + and_yet
    if (moment.month, moment.day) == (2, 29):
        pytest.skip("of a 29 February there is none five years ago")
    return moment.replace(year=moment.year - years).isoformat().replace("+00:00", "Z")


def test_of_years_gone_by_it_can_be_said_when_it_was_met_lapsed_and_regained(campus: Campus, provider: httpx.Client) -> None:
    tess = mailbox("tess.long.ago")
    ids = campus.send(
        attended(tess, "first-aid", "2001-03-01T09:00:00Z", 14), attended(tess, "reading", "2002-03-01T09:00:00Z", 10),
        attended(tess, "first-aid", "2003-03-01T09:00:00Z", 6), attended(tess, "numbers", "2004-03-01T09:00:00Z", 5),
        attended(tess, "autism", "2006-09-01T09:00:00Z", 8), by=provider)

    def at(day: str) -> bool:
        return bool(campus.explain(tess, "continuing-education", as_of=f"{day}T12:00:00Z")["tree"]["met"])

    assert [at(day) for day in ("2003-12-31", "2004-03-02", "2006-02-28")] == [False, True, True], "14 hours of one workshop are 10, and twice is once"
    assert [at(day) for day in ("2006-03-02", "2006-09-02", "2007-03-02")] == [False, True, False], "it lapses when the first leaves the window, and comes back"
    then = campus.explain(tess, "continuing-education", as_of="2004-06-01T00:00:00Z")
    assert statements_in(then) >= {ids[1], ids[3]}
    assert then["next_change_at"][:10] <= "2006-03-01"
    now = campus.explain(tess, "continuing-education")
    assert not now["tree"]["met"]
    assert campus.credentials(tess, "continuing-education") == [], "what was over before we knew is explained, not awarded"


def test_it_expires_as_time_passes_with_nothing_new_and_is_awarded_anew_when_it_is_regained(campus: Campus, provider: httpx.Client) -> None:
    tom = mailbox("tom.just.now")
    campus.send(
        attended(tom, "first-aid", years_ago(5, and_yet=timedelta(seconds=12)), 10), attended(tom, "reading", years_ago(2), 10),
        attended(tom, "numbers", years_ago(1), 5), by=provider)
    first = campus.awarded(tom, "continuing-education")
    assert first["valid_until"] is not None

    expired = campus.awarded(tom, "continuing-education", "expired")
    assert (expired["id"], expired["reason"]) == (first["id"], "lapsed")
    lapsed = campus.explain(tom, "continuing-education")
    hours = clause(lapsed, "professional development hours")
    assert (hours["met"], round(hours["progress"], 3)) == (False, 0.6)

    campus.send(attended(tom, "autism", datetime.now(UTC).isoformat(), 10), by=provider)
    second = campus.awarded(tom, "continuing-education", of=2)
    assert second["id"] != first["id"]
    assert states(campus.credential(first["id"])) == ["issued", "expired"]
    assert campus.types_of(first["id"], 2) == ["credential.issued", "credential.expired"]
    assert campus.types_of(second["id"], 1) == ["credential.issued"]


def test_more_hours_prolong_the_same_certification_and_hours_of_others_do_not(campus: Campus, provider: httpx.Client) -> None:
    tina = mailbox("tina.eager")
    campus.send(*(attended(tina, name, years_ago(years), 10) for name, years in (("first-aid", 4), ("reading", 3), ("numbers", 2))), by=provider)
    first = campus.awarded(tina, "continuing-education")

    campus.send(attended(tina, "autism", years_ago(0), 10))
    campus.send(attended(tina, "autism", years_ago(1), 10), by=provider)
    assert campus.types_of(first["id"], 2) == ["credential.issued", "credential.renewed"]

    [renewed] = campus.credentials(tina, "continuing-education")
    assert renewed["id"] == first["id"]
    assert renewed["valid_until"] > first["valid_until"]
    assert renewed["awarded_at"] == first["awarded_at"]
