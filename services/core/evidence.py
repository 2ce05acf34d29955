"""What a statement says that matters to a transcript: about whom and what, when, and its facts, small enough to keep beside every statement.

Only the statement, its `stored` and the authority and scopes of its record are looked at, so the same record always gives the same evidence.
"""
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from services.core import actor, vocabulary
from services.core.parts import once
from services.core.related import artifacts, mastery, related
from services.core.result import hours, lasted, measures, scaled_score
from services.core.scopes import grants
from services.core.syntax import timestamp
from services.core.timeline import EPOCH

REGISTERED, ATTEMPTED, COMPLETED, FAILED, PASSED, WITHDRAWN = 1, 2, 3, 4, 5, 6
"""The class of a statement: what it alone would make of a transcript's line."""

NONE, ASSERTED, VERIFIED, PROCTORED = 0, 1, 2, 3
LEVELS = ("none", "asserted", "verified", "proctored")
"""Identity assurance, by what the evidence rows keep."""

_CLASS_OF_VERB = {
    "passed": PASSED, "failed": FAILED, "completed": COMPLETED, "satisfied": COMPLETED, "waived": COMPLETED,
    "registered": REGISTERED, "planned": REGISTERED, "withdrawn": WITHDRAWN,
}
_BEGINS = frozenset({"attempted", "initialized", "launched"})
_OUTCOMES = frozenset({COMPLETED, FAILED, PASSED})
_ABSENT: dict[str, str] = {}
_NOTHING: dict[str, Any] = {}
_LEVEL_OF_WORD = {"none": NONE, "verified": VERIFIED, "substantial": VERIFIED, "high": VERIFIED, "proctored": PROCTORED}


class Facts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The facts of one statement. Fields are only ever added, at the end."""

    klass: int
    verb: str
    """Its IRI as sent."""
    authority: str
    """Canonical text of the authority (services/core/actor.py: authority_text)."""
    scaled: float | None = None
    success: bool | None = None
    completion: bool | None = None
    duration: int | None = None
    """Microseconds."""
    session: int | None = None
    """Hash of the session whose time `duration` is; None without a duration."""
    begin: int | None = None
    """Hash of the attempt that this statement begins."""
    outcome: int | None = None
    """Hash of the attempt that this statement gives an outcome to."""
    hours: int = 0
    """Professional-development hours, in millionths."""
    level: int = NONE
    """Identity assurance by its own trusted record."""
    registration: str | None = None
    attachments: bool = False
    kind: str | None = None
    """Canonical type of its activity, by its own definition."""
    under: tuple[int, ...] = ()
    """key64 of the activities among its parents and groupings."""
    category: tuple[int, ...] = ()
    """key64 of its categories."""
    other: tuple[int, ...] = ()
    """key64 of its `other` context activities."""
    artifacts: int = 0
    """Attachments that are no signature."""
    measures: dict[int, int] | None = None
    """Numbers of its result's extensions, then of its context's: key64 of the extension's IRI, and millionths."""
    mastery: float | None = None
    """The cmi5 mastery score it was launched with."""


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Evidence about one IFI and one activity."""

    ifi: str
    """Canonical IFI text."""
    identity: str
    """What the IFI is for identity: a mailbox and its SHA-1 are one."""
    name: str | None
    activity: str
    activity_name: str | None
    activity_type: str | None
    at: int
    """Event time: min(timestamp, stored)."""
    facts: Facts


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Facts).decode


def pack(facts: Facts) -> bytes:
    """Return the bytes that an evidence row keeps: the same facts always give the same bytes."""
    return _encode(facts)


def unpack(packed: bytes) -> Facts:
    """Return the facts of an evidence row."""
    return _decode(packed)


def evidence_of(statement: dict[str, Any], *, ifi: str | None, stored: int, authority: str, scopes: Collection[str]) -> Evidence | None:
    """Return what a valid statement is evidence of, None if it is about nobody (no IFI, a placeholder) or about no activity.

    `ifi` is that of its actor, `authority` the canonical text of the record's authority, `scopes` those of the record, `stored` an instant.
    """
    target = statement["object"]
    if ifi is None or target.get("objectType", "Activity") != "Activity" or (identity := _identity(ifi)) is None:
        return None
    said = statement.get("timestamp")
    happened = _instant(said) if said is not None else None
    at = stored if happened is None or happened > stored else happened
    name, kind, _ = once(target, _described)
    return Evidence(
        ifi, identity, statement["actor"].get("name"), target["id"], name, kind, at,
        facts_of(statement, at=at, authority=authority, trusted=_trusted(scopes if type(scopes) is tuple else tuple(scopes))),
    )


def facts_of(statement: dict[str, Any], *, at: int, authority: str, trusted: bool) -> Facts:
    """Return the facts of a valid statement about an activity; `trusted` if its record may assure identity."""
    result: dict[str, Any] = statement.get("result") or _NOTHING
    context: dict[str, Any] = statement.get("context") or _NOTHING
    extensions = context.get("extensions")
    found = _present(tuple(extensions)) if extensions else _ABSENT
    iri = statement["verb"]["id"]
    verb = vocabulary.verb(iri)
    klass = _class(verb, result)
    took = lasted(result) if "duration" in result else None
    begins, ends = verb in _BEGINS, klass in _OUTCOMES
    session = begin = outcome = None
    registration = context.get("registration")
    if begins or ends or took is not None:
        sitting, attempt, own = _sitting(registration, extensions, found)
        session = sitting if took is not None else None
        outcome = sitting if ends else None
        if begins:
            begin = sitting if own or attempt else _hash("time", registration or "", str(at))
    level = identity_level(extensions) if trusted and extensions and "identity-assurance" in found else NONE
    more = result.get("extensions")
    under, category, other = related(context)
    attached = statement.get("attachments")
    return Facts(
        klass, iri, authority, scaled_score(result["score"]) if result.get("score") else None, result.get("success"), result.get("completion"), took,
        session, begin, outcome, (_hours(more, _present(tuple(more))) if more else 0) or (_hours(extensions, found) if extensions else 0), level,
        registration, bool(attached), once(statement["object"], _described)[2], under, category, other,
        artifacts(attached) if attached else 0, measures(more, extensions) if more or extensions else None, mastery(extensions) if extensions else None,
    )


def voids(statement: dict[str, Any]) -> UUID | None:
    """Return the id of the statement that this one voids, None if it is no voiding statement."""
    return _reference(statement) if statement["verb"]["id"] == vocabulary.VOIDED else None


def assures(statement: dict[str, Any]) -> tuple[UUID, int] | None:
    """Return which statement this one says to have verified, and the level it gives it; None if it is no such statement.

    Whether it counts is for the scopes of its record to say.
    """
    if vocabulary.verb(statement["verb"]["id"]) != "verified":
        return None
    target = _reference(statement)
    if target is None:
        return None
    for place in ("context", "result"):
        extensions = (statement.get(place) or {}).get("extensions")
        if extensions and vocabulary.extension(extensions, "identity-assurance") is not None:
            return target, identity_level(extensions)
    return target, VERIFIED


def identity_level(extensions: dict[str, Any]) -> int:
    """Return the level that an identity-assurance extension `{method, level}` claims."""
    claim = vocabulary.extension(extensions, "identity-assurance")
    if claim is None:
        return NONE
    method, level = (claim.get("method"), claim.get("level")) if isinstance(claim, dict) else (None, claim)
    if isinstance(method, str) and method.casefold() == "proctored":
        return PROCTORED
    return _LEVEL_OF_WORD.get(level.casefold(), ASSERTED) if isinstance(level, str) else ASSERTED


def display(texts: dict[str, str]) -> str | None:
    """Return one text of a language map: English if there is any, else that of the least tag."""
    if not texts:
        return None
    if "en" in texts:
        return texts["en"]
    return texts[_tag(tuple(texts))]


@lru_cache(maxsize=4096)
def _tag(tags: tuple[str, ...]) -> str:
    """Return the tag whose text is shown; a sender uses the same few in statement after statement."""
    return min(tags, key=lambda tag: (tag.split("-")[0].lower() != "en", tag != "en", tag))


def _described(activity: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return the name, the type and the canonical type that the definition of an activity gives it."""
    definition = activity.get("definition") or _NOTHING
    name, kind = definition.get("name"), definition.get("type")
    return display(name) if name else None, kind, None if kind is None else vocabulary.activity_type(kind)


