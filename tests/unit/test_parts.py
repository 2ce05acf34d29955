"""Statements parsed part by part say what they say, and share what they have in common."""
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core import parts
from services.core.parts import Part, once, parse
from tests.factories import Statement, activity, rich_statement, statement
from tests.properties.test_splice import statements


@settings(max_examples=200)
@given(document=statements(), indent=st.sampled_from([None, 1]))
def test_a_statement_is_what_any_parser_makes_of_it(document: Statement, indent: int | None) -> None:
    raw = json.dumps(document, indent=indent).encode()
    assert parse(raw) == orjson.loads(raw)


def test_equal_bytes_are_one_object_whatever_else_a_statement_says() -> None:
    one, other = (parse(orjson.dumps(rich_statement(1) | {"id": f"00000000-0000-4000-8000-{number:012}"})) for number in (1, 2))
    assert one["id"] != other["id"]
    assert all(one[name] is other[name] for name in ("actor", "verb", "object"))
    assert one["context"]["contextActivities"] is other["context"]["contextActivities"]


def test_what_is_made_of_a_shared_part_is_made_once_and_of_any_other_object_each_time() -> None:
    made: list[Any] = []

    def read(part: dict[str, Any]) -> int | None:
        made.append(part)
        return None

    shared = parse(orjson.dumps(statement(object=activity("once"))))["object"]
    assert isinstance(shared, Part)
    assert [once(shared, read), once(shared, read)] == [None, None]
    assert len(made) == 1
    once(dict(shared), read)
    once(dict(shared), read)
    assert len(made) == 3


def test_long_parts_are_not_remembered_and_short_ones_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    long = orjson.dumps(statement(object=activity("long", definition={"name": {"en": "x" * 5000}})))
    assert parse(long)["object"] is not parse(long)["object"]
    monkeypatch.setattr(parts, "_REMEMBERED_BYTES", 1000)
    first, *more = (orjson.dumps(statement(object=activity(f"bound/{number}"))) for number in range(50))
    before = parse(first)["object"]
    for raw in more:
        parse(raw)
    assert parse(first)["object"] is not before
    assert parse(first)["object"] == before


def test_a_number_that_no_machine_word_holds_is_kept_exactly() -> None:
    raw = b'{"actor":{},"verb":{},"object":{},"context":{"extensions":{"https://example.org/n":123456789012345678901234567890}}}'
    assert parse(raw)["context"]["extensions"]["https://example.org/n"] == 123456789012345678901234567890
