"""Requests to the three document resources: their parameters, versions, keys and scopes, tools in browsers, and forms that stand for them."""
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.api.xapi import documents
from tests.integration.api_service import Tenant, served
from tests.integration.document_service import (
    AGENT_PROFILE,
    JSON,
    READS,
    STATE,
    WRITES,
    Resource,
    document_service,
    get,
    put,
    tag_of,
)

service = served(document_service, max_body_bytes=1 << 16)


@pytest.mark.parametrize("agent", [
    "", "true", "[]", "{}", "ada@example.org", '{"mbox"}', '{"mbox":"ada@example.org"}', '{"mbox":1}', '{"mbox":"mailto:a@x.org","openid":"https://x.org/a"}',
    '{"mbox":"mailto:a@x.org","mbox":"mailto:b@x.org"}', '{"account":{"homePage":"https://x.org"}}', '{"account":{"homePage":"https://x.org","name":"a\\u0000"}}',
    '{"objectType":"Group","mbox":"mailto:a@x.org"}', '{"objectType":"Activity","mbox":"mailto:a@x.org"}',
    "[" * 500, '{"mbox":"mailto:\\ud800@x.org"}', "{" * 5,
])
@pytest.mark.parametrize("resource", [STATE, AGENT_PROFILE], indirect=True)
async def test_an_agent_that_is_none_is_refused(tenant: Tenant, resource: Resource, agent: str) -> None:
    for method in ("GET", "PUT", "POST", "DELETE"):
        answer = await tenant.client.request(method, resource.path, params=resource.params(agent=agent))
        assert (answer.status_code, "`agent`" in answer.json()["detail"]) == (400, True), answer.text


async def test_parameters_that_are_missing_unknown_doubled_or_no_text_are_refused(tenant: Tenant, resource: Resource, version: str) -> None:
    good = httpx.QueryParams(resource.params())
    bad = [str(good.remove(name)) for name, _ in resource.context]
    bad += [f"{good}&{more}" for more in ("foo=bar", "StateId=x", "profileid=x", "limit=1", f"{resource.id}=two", "x=%FF", "%ff=x", "=")]
    bad += [str(good.set(resource.id, wrong)) for wrong in ("", "a\0b", "x" * 1025)]
    bad += [str(good.set("registration", wrong)) for wrong in ("", "x", "00000000000000000000000000000001")]
    bad += [str(good.set("activityId", wrong)) for wrong in ("", "algebra", "https://x.org/a b")] if "activityId" in good else []
    for query in bad:
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            answer = await tenant.client.request(method, f"{resource.path}?{query}", headers={"If-None-Match": "*"} if method == "PUT" else {})
            assert answer.status_code == 400, (method, query, answer.text)
            assert answer.headers["X-Experience-API-Version"] == version
    for method in ("PUT", "POST", *(() if resource is STATE else ("DELETE",))):
        answer = await tenant.client.request(method, resource.path, params=resource.params(None))
        assert (answer.status_code, resource.id in answer.json()["detail"]) == (400, True)
    for since in ("yesterday", "true", "", "2026-13-01T00:00:00Z"):
        await get(tenant, resource, None, 400, since=since)
    await get(tenant, resource, "one", 400, since="2026-01-01T00:00:00Z")
    for method in ("PUT", "POST", "DELETE"):
        assert (await tenant.client.request(method, resource.path, params=resource.params(since="2026-01-01T00:00:00Z"))).status_code == 400


async def test_the_version_header_is_demanded_and_answered(tenant: Tenant, resource: Resource) -> None:
    spoken = (("1.0", "1.0.3", False), ("1.0.1", "1.0.3", False), ("2.0", "2.0.0", False), ("0.8", "2.0.0", True), ("x", "2.0.0", True))
    for method in (*READS, *WRITES):
        for sent, answered, refused in spoken:
            answer = await tenant.client.request(method, resource.path, params=resource.params(), headers={"X-Experience-API-Version": sent, "If-Match": "*"})
            assert (answer.headers["X-Experience-API-Version"], answer.status_code == 400) == (answered, refused), (method, sent, answer.text)
        del tenant.client.headers["X-Experience-API-Version"]
        answer = await tenant.client.request(method, resource.path, params=resource.params())
        assert (answer.status_code, answer.headers["X-Experience-API-Version"]) == (400, "2.0.0")
        tenant.client.headers["X-Experience-API-Version"] = "2.0.0"


@pytest.mark.parametrize("scope", [
    "state", "profile", "all/read", "all", "lrs:admin", "statements/read", "statements/write", "define", "lrs:read", "lrs:manage",
])
async def test_a_key_may_do_what_its_scope_says_and_no_more(tenant: Tenant, resource: Resource, scope: str) -> None:
    await put(tenant, resource, b"{}")
    client = await tenant.with_scopes(scope)
    whole = scope in ("all", "lrs:admin", resource.scope)
    for method in (*READS, *WRITES):
        answer = await client.request(method, resource.path, params=resource.params(), headers={"If-Match": '"1234"'} if method in WRITES else {})
        allowed = whole or (scope == "all/read" and method in READS)
        assert answer.status_code == ((412 if method in WRITES else 200) if allowed else 403), (method, answer.text)
    assert (await get(tenant, resource)).content == b"{}"


