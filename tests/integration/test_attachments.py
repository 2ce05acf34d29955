"""Statements with attachments over HTTP: multipart/mixed in and out, where content is kept, and who sees it (xAPI Communication 1.5.2, Data 2.4.11)."""
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import orjson
import pytest

from tests.integration.api_service import STATEMENTS, THROUGH, Service, Tenant, api_service, served
from tests.integration.sending_attachments import ELSEWHERE, ESSAY, PHOTO, files, get, post
from tests.servers.in_process import statement
from tests.servers.multipart import BOUNDARY, MULTIPART, attachment, multipart, part, parts_of, sha2
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import BUCKET, s3_server

service = served(api_service, max_multipart_bytes=4 << 20)


# ---- what is taken, and given back

async def test_content_comes_back_with_its_statement_byte_by_byte(tenant: Tenant) -> None:
    sent = statement(attachments=[attachment(ESSAY), attachment(PHOTO, contentType="image/jpeg")])
    answer = await post(tenant, multipart(sent, part(ESSAY), part(PHOTO, Content_Type="image/jpeg")))
    assert (answer.status_code, answer.json()) == (200, [sent["id"]])
    assert answer.headers["LRS-Outcome"] == "stored"

    one = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"], "attachments": "true"})
    found, parts = parts_of(one)
    assert found["attachments"] == sent["attachments"]
    assert parts == [
        ({"Content-Type": "text/plain", "Content-Transfer-Encoding": "binary", "X-Experience-API-Hash": sha2(ESSAY)}, ESSAY),
        ({"Content-Type": "image/jpeg", "Content-Transfer-Encoding": "binary", "X-Experience-API-Hash": sha2(PHOTO)}, PHOTO),
    ]
    assert one.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    assert one.headers["X-Content-Type-Options"] == "nosniff"
    assert "Last-Modified" in one.headers
    assert THROUGH in one.headers
    assert one.content.count(sha2(ESSAY).encode()) == 2
    plain = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"]})
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.content in one.content


async def test_a_list_gives_each_content_once_whoever_refers_to_it(tenant: Tenant) -> None:
    both = [statement(attachments=[attachment(ESSAY)]) for _ in range(2)]
    inner = {name: value for name, value in statement().items() if name != "id"}
    in_sub = statement(object={"objectType": "SubStatement", **inner, "attachments": [attachment(PHOTO)]})
    assert (await post(tenant, multipart(both, part(ESSAY)))).status_code == 200
    assert (await post(tenant, multipart(in_sub, part(PHOTO)))).status_code == 200
    page, contents = await get(tenant)
    assert [each["id"] for each in page["statements"]] == [in_sub["id"], both[1]["id"], both[0]["id"]]
    assert contents == {sha2(ESSAY): ESSAY, sha2(PHOTO): PHOTO}
    first, contents = await get(tenant, limit=1)
    assert contents == {sha2(PHOTO): PHOTO}
    second, parts = parts_of(await tenant.client.get(first["more"]))
    assert [each["id"] for each in second["statements"]] == [both[1]["id"]]
    assert [content for _, content in parts] == [ESSAY]


async def test_attachments_true_is_multipart_even_when_there_are_none(tenant: Tenant) -> None:
    assert await get(tenant) == ({"statements": [], "more": ""}, {})
    sent = statement()
    await tenant.post(sent)
    found, contents = await get(tenant, statementId=sent["id"])
    assert (found["id"], contents) == (sent["id"], {})


