"""Signed statements over HTTP (xAPI Data 2.6): whose signatures hold, and how many of them one may send."""
from pathlib import Path
from typing import Any

import pytest

from services.core.vocabulary import SIGNATURE
from services.ingest import multipart as multipart_body
from tests.integration.api_service import STATEMENTS, Service, Tenant, api_service, served
from tests.integration.sending_attachments import ELSEWHERE, post
from tests.servers.in_process import statement
from tests.servers.multipart import attachment, multipart, part
from tests.servers.postgres import PostgresServer
from tests.servers.signing import Signer

SIGNER = Signer("signer")
service = served(api_service)


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