async def test_no_key_is_401(tenant: Tenant, resource: Resource) -> None:
    stranger = tenant.service.web.client(None)
    for method in (*READS, *WRITES):
        answer = await stranger.request(method, resource.path, params=resource.params())
        assert (answer.status_code, answer.headers["X-Experience-API-Version"]) == (401, "2.0.0")


async def test_a_tenant_sees_and_touches_its_own_documents_only(tenant: Tenant, resource: Resource) -> None:
    other = await tenant.service.tenant()
    await put(tenant, resource, b"mine")
    await get(other, resource, status=404)
    assert (await get(other, resource, None)).json() == []
    await put(other, resource, b"theirs")
    assert (await other.client.delete(resource.path, params=resource.params())).status_code == 204
    assert (await get(tenant, resource)).content == b"mine"


async def test_browser_tools_can_read_the_tag_and_a_wrong_method_names_the_right_ones(tenant: Tenant, resource: Resource) -> None:
    await put(tenant, resource, b"x")
    answer = await tenant.client.get(resource.path, params=resource.params(), headers={"Origin": "https://tool.example.org"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"ETag", "Last-Modified"} <= {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    refused = await tenant.client.patch(resource.path)
    assert (refused.status_code, set(refused.headers["Allow"].split(", "))) == (405, {"GET", "HEAD", "PUT", "POST", "DELETE"})


async def test_a_form_stands_for_a_request_in_xapi_1_0_3_and_not_in_2_0(tenant: Tenant, resource: Resource) -> None:
    async def form(method: str, version: str = "1.0.3", **fields: str) -> httpx.Response:
        data: dict[str, Any] = {**resource.params(), "X-Experience-API-Version": version, **{name.replace("_", "-"): value for name, value in fields.items()}}
        return await tenant.client.post(resource.path, params={"method": method}, data=data)

    del tenant.client.headers["X-Experience-API-Version"]
    put_ = await form("PUT", content="päper", Content_Type="text/plain; charset=utf-8", If_None_Match="*")
    assert (put_.status_code, put_.headers["ETag"]) == (204, tag_of("päper".encode()))
    assert (await form("PUT", content="other", If_Match='"1234"')).status_code == 412
    assert (await form("PUT", content="x", Content_Type="text/plain\r\nX-Evil: 1", If_Match="*")).status_code == 400
    got = await form("GET")
    assert (got.status_code, got.text, got.headers["Content-Type"], got.headers["X-Experience-API-Version"]) == (
        200, "päper", "text/plain; charset=utf-8", "1.0.3")
    assert (await form("DELETE", If_Match='"1234"')).status_code == 412
    assert (await form("DELETE", If_Match=put_.headers["ETag"])).status_code == 204
    assert (await form("GET")).status_code == 404
    assert (await form("POST", content='{"a":1}')).status_code == 204
    assert (await form("POST", content='{"b":1}', Content_Type="application/json")).status_code == 204
    assert (await form("GET")).json() == {"a": 1, "b": 1}
    assert (await form("GET", "2.0.0")).status_code == 400
    assert (await form("PUT", "2.0.0", content="x", If_Match="*")).status_code == 400


async def test_a_parameter_whose_value_holds_method_is_no_form(tenant: Tenant, resource: Resource) -> None:
    query = f"{httpx.QueryParams(resource.params(None))}&{resource.id}=my-method=1"
    answer = await tenant.client.post(f"{resource.path}?{query}", content=b"{}", headers={"X-Experience-API-Version": "1.0.3", "Content-Type": JSON})
    assert answer.status_code == 204, answer.text
    assert (await get(tenant, resource, None)).json() == ["my-method=1"]


async def test_a_body_that_does_not_arrive_is_given_up_and_one_that_breaks_off_stores_nothing(
    tenant: Tenant, resource: Resource, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "_BODY_S", 0.1)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await tenant.client.post(resource.path, params=resource.params(), content=stalling(), headers={"Content-Type": JSON})
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (408, "rejected")

    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}]
    request = tenant.client.build_request("POST", resource.path, params=resource.params(), headers={"Content-Type": JSON})
    signed = next(tenant.client.auth.auth_flow(request)) if tenant.client.auth else request
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    scope = {
        "type": "http", "method": "POST", "path": resource.path, "raw_path": resource.path.encode(), "query_string": signed.url.query, "root_path": "",
        "scheme": "http", "http_version": "1.1", "server": ("x", 80), "client": ("127.0.0.1", 1), "headers": [(k.lower(), v) for k, v in signed.headers.raw],
    }
    await tenant.service.web.app(scope, receive, send)
    assert (answered[0]["status"], b"connection ended" in answered[1]["body"]) == (400, True)
    await get(tenant, resource, status=404)
