"""Bodies in multipart/mixed that are not taken: what is wrong with them, what is too large or too slow, and that nothing of them stays."""
import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from services.ingest import multipart as multipart_body
from services.ingest.app import create_ingest
from tests.integration.api_service import STATEMENTS, THROUGH, Service, Tenant, api_service, served
from tests.integration.sending_attachments import ESSAY, PHOTO, files, post
from tests.servers.in_process import settings_for, statement, web_process
from tests.servers.multipart import BOUNDARY, MULTIPART, attachment, multipart, part, sha2
from tests.servers.postgres import PostgresServer

service = served(api_service, max_multipart_bytes=4 << 20, max_body_bytes=1 << 17, max_attachments=5)


@pytest.mark.parametrize(("body", "says"), [
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY), first={"Content-Type": "text/plain"}), "first part must be the statements"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY), first={}), "first part must be the statements"),
    (multipart(statement(), first={"Content-Type": "application/json", "Content-Transfer-Encoding": "base64"}), "must not be encoded"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY, Content_Transfer_Encoding="base64")), "must not be encoded"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY, X_Experience_API_Hash=None)), "needs the header X-Experience-API-Hash"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY, X_Experience_API_Hash="")), "needs the header X-Experience-API-Hash"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY), part(PHOTO)), "No attachment of the statements has the digest"),
    (multipart(statement(), part(ESSAY)), "No attachment of the statements has the digest"),
    (multipart(statement(attachments=[attachment(ESSAY, sha2="abc")]), part(ESSAY, X_Experience_API_Hash="abc")), "sha2"),
    (multipart(statement(), part(ESSAY, X_Experience_API_Hash="x" * 64)), "is no digest of SHA-2"),
    (multipart(statement(attachments=[attachment(ESSAY)]), ({"Content-Type": "application/json"}, b"{}")), "needs the header X-Experience-API-Hash"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(PHOTO, X_Experience_API_Hash=sha2(ESSAY))), "does not have the digest"),
    (multipart(statement(attachments=[attachment(ESSAY)])), "no part of the request has its content"),
    (multipart([statement(), statement(attachments=[attachment(ESSAY), attachment(PHOTO)])], part(ESSAY)), "no part of the request has its content"),
    (multipart(b"{"), "JSON"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY))[:-8], "ends before its closing boundary"),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)).replace(b"--" + BOUNDARY.encode(), b"", 1), "."),
    (multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)).replace(b"\r\n--" + BOUNDARY.encode() + b"\r\n", b"\r\n", 1), "."),
    (orjson.dumps(statement()), "does not have the boundary"),
    (b"", "does not have the boundary"),
    (f"--{BOUNDARY}--\r\n".encode(), "no parts"),
])
async def test_what_is_malformed_is_refused_with_a_sentence_and_leaves_nothing(service: Service, tenant: Tenant, body: bytes, says: str) -> None:
    before = files(service)
    answer = await post(tenant, body)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]
    assert answer.headers["LRS-Outcome"] == "rejected"
    assert THROUGH in answer.headers
    assert await tenant.ids() == []
    assert files(service) == before


async def test_missing_content_is_pointed_at(tenant: Tenant) -> None:
    answer = await post(tenant, multipart([statement(), statement(attachments=[attachment(ESSAY), attachment(PHOTO)])], part(ESSAY)))
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/1/attachments/1")


@pytest.mark.parametrize("content_type", ["multipart/mixed", "multipart/mixed;", 'multipart/mixed; boundary=""', "multipart/form-data; boundary=" + BOUNDARY])
async def test_a_content_type_without_boundary_or_of_another_kind_is_refused(tenant: Tenant, content_type: str) -> None:
    answer = await post(tenant, multipart(statement()), content_type=content_type)
    assert answer.status_code == 400


async def test_a_request_of_which_one_statement_or_one_content_is_bad_stores_nothing(service: Service, tenant: Tenant) -> None:
    before = files(service)
    good, fresh = statement(attachments=[attachment(ESSAY)]), os.urandom(2 << 20)
    bad = {**statement(), "verb": {}}
    assert (await post(tenant, multipart([good, bad], part(ESSAY)))).status_code == 400
    late = statement(attachments=[attachment(fresh), attachment(PHOTO)])
    assert (await post(tenant, multipart(late, part(fresh), part(ESSAY, X_Experience_API_Hash=sha2(PHOTO))))).status_code == 400
    assert await tenant.ids() == []
    assert files(service) == before


async def test_what_is_too_large_is_a_413(service: Service, tenant: Tenant) -> None:
    large = os.urandom(5 << 20)
    sent = statement(attachments=[attachment(large)])
    before = files(service)

    async def unannounced() -> AsyncIterator[bytes]:
        body = multipart(sent, part(large))
        for at in range(0, len(body), 1 << 18):
            yield body[at : at + (1 << 18)]

    for content in (multipart(sent, part(large)), unannounced()):
        answer = await tenant.client.post(STATEMENTS, content=content, headers=MULTIPART)
        assert (answer.status_code, answer.json()["title"]) == (413, "Too large")
    many = [b"%d" % number for number in range(6)]
    parts = await post(tenant, multipart(statement(attachments=[attachment(each) for each in many]), *(part(each) for each in many)))
    assert parts.status_code == 413
    json_part = await post(tenant, multipart(statement(result={"response": "x" * (1 << 17)})))
    assert json_part.status_code == 413
    assert files(service) == before


async def test_a_part_with_endless_headers_is_refused(tenant: Tenant) -> None:
    assert (await post(tenant, multipart(statement(), first={"Content-Type": "application/json", "X": "x" * 9000}))).status_code == 400
    assert (await post(tenant, multipart(statement(), first={"Content-Type": "application/json", **{f"X{n}": "x" for n in range(40)}}))).status_code == 400


async def test_a_body_that_stops_arriving_is_a_408_and_leaves_no_part(postgres: PostgresServer, tmp_path: Path) -> None:
    dsn = postgres.create(migrated=True)
    async with web_process(settings_for(tmp_path), dsn) as web:
        web.app = create_ingest(web.state, body_s=0.3)
        large = os.urandom(2 << 20)
        body = multipart(statement(attachments=[attachment(large)]), part(large))
        never = asyncio.Event()

        async def stalls() -> AsyncIterator[bytes]:
            yield body[: 3 << 19]
            await never.wait()

        answer = await web.client(await web.key()).post(STATEMENTS, content=stalls(), headers=MULTIPART)
        assert answer.status_code == 408
        assert not [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]
    postgres.drop(dsn)


async def test_only_so_many_bodies_arrive_at_once_and_each_makes_room_for_the_next(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> bytes:
        return multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY))

    monkeypatch.setattr(multipart_body, "UPLOADS_AT_ONCE", 1)
    assert [(await post(tenant, each)).status_code for each in (body(), body()[:-8], body())] == [200, 400, 200]
    monkeypatch.setattr(multipart_body, "UPLOADS_AT_ONCE", 0)
    refused = await post(tenant, body())
    assert (refused.status_code, refused.headers["Retry-After"], refused.headers["LRS-Outcome"]) == (503, "1", "rejected")


async def test_who_may_not_write_sends_no_content(tenant: Tenant) -> None:
    reader = await tenant.with_scopes("statements/read")
    answer = await post(tenant, multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)), reader)
    assert answer.status_code == 403
