"""Documents against a naive model: any sequence of requests gets the answers, and leaves the documents, that a dictionary says."""
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.document import Document, Limits, posted
from services.web import create_app
from tests.integration.document_service import RESOURCES, STATE, Resource
from tests.servers.in_process import settings_for, web_process
from tests.servers.postgres import run_now

Key = tuple[str, ...]
Found = tuple[bytes, str]
JSON = "application/json"
ADA, ADA_AGAIN, BO = '{"mbox":"mailto:ada@x.org"}', '{"name":"Ada", "mbox":"mailto:ada@X.ORG"}', '{"openid":"https://bo.x.org"}'
REGISTRATION = "0a0e7a6e-5b1c-4f0c-9c39-9f3f3c1d2e4b"
BODIES = (b"{}", b'{"a":1}', b'{"a":2,"b":{"c":1}}', b' {"b":1.50} ', b"[1]", b"{", b"", b"\xff", b'{"a":1,"a":2}')
values = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab\\"é😀', max_size=3), lambda inner: st.lists(inner, max_size=2), max_leaves=4)
objects = st.dictionaries(st.text('ab"\\é', max_size=2), values, max_size=4)


@dataclass(frozen=True)
class Step:
    """One request; conditions name what is there now (`right`), something else, or anything (`*`)."""

    method: str
    resource: Resource
    activity: str
    agent: str
    registration: str | None
    name: str | None
    content: bytes
    content_type: str
    version: str
    match: str | None
    none_match: str | None


steps = st.builds(
    Step, st.sampled_from(["GET", "PUT", "POST", "POST", "DELETE"]), st.sampled_from([*RESOURCES, STATE]), st.sampled_from(["urn:a:1", "urn:a:2"]),
    st.sampled_from([ADA, ADA_AGAIN, BO]), st.sampled_from([None, REGISTRATION]), st.sampled_from(["x", "x", "x", "y", None]), st.sampled_from(BODIES),
    st.sampled_from([JSON, JSON, "text/plain"]), st.sampled_from(["1.0.3", "2.0.0"]), st.sampled_from([None, None, None, "right", "wrong", "*"]),
    st.sampled_from([None, None, None, "*", "right", "wrong"]))


@dataclass
class Model:
    """Documents by (resource, activity, agent, registration, id), and what each request does to them."""

    found: dict[Key, Found] = field(default_factory=dict)

    def play(self, step: Step) -> tuple[int, bytes | None]:
        """Return the status and, of a GET, the body that a request gets."""
        name = step.name
        if name is None:
            return self._all(step)
        key = (*context_of(step), step.registration or "" if step.resource is STATE else "", name)
        there = self.found.get(key)
        if step.method == "GET":
            if there is None:
                return 404, None
            if step.match == "wrong":
                return 412, None
            return (304, b"") if step.none_match in ("*", "right") else (200, there[0])
        if (step.match is not None and (there is None or step.match == "wrong")) or (there is not None and step.none_match in ("*", "right")):
            return 412, None
        return self._write(step, key, there), None

    def _write(self, step: Step, key: Key, there: Found | None) -> int:
        sent = step.content, step.content_type
        if step.method == "DELETE":
            self.found.pop(key, None)
            return 204
        if step.method == "PUT" and step.match is None and step.none_match is None:
            if there is not None and not (step.version == "1.0.3" and step.resource is STATE):
                return 409
            if there is None and step.version == "1.0.3" and step.resource is not STATE:
                return 400
        if step.method == "POST":
            merged = sent if there is None and step.content_type != JSON else _merged(there, sent)
            if merged is None:
                return 400
            sent = merged
        self.found[key] = sent
        return 204

    def _all(self, step: Step) -> tuple[int, bytes | None]:
        context = context_of(step)
        keys = [
            key for key in self.found
            if key[:-2] == context and (step.resource is not STATE or step.registration is None or key[-2] == step.registration)
        ]
        if step.method == "GET":
            body = json.dumps(sorted({key[-1] for key in keys}), separators=(",", ":")).encode()
            if step.match == "wrong":
                return 412, None
            return (304, b"") if step.none_match in ("*", "right") else (200, body)
        if step.method != "DELETE" or step.resource is not STATE or step.match or step.none_match:
            return 400, None
        for key in keys:
            del self.found[key]
        return 204, None