async def test_head_says_what_get_says_and_gives_no_body(tenant: Tenant) -> None:
    await post(tenant, multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)))
    answer = await tenant.client.head(STATEMENTS, params={"attachments": "true"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    assert THROUGH in answer.headers


async def test_content_elsewhere_has_no_part_unless_it_was_sent_too(tenant: Tenant) -> None:
    elsewhere, both = statement(attachments=[attachment(ESSAY, fileUrl=ELSEWHERE)]), statement(attachments=[attachment(PHOTO, fileUrl=ELSEWHERE)])
    assert (await post(tenant, multipart(elsewhere))).status_code == 200
    assert (await tenant.client.post(STATEMENTS, json={**elsewhere, "id": str(uuid4())})).status_code == 200
    assert (await post(tenant, multipart(both, part(PHOTO)))).status_code == 200
    _, contents = await get(tenant)
    assert contents == {sha2(PHOTO): PHOTO}


async def test_plain_json_takes_no_attachment_without_file_url(tenant: Tenant) -> None:
    answer = await tenant.client.post(STATEMENTS, json=statement(attachments=[attachment(ESSAY)]))
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/attachments/0")


async def test_statements_without_attachments_may_come_in_multipart_too(tenant: Tenant) -> None:
    batch = [statement(), statement(attachments=[])]
    answer = await post(tenant, multipart(batch))
    assert (answer.status_code, answer.json()) == (200, [each["id"] for each in batch])


async def test_a_put_takes_multipart_too(tenant: Tenant) -> None:
    sent = statement(attachments=[attachment(ESSAY)])
    answer = await tenant.client.put(STATEMENTS, params={"statementId": sent["id"]}, content=multipart(sent, part(ESSAY)), headers=MULTIPART)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await get(tenant, statementId=sent["id"]))[1] == {sha2(ESSAY): ESSAY}
    again = await tenant.client.put(STATEMENTS, params={"statementId": sent["id"]}, content=multipart(sent, part(ESSAY)), headers=MULTIPART)
    assert again.status_code == 204
    other = await tenant.client.put(STATEMENTS, params={"statementId": sent["id"]}, content=multipart([sent], part(ESSAY)), headers=MULTIPART)
    assert other.status_code == 400


async def test_the_length_in_the_statement_is_not_held_against_the_content(tenant: Tenant) -> None:
    sent = statement(attachments=[attachment(ESSAY, length=1)])
    assert (await post(tenant, multipart(sent, part(ESSAY)))).status_code == 200
    assert (await get(tenant))[1] == {sha2(ESSAY): ESSAY}


async def test_empty_content_and_a_digest_in_capitals_and_the_same_part_twice_are_taken(tenant: Tenant) -> None:
    sent = statement(attachments=[attachment(b""), attachment(ESSAY, sha2=sha2(ESSAY).upper())])
    assert (await post(tenant, multipart(sent, part(b""), part(ESSAY), part(ESSAY)))).status_code == 200
    assert (await get(tenant))[1] == {sha2(b""): b"", sha2(ESSAY).upper(): ESSAY}


@pytest.mark.parametrize("change", [
    lambda body: b"\r\n" + body, lambda body: body.removesuffix(b"\r\n"), lambda body: body.replace(b": ", b":", 4), lambda body: b"preamble\r\n" + body,
])
async def test_what_real_clients_write_a_little_differently_is_taken(tenant: Tenant, change: Any) -> None:
    sent = orjson.dumps(statement(attachments=[attachment(ESSAY)]))
    assert (await post(tenant, change(multipart(sent, part(ESSAY))))).status_code == 200
    assert (await post(tenant, multipart(statement()), content_type=f'multipart/mixed; charset=utf-8; boundary="{BOUNDARY}"')).status_code == 200


async def test_large_content_is_kept_whole_and_sent_in_pieces(tenant: Tenant, service: Service) -> None:
    large = os.urandom((3 << 20) + 17)
    sent = statement(attachments=[attachment(large, contentType="video/mp4")])
    body = multipart(sent, part(large))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    answer = await tenant.client.post(STATEMENTS, content=pieces(), headers=MULTIPART)
    assert answer.status_code == 200, answer.text
    assert (await get(tenant))[1] == {sha2(large): large}
    assert not list(service.web.state.attachments.incoming.iterdir())


async def test_a_content_type_that_is_none_cannot_get_into_a_header(tenant: Tenant) -> None:
    evil = "text/plain\r\nX-Evil: 1\r\n\r\n<script>"
    sent = statement(attachments=[attachment(ESSAY, contentType=evil), attachment(PHOTO, contentType="no type"), attachment(b"x", contentType="text/é")])
    assert (await post(tenant, multipart(sent, part(ESSAY), part(PHOTO), part(b"x")))).status_code == 200
    _, parts = parts_of(await tenant.client.get(STATEMENTS, params={"attachments": "true"}))
    assert [headers["Content-Type"] for headers, _ in parts] == ["application/octet-stream"] * 3


async def test_the_alternate_request_syntax_takes_multipart_content(tenant: Tenant) -> None:
    text = "an essay with umlauts: äöü".encode()
    sent = statement(attachments=[attachment(text)])
    form = {"content": multipart(sent, part(text)).decode(), "Content-Type": MULTIPART["Content-Type"], "X-Experience-API-Version": "1.0.3"}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Experience-API-Version": "1.0.3"}
    answer = await tenant.client.post(f"{STATEMENTS}?method=POST", content=urlencode(form), headers=headers)
    assert answer.status_code == 200, answer.text
    assert (await get(tenant))[1] == {sha2(text): text}


# ---- whose content is seen

async def test_tenants_never_see_each_other_s_content(service: Service) -> None:
    ours, theirs = await service.tenant(), await service.tenant()
    await post(ours, multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)))
    await tenants_guess(theirs)
    await post(theirs, multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)))
    assert (await get(theirs))[1] == (await get(ours))[1] == {sha2(ESSAY): ESSAY}


