"""What GET parameters ask for, and that the SQL for it is made of constant pieces and arguments alone."""
import re
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.statement_query import NAMES, ById, Listing, by_id_sql, page_sql, parse
from services.core.errors import BadRequest
from services.core.keys import key64
from services.core.timeline import greatest_seq, micros, seq_of, stored_of

ID = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"
FILTERS = {
    "agent": '{"account":{"homePage":"https://x.org","name":"a b"}}', "verb": "http://example.org/v", "activity": "http://example.org/a", "registration": ID,
    "since": "2026-01-01T00:00:00.000001Z", "until": "2026-01-02T00:00:00Z", "ascending": "true", "related_agents": "true", "related_activities": "true",
}


def listing(**params: str) -> Listing:
    wanted = parse(params)
    assert isinstance(wanted, Listing)
    return wanted


def test_one_statement_is_asked_for_by_id() -> None:
    assert parse({"statementId": ID.upper(), "format": "exact", "attachments": "false"}) == ById(UUID(ID), voided=False)
    assert parse({"voidedStatementId": ID}) == ById(UUID(ID), voided=True)


@pytest.mark.parametrize("name", sorted(NAMES - {"statementId", "voidedStatementId", "format", "attachments", "more"}))
def test_an_id_goes_with_no_filter(name: str) -> None:
    value = {**FILTERS, "limit": "1"}[name]
    for id_ in ("statementId", "voidedStatementId"):
        with pytest.raises(BadRequest, match=name):
            parse({id_: ID, name: value})


def test_filters_become_keys_of_the_store() -> None:
    wanted = listing(**FILTERS)
    assert wanted.agent == key64("account:https://x.org a b")
    assert (wanted.verb, wanted.activity, wanted.registration) == (key64("http://example.org/v"), key64("http://example.org/a"), UUID(ID))
    assert wanted.ascending


def test_since_is_exclusive_and_until_inclusive() -> None:
    from datetime import UTC, datetime
    since = micros(datetime(2026, 1, 1, 0, 0, 0, 1, UTC))
    wanted = listing(since="2026-01-01T00:00:00.0000019Z", until="2026-01-01T00:00:00.000001Z")
    assert wanted.low == greatest_seq(since) == wanted.high
    assert wanted.low is not None
    assert seq_of(since, 255) <= wanted.low < seq_of(since + 1, 0)
    assert stored_of(wanted.high) == since


@pytest.mark.parametrize(("given", "limit"), [({}, 500), ({"limit": "0"}, 500), ({"limit": "1"}, 1), ({"limit": "500"}, 500), ({"limit": "501"}, 500),
    ({"limit": "1" * 50}, 500)])
def test_no_limit_and_zero_ask_for_as_many_as_there_may_be(given: dict[str, str], limit: int) -> None:
    assert listing(**given).limit == limit


@pytest.mark.parametrize("limit", ["", "-1", "1.5", "ten", "٣"])
def test_a_limit_is_a_whole_number(limit: str) -> None:
    with pytest.raises(BadRequest):
        parse({"limit": limit})


@given(st.sampled_from(sorted(NAMES - {"more"})), st.text(max_size=60))
def test_any_value_is_understood_or_refused_and_nothing_else(name: str, value: str) -> None:
    try:
        wanted = parse({name: value})
    except BadRequest:
        return
    _args_of(wanted)


@pytest.mark.parametrize("chosen", list(product([False, True], repeat=len(FILTERS))))
def test_no_value_ever_shows_in_the_text_and_every_parameter_has_its_argument(chosen: tuple[bool, ...]) -> None:
    params = {name: value for (name, value), wanted in zip(FILTERS.items(), chosen, strict=True) if wanted}
    text, args = page_sql(listing(**params), 1, authority=None, through=None, after=None)
    numbers = {int(number) for number in re.findall(r"\$(\d+)", text)}
    assert numbers == set(range(1, len(args) + 1))
    assert not [mark for mark in ("{", "}", "http", "--") if mark in text]
    agents = 1 if "agent" not in params else 4 if "related_agents" in params else 2
    activities = 2 if {"activity", "related_activities"} <= params.keys() else 1
    filtered = params.keys() & {"agent", "activity", "verb", "registration"}
    assert text.count("limit") == (agents * activities + 2 if filtered else 1)  # each arm, who refers to it, and the whole


def test_what_can_match_in_several_tables_or_by_several_filters_is_planned_with_its_values() -> None:
    assert not listing(verb=FILTERS["verb"], related_agents="true", related_activities="true").combines
    assert not listing(agent=FILTERS["agent"]).combines
    assert listing(agent=FILTERS["agent"], related_agents="true").combines
    assert listing(activity=FILTERS["activity"], related_activities="true").combines
    assert listing(verb=FILTERS["verb"], registration=ID).combines


def test_one_authority_restricts_what_matches_who_refers_to_it_and_what_is_referred_to() -> None:
    text, args = page_sql(listing(**FILTERS), 1, authority=42, through=None, after=None)
    number = args.index(42) + 1
    assert text.count(f"s.authority = ${number}") == 9
    assert f"(6::smallint, ${number}::bigint)" in text


def test_each_text_is_one_and_the_same_object_so_that_it_stays_prepared() -> None:
    first, _ = page_sql(listing(verb="http://example.org/1"), 1, authority=None, through=None, after=None)
    second, _ = page_sql(listing(verb="http://example.org/2"), 2, authority=None, through=5, after=9)
    assert first is second


def test_a_later_page_goes_on_after_the_last_row_and_never_widens_the_question() -> None:
    newest, oldest = listing(**{**FILTERS, "ascending": "false"}), listing(**FILTERS)
    assert oldest.low is not None
    inside = oldest.low + 1000
    for wanted, after, low, high in (
        (newest, inside, newest.low, inside - 1), (oldest, inside, inside, oldest.high),
        (newest, newest.high + 99, newest.low, newest.high), (oldest, oldest.low - 99, oldest.low, oldest.high),
    ):
        _, args = page_sql(wanted, 1, authority=None, through=None, after=after)
        assert low in args
        assert high in args


def test_what_one_key_may_see_is_part_of_the_text() -> None:
    text, args = page_sql(listing(), 1, authority=42, through=None, after=None)
    assert "s.authority = $" in text
    assert 42 in args


@pytest.mark.parametrize(("name", "value"), [
    ("format", "EXACT"), ("format", "id"), ("attachments", "1"), ("related_agents", "yes"), ("related_activities", "TRUE"),
])
def test_a_value_that_a_parameter_does_not_know_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        parse({name: value})


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_true_and_false_are_read_as_python_writes_them_too(text: str, meant: bool) -> None:
    wanted = parse({"ascending": text})
    assert isinstance(wanted, Listing)
    assert wanted.ascending is meant


def _args_of(wanted: Any) -> list[object]:
    if isinstance(wanted, ById):
        return by_id_sql(wanted, 1)[1]
    args = page_sql(wanted, 1, authority=None, through=None, after=None)[1]
    assert all(-(2**63) <= arg < 2**63 for arg in args if isinstance(arg, int))
    return args