def _class(verb: str, result: dict[str, Any]) -> int:
    klass = _CLASS_OF_VERB.get(verb, ATTEMPTED)
    if klass >= FAILED:
        return klass
    success = result.get("success")
    if success is not None and verb not in {"satisfied", "waived"}:
        return PASSED if success else FAILED
    return COMPLETED if result.get("completion") else klass


def _reference(statement: dict[str, Any]) -> UUID | None:
    target = statement["object"]
    return UUID(target["id"]) if target.get("objectType") == "StatementRef" else None


def _hours(extensions: dict[str, Any], found: dict[str, str]) -> int:
    iri = found.get("pd-hours")
    return 0 if iri is None else hours(extensions[iri])


def _sitting(registration: str | None, extensions: dict[str, Any] | None, found: dict[str, str]) -> tuple[int, bool, bool]:
    """Return the hash of the session, else of registration and attempt; whether there is an attempt id; whether there is a session id."""
    session = attempt = None
    if extensions:
        session = extensions[found["session"]] if "session" in found else None
        attempt = extensions[found["attempt"]] if session is None and "attempt" in found else None
    if session is not None:
        return _hash("session", _text(session)), False, True
    if registration is None and attempt is None:
        return 0, False, False
    return _hash("attempt", (registration or "").lower(), _text(attempt)), attempt is not None, False


@lru_cache(maxsize=4096)
def _present(iris: tuple[str, ...]) -> dict[str, str]:
    """Return which of these extension IRIs say what; a sender uses the same few in statement after statement."""
    named = {name: vocabulary.extension({iri: iri for iri in iris}, name) for name in ("session", "attempt", "pd-hours", "identity-assurance")}
    return {name: iri for name, iri in named.items() if iri is not None}


def _instant(text: str) -> int | None:
    """Return the instant of a timestamp: the usual form by the fast way, any other valid one by hand."""
    try:
        since = datetime.fromisoformat(text) - EPOCH
        return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    except (ValueError, TypeError, OverflowError):  # a leap second, no offset, …
        return timestamp(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value, order="sorted").decode()


@lru_cache(maxsize=4096)
def _trusted(scopes: tuple[str, ...]) -> bool:
    return grants(scopes, "lrs:assure")


_identity = lru_cache(maxsize=65536)(actor.identity)


def _hash(*parts: str) -> int:
    return int.from_bytes(blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)
