"""Rules of xAPI Communication that the conformance suite never looks at: keys, versions and the headers of every answer, on every resource."""
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api_service import STATEMENTS, THROUGH, Tenant, api_service, served
from tests.servers.in_process import statement

WRONG = ("", "Basic", "Basic:xyz", "Basic !!!", "Basic Og==", "Basic bm9ib2R5Ondyb25n", "Bearer x")
VERSION = "X-Experience-API-Version"
ADA = '{"mbox":"mailto:ada@example.org"}'
ALGEBRA = "https://courses.example.org/algebra"
CONTEXT = {
    "/xapi/activities/state": {"activityId": ALGEBRA, "agent": ADA}, "/xapi/activities/profile": {"activityId": ALGEBRA},
    "/xapi/agents/profile": {"agent": ADA},
}
REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    *((method, STATEMENTS, {}) for method in ("GET", "HEAD", "POST")), ("PUT", STATEMENTS, {"statementId": str(uuid4())}),
    *((method, "/xapi/agents", {"agent": ADA}) for method in ("GET", "HEAD")),
    *((method, "/xapi/activities", {"activityId": ALGEBRA}) for method in ("GET", "HEAD")),
    *((method, path, params | ({} if method in {"GET", "HEAD"} else {"stateId" if path.endswith("state") else "profileId": "x"}))
      for path, params in CONTEXT.items() for method in ("GET", "HEAD", "PUT", "POST", "DELETE")),
]
"""Every method of every resource that needs a key, as a request that would be answered 2xx."""


service = served(api_service, max_body_bytes=1 << 16)


async def ask(client: httpx.AsyncClient, request: tuple[str, str, dict[str, str]], **headers: str) -> httpx.Response:
    """Send a request that is good but for what its headers say."""
    method, path, params = request
    json: Any = None if method not in {"PUT", "POST"} else {} if path != STATEMENTS else {name: value for name, value in statement().items() if name != "id"}
    written = {"If-None-Match": "*"} if method == "PUT" and path != STATEMENTS else {}
    return await client.request(method, path, params=params, json=json, headers={**written, **headers})


def named(request: tuple[str, str, dict[str, str]]) -> str:
    return f"{request[0]} {request[1].removeprefix('/xapi/')}"


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
async def test_without_a_key_that_is_right_nothing_is_answered_or_done(tenant: Tenant, request_: tuple[str, str, dict[str, str]]) -> None:
    key = tenant.client.auth
    assert isinstance(key, httpx.BasicAuth)
    stranger = tenant.service.web.client(None)
    right = next(key.auth_flow(httpx.Request("GET", "http://lrs.example.org"))).headers["Authorization"]
    for wrong in (None, *WRONG, right[:-8] + "AAAAAAA=", right.replace("Basic", "Digest")):
        answer = await ask(stranger, request_, **({} if wrong is None else {"Authorization": wrong}))
        assert answer.status_code == 401, (wrong, answer.text)
        assert answer.headers[VERSION] == "2.0.0"
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert await tenant.ids() == []
    for path, params in CONTEXT.items():
        assert (await tenant.client.get(path, params=params)).json() == []
    assert (await ask(tenant.client, request_)).is_success, "the same request with the right key"


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
async def test_a_version_is_demanded_on_every_resource_and_named_in_every_answer(tenant: Tenant, request_: tuple[str, str, dict[str, str]]) -> None:
    for wrong in ("", "1", "2", "0.9", "0.95", "1.0.", "1.1.0", "2.1.0", "3.0.0", "2.0.0.0", "v2.0.0", "1.0.x", "1.0.3, 2.0.0", "BAD"):
        answer = await ask(tenant.client, request_, **{VERSION: wrong})
        assert (answer.status_code, answer.headers[VERSION]) == (400, "2.0.0"), wrong
    del tenant.client.headers[VERSION]
    answer = await ask(tenant.client, request_)
    assert (answer.status_code, answer.headers[VERSION]) == (400, "2.0.0")
    for right in ("1.0", "1.0.0", "1.0.3", "1.0.27", "2.0", "2.0.0", "2.0.1"):
        answered = "1.0.3" if right.startswith("1") else "2.0.0"
        answer = await ask(tenant.client, request_, **{VERSION: right})
        assert (answer.is_success or answer.status_code in {409, 412}, answer.headers[VERSION]) == (True, answered), (right, answer.text)


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_every_answer_about_statements_says_how_far_lists_reach(tenant: Tenant, version: str) -> None:
    client, stored = tenant.client, statement()
    client.headers[VERSION] = version
    reader, writer = await tenant.with_scopes("statements/read"), await tenant.with_scopes("statements/write", name="writer")
    large = {"content": b" " * (1 << 17), "headers": {"Content-Type": "application/json"}}
    asked = [
        (200, client, "POST", {"json": stored}), (200, client, "GET", {}), (200, client, "HEAD", {}),
        (204, client, "PUT", {"params": {"statementId": (i := str(uuid4()))}, "json": statement(id=i)}),
        (400, client, "GET", {"params": {"foo": "bar"}}), (400, client, "POST", {"json": {}}), (400, client, "PUT", {"json": statement()}),
        (400, client, "POST", {"content": b"x", "headers": {"Content-Type": "text/plain"}}), (400, client, "PUT", {"params": {"method": "POST"}}),
        (401, tenant.service.web.client(None), "GET", {}), (401, tenant.service.web.client(("a", "b")), "POST", {"json": statement()}),
        (403, reader, "POST", {"json": statement()}), (403, writer, "GET", {}), (404, client, "GET", {"params": {"statementId": str(uuid4())}}),
        (405, client, "DELETE", {}), (405, client, "PATCH", {}), (413, client, "POST", large),
        (409, client, "POST", {"json": {**stored, "verb": {"id": "urn:x-other"}}}),
    ]
    for status, by, method, request in asked:
        answer = await by.request(method, STATEMENTS, **request)  # type: ignore[arg-type]
        assert answer.status_code == status, (method, request, answer.text)
        assert answer.headers[THROUGH].endswith("Z"), (status, method)
        assert answer.headers[VERSION] == (version if by is client else "2.0.0"), (status, method)