def context_of(step: Step) -> Key:
    names = dict(step.resource.context)
    agent = ADA if step.agent == ADA_AGAIN else step.agent
    return step.resource.path, step.activity if "activityId" in names else "", agent if "agent" in names else ""


def _object(text: bytes) -> Any:
    """Return what JSON says; None for what is not, or says a key twice."""
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except ValueError:
        return None


def _merged(there: Found | None, sent: Found) -> Found | None:
    """Return the merge as (JSON with its keys in order, type), or None if there is none."""
    new = _object(sent[0])
    if there is None:
        return None if new is None else sent
    old = _object(there[0])
    if there[1] != JSON or sent[1] != JSON or not isinstance(old, dict) or not isinstance(new, dict):
        return None
    return json.dumps({**old, **new}).encode(), JSON


def same(got: bytes, wanted: bytes) -> bool:
    """Return whether two contents are the same bytes, or the same JSON objects."""
    return got == wanted or (isinstance(found := _object(wanted), dict) and _object(got) == found)


async def _ask(client: httpx.AsyncClient, step: Step) -> httpx.Response:
    known = {"activityId": step.activity, "agent": step.agent}
    params = {name: known[name] for name, _ in step.resource.context}
    if step.resource is STATE and step.registration:
        params["registration"] = step.registration
    if step.name is not None:
        params[step.resource.id] = step.name
    version = {"X-Experience-API-Version": step.version}
    now = await client.get(step.resource.path, params=params, headers=version)
    right = now.headers.get("ETag", f'"{hashlib.sha1(b"nothing").hexdigest()}"')
    tags = {"right": right, "wrong": '"1234"', "*": "*"}
    headers = {**version, **{name: tags[tag] for name, tag in (("If-Match", step.match), ("If-None-Match", step.none_match)) if tag is not None}}
    if step.method in ("PUT", "POST"):
        typed = {**headers, "Content-Type": step.content_type}
        return await client.request(step.method, step.resource.path, params=params, content=step.content, headers=typed)
    return await client.request(step.method, step.resource.path, params=params, headers=headers)


async def _play(database: str, folder: Path, played: list[Step]) -> None:
    model = Model()
    async with web_process(settings_for(folder), database) as web:
        web.app = create_app(web.state)
        client = web.client(await web.key(tenant=f"tenant-{uuid4()}"))
        for step in played:
            status, body = model.play(step)
            answer = await _ask(client, step)
            assert answer.status_code == status, (step, answer.text)
            if body is not None:
                assert same(answer.content, body), (step, answer.content, body)
        for step in played:  # what was never asked for is as the model says, too
            asked = Step(**{**vars(step), "method": "GET", "match": None, "none_match": None})
            status, body = model.play(asked)
            answer = await _ask(client, asked)
            assert answer.status_code == status, (asked, answer.text)
            assert body is None or same(answer.content, body), (asked, answer.content, body)


@pytest.mark.timeout(240)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=st.lists(steps, min_size=5, max_size=25))
def test_any_requests_get_what_a_dictionary_says(database: str, tmp_path: Path, played: list[Step]) -> None:
    run_now(lambda: _play(database, tmp_path, played))


def _as_sent(members: Mapping[str, Any], *, blanks: bool) -> bytes:
    return json.dumps(members, indent=1 if blanks else None, ensure_ascii=blanks).encode()


@given(there=objects, sent=objects, blanks=st.booleans())
def test_a_merge_is_the_union_in_which_what_was_sent_wins(there: dict[str, Any], sent: dict[str, Any], *, blanks: bool) -> None:
    limits = Limits(size=1 << 20, depth=64)
    merged = posted(Document(_as_sent(there, blanks=blanks), JSON), Document(_as_sent(sent, blanks=not blanks), JSON), limits)
    assert json.loads(merged.content) == {**there, **sent}
    assert posted(merged, Document(_as_sent(sent, blanks=blanks), JSON), limits).content_type == JSON
    assert json.loads(posted(merged, Document(_as_sent(sent, blanks=blanks), JSON), limits).content) == json.loads(merged.content)
