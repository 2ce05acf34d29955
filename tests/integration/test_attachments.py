"""Statements with attachments over HTTP: multipart/mixed in and out, whose content anyone sees, and what is refused (xAPI Communication 1.5.2, Data 2.4.11)."""
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from services.core.vocabulary import SIGNATURE
from services.ingest import multipart as multipart_body
from services.ingest.app import create_ingest
from tests.integration.api_service import STATEMENTS, THROUGH, Service, Tenant, api_service
from tests.servers.in_process import settings_for, statement, web_process
from tests.servers.multipart import BOUNDARY, MULTIPART, attachment, multipart, part, parts_of, sha2
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import BUCKET, s3_server
from tests.servers.signing import Signer

ESSAY, PHOTO = b"to be or not to be\r\n", b"\xff\xd8\x00\r\n--" + bytes(range(256))
ELSEWHERE = "https://files.example.org/essay.txt"
SIGNER = Signer("signer")


@pytest_asyncio.fixture(scope="module")
async def service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with api_service(postgres, tmp_path_factory.mktemp("api"), max_multipart_bytes=4 << 20, max_body_bytes=1 << 17, max_attachments=5) as running:
        yield running


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def post(tenant: Tenant, body: bytes, client: httpx.AsyncClient | None = None, *, content_type: str = MULTIPART["Content-Type"]) -> httpx.Response:
    return await (client or tenant.client).post(STATEMENTS, content=body, headers={"Content-Type": content_type})


async def get(tenant: Tenant, client: httpx.AsyncClient | None = None, **params: Any) -> tuple[Any, dict[str, bytes]]:
    """Return the JSON of an answer with attachments, and content by digest."""
    answer = await (client or tenant.client).get(STATEMENTS, params={"attachments": "true", **params})
    found, parts = parts_of(answer)
    contents = {headers["X-Experience-API-Hash"]: content for headers, content in parts}
    assert len(contents) == len(parts)
    return found, contents


def files(service: Service) -> set[str]:
    return {path.name for path in (service.web.state.settings.data_dir / "attachments").rglob("*") if path.is_file()}


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


# ---- what is refused

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


# ---- signed statements

def signed(sent: dict[str, Any], jws: bytes, **changes: Any) -> bytes:
    signature = attachment(jws, usageType=SIGNATURE, contentType="application/octet-stream", **changes)
    return multipart({**sent, "attachments": [signature]}, part(jws, Content_Type="application/octet-stream"))


async def test_signed_statements_are_taken_if_the_signature_holds(tenant: Tenant) -> None:
    for algorithm in ("RS256", "RS384", "RS512"):
        sent = statement()
        assert (await post(tenant, signed(sent, SIGNER.jws(sent, algorithm=algorithm, x5c=True)))).status_code == 200
    timed, cut = statement(result={"duration": "PT1.2345S"}), "PT1.23S"
    assert (await post(tenant, signed({**timed, "result": {"duration": cut}}, SIGNER.jws(timed)))).status_code == 200


@pytest.mark.parametrize(("jws", "says"), [
    (lambda sent: SIGNER.jws(sent, algorithm="HS256"), "RS256"), (lambda _: b"not a signature", "compact form"), (lambda _: SIGNER.jws(b"{"), "not JSON"),
    (lambda sent: SIGNER.jws({**sent, "verb": {"id": "http://example.org/other"}}), "not the statement"), (lambda _: b"x" * (4 << 10), "compact form"),
])
async def test_signatures_that_do_not_hold_are_refused_with_a_pointer(tenant: Tenant, jws: Any, says: str) -> None:
    sent = statement()
    answer = await post(tenant, signed(sent, jws(sent)))
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/attachments/0")
    assert says in answer.json()["detail"]


async def test_a_signature_is_verified_once_however_often_its_statement_names_it(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart_body, "MAX_VERIFIED", 1)
    sent = statement()
    jws = SIGNER.jws(sent)
    named = attachment(jws, usageType=SIGNATURE, contentType="application/octet-stream")
    assert (await post(tenant, multipart({**sent, "attachments": [named] * 50}, part(jws)))).status_code == 200
    others = [statement(), statement()]
    each = [SIGNER.jws(one) for one in others]
    body = multipart([one | {"attachments": [attachment(jws, usageType=SIGNATURE, contentType="application/octet-stream")]}
                      for one, jws in zip(others, each, strict=True)], *(part(jws) for jws in each))
    refused = await post(tenant, body)
    assert (refused.status_code, "at most 1 signatures" in refused.json()["detail"]) == (413, True)


async def test_a_statement_has_few_signatures_and_none_is_much_larger_than_a_statement(tenant: Tenant, service: Service) -> None:
    sent = statement()
    many = [SIGNER.jws(sent, kid=str(number)) for number in range(5)]
    named = [attachment(jws, usageType=SIGNATURE, contentType="application/octet-stream") for jws in many]
    refused = await post(tenant, multipart({**sent, "attachments": named}, *map(part, many)))
    assert (refused.status_code, refused.json()["pointer"]) == (400, "/attachments")
    assert (await post(tenant, multipart({**sent, "attachments": named[:4]}, *map(part, many[:4])))).status_code == 200
    large = SIGNER.jws(sent, kid="x" * (service.web.state.settings.max_statement_bytes * 4 // 3))
    refused = await post(tenant, signed(statement(), large))
    assert (refused.status_code, refused.json()["pointer"]) == (413, "/attachments/0")


async def test_a_signature_has_one_content_type_however_it_is_sent(tenant: Tenant) -> None:
    sent = statement()
    jws = SIGNER.jws(sent)
    wrong = attachment(jws, usageType=SIGNATURE, contentType="text/plain; charset=ascii", fileUrl=ELSEWHERE)
    for answer in (
        await post(tenant, multipart({**sent, "attachments": [wrong]}, part(jws))), await tenant.client.post(STATEMENTS, json={**sent, "attachments": [wrong]}),
    ):
        assert (answer.status_code, answer.json()["pointer"]) == (400, "/attachments/0/contentType")


async def test_with_a_trust_store_a_signature_by_anyone_else_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    root = Signer("root", authority=True)
    (tmp_path / "trust.pem").write_bytes(root.pem)
    async with api_service(postgres, tmp_path, trust_store=tmp_path / "trust.pem") as service:
        tenant, sent = await service.tenant(), statement()
        for jws in (SIGNER.jws(sent), SIGNER.jws(sent, x5c=True)):
            assert (await post(tenant, signed(sent, jws))).status_code == 400
        assert (await post(tenant, signed(sent, Signer("signer", root).jws(sent, x5c=True)))).status_code == 200


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
