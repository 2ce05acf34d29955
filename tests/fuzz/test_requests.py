"""Requests that nobody would send on purpose: mutated statements, texts, headers, query strings, paths and multipart bodies. None costs a 5xx or much CPU."""
import json
import os
import re
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import rich_statement
from tests.fuzz.hostile_json import HUGE, VALUES
from tests.fuzz.target import COMMON, Target

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
EXAMPLES = 15_000 if SOAK else 450
pytestmark = pytest.mark.timeout(3600 if SOAK else 120)
several = settings(max_examples=EXAMPLES, deadline=None, derandomize=not SOAK, database=None, suppress_health_check=list(HealthCheck))

SHARP = st.sampled_from([
    "", " ", "\0", "\ud800", "\ufeff", "\u202e", "%00", "../..", "'", '"', "\\", "{}", "[]", "null", "NaN", "-1", "0", "1e400", "9" * 41, "a" * 3000,
    "é" * 600, "a,b",
    "*", '"a"', 'W/"a"', "bytes=0-0", "bytes=0-1,2-3,4-", "gzip", "chunked", "identity", "2.0.0", "1.0.3", "0.95", "2.0.99999", "en;q=2", "en-" * 50,
    "mailto:a@b", "a:b",
    "2026-02-30T00:00:00Z", "9999-12-31T23:59:60-23:59", "0001-01-01T00:00:00+23:59", "-0001-01-01T00:00:00Z", "P9999999999999Y", "urn:uuid:0",
    "true", "True",
    "00000000-0000-0000-0000-000000000000", '{"mbox":"mailto:a@b"}', '{"account":{"homePage":"a:b","name":"\\u0000"}}', "respond-async",
    "wait=9999999999", "wait=-1",
])
TEXTS = st.one_of(SHARP, st.text(max_size=40))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)), max_leaves=12)
NAMES = st.sampled_from([
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Type", "Cookie", "Forwarded", "Idempotency-Key",
    "If-Match",
    "If-Modified-Since", "If-None-Match", "LRS-Min-Position", "Origin", "Prefer", "Range", "TE", "Upgrade", "X-Experience-API-Hash",
    "X-Experience-API-Version",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-HTTP-Method-Override",
])
HEADER_VALUES = st.one_of(SHARP, st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=60))
PARAMETERS = st.sampled_from([
    "statementId", "voidedStatementId", "agent", "verb", "activity", "registration", "related_activities", "related_agents", "since", "until",
    "limit", "ascending",
    "format", "attachments", "more", "activityId", "stateId", "profileId", "q", "after", "as_of", "known_at", "type", "method", "unknown", "",
])
PATHS = st.sampled_from([
    "/xapi/statements", "/xapi/agents", "/xapi/activities", "/xapi/activities/state", "/xapi/activities/profile", "/xapi/agents/profile", "/xapi/about",
    "/v1/learners", "/v1/learners/00000000-0000-4000-8000-000000000000", "/v1/learners/00000000-0000-4000-8000-000000000000/transcript",
    "/v1/learners/00000000-0000-4000-8000-000000000000/evidence", "/v1/courses", "/v1/identity/links", "/docs", "/metrics", "/healthz/ready",
])
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "PURGE"])
PIECES = st.sampled_from([
    b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b"\n", b"--", b"Content-Type: application/json", b"Content-Type: text/plain",
    b"Content-Transfer-Encoding: binary",
    b"Content-Transfer-Encoding: base64", b"X-Experience-API-Hash: " + b"a" * 64, b"X-Experience-API-Hash: \xff", b"Content-Length: 5", b": ",
    b"A: " + b"b" * 9000, b"{}", b"[]",
])

BOUNDARIES = st.sampled_from([
    "boundary=b", 'boundary="b"', "boundary=", "boundary=b; boundary=c", 'boundary="b', "boundary=" + "b" * 71, "charset=utf-8", "",
])
WIRE = st.sampled_from([
    b"GET ", b"POST ", b"/xapi/statements", b"/", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/9.9", b"\r\n", b"\r\n\r\n", b"\n", b"Host: a", b"Content-Length: 5",
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"5\r\nabcde\r\n", b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"Expect: 100-continue", b": ", b"\0", b"Authorization: " + COMMON["Authorization"].encode(),
])


