"""What all HTTP answers share: version negotiation, query strings, preferences, problem JSON, bounded bodies."""
import asyncio
from typing import Any

import orjson
import pytest

from services.core.errors import BadRequest, LrsError, Overloaded, TooLarge, Unauthenticated
from services.runtime.http import (
    Disconnected,
    TooSlow,
    answered_version,
    parse_query,
    prefers_async,
    problem,
    problem_headers,
    read_body,
    wait_s,
    xapi_version,
)


@pytest.mark.parametrize(("header", "version"), [
    ("1.0", "1.0.3"), ("1.0.0", "1.0.3"), ("1.0.3", "1.0.3"), ("1.0.9", "1.0.3"), ("2.0", "2.0.0"), ("2.0.0", "2.0.0"),
])
def test_any_patch_of_a_version_is_answered_by_our_latest(header: str, version: str) -> None:
    assert xapi_version(header) == version


@pytest.mark.parametrize("header", [None, "", "BAD", "0.95", "1.1.0", "3.0", "1.0.x", "1.0.3, 2.0.0", "2.0.0.0", "1" * 9999])
def test_a_missing_or_unknown_version_is_a_bad_request(header: str | None) -> None:
    with pytest.raises(BadRequest):
        xapi_version(header)


def test_an_answer_names_the_version_asked_for_else_the_one_last_spoken_else_the_latest() -> None:
    assert answered_version("1.0.1", "2.0.0") == "1.0.3"
    assert answered_version("BAD", "1.0.3") == "1.0.3"
    assert answered_version(None) == "2.0.0"


def test_query_parameters_are_decoded_and_each_may_come_once() -> None:
    assert parse_query(b"agent=%7B%22a%22%3A1%7D&since=2020-01-01T00%3A00Z&x=a+b&y=") == {"agent": '{"a":1}', "since": "2020-01-01T00:00Z", "x": "a b", "y": ""}
    for query in (b"a=1&a=2", b"a=%ff", b"a=" + b"x" * 9000):
        with pytest.raises(BadRequest):
            parse_query(query)


def test_an_unknown_or_differently_spelt_parameter_is_refused() -> None:
    assert parse_query(b"limit=1", ("limit",)) == {"limit": "1"}
    for query in (b"LIMIT=1", b"foo=bar", b"statementId=1"):
        with pytest.raises(BadRequest):
            parse_query(query, ("limit",))


@pytest.mark.parametrize(("prefer", "seconds"), [
    (None, 2.0), ("wait=5", 5.0), ("respond-async, wait=1", 1.0), ("wait=99", 10.0), ("wait=soon", 2.0), ("wait=0", 0.0),
])
def test_a_preferred_wait_is_at_most_ten_seconds(prefer: str | None, seconds: float) -> None:
    assert wait_s(prefer) == seconds


def test_respond_async_is_found_among_other_preferences() -> None:
    assert prefers_async("wait=1, Respond-Async")
    assert not prefers_async("wait=1")
    assert not prefers_async(None)


def test_a_problem_has_a_stable_type_a_sentence_and_a_pointer() -> None:
    body = orjson.loads(problem(BadRequest("No.", pointer="/3/actor/mbox", faults=[1])))
    assert body == {
        "type": "https://w3id.org/testamur/problems/bad-request", "title": "Bad request", "status": 400, "detail": "No.", "pointer": "/3/actor/mbox",
        "faults": [1],
    }
    assert "pointer" not in orjson.loads(problem(LrsError()))


def test_push_back_says_when_to_come_again_and_401_how_to_authenticate() -> None:
    assert problem_headers(Overloaded())["Retry-After"] == "1"
    assert problem_headers(Unauthenticated())["WWW-Authenticate"].startswith("Basic")


class _Client:
    """The messages of a client, and how many of them were read."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages, self.read = messages, 0

    async def __call__(self) -> dict[str, Any]:
        if self.read == len(self.messages):
            await asyncio.Event().wait()
        self.read += 1
        return self.messages[self.read - 1]


def _part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_put_together_from_its_parts() -> None:
    assert await read_body(_Client(_part(b"ab"), _part(b""), _part(b"c", more=False)), None, limit=3, deadline_s=1) == b"abc"
    assert await read_body(_Client(_part(b"abc", more=False)), b"3", limit=3, deadline_s=1) == b"abc"


async def test_a_body_too_large_is_refused_without_reading_all_of_it() -> None:
    declared, streamed = _Client(_part(b"x" * 9)), _Client(*(_part(b"x" * 4) for _ in range(9)))
    for client, length in ((declared, b"9"), (streamed, None), (_Client(_part(b"x" * 9, more=False)), None), (declared, b"9" * 5000)):
        with pytest.raises(TooLarge):
            await read_body(client, length, limit=8, deadline_s=1)
    assert declared.read == 0
    assert streamed.read == 3


async def test_a_body_that_does_not_arrive_in_time_is_given_up() -> None:
    with pytest.raises(TooSlow):
        await read_body(_Client(_part(b"x")), None, limit=8, deadline_s=0.01)


async def test_a_client_that_leaves_is_not_taken_for_one_that_sent_all() -> None:
    with pytest.raises(Disconnected):
        await read_body(_Client(_part(b"x"), {"type": "http.disconnect"}), None, limit=8, deadline_s=1)


async def test_a_content_length_that_is_no_number_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        await read_body(_Client(), b"-1", limit=8, deadline_s=1)
