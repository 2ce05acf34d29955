"""Signed statements: which signatures hold, and which are refused with a sentence."""
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.core.signature import BadSignature, signatures, trusted, verify
from services.core.vocabulary import SIGNATURE
from tests.factories import statement
from tests.servers.signing import Signer, b64

ID = "6b0d5bfe-1e5c-4b7c-9a6e-6c1b5f0a7d11"
ROOT = Signer("root", authority=True)
MIDDLE = Signer("middle", ROOT, authority=True)
SIGNER = Signer("signer", MIDDLE)
SIGNED = {**statement(), "id": ID}
ATTACHMENT = {"usageType": SIGNATURE, "display": {"en": "signature"}, "contentType": "application/octet-stream", "length": 3, "sha2": "a" * 64}
NOW = datetime.now(UTC)


def check(jws: bytes, given: Any = None, **changes: Any) -> None:
    verify(jws, {**(given or SIGNED), "attachments": [ATTACHMENT]}, **{"id_": UUID(ID), "version": "2.0.0", "trust": None, "now": NOW, **changes})


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_the_three_algorithms_of_xapi_are_verified_with_the_signer_s_certificate(algorithm: str) -> None:
    check(SIGNER.jws(SIGNED, algorithm=algorithm, x5c=True))
    forged = SIGNER.jws(SIGNED, algorithm=algorithm, x5c=True)
    with pytest.raises(BadSignature, match="not by the first certificate"):
        check(forged[:-8] + (b"A" * 8 if not forged.endswith(b"A" * 8) else b"B" * 8))
    head, _, end = forged.split(b".")
    with pytest.raises(BadSignature, match="not by the first certificate"):
        check(b".".join((head, b64(orjson.dumps(SIGNED) + b" "), end)))


def test_a_signature_without_certificates_is_taken_at_its_word() -> None:
    check(SIGNER.jws(SIGNED) + b"\r\n")


@pytest.mark.parametrize(("jws", "says"), [
    (b"", "compact form"), (b"a.b", "compact form"), (b"a.b.c.d", "compact form"), (b"!.e30.e30", "not base64url"), (b"a.e30.e30", "not base64url"),
    (b64(b"[]") + b".e30.", "header of the signature is not a JSON object"), (b64(b"{") + b".e30.", "header of the signature is not JSON"),
    (SIGNER.jws(SIGNED, algorithm="HS256"), "RS256, RS384 or RS512"), (SIGNER.jws(SIGNED, algorithm="none"), "RS256, RS384 or RS512"),
    (b64(b'{"alg":["RS256"]}') + b".e30.", "RS256, RS384 or RS512"), (SIGNER.jws(SIGNED, crit=["b64"], b64=False), "not known here"),
    (SIGNER.jws(b"{"), "payload of the signature is not JSON"), (SIGNER.jws(b"[]"), "not a JSON object"), (SIGNER.jws({}), "not a valid statement"),
    (SIGNER.jws({**SIGNED, "id": "6b0d5bfe-1e5c-4b7c-9a6e-6c1b5f0a7d12"}), "another id"),
    (SIGNER.jws({**SIGNED, "actor": {"mbox": "mailto:eve@example.org"}}), "not the statement that it signs"),
    (SIGNER.jws({**SIGNED, "result": {"success": True}}), "not the statement that it signs"),
])
def test_what_is_no_signature_of_the_statement_is_refused_with_a_sentence(jws: bytes, says: str) -> None:
    with pytest.raises(BadSignature, match=says) as refused:
        check(jws)
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize("x5c", ["x", [], [1], ["!"], ["e30="], ["MAA="] * 9, None])
def test_certificates_that_cannot_be_read_are_refused(x5c: Any) -> None:
    _, payload, signature = SIGNER.jws(SIGNED).split(b".")
    with pytest.raises(BadSignature, match="x5c"):
        check(b".".join((b64(orjson.dumps({"alg": "RS256", "x5c": x5c})), payload, signature)))


def test_what_the_sender_may_change_after_signing_does_not_matter() -> None:
    timed = {**SIGNED, "timestamp": "2026-05-04T12:00:00-05:00", "result": {"duration": "PT1.2345S"}}
    sent = {**timed, "id": ID.upper(), "timestamp": "2026-05-04T17:00:00.000Z", "result": {"duration": "PT1.239S"}, "stored": "2026-05-05T00:00:00Z",
            "version": "1.0.3", "authority": {"mbox": "mailto:lrs@example.org"}}
    check(SIGNER.jws(timed, x5c=True), sent)
    check(SIGNER.jws({name: value for name, value in timed.items() if name != "id"}), sent)
    for duration in ("PT1.2245S", "PT1S", "PT1M1.23S"):
        with pytest.raises(BadSignature, match="not the statement"):
            check(SIGNER.jws(timed), {**sent, "result": {"duration": duration}})
    check(SIGNER.jws({**SIGNED, "result": {"duration": "PT1S"}}), {**SIGNED, "result": {"duration": "PT1.00S"}})


def test_with_a_trust_store_only_certificates_that_lead_to_it_sign() -> None:
    trust = trusted(ROOT.pem)
    check(SIGNER.jws(SIGNED, MIDDLE), trust=trust)
    check(SIGNER.jws(SIGNED, MIDDLE, ROOT), trust=trust)
    stranger = Signer("stranger", Signer("nobody", authority=True))
    expired = Signer("expired", MIDDLE, days=-1)
    by_a_signer = Signer("by a signer", SIGNER)
    for jws in (SIGNER.jws(SIGNED, x5c=True), stranger.jws(SIGNED, x5c=True), expired.jws(SIGNED, MIDDLE), by_a_signer.jws(SIGNED, SIGNER, MIDDLE)):
        with pytest.raises(BadSignature, match="do not lead"):
            check(jws, trust=trust)
    with pytest.raises(BadSignature, match="do not lead"):
        check(SIGNER.jws(SIGNED, MIDDLE), trust=trust, now=NOW + timedelta(days=400))
    with pytest.raises(BadSignature, match="trust store only"):
        check(SIGNER.jws(SIGNED), trust=trust)


def test_a_statement_s_signatures_are_its_attachments_of_that_usage() -> None:
    other = {**ATTACHMENT, "usageType": "http://example.org/photo"}
    assert signatures({"attachments": [other, ATTACHMENT]}) == [ATTACHMENT]
    assert signatures({}) == []