def _headers(given: dict[str, str]) -> dict[str, str]:
    """Return headers as they can be written: latin-1, on one line."""
    return {name: re.sub(r"[\r\n\0]", " ", value.encode("latin-1", "replace").decode("latin-1")) for name, value in given.items()}


def _at_some_place(draw: st.DrawFn, node: Any, value: Any) -> Any:
    """Return a value with one of its parts replaced, removed or added."""
    if not isinstance(node, dict | list) or not node or draw(st.integers(0, 4)) == 0:
        return value
    if isinstance(node, list):
        place = draw(st.integers(0, len(node) - 1))
        return [*node[:place], _at_some_place(draw, node[place], value), *node[place + 1:]]
    key = draw(st.sampled_from([*node, draw(TEXTS)]))
    if draw(st.integers(0, 5)) == 0:
        return {name: each for name, each in node.items() if name != key}
    return {**node, key: _at_some_place(draw, node.get(key), value)}


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """Return a rich statement with up to three things wrong, or all right."""
    found: Any = rich_statement(id=None)
    for _ in range(draw(st.integers(1, 3))):
        found = _at_some_place(draw, found, draw(JSON))
    return found


@several
@given(st.lists(mutated(), min_size=1, max_size=3), st.booleans(), st.sampled_from(["1.0.3", "2.0.0"]))
def test_mutated_statements(target: Target, statements: list[Any], alone: bool, version: str) -> None:
    body = json.dumps(statements[0] if alone else statements).encode()
    assert target.send("POST", "/xapi/statements", body, {"X-Experience-API-Version": version}).status in (200, 400, 409, 413)


@several
@given(st.data(), st.integers(0, 1200), st.one_of(st.binary(max_size=6), st.sampled_from([*VALUES.values(), *HUGE.values()])), st.integers(0, 8))
def test_texts_that_are_nearly_a_statement(target: Target, data: st.DataObject, at: int, piece: bytes, cut: int) -> None:
    text = json.dumps(rich_statement(id=None)).encode()
    body = text[:at] + piece + text[at + cut:]
    method, path = data.draw(st.sampled_from([("POST", "/xapi/statements"), ("PUT", "/v1/courses"), ("POST", "/v1/identity/links")]))
    assert target.send(method, path, body).status in (200, 400, 409, 413)


@several
@given(PATHS, METHODS, st.dictionaries(NAMES, HEADER_VALUES, max_size=5))
def test_headers(target: Target, path: str, method: str, headers: dict[str, str]) -> None:
    target.send(method, path, b"{}" if method in ("PUT", "POST") else None, _headers(headers))


@several
@given(PATHS, st.sampled_from(["GET", "GET", "DELETE", "PUT", "POST"]),
       st.lists(st.tuples(PARAMETERS, st.one_of(TEXTS, JSON.map(json.dumps))), max_size=5), st.booleans())
def test_query_strings(target: Target, path: str, method: str, parameters: list[tuple[str, str]], raw: bool) -> None:
    def written(text: str) -> str:
        encoded = text.encode("utf-8", "surrogatepass")
        return quote_from_bytes(encoded, safe="!*'();:@&=+$,/?%[]" if raw else "")

    query = "&".join(f"{written(name)}={written(value)}" for name, value in parameters)
    target.send(method, f"{path}?{query}", b"{}" if method in ("PUT", "POST") else None)


@several
@given(METHODS, st.binary(max_size=60))
def test_paths(target: Target, method: str, path: bytes) -> None:
    target.send(method, "/" + quote_from_bytes(path, safe="/%?.;:@"), b"" if method in ("PUT", "POST") else None)


@several
@given(st.lists(st.one_of(PIECES, st.just(json.dumps(rich_statement(id=None)).encode()), st.binary(max_size=12)), max_size=24), BOUNDARIES, st.booleans())
def test_multipart_bodies(target: Target, pieces: list[bytes], parameter: str, well_begun: bool) -> None:
    body = (b"--b\r\nContent-Type: application/json\r\n\r\n" if well_begun else b"") + b"".join(pieces)
    assert target.send("POST", "/xapi/statements", body, {"Content-Type": f"multipart/mixed; {parameter}"}).status in (200, 400, 409, 413)


@several
@given(st.lists(st.one_of(WIRE, st.binary(max_size=8)), max_size=16))
def test_bytes_that_are_nearly_a_request(target: Target, pieces: list[bytes]) -> None:
    target.throw(b"".join(pieces))
    assert target.send("GET", "/xapi/about").status == 200
