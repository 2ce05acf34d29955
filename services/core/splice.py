"""Answer with the sender's bytes: what the LRS sets is added or replaced textually, nothing else is written anew.

`flags_of` looks at a statement once, when it is projected; `splice` then needs no parser in the common case.
"""
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import orjson

from services.core.parts import once
from services.core.timeline import rfc3339

NEEDS_ID, NEEDS_TIMESTAMP, NEEDS_VERSION, HAS_STORED, HAS_AUTHORITY, LONE_CONTEXT_ACTIVITIES = (1 << bit for bit in range(6))
"""Bits of `flags_of`: what is missing, what the sender set that the LRS sets, and context activities that need brackets."""

_REWRITE = HAS_STORED | HAS_AUTHORITY | LONE_CONTEXT_ACTIVITIES
_NONE: dict[str, Any] = {}
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def flags_of(statement: dict[str, Any]) -> int:
    """Return what `splice` has to do to a valid statement, as bits that fit a smallint."""
    flags = 0
    if "id" not in statement:
        flags |= NEEDS_ID
    if "timestamp" not in statement:
        flags |= NEEDS_TIMESTAMP
    if "version" not in statement:
        flags |= NEEDS_VERSION
    if "stored" in statement:
        flags |= HAS_STORED
    if "authority" in statement:
        flags |= HAS_AUTHORITY
    if _lone(statement) or (statement["object"].get("objectType") == "SubStatement" and _lone(statement["object"])):
        flags |= LONE_CONTEXT_ACTIVITIES
    return flags


def _lone(statement: dict[str, Any]) -> bool:
    activities = statement.get("context", _NONE).get("contextActivities", _NONE)
    return bool(activities) and once(activities, _any_lone)


def _any_lone(activities: dict[str, Any]) -> bool:
    return any(type(value) is dict for value in activities.values())


def splice(raw: bytes, flags: int, *, id: UUID, stored: int, authority_json: bytes, version: str) -> bytes:  # noqa: A002 - the property's name
    """Return the statement as a client gets it: every byte of the sender's values, and what the LRS sets.

    `raw` is an exact slice of a valid statement, `flags` its `flags_of`, `stored` an instant; `version` is given to a statement that has none,
    and `stored` is the timestamp of one that has none (xAPI Data 2.4.7).
    """
    moment = rfc3339(stored).encode()
    parts = [_rewritten(raw) if flags & _REWRITE else raw[:-1], b',"stored":"', moment, b'","authority":', authority_json]
    if flags & NEEDS_TIMESTAMP:
        parts += (b',"timestamp":"', moment, b'"')
    if flags & NEEDS_ID:
        parts += (b',"id":"', str(id).encode(), b'"')
    if flags & NEEDS_VERSION:
        parts += (b',"version":"', version.encode(), b'"')
    parts.append(b"}")
    return b"".join(parts)


def page(statements: Sequence[bytes], more: str) -> bytes:
    """Return a StatementResult of spliced statements; `more` is a path, or empty at the end."""
    return b"".join((b'{"statements":[', b",".join(statements), b'],"more":', orjson.dumps(more), b"}"))


def _rewritten(raw: bytes) -> bytes:
    """Return the statement up to its closing brace, without `stored` and `authority` and with every context activity in an array."""
    members = {key: bytes(value) for key, value in _members.decode(raw).items() if key not in ("stored", "authority")}
    if "context" in members:
        members["context"] = _with_brackets(members["context"])
    if _members.decode(members["object"]).get("context"):
        members["object"] = _object_with_brackets(members["object"])
    return _joined(members)[:-1]


def _object_with_brackets(raw: bytes) -> bytes:
    members = {key: bytes(value) for key, value in _members.decode(raw).items()}
    members["context"] = _with_brackets(members["context"])
    return _joined(members)


def _with_brackets(context: bytes) -> bytes:
    members = {key: bytes(value) for key, value in _members.decode(context).items()}
    if "contextActivities" not in members:
        return context
    activities = {key: bytes(value) for key, value in _members.decode(members["contextActivities"]).items()}
    members["contextActivities"] = _joined({key: b"[" + value + b"]" if value[:1] == b"{" else value for key, value in activities.items()})
    return _joined(members)


def _joined(members: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(orjson.dumps(key) + b":" + value for key, value in members.items()) + b"}"
