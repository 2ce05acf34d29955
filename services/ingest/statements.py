"""From the body of a request to statements that may be written: cut, checked, each with its id and fingerprint. Pure: ids made up come from an argument."""
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import orjson

from services.core.actor import identity, ifi
from services.core.check import check, identify, told
from services.core.errors import BadRequest, InvalidStatement
from services.core.explain import faults
from services.core.fingerprint import fingerprint
from services.core.json_slices import split
from services.core.keys import KeyedHash
from services.runtime.settings import Settings

MAX_FAULTS = 50
MAX_FAULT_CHARACTERS = 8 << 10
_NONE_SENT: frozenset[str] = frozenset()


class Incoming(msgspec.Struct, eq=False):
    """One checked statement: its id (`made` at random here, so that nobody else can have it), its text for the answer, and the sender's bytes."""

    id: UUID
    text: str
    fp: bytes
    raw: bytes
    made: bool


class Aside(msgspec.Struct, eq=False):
    """A statement that is not valid: where in the request it was, the id it has (`given`) or gets, the sender's bytes, and what is wrong with them.

    Pointers of `faults` lead into the statement; `sent` are those of its attachments' digests whose content came along.
    """

    index: int
    id: UUID
    text: str
    raw: bytes
    faults: list[dict[str, str]]
    given: bool
    sent: Sequence[str] = ()


class Batch(msgspec.Struct, eq=False):
    """The statements of a request; `who` is the identity of the first one's actor, else its id. Those of `aside` are in their order."""

    statements: list[Incoming]
    who: str
    array: bool
    aside: Sequence[Aside] = ()

    def place(self, which: Incoming) -> str:
        """Return the pointer to one of the statements in the request."""
        at = self.statements.index(which)
        for one in self.aside:
            at += one.index <= at
        return f"/{at}" if self.array else ""

    def texts(self) -> list[str]:
        """Return the ids of all statements of the request, in its order."""
        texts = [statement.text for statement in self.statements]
        for one in self.aside:
            texts.insert(one.index, one.text)
        return texts


NewId = Callable[[int], tuple[UUID, bool]]
"""Gives an id for the statement at an index, and whether it is random."""
AsideId = Callable[[bytes], UUID]
"""Gives the id of an invalid statement that has none, by its bytes, so that it gets the same when it is sent again."""


def keyed_ids(hashes: KeyedHash, tenant: str, credential: str, key: str) -> NewId:
    """Return ids that a repeated request with the same Idempotency-Key gets again."""
    return lambda index: (hashes.id("idempotency", tenant, credential, key, str(index)), False)


def batch_of(  # noqa: PLR0913 - what was sent, and the ways a statement may get its id
    body: bytes, version: str, settings: Settings, new_id: NewId, *, single: str | None = None, sent: frozenset[str] = _NONE_SENT,
    aside_id: AsideId | None = None,
) -> Batch:
    """Return the statements of a body. With `single` (a PUT) it must be one statement, of that id or none. Raises BadRequest with a pointer.

    `sent` are the digests (sha2, lower-case) of the content of attachments that came along: others need a fileUrl. With `aside_id` a statement that is JSON and
    not valid is set aside; what is wrong with the request itself is raised all the same.
    """
    slices, array = split(body, max_depth=settings.max_depth, max_statements=settings.max_statements, max_statement_bytes=settings.max_statement_bytes)
    if array and single is not None:
        raise BadRequest("Only one statement is taken here, not an array.", pointer="")
    statements: list[Incoming] = []
    aside: list[Aside] = []
    taken: set[UUID] = set()
    who = ""
    for index, raw in enumerate(slices):
        try:
            statement = _checked(raw, version, settings.max_depth, f"/{index}" if array else "", sent)
        except BadRequest as error:
            if aside_id is None:
                raise
            one = _aside(raw, error, (index, array), new_id, single, aside_id)
            one.sent = _along(raw, sent)
            if one.given:
                _take(one.id, index, taken)
            aside.append(one)
            continue
        incoming = _incoming(statement, raw, index, new_id, single)
        if incoming.id in taken:
            raise _twice(index)  # as _take, which would cost every statement a call
        taken.add(incoming.id)
        if not statements:
            who = _who(statement) or str(incoming.id)
        statements.append(incoming)
    return Batch(statements, who, array, aside)


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


def _aside(
    raw: bytes, error: BadRequest, place: tuple[int, bool], new_id: NewId, single: str | None, aside_id: AsideId,
) -> Aside:
    """Return an invalid statement. Raises `error` for what is not even JSON, and BadRequest for an id that it may not have."""
    index, array = place
    try:
        statement = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise error from None
    given = identify(statement)
    if single is not None:
        _check_single(given, single)
        id_, text = UUID(single), single
    elif given is not None:
        id_, text = given, statement["id"]
    else:
        made, random = new_id(index)
        id_ = aside_id(raw) if random else made
        text = str(id_)
    found: Any = error.members.get("faults") or [{"pointer": error.pointer or "", "detail": error.detail}]
    within = [{**fault, "pointer": fault["pointer"].removeprefix(f"/{index}" if array else "")} for fault in found]
    return Aside(index, id_, text, raw, _brief(within), given=single is None and given is not None)


def _brief(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the first of some faults, so many that a list of them stays small whatever was sent."""
    kept, left = [], MAX_FAULT_CHARACTERS
    for fault in found:
        left -= len(fault["pointer"]) + len(fault["detail"])
        if left < 0:
            break
        kept.append(fault)
    return kept or [{"pointer": "", "detail": found[0]["detail"][:MAX_FAULT_CHARACTERS]}]


def _along(raw: bytes, sent: frozenset[str]) -> list[str]:
    """Return those of some digests that the bytes of a statement name."""
    lower = raw.lower()
    return [digest for digest in sent if digest.encode() in lower]


def _take(id_: UUID, index: int, taken: set[UUID]) -> None:
    if id_ in taken:
        raise _twice(index)
    taken.add(id_)


def _twice(index: int) -> BadRequest:
    return BadRequest("Another statement of this request has the same id.", pointer=f"/{index}/id")


def _check_single(given: UUID | None, single: str) -> None:
    if given is not None and given != UUID(single):
        raise BadRequest(f"The id of the statement is not {single}, which this request is about.", pointer="/id")


def _incoming(statement: dict[str, Any], raw: bytes, index: int, new_id: NewId, single: str | None) -> Incoming:
    text = statement.get("id")
    if text is None and single is None:
        made, random = new_id(index)
        return Incoming(made, str(made), fingerprint(statement), raw, made=random)
    id_ = UUID(text or single)
    if single is not None:
        _check_single(id_, single)
    return Incoming(id_, text or str(id_), fingerprint(statement), raw, made=False)


def _who(statement: dict[str, Any]) -> str | None:
    named = ifi(statement["actor"])
    return None if named is None else identity(named)
