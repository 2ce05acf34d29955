"""If-Match, If-None-Match and ETags of documents (xAPI Communication 3.1, RFC 9110 section 13), in both versions of xAPI."""

import httpx
import pytest

from tests.integration.api_service import Tenant, served
from tests.integration.document_service import (
    STATE,
    Resource,
    document_service,
    get,
    put,
    tag_of,
)

service = served(document_service, max_body_bytes=1 << 16)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_a_write_happens_only_if_if_match_names_what_is_there(tenant: Tenant, resource: Resource, version: str, method: str) -> None:
    old, new = b'{"a":1}', b'{"a":2}'

    async def write(match: str) -> httpx.Response:
        sent = {"content": new} if method != "DELETE" else {}
        return await tenant.client.request(
            method, resource.path, params=resource.params(), headers={"If-Match": match, "Content-Type": "application/json"}, **sent)  # type: ignore[arg-type]

    assert (await write("*")).status_code == 412
    assert (await write(tag_of(old))).status_code == 412
    await put(tenant, resource, old, content_type="application/json")
    for wrong in ('"1234"', '"1111111111111111111111111111111111111111"', f"W/{tag_of(old)}", f'"1234", {tag_of(new)}'):
        refused = await write(wrong)
        assert (refused.status_code, refused.headers["LRS-Outcome"]) == (412, "rejected")
        assert refused.headers["X-Experience-API-Version"] == version
        assert refused.json()["detail"]
        assert (await get(tenant, resource)).content == old
    assert (await write(f'"1234" ,, {tag_of(old)}')).status_code == 204
    if method == "DELETE":
        await get(tenant, resource, status=404)
    else:
        assert (await get(tenant, resource)).content == new
        assert (await write(tag_of(new).strip('"'))).status_code == 204, "a bare SHA-1 is what a widely used client sends"
        assert (await write("*")).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_write_happens_only_if_if_none_match_names_nothing_that_is_there(tenant: Tenant, resource: Resource, version: str, method: str) -> None:
    async def write(none_match: str, content: bytes = b'{"a":1}') -> int:
        headers = {"If-None-Match": none_match, "Content-Type": "application/json"}
        return (await tenant.client.request(method, resource.path, params=resource.params(), content=content, headers=headers)).status_code

    assert await write("*") == 204
    assert await write("*", b'{"a":2}') == 412
    assert await write(tag_of(b'{"a":1}'), b'{"a":2}') == 412
    assert await write("W/" + tag_of(b'{"a":1}'), b'{"a":2}') == 412
    assert (await get(tenant, resource)).content == b'{"a":1}'
    assert await write('"1234"', b'{"a":2}') == 204
    assert (await get(tenant, resource)).content == b'{"a":2}'


@pytest.mark.parametrize("header", ["", ",", '"', '*, *, "a"', 'a"b"', 'W/"a', '"a" "b"', 'W/ "a"'])
async def test_a_precondition_that_cannot_be_read_is_refused(tenant: Tenant, resource: Resource, header: str) -> None:
    for name in ("If-Match", "If-None-Match"):
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = await tenant.client.request(method, resource.path, params=resource.params(), headers={name: header})
            assert (answer.status_code, name in answer.json()["detail"]) == (400, True), answer.text


async def test_a_get_is_answered_304_to_who_has_the_document_and_412_to_who_wants_another(tenant: Tenant, resource: Resource, version: str) -> None:
    await put(tenant, resource, b"content")
    for name in ("one", None):
        tag = (await get(tenant, resource, name)).headers["ETag"]
        for header, status in ((tag, 304), (f"W/{tag}", 304), ("*", 304), ('"1234"', 200)):
            answer = await tenant.client.get(resource.path, params=resource.params(name), headers={"If-None-Match": header})
            assert (answer.status_code, answer.headers["ETag"]) == (status, tag)
            assert answer.headers["X-Experience-API-Version"] == version
            assert bool(answer.content) == (status == 200)
        for header, status in ((tag, 200), ('"1234"', 412)):
            assert (await tenant.client.get(resource.path, params=resource.params(name), headers={"If-Match": header})).status_code == status


async def test_a_put_without_a_precondition_is_what_its_version_of_xapi_makes_of_it(tenant: Tenant, resource: Resource, version: str) -> None:
    overwrites = version == "1.0.3" and resource is STATE
    demanded = version == "1.0.3" and resource is not STATE
    first = await tenant.client.put(resource.path, params=resource.params(), content=b"first")
    assert first.status_code == (400 if demanded else 204), first.text
    if demanded:
        await put(tenant, resource, b"first")
    second = await tenant.client.put(resource.path, params=resource.params(), content=b"second")
    assert second.status_code == (204 if overwrites else 409)
    assert (await get(tenant, resource)).content == (b"second" if overwrites else b"first")
    if not overwrites:
        assert second.headers["LRS-Outcome"] == "rejected"
        assert "If-Match" in second.json()["detail"]
        assert "current state" in second.json()["detail"]


async def test_post_and_delete_need_no_precondition(tenant: Tenant, resource: Resource, version: str) -> None:
    for content in (b'{"a":1}', b'{"b":2}'):
        answer = await tenant.client.post(resource.path, params=resource.params(), content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["LRS-Outcome"]) == (204, "stored")
    merged = await get(tenant, resource)
    assert (merged.content, answer.headers["ETag"]) == (b'{"a":1,"b":2}', merged.headers["ETag"])
    assert (await tenant.client.delete(resource.path, params=resource.params())).status_code == 204
    await get(tenant, resource, status=404)