async def tenants_guess(tenant: Tenant) -> None:
    """A tenant that knows the digest of another's content names it, and gets nothing."""
    await tenant.post(statement(attachments=[attachment(ESSAY, fileUrl=ELSEWHERE)]))
    assert (await get(tenant))[1] == {}


async def test_a_key_that_reads_its_own_statements_sees_their_content_only(tenant: Tenant) -> None:
    await post(tenant, multipart(statement(attachments=[attachment(ESSAY)]), part(ESSAY)))
    other = await tenant.with_scopes("statements/write", "statements/read/mine")
    assert await get(tenant, other) == ({"statements": [], "more": ""}, {})
    guessed = statement(attachments=[attachment(ESSAY, fileUrl=ELSEWHERE)])
    await tenant.post(guessed, client=other)
    page, contents = await get(tenant, other)
    assert ([each["id"] for each in page["statements"]], contents) == ([guessed["id"]], {})
    assert (await get(tenant))[1] == {sha2(ESSAY): ESSAY}
    await post(tenant, multipart(statement(attachments=[attachment(PHOTO)]), part(PHOTO)), other)
    assert (await get(tenant, other))[1] == {sha2(PHOTO): PHOTO}


async def test_a_voided_statement_s_content_is_seen_with_it_alone(tenant: Tenant) -> None:
    sent = statement(attachments=[attachment(ESSAY)])
    await post(tenant, multipart(sent, part(ESSAY)))
    await tenant.post(statement(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}, object={"objectType": "StatementRef", "id": sent["id"]}))
    assert (await get(tenant))[1] == {}
    assert (await get(tenant, voidedStatementId=sent["id"]))[1] == {sha2(ESSAY): ESSAY}


async def test_a_conflict_and_a_duplicate_are_as_without_attachments(tenant: Tenant, service: Service) -> None:
    sent = statement(attachments=[attachment(ESSAY)])
    for _ in range(2):
        assert (await post(tenant, multipart(sent, part(ESSAY)))).json() == [sent["id"]]
    other, before = {**sent, "attachments": [attachment(PHOTO)]}, files(service)
    assert (await post(tenant, multipart(other, part(PHOTO)))).status_code == 409
    assert files(service) == before, "nothing is kept of what is refused"
    assert (await get(tenant))[1] == {sha2(ESSAY): ESSAY}


# ---- kept elsewhere

async def test_content_may_be_kept_in_an_s3_store_and_while_that_is_away_it_is_a_503(postgres: PostgresServer, tmp_path: Path) -> None:
    large = os.urandom(3 << 20)
    with ExitStack() as stack:
        url = stack.enter_context(s3_server())
        async with api_service(postgres, tmp_path, attachments=f"s3://{BUCKET}/kept", attachments_endpoint=url) as service:
            tenant = await service.tenant()
            sent = statement(attachments=[attachment(ESSAY), attachment(large)])
            assert (await post(tenant, multipart(sent, part(ESSAY), part(large)))).status_code == 200
            assert (await get(tenant))[1] == {sha2(ESSAY): ESSAY, sha2(large): large}
            assert files(service) == set()
            stack.close()
            refused = await post(tenant, multipart(statement(attachments=[attachment(PHOTO)]), part(PHOTO)))
            assert (refused.status_code, refused.headers["LRS-Outcome"], refused.headers["Retry-After"]) == (503, "rejected", "1")
            assert (await tenant.client.get(STATEMENTS, params={"attachments": "true"})).status_code == 503
            assert await tenant.ids() == [sent["id"]]