async def test_about_is_for_everybody_whatever_the_request_says_of_itself(tenant: Tenant) -> None:
    stranger = tenant.service.web.client(None, version=None)
    for headers in ({}, {"Authorization": "Basic bm9ib2R5Ondyb25n"}, {"Authorization": "Basic:xyz"}, {VERSION: "0.8"}, {VERSION: "1.0.3"}):
        answer = await stranger.get("/xapi/about", headers=headers)
        assert (answer.status_code, {"1.0.3", "2.0.0"} <= set(answer.json()["version"])) == (200, True)
        assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_refused_head_has_the_status_and_headers_of_the_get_and_no_body(tenant: Tenant) -> None:
    asked = [(STATEMENTS, {"statementId": str(uuid4())}, 404), (STATEMENTS, {"foo": "bar"}, 400)]
    asked += [("/xapi/agents", {"agent": "{"}, 400), ("/xapi/activities", {}, 400)]
    asked += [(path, {**params, "stateId" if path.endswith("state") else "profileId": "none"}, 404) for path, params in CONTEXT.items()]
    for path, params, status in asked:
        got, head = await tenant.client.get(path, params=params), await tenant.client.head(path, params=params)
        assert (got.status_code, head.status_code, head.content) == (status, status, b""), path
        assert {name: head.headers[name] for name in ("Content-Type", VERSION)} == {name: got.headers[name] for name in ("Content-Type", VERSION)}


@pytest.mark.parametrize("wrong", [None, "", "algebra", "should fail", "ab=c://should.fail.com", "//example.org"])
async def test_an_activity_is_asked_for_by_an_iri(tenant: Tenant, wrong: str | None) -> None:
    for path, params in (("/xapi/activities", {}), ("/xapi/activities/state", {"agent": ADA}), ("/xapi/activities/profile", {})):
        answer = await tenant.client.get(path, params={**params, **({} if wrong is None else {"activityId": wrong})})
        assert answer.status_code == 400, path
        assert "activityId" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_what_is_only_read_cannot_be_written(tenant: Tenant, method: str) -> None:
    for path, params in (("/xapi/agents", {"agent": ADA}), ("/xapi/activities", {"activityId": ALGEBRA}), ("/xapi/about", {})):
        answer = await tenant.client.request(method, path, params=params, json={})
        assert (answer.status_code, "GET" in answer.headers["Allow"]) == (405, True), path


async def test_text_beyond_ascii_is_utf_8_in_and_out_whatever_the_request_calls_it(tenant: Tenant) -> None:
    text = "Zoë 代数 \U0001f393"
    for content_type in ("application/json", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'):
        sent = statement(result={"response": text})
        body = httpx.Request("POST", "http://x", json=sent).content
        answer = await tenant.client.post(STATEMENTS, content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200, answer.text
        found = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"]})
        assert text.encode() in found.content
        assert found.headers["Content-Type"] == "application/json"
