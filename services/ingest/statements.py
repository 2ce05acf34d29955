"""From the body of a request to statements that may be written: cut, checked, each with its id and fingerprint. Pure: ids made up come from an argument."""
from bisect import insort
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
    sent: Sequence[str]


NewId = Callable[[int], tuple[UUID, bool]]
"""Gives an id for the statement at an index, and whether it is random."""
AsideId = Callable[[bytes], UUID]
"""Gives the id of an invalid statement that has none, by its bytes, so that it gets the same when it is sent again."""


class Naming(msgspec.Struct, frozen=True, eq=False):
    """How the statements of a request get their ids, beside those that they have."""

    new_id: NewId
    single: str | None = None
    """The id of a PUT, whose body is one statement of that id or none."""
    aside_id: AsideId | None = None
    """None: one invalid statement refuses the request; else a statement that is JSON and not valid is set aside."""


class Batch(msgspec.Struct, eq=False):
    """The statements of a request; `who` is the identity of the first one's actor, else its id. Those of `aside` are in their order."""

    statements: list[Incoming]
    who: str
    array: bool
    aside: list[Aside]
    naming: Naming

    def place(self, which: Incoming) -> str:
        """Return the pointer to one of the statements in the request."""
        return _place(self._index(which), array=self.array)

    def texts(self) -> list[str]:
        """Return the ids of all statements of the request, in its order."""
        texts = [statement.text for statement in self.statements]
        for one in self.aside:
            texts.insert(one.index, one.text)
        return texts

    def set_aside(self, which: Incoming, error: BadRequest, sent: frozenset[str]) -> None:
        """Set one of the statements aside that is not valid after all. Raises `error`, whose pointer begins with its place, where none is set aside."""
        one = _aside(which.raw, error, self._index(which), self, sent)
        insort(self.aside, one, key=_index)
        self.statements.remove(which)
        if self.statements:
            self.who = _who(self.statements[0], orjson.loads(self.statements[0].raw))

    def _index(self, which: Incoming) -> int:
        at = self.statements.index(which)
        for one in self.aside:
            at += one.index <= at
        return at


def keyed_ids(hashes: KeyedHash, tenant: str, credential: str, key: str) -> NewId:
    """Return ids that a repeated request with the same Idempotency-Key gets again."""
    return lambda index: (hashes.id("idempotency", tenant, credential, key, str(index)), False)


def batch_of(body: bytes, version: str, settings: Settings, naming: Naming, sent: frozenset[str] = frozenset()) -> Batch:
    """Return the statements of a body. Raises BadRequest with a pointer for what is wrong with the request itself, and as `naming` says for its statements.

    `sent` are the digests (sha2, lower-case) of the content of attachments that came along: others need a fileUrl.
    """
    slices, array = split(body, max_depth=settings.max_depth, max_statements=settings.max_statements, max_statement_bytes=settings.max_statement_bytes)
    if array and naming.single is not None:
        raise BadRequest("Only one statement is taken here, not an array.", pointer="")
    batch = Batch([], "", array, [], naming)
    taken: set[UUID] | None = set() if len(slices) > 1 else None
    for index, raw in enumerate(slices):
        try:
            statement = check(raw, version, sent=sent, max_depth=settings.max_depth)
        except BadRequest as error:
            _place_error(error, raw, version, _place(index, array=array), sent)
            one = _aside(raw, error, index, batch, sent)
            batch.aside.append(one)
            id_ = one.id if one.given else None
        else:
            incoming = _incoming(statement, raw, index, naming)
            batch.who = batch.who or _who(incoming, statement)
            batch.statements.append(incoming)
            id_ = incoming.id
        if taken is None or id_ is None:
            continue
        if id_ in taken:
            raise BadRequest("Another statement of this request has the same id.", pointer=f"/{index}/id")
        taken.add(id_)
    return batch


def _place(index: int, *, array: bool) -> str:
    return f"/{index}" if array else ""


def _place_error(error: BadRequest, raw: bytes, version: str, place: str, sent: frozenset[str]) -> None:
    """Let an error about a statement speak of the whole request: its pointers begin with the statement's place, and it tells all faults."""
    if error.pointer is not None:
        error.pointer = place + error.pointer
    if isinstance(error, InvalidStatement):
        found = [{"pointer": place + fault.pointer, "detail": fault.sentence} for fault in faults(orjson.loads(raw), version, sent=sent)[:MAX_FAULTS]]
        if place and found:
            error.detail = told(found[0]["pointer"], found[0]["detail"])
        error.members = {**error.members, "faults": found or [{"pointer": error.pointer, "detail": error.detail}]}


def _aside(raw: bytes, error: BadRequest, index: int, batch: Batch, sent: frozenset[str]) -> Aside:
    """Return an invalid statement. Raises `error` where none is set aside or it is not even JSON, and BadRequest for an id that it may not have."""
    naming = batch.naming
    if naming.aside_id is None:
        raise error
    try:
        statement = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise error from None
    given = identify(statement)
    if naming.single is not None:
        _check_single(given, naming.single)
        id_, text = UUID(naming.single), naming.single
    elif given is not None:
        id_, text = given, statement["id"]
    else:
        made, random = naming.new_id(index)
        id_ = naming.aside_id(raw) if random else made
        text = str(id_)
    return Aside(index, id_, text, raw, _faults(error, _place(index, array=batch.array)), naming.single is None and given is not None, _along(raw, sent))


def _index(one: Aside) -> int:
    return one.index


def _faults(error: BadRequest, place: str) -> list[dict[str, str]]:
    """Return what an error says is wrong with the statement at a place, with pointers into the statement."""
    found: Any = error.members.get("faults") or [{"pointer": error.pointer or "", "detail": error.detail}]
    return _brief([{**fault, "pointer": fault["pointer"].removeprefix(place)} for fault in found])


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


def _check_single(given: UUID | None, single: str) -> None:
    if given is not None and given != UUID(single):
        raise BadRequest(f"The id of the statement is not {single}, which this request is about.", pointer="/id")


def _incoming(statement: dict[str, Any], raw: bytes, index: int, naming: Naming) -> Incoming:
    text, single = statement.get("id"), naming.single
    if text is None and single is None:
        made, random = naming.new_id(index)
        return Incoming(made, str(made), fingerprint(statement), raw, made=random)
    id_ = UUID(text or single)
    if single is not None:
        _check_single(id_, single)
    return Incoming(id_, text or str(id_), fingerprint(statement), raw, made=False)


def _who(incoming: Incoming, statement: dict[str, Any]) -> str:
    """Return whose statement it is: the identity of its actor, else its id."""
    named = ifi(statement["actor"])
    return (None if named is None else identity(named)) or str(incoming.id)
