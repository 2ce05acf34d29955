"""What a document is in each of the three resources: bytes that come back, ids in a list, and JSON objects that merge (xAPI Communication 2.2)."""
import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import orjson
import pytest

from tests.integration.api_service import Tenant, served
from tests.integration.document_service import (
    BYTES,
    JSON,
    NEW,
    Resource,
    document_service,
    get,
    put,
    tag_of,
)

service = served(document_service, max_body_bytes=1 << 16)


async def test_a_document_comes_back_as_the_bytes_it_was_sent_with_its_type_and_validators(tenant: Tenant, resource: Resource, version: str) -> None:
    content = b'\x00\xff {"a": 1.50}\r\n'
    before = datetime.now(UTC) - timedelta(seconds=2)
    sent_type = 'Text/HTML; Charset="UTF-8"; x=é'
    written = await put(tenant, resource, content, content_type=sent_type)
    read = await get(tenant, resource)

    assert read.content == content
    assert (b"content-type", sent_type.encode("latin-1")) in read.headers.raw
    assert read.headers["ETag"] == written.headers["ETag"] == tag_of(content)
    assert before <= parsedate_to_datetime(read.headers["Last-Modified"]) <= datetime.now(UTC) + timedelta(seconds=2)
    assert read.headers["Last-Modified"] == written.headers["Last-Modified"]
    assert written.headers["LRS-Outcome"] == "stored"
    assert "LRS-Position" not in written.headers
    assert [each.headers["X-Experience-API-Version"] for each in (written, read)] == [version] * 2


async def test_a_document_is_served_so_that_no_browser_runs_it(tenant: Tenant, resource: Resource) -> None:
    await put(tenant, resource, b"<script>alert(1)</script>", content_type="text/html")
    answer = await get(tenant, resource)
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["Content-Disposition"] == "attachment"


async def test_head_says_what_get_says_without_the_body(tenant: Tenant, resource: Resource, version: str) -> None:
    await put(tenant, resource, b"{}", content_type="application/json")
    for name in ("one", None):
        got, head = await get(tenant, resource, name), await tenant.client.head(resource.path, params=resource.params(name))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == got.headers
        assert head.headers["X-Experience-API-Version"] == version


async def test_what_is_not_there_is_404_and_removing_it_changes_nothing(tenant: Tenant, resource: Resource, version: str) -> None:
    answer = await get(tenant, resource, "absent", 404)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Experience-API-Version"] == version
    assert (await tenant.client.delete(resource.path, params=resource.params("absent"))).status_code == 204
    assert (await get(tenant, resource, None)).json() == []


async def test_a_removed_document_is_gone_and_its_neighbours_stay(tenant: Tenant, resource: Resource) -> None:
    await put(tenant, resource, b"1", "one")
    await put(tenant, resource, b"2", "two")
    answer = await tenant.client.delete(resource.path, params=resource.params("one"))
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (204, "stored")
    await get(tenant, resource, "one", 404)
    assert (await get(tenant, resource, None)).json() == ["two"]


async def test_the_ids_are_listed_with_the_time_of_the_last_change_and_since_is_exclusive(tenant: Tenant, resource: Resource) -> None:
    assert "Last-Modified" not in (await get(tenant, resource, None)).headers
    for name in ("b", "a", "ü/&?", " "):
        await put(tenant, resource, b"x", name)
    listed = await get(tenant, resource, None)
    assert listed.json() == [" ", "a", "b", "ü/&?"]
    assert listed.headers["Content-Type"] == "application/json"
    assert listed.headers["ETag"] == tag_of(listed.content)
    assert listed.headers["Last-Modified"] == (await get(tenant, resource, " ")).headers["Last-Modified"]
    times = dict(await _stored(tenant))
    assert (await get(tenant, resource, None, since=times["b"])).json() == [" ", "a", "ü/&?"]
    assert (await get(tenant, resource, None, since=times[" "])).json() == []
    await tenant.client.post(resource.path, params=resource.params("b"), content=b"y", headers={"If-Match": tag_of(b"x")})
    assert (await get(tenant, resource, None, since=times[" "])).json() == []  # a merge that was refused changes nothing
    await tenant.client.put(resource.path, params=resource.params("b"), content=b"y", headers={"If-Match": tag_of(b"x")})
    assert (await get(tenant, resource, None, since=times[" "])).json() == ["b"]
    assert (await get(tenant, resource, None, since="0001-01-01T00:00:00+14:00")).json() == [" ", "a", "b", "ü/&?"]
    assert (await get(tenant, resource, None, since="9999-12-31T23:59:59.999999999-14:00")).json() == []


async def _stored(tenant: Tenant) -> list[tuple[str, str]]:
    """Return (id, when it was stored) of a tenant's documents, to the microsecond."""
    rows = await tenant.service.web.state.pool.fetch(
        "select d.id, timestamptz '2020-01-01Z' + d.updated * interval '1 microsecond' as at "
        "from document d join tenant t on t.id = d.tenant_id where t.name = $1 order by d.updated", tenant.name)
    return [(row["id"], row["at"].isoformat()) for row in rows]


