"""Signed statements (xAPI Data 2.6): a JSON web signature of RFC 7515 among the attachments, whose payload is the statement before it was signed.

A signature without certificates (x5c) cannot be verified here, whose key it was is not known; with certificates it must verify, and where a trust store
is given they must lead to one of its certificates.
"""
import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from services.core.check import check
from services.core.errors import BadRequest, InvalidStatement
from services.core.fingerprint import canonical
from services.core.vocabulary import SIGNATURE

_HASHES: dict[str, hashes.HashAlgorithm] = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}
_MAX_CERTIFICATES = 8
_MAX_KEY_BITS = 8192
_SECONDS = re.compile(r"(\d+)(?:[.,](\d*))?S$")
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


class BadSignature(InvalidStatement):
    """The signature of a statement does not hold."""


def signatures(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attachments of a valid statement that are signatures of it."""
    return [attachment for attachment in statement.get("attachments", ()) if attachment["usageType"] == SIGNATURE]


def trusted(pem: bytes) -> Store:
    """Return a trust store of the certificates in a PEM file. Raises ValueError."""
    return Store(x509.load_pem_x509_certificates(pem))


def verify(jws: bytes, statement: dict[str, Any], id_: UUID, version: str, *, trust: Store | None, now: datetime) -> None:
    """Hold a JWS in compact form against the valid statement of this id it is attached to. Raises BadSignature, with a sentence."""
    parts = jws.strip().split(b".")
    if len(parts) != 3:
        raise BadSignature("The signature is not a JSON web signature in compact form: three texts in base64url with dots between them.")
    head, payload, signature = (_decoded(part) for part in parts)
    header = _object(head, "header")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        raise BadSignature('The signature must use the algorithm RS256, RS384 or RS512: "alg" in its header says so.')
    if "crit" in header:
        raise BadSignature('The signature uses extensions of JWS ("crit") that are not known here.')
    _check_payload(payload, statement, id_, version)
    if "x5c" in header:
        chain = _certificates(header["x5c"])
        _check_signed(chain[0], _HASHES[algorithm], signature, parts[0] + b"." + parts[1])
        if trust is not None:
            _check_trusted(chain, trust, now)
    elif trust is not None:
        raise BadSignature('This server takes signatures by certificates of its trust store only: "x5c" in the header of the signature must name them.')


def _decoded(part: bytes) -> bytes:
    if not _BASE64URL.fullmatch(part):
        raise BadSignature("A part of the signature is not base64url.")
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise BadSignature("A part of the signature is not base64url.") from error


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadSignature(f"The {what} of the signature is not JSON.") from error
    if not isinstance(found, dict):
        raise BadSignature(f"The {what} of the signature is not a JSON object.")
    return found


def _check_payload(payload: bytes, statement: dict[str, Any], id_: UUID, version: str) -> None:
    _object(payload, "payload")
    sent = frozenset(attachment["sha2"].lower() for attachment in _attachments(statement) + _attachments(_lenient(payload)))
    try:
        signed = check(payload, version, sent=sent)
    except BadRequest as error:
        raise BadSignature(f"The payload of the signature is not a valid statement. {error.detail}") from error
    if "id" in signed and UUID(signed["id"]) != id_:
        raise BadSignature("The payload of the signature is a statement with another id.")
    if _comparable(signed) != _comparable(statement):
        raise BadSignature("The payload of the signature is not the statement that it signs.")


def _lenient(payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(payload)
    return found


def _attachments(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attachments of a statement, valid or not, and of its SubStatement, as far as they have a digest."""
    thing = statement.get("object")
    found = [one for each in (statement, thing if isinstance(thing, dict) else {}) if isinstance(each.get("attachments"), list) for one in each["attachments"]]
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("sha2"), str)]


def _comparable(statement: dict[str, Any]) -> dict[str, Any]:
    """Return what of a statement its signature vouches for: without attachments, and with durations cut to hundredths of a second."""
    form = _cut({name: value for name, value in statement.items() if name != "attachments"})
    if "object" in form.get("object", {}):
        form["object"] = _cut(form["object"])
    return canonical(form)


def _cut(statement: dict[str, Any]) -> dict[str, Any]:
    result = statement.get("result", {})
    if "duration" not in result:
        return statement
    duration = _SECONDS.sub(lambda found: f"{found[1]}.{(found[2] or '')[:2].ljust(2, '0')}S", result["duration"])
    return {**statement, "result": {**result, "duration": duration}}


def _certificates(given: Any) -> list[x509.Certificate]:
    if not isinstance(given, list) or not 0 < len(given) <= _MAX_CERTIFICATES or not all(isinstance(text, str) for text in given):
        raise BadSignature(f'"x5c" in the header of the signature is an array of 1 to {_MAX_CERTIFICATES} certificates, as base64.')
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(text, validate=True)) for text in given]
    except (ValueError, TypeError) as error:
        raise BadSignature('A certificate in "x5c" in the header of the signature cannot be read.') from error


def _check_signed(signer: x509.Certificate, algorithm: hashes.HashAlgorithm, signature: bytes, signed: bytes) -> None:
    try:
        key = signer.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadSignature('The key of the first certificate in "x5c" cannot be read.') from error
    if not isinstance(key, RSAPublicKey) or key.key_size > _MAX_KEY_BITS:
        raise BadSignature(f'The key of the first certificate in "x5c" must be an RSA key of at most {_MAX_KEY_BITS} bits.')
    try:
        key.verify(signature, signed, PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise BadSignature('The signature is not by the first certificate in "x5c".') from error


def _check_trusted(chain: Sequence[x509.Certificate], trust: Store, now: datetime) -> None:
    policy = PolicyBuilder().store(trust).time(now).max_chain_depth(_MAX_CERTIFICATES)
    policy = policy.extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
    try:
        policy.build_client_verifier().verify(chain[0], list(chain[1:]))
    except (VerificationError, ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature(f'The certificates in "x5c" do not lead to one that this server trusts ({error}).') from error
