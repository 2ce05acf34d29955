"""Encode and decode records of the log (envelope version 1) without touching the senders' bytes."""
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import orjson

from schemas.envelope import VERSION, Envelope, EnvelopeStatement, Kind

_decoder = msgspec.json.Decoder(Envelope)
_head = msgspec.json.Decoder(dict[str, msgspec.Raw])


class UnknownEnvelope(Exception):
    """The record is not an envelope of a version this code knows."""


def encode_statements(  # noqa: PLR0913 - one argument for each field of the record
    *, batch: UUID, tenant: str, authority: dict[str, Any], credential: str, scopes: list[str], received: str, xapi: str,
    statements: Iterable[tuple[UUID, str, bytes]],
) -> bytes:
    """Return the record of one POST: `statements` are (id, fingerprint in hex, the sender's bytes)."""
    return orjson.dumps({
        "v": VERSION, "kind": "statements", "batch": batch, "tenant": tenant, "authority": authority, "credential": credential,
        "scopes": scopes, "received": received, "xapi": xapi,
        "statements": [{"id": id_, "fp": fp, "raw": orjson.Fragment(raw)} for id_, fp, raw in statements],
    })


def encode(kind: Kind, *, body: dict[str, Any] | None = None, stored: int | None = None, **fields: Any) -> bytes:
    """Return a record of any other kind; `fields` are `batch`, `tenant`, `authority`, `credential`, `scopes`, `received`."""
    record: dict[str, Any] = {"v": VERSION, "kind": kind, **fields}
    if body is not None:
        record["body"] = body
    if stored is not None:
        record["stored"] = stored
    return orjson.dumps(record)


def carry(value: bytes, stored: int) -> bytes:
    """Return a record as another log takes it over: it says when its first statement was stored, and every byte it had stands as it was."""
    return b'%b,"stored":%d}' % (value.rstrip()[:-1], stored)


def decode(value: bytes) -> Envelope:
    """Return the envelope; the bytes of its statements are slices of `value`. Raises UnknownEnvelope."""
    try:
        version = msgspec.json.decode(_head.decode(value)["v"], type=int)
    except (msgspec.MsgspecError, KeyError) as error:
        raise UnknownEnvelope("not a record of ours") from error
    if version != VERSION:
        raise UnknownEnvelope(f"envelope version {version} is unknown to this version of Testamur")
    try:
        return _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise UnknownEnvelope(f"a version {VERSION} envelope that cannot be read: {error}") from error


__all__ = ["Envelope", "EnvelopeStatement", "UnknownEnvelope", "carry", "decode", "encode", "encode_statements"]
