"""From the body of a request to statements that may be written: cut, checked, each with its id and fingerprint. Pure: ids made up come from an argument."""
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import orjson

from services.core.actor import identity, ifi
from services.core.check import check, told
from services.core.errors import BadRequest, InvalidStatement
from services.core.explain import faults
from services.core.fingerprint import fingerprint
from services.core.json_slices import split
from services.core.keys import KeyedHash
from services.runtime.settings import Settings

MAX_FAULTS = 50
_NONE_SENT: frozenset[str] = frozenset()


class Incoming(msgspec.Struct, eq=False):
    """One checked statement: its id (`made` at random here, so that nobody else can have it), its text for the answer, and the sender's bytes."""

    id: UUID
    text: str
    fp: bytes
    raw: bytes
    made: bool


class Batch(msgspec.Struct, eq=False):
    """The statements of a request; `who` is the identity of the first one's actor, else its id."""

    statements: list[Incoming]
    who: str
    array: bool


NewId = Callable[[int], tuple[UUID, bool]]
"""Gives an id for the statement at an index, and whether it is random."""


def keyed_ids(hashes: KeyedHash, tenant: str, credential: str, key: str) -> NewId:
    """Return ids that a repeated request with the same Idempotency-Key gets again."""
    return lambda index: (hashes.id("idempotency", tenant, credential, key, str(index)), False)


def batch_of(
    body: bytes, version: str, settings: Settings, new_id: NewId, *, single: str | None = None, sent: frozenset[str] = _NONE_SENT,
) -> Batch:
    """Return the statements of a body. With `single` (a PUT) it must be one statement, of that id or none. Raises BadRequest with a pointer.

    `sent` are the digests (sha2, lower-case) of the content of attachments that came along: others need a fileUrl.
    """
    slices, array = split(body, max_depth=settings.max_depth, max_statements=settings.max_statements, max_statement_bytes=settings.max_statement_bytes)
    if array and single is not None:
        raise BadRequest("A PUT takes one statement, not an array.", pointer="")
    statements: list[Incoming] = []
    taken: set[UUID] = set()
    who = ""
    for index, raw in enumerate(slices):
        statement = _checked(raw, version, settings.max_depth, f"/{index}" if array else "", sent)
        incoming = _incoming(statement, raw, index, new_id, single)
        if incoming.id in taken:
            raise BadRequest("Another statement of this request has the same id.", pointer=f"/{index}/id")
        taken.add(incoming.id)
        if not statements:
            who = _who(statement) or str(incoming.id)
        statements.append(incoming)
    return Batch(statements, who, array)


def _checked(raw: bytes, version: str, max_depth: int, prefix: str, sent: frozenset[str]) -> dict[str, Any]:
    """Return the parsed statement. Raises BadRequest about the whole request: its pointer begins with the statement's place."""
    try:
        return check(raw, version, sent=sent, max_depth=max_depth)
    except BadRequest as error:
        if error.pointer is not None:
            error.pointer = prefix + error.pointer
        if isinstance(error, InvalidStatement):
            found = [{"pointer": prefix + fault.pointer, "detail": fault.sentence} for fault in faults(orjson.loads(raw), version, sent=sent)[:MAX_FAULTS]]
            if prefix and found:
                error.detail = told(found[0]["pointer"], found[0]["detail"])
            error.members = {**error.members, "faults": found or [{"pointer": error.pointer, "detail": error.detail}]}
        raise


def _incoming(statement: dict[str, Any], raw: bytes, index: int, new_id: NewId, single: str | None) -> Incoming:
    text = statement.get("id")
    if text is None and single is None:
        made, random = new_id(index)
        return Incoming(made, str(made), fingerprint(statement), raw, made=random)
    id_ = UUID(text or single)
    if single is not None and id_ != UUID(single):
        raise BadRequest("The id of the statement is not the statementId of the request.", pointer="/id")
    return Incoming(id_, text or str(id_), fingerprint(statement), raw, made=False)


def _who(statement: dict[str, Any]) -> str | None:
    named = ifi(statement["actor"])
    return None if named is None else identity(named)
