"""Whatever a client writes, it gets back: the same JSON, the same bytes of every value, plus what the LRS sets."""

import json
from typing import Any
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.check import check
from services.core.splice import flags_of, page, splice
from services.core.timeline import rfc3339
from tests.factories import Statement, activity, actor, rich_statement, statement

AUTHORITY: dict[str, Any] = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": 'key "1"'}}
LONE = {"contextActivities": {"parent": activity("p"), "grouping": [activity("g")]}}
OPTIONAL: dict[str, Any] = {
    "id": "6D5104A4-87FE-4E5C-B7AB-588370717558",
    "timestamp": "2026-05-01T12:00:00Z",
    "version": "1.0.2",
    "stored": "2001-01-01T00:00:00Z",
    "authority": actor("x"),
    "context": LONE,
    "object": {"objectType": "SubStatement", **statement(context=LONE)},
    "result": {"extensions": {"https://e.org/x": {"stored": 1, "a}": '{\\"[,'}}},
}


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    extra = {key: OPTIONAL[key] for key in draw(st.sets(st.sampled_from(sorted(OPTIONAL))))}
    base = draw(st.sampled_from([statement(), rich_statement(version=None, id=None)]))
    if "object" in extra and "platform" in base.get("context", {}):
        base["context"].pop("platform")  # only for statements about an Activity
    items = list((base | extra).items())
    return dict(draw(st.permutations(items)))


def bracketed(document: Statement) -> Statement:
    wanted = json.loads(json.dumps(document))
    for part in (wanted, wanted["object"]):
        activities = part.get("context", {}).get("contextActivities", {})
        for key, value in activities.items():
            activities[key] = value if isinstance(value, list) else [value]
    return wanted  # type: ignore[no-any-return]


@settings(max_examples=150, deadline=None)
@given(document=statements(), indent=st.sampled_from([None, None, 1]), number=st.integers(0, 2**122), stored=st.integers(0, 2**50))
def test_an_answer_is_what_was_sent_and_what_the_lrs_sets(document: Statement, indent: int | None, number: int, stored: int) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=number % 2 == 0).encode()
    id_ = UUID(int=number)
    assert check(raw, "1.0.3")
    out = splice(raw, flags_of(document), id=id_, stored=stored, authority_json=orjson.dumps(AUTHORITY), version="1.0.0")
    wanted = {"id": str(id_), "timestamp": rfc3339(stored), "version": "1.0.0"} | bracketed(document) | {"stored": rfc3339(stored), "authority": AUTHORITY}
    assert orjson.loads(out) == wanted
    assert check(out, "1.0.3")
    assert orjson.loads(page([out, out], "")) == {"statements": [wanted, wanted], "more": ""}


@settings(max_examples=100, deadline=None)
@given(number=st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?\Z"), own=st.booleans())
def test_a_number_keeps_its_spelling(number: str, own: bool) -> None:
    head = b'{"stored":"2001-01-01T00:00:00Z",' if own else b"{"
    raw = head + b'"actor":{"mbox":"mailto:a@b.c"},"verb":{"id":"a:b"},"object":{"id":"a:b"},"result":{"extensions":{"a:b":' + number.encode() + b"}}}"
    statement_ = check(raw, "1.0.3")
    out = splice(raw, flags_of(statement_), id=UUID(int=1), stored=0, authority_json=b"{}", version="1.0.0")
    assert b'{"a:b":' + number.encode() + b"}" in out