async def test_a_post_merges_top_level_keys_and_keeps_the_bytes_of_values(tenant: Tenant, resource: Resource) -> None:
    await put(tenant, resource, b'{"x": {"deep": 1, "gone": 2}, "n": 1.50, "k\\u00e9": 12345678901234567890123}', content_type=f"{JSON}; charset=utf-8")
    answer = await tenant.client.post(
        resource.path, params=resource.params(), content=b' {"x" : {"deep":  3}, "z":[1,  2]}\n', headers={"Content-Type": "Application/JSON"})
    assert answer.status_code == 204
    merged = await get(tenant, resource)
    assert merged.content == '{"x":{"deep":  3},"n":1.50,"ké":12345678901234567890123,"z":[1,  2]}'.encode()
    assert merged.headers["Content-Type"] == "Application/JSON"
    assert merged.headers["ETag"] == answer.headers["ETag"] == tag_of(merged.content)


@pytest.mark.parametrize(("there", "there_type", "sent", "sent_type"), [
    (b"{}", JSON, b"{}", BYTES), (b"{}", JSON, b"{}", "not/json"), (b"{}", JSON, b"a=1", "application/x-www-form-urlencoded"), (b"{}", BYTES, b"{}", JSON),
    (b"{}", JSON, b"{}", "application/json5"), (b"[1]", JSON, b"{}", JSON), (b"{", JSON, b"{}", JSON), (b"{}", JSON, b"[]", JSON), (b"{}", JSON, b"null", JSON),
    (b"{}", JSON, b'{"a":1}{', JSON), (b"{}", JSON, b"", JSON), (b"{}", JSON, b'{"a":1,"a":2}', JSON), (b'{"a":1,"a":2}', JSON, b"{}", JSON),
    (b"{}", JSON, b'{"a":{"b":1,"b":2}}', JSON), (b"{}", JSON, b'{"a":"\xff"}', JSON), (b"{}", JSON, b'{"a":NaN}', JSON),
    (b"{}", JSON, b'{"a":"\\ud800"}', JSON),
    (b"{}", JSON, b'\xef\xbb\xbf{"a":1}', JSON), (b"{}", JSON, b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", JSON), (b"{}", JSON, b"[" * 40000, JSON),
])
async def test_what_cannot_be_merged_is_refused_and_changes_nothing(
    tenant: Tenant, resource: Resource, there: bytes, there_type: str, sent: bytes, sent_type: str,
) -> None:
    await put(tenant, resource, there, content_type=there_type)
    answer = await tenant.client.post(resource.path, params=resource.params(), content=sent, headers={"Content-Type": sent_type})
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (400, "rejected"), answer.text
    kept = await get(tenant, resource)
    assert (kept.content, kept.headers["Content-Type"]) == (there, there_type)


async def test_a_post_where_nothing_is_stores_anything_but_what_calls_itself_json_and_is_not(tenant: Tenant, resource: Resource, version: str) -> None:
    for content, content_type, status in ((b"{", JSON, 400), (b"", JSON, 400), (b"[1]", JSON, 204), (b"{", BYTES, 204), (b"", "text/plain", 204)):
        await tenant.client.delete(resource.path, params=resource.params())
        answer = await tenant.client.post(resource.path, params=resource.params(), content=content, headers={"Content-Type": content_type})
        assert answer.status_code == status, answer.text
        if status == 204:
            kept = await get(tenant, resource)
            assert (kept.content, kept.headers["Content-Type"]) == (content, content_type)
        else:
            await get(tenant, resource, status=404)


async def test_bytes_without_a_type_are_kept_as_unknown_bytes(tenant: Tenant, resource: Resource) -> None:
    request = tenant.client.build_request("PUT", resource.path, params=resource.params(), content=b"bytes", headers=NEW)
    assert "content-type" not in request.headers
    assert (await tenant.client.send(request)).status_code == 204
    assert (await get(tenant, resource)).headers["Content-Type"] == BYTES


async def test_a_document_larger_than_allowed_is_refused_and_so_is_a_merge_that_would_make_one(tenant: Tenant, resource: Resource) -> None:
    limit = 1 << 16
    await put(tenant, resource, b"x" * limit)
    client = tenant.client
    for sent in (b"x" * (limit + 1), _endless()):
        answer = await client.put(resource.path, params=resource.params(), content=sent, headers={"If-Match": "*"})
        assert (answer.status_code, answer.headers["LRS-Outcome"]) == (413, "rejected")
    assert (await get(tenant, resource)).content == b"x" * limit
    half = orjson.dumps({"a": "x" * (limit // 2)})
    answers = [
        await client.post(resource.path, params=resource.params("two"), content=half.replace(b'"a"', key), headers={"Content-Type": JSON})
        for key in (b'"a"', b'"b"')
    ]
    assert [answer.status_code for answer in answers] == [204, 413]
    assert (await get(tenant, resource, "two")).content == half


async def _endless() -> AsyncIterator[bytes]:
    """A body without a declared length and without an end."""
    while True:
        yield b"x" * 4096


async def test_ids_of_every_script_are_kept_apart(tenant: Tenant, resource: Resource) -> None:
    names = ["a", "A", "ä", "a\u0308", "日本", "😀", "x" * 1024, "a b", "a+b", "%2F", "null", str(uuid4())]
    await asyncio.gather(*(put(tenant, resource, name.encode(), name) for name in names))
    assert (await get(tenant, resource, None)).json() == sorted(names)
    for name in names:
        assert (await get(tenant, resource, name)).content == name.encode()
