"""Behind the gateway of deploy/nginx.conf everything answers as the one port of `testamur up` does, whichever nodes are alive."""
import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from tests.servers.in_process import statement, until
from tests.servers.nodes import Nodes
from tests.servers.system import KEY, SECRET, System

STATEMENTS = "/xapi/statements"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORIGIN = {"Origin": "https://tool.example.org"}
everywhere = pytest.mark.parametrize("system", ["nodes", *(["postgres"] if os.environ.get("TESTAMUR_SOAK") else [])], indirect=True, scope="session")
pytestmark = pytest.mark.kafka


def client_of(system: System) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=system.url, auth=(KEY, SECRET), headers={"X-Experience-API-Version": "1.0.3"}, timeout=30, trust_env=False)


@pytest.fixture
async def client(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(system) as opened:
        yield opened


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    return body


@everywhere
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_form_that_stands_for_a_write_is_written_and_one_for_a_read_is_read(client: httpx.AsyncClient, method: str) -> None:
    sent = statement()
    id_ = {"statementId": sent["id"]}
    written = await client.post(
        f"{STATEMENTS}?method={method}", headers=FORM, content=urlencode({**(id_ if method == "PUT" else {}), "content": json.dumps(sent)}))
    read = await client.post(f"{STATEMENTS}?method=GET", headers=FORM, content=urlencode(id_))
    lower = await client.post(f"{STATEMENTS}?method=get", headers=FORM, content=urlencode(id_))

    assert written.status_code == (204 if method == "PUT" else 200), written.text
    assert (read.status_code, read.json()["id"], lower.status_code) == (200, sent["id"], 200)


@everywhere
async def test_a_document_written_by_a_form_is_there(client: httpx.AsyncClient) -> None:
    where = {"activityId": "https://example.org/a", "agent": json.dumps({"mbox": "mailto:a@example.org"}), "stateId": str(uuid4())}
    written = await client.post("/xapi/activities/state?method=PUT", headers=FORM, content=urlencode({**where, "content": '{"a":1}'}))

    read = await client.get("/xapi/activities/state", params=where)

    assert (written.status_code, read.json()) == (204, {"a": 1})


@everywhere
async def test_xapi_2_has_no_forms(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{STATEMENTS}?method=GET", headers={**FORM, "X-Experience-API-Version": "2.0.0"}, content="limit=1")

    assert_problem(answer, 400)


@everywhere
async def test_what_is_sent_on_from_the_quarantine_is_a_write_and_the_rest_of_it_is_not(client: httpx.AsyncClient) -> None:
    place = f"/v1/quarantine/{uuid4()}"

    sent_on, shown = await client.post(f"{place}/redrive", json=statement()), await client.get(place)

    assert assert_problem(sent_on, 404)["detail"] == assert_problem(shown, 404)["detail"] == "Nothing with this id is in quarantine."


@everywhere
@pytest.mark.parametrize("path", [STATEMENTS, "/xapi/activities/state", "/xapi//statements"])
async def test_a_browser_tool_may_ask_first_and_reads_every_answer(system: System, client: httpx.AsyncClient, path: str) -> None:
    async with httpx.AsyncClient(base_url=system.url, trust_env=False) as stranger:
        preflight = await stranger.options(path, headers={**ORIGIN, "Access-Control-Request-Method": "PUT"})
    answers = [await client.request(method, path, headers=ORIGIN, content=b"{") for method in ("GET", "POST", "PUT", "DELETE")]

    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert [answer.headers.get("access-control-allow-origin") for answer in answers] == ["*"] * 4
    assert all(answer.status_code < 500 for answer in answers)


@everywhere
async def test_head_is_get_without_its_body(client: httpx.AsyncClient) -> None:
    await client.post(STATEMENTS, json=statement())

    head, whole = await client.head(f"{STATEMENTS}?limit=1"), await client.get(f"{STATEMENTS}?limit=1")

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole.content)))
    assert head.headers["x-experience-api-consistent-through"] <= whole.headers["x-experience-api-consistent-through"]


