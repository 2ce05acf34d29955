"""The corpus of hostile JSON, wherever JSON is read: refused with 400 and a problem, cheaply, and nothing of it stays in memory."""
from collections.abc import Callable
from urllib.parse import quote
from uuid import UUID

import pytest

from tests.fuzz.hostile_json import BODIES, HUGE, VALUES
from tests.fuzz.target import Target

STATEMENT = (b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"https://example.org/v"},"object":{"id":"https://example.org/a"},'
             b'"result":{"extensions":{"https://example.org/e":%b}}}')
AGENT = '{"mbox":"mailto:a@example.org"}'
STATE = f"/xapi/activities/state?activityId=https://example.org/a&agent={quote(AGENT)}&stateId=hostile"
BOUNDARY = "multipart/mixed; boundary=b"
Place = Callable[[bytes], tuple[str, str, bytes, dict[str, str]]]
ROUNDS = 3
MOST_GROWTH = 24 << 20

PLACES: dict[str, Place] = {
    "a statement": lambda value: ("POST", "/xapi/statements", STATEMENT % value, {}),
    "the last of several statements": lambda value: ("POST", "/xapi/statements", b"[%b,%b]" % (STATEMENT % b"1", STATEMENT % value), {}),
    "a statement that is put": lambda value: ("PUT", f"/xapi/statements?statementId={UUID(int=7)}", STATEMENT % value, {}),
    "statements with attachments": lambda value: (
        "POST", "/xapi/statements", b"--b\r\nContent-Type: application/json\r\n\r\n" + STATEMENT % value + b"\r\n--b--", {"Content-Type": BOUNDARY}),
    "a document": lambda value: ("POST", STATE, b'{"a":%b}' % value, {}),
    "a course": lambda value: ("PUT", "/v1/courses", b'{"courses":[{"id":"https://example.org/a","x":%b}]}' % value, {}),
    "a link": lambda value: ("POST", "/v1/identity/links", b'{"agents":[{"mbox":"mailto:a@example.org"},{"mbox":"mailto:b@example.org"}],"x":%b}' % value, {}),
}
WHOLE = ("a statement", "a statement that is put", "statements with attachments", "a course", "a link")
FEW_VALUES = ("a document", "a course", "a link")
QUERIES = ("/xapi/statements?agent=", "/xapi/agents?agent=", "/v1/learners?agent=", "/xapi/agents/profile?agent=")


@pytest.mark.parametrize("place", PLACES)
def test_hostile_values_are_refused(target: Target, place: str) -> None:
    for name, value in VALUES.items():
        method, path, body, headers = PLACES[place](value)
        status = target.send(method, path, body, headers).problem["status"]
        assert status == 400 or (status == 413 and place in FEW_VALUES and "bomb" in name), name


@pytest.mark.parametrize("place", PLACES)
def test_values_that_hold_too_much_are_refused_or_taken_cheaply(target: Target, place: str) -> None:
    for name, value in HUGE.items():
        method, path, body, headers = PLACES[place](value)
        answer = target.send(method, path, body, headers)
        assert answer.status in ((400, 413) if "statement" in place else (200, 201, 204, 400, 413)), name


@pytest.mark.parametrize("place", WHOLE)
def test_bodies_that_are_nothing_of_ours_are_refused(target: Target, place: str) -> None:
    for name, body in BODIES.items():
        method, path, _, headers = PLACES[place](b"1")
        sent = b"--b\r\nContent-Type: application/json\r\n\r\n" + body + b"\r\n--b--" if headers else body
        status = target.send(method, path, sent, headers).problem["status"]
        assert status == 400 or (status == 413 and "million" in name), name


@pytest.mark.parametrize("query", QUERIES)
def test_hostile_agents_in_a_query_are_refused(target: Target, query: str) -> None:
    for name, value in VALUES.items():
        text = quote(b'{"mbox":"mailto:a@example.org","name":%b}' % value, safe="")
        assert target.send("GET", query + text[:20_000]).problem["status"] == 400, name


def test_a_head_beyond_all_bounds_is_refused(target: Target) -> None:
    answer = target.send("GET", "/xapi/statements?agent=" + "a" * 100_000)
    assert answer.status in (400, 431)
    assert target.send("GET", "/xapi/about").status == 200


def test_the_memory_stays_what_it_was(target: Target) -> None:
    def all_of_it() -> None:
        for place in PLACES.values():
            for value in (VALUES | HUGE).values():
                method, path, body, headers = place(value)
                target.send(method, path, body, headers)

    all_of_it()
    before = target.memory()
    for _ in range(ROUNDS):
        all_of_it()
    assert target.memory() - before < MOST_GROWTH