@everywhere
async def test_bodies_are_as_large_as_the_nodes_allow_and_the_nodes_explain_what_is_too_large(client: httpx.AsyncClient) -> None:
    large = [statement(result={"response": "x" * 234_000}) for _ in range(24)]

    taken = await client.post(STATEMENTS, json=large)
    refused = await client.post(STATEMENTS, json=[*large, *large[:12]])  # a little above it, so that the answer does not meet a closed door

    assert taken.status_code == 200, taken.text
    assert "bytes" in assert_problem(refused, 413)["detail"]
    assert refused.headers["lrs-outcome"] == "rejected"


@everywhere
async def test_an_address_may_be_as_long_as_the_nodes_allow(client: httpx.AsyncClient) -> None:
    agent = json.dumps({"account": {"homePage": "https://example.org/" + "x" * 4_000, "name": "y" * 1000}})

    answer = await client.get(STATEMENTS, params={"agent": agent})

    assert (answer.status_code, answer.json()["statements"]) == (200, [])


@everywhere
async def test_a_body_that_comes_in_pieces_without_a_length_is_taken(client: httpx.AsyncClient) -> None:
    sent = json.dumps(statement()).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 50):
            yield sent[start:start + 50]

    answer = await client.post(STATEMENTS, content=pieces(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 200, answer.text


async def test_under_a_path_writes_and_the_pages_of_a_list_are_found(nodes: Nodes) -> None:
    async with client_of(nodes) as client:
        written = await client.post(f"/under/a/path{STATEMENTS}", json=[statement() for _ in range(3)])
        page = (await client.get(f"/under/a/path{STATEMENTS}?limit=2")).json()
        rest = await client.get(page["more"])

    assert written.status_code == 200, written.text
    assert page["more"].startswith("/under/a/path/xapi/statements?")
    assert rest.status_code == 200


async def test_nobody_passes_for_this_machine_by_what_a_header_says(nodes: Nodes) -> None:
    async with httpx.AsyncClient(base_url=nodes.url, trust_env=False) as stranger:
        for header in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}):
            assert_problem(await stranger.get("/metrics", headers=header), 401)
        prefixed = await stranger.get("/healthz/ready", headers={"X-Forwarded-Prefix": "/evil"})
    assert prefixed.status_code == 200


@pytest.mark.timeout(180)
async def test_while_one_node_of_each_kind_is_dead_nothing_fails_and_without_ingest_writes_are_refused_with_a_sentence(nodes: Nodes) -> None:
    try:
        for name in ("ingest0", "api0", "projector0"):
            nodes.kill(name)
        async with client_of(nodes) as client:
            sent = [statement() for _ in range(12)]
            posted = [await client.post(STATEMENTS, json=one) for one in sent]
            read = [await client.get(STATEMENTS, params={"statementId": one["id"]}, headers={"LRS-Min-Position": answer.headers["lrs-position"],
                    "Prefer": "wait=10"}) for one, answer in zip(sent, posted, strict=True)]
            nodes.kill("ingest1")
            nobody = await client.post(STATEMENTS, json=statement())
        async with client_of(nodes) as client:  # of its own: a gateway that answers before it has read a body may close the connection
            still = await client.get(STATEMENTS, params={"limit": 1})
    finally:
        for name, port in nodes.ports.items():
            if name != "api1":
                nodes.start_node(name, *nodes.argv(name[:-1], "--port", str(port)))
        nodes.start_node("projector0", *nodes.argv("projector"))
    assert [answer.status_code for answer in posted] == [200] * 12
    assert [answer.status_code for answer in read] == [200] * 12
    assert_problem(nobody, 503)
    assert (nobody.headers["lrs-outcome"], nobody.headers["retry-after"], still.status_code) == ("unknown", "1", 200)
    async with client_of(nodes) as client:
        async def written() -> bool:
            return (await client.post(STATEMENTS, json=statement())).status_code == 200
        await until(written, 60)
    await asyncio.to_thread(nodes.wait_ready, 60)
