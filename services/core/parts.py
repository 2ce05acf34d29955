"""Statements parsed part by part: what a sender repeats in statement after statement is parsed, and looked at, once.

Actors, verbs, objects and context activities come again byte for byte. Equal bytes give the same object here, which remembers what was made of it.
"""
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import msgspec
import orjson
from msgspec import Raw

T = TypeVar("T")

_LONGEST = 4096
_REMEMBERED_BYTES = 1 << 20
"""Of each kind of part. What is made of them may be ten times as large."""


class Part(dict[str, Any]):
    """A JSON object that statements share. Nobody may change it."""

    __slots__ = ("known",)

    def __init__(self, members: dict[str, Any]) -> None:
        """Nothing was made of it yet."""
        super().__init__(members)
        self.known: dict[Callable[[Any], Any], Any] = {}


def once(part: dict[str, Any], read: Callable[[Any], T]) -> T:
    """Return what `read` makes of a part of a statement; of one that statements share it is remembered, so nobody may change it."""
    if type(part) is not Part:
        return read(part)
    try:
        found: T = part.known[read]
    except KeyError:
        found = part.known[read] = read(part)
    return found


class _Parts:
    """The parts of one kind that were met of late."""

    def __init__(self) -> None:
        self._parts: dict[bytes, Part] = {}
        self._bytes = 0

    def part(self, raw: Raw) -> dict[str, Any]:
        """Return the object that these bytes are."""
        text = bytes(raw)
        return self._parts.get(text) or self._read(text)

    def _read(self, text: bytes) -> dict[str, Any]:
        members: dict[str, Any] = orjson.loads(text)
        if len(text) > _LONGEST:
            return members
        self._bytes += len(text)
        if self._bytes > _REMEMBERED_BYTES:
            self._parts.clear()
            self._bytes = len(text)
        part = self._parts[text] = Part(members)
        return part


class _Context(TypedDict, total=False):
    registration: Any
    instructor: Raw
    team: Raw
    contextActivities: Raw
    contextAgents: Any
    contextGroups: Any
    revision: Any
    platform: Any
    language: Any
    statement: Any
    extensions: Any


class _Statement(TypedDict, total=False):
    id: Any
    actor: Raw
    verb: Raw
    object: Raw
    result: Any
    context: _Context
    timestamp: Any
    stored: Any
    authority: Any
    version: Any
    attachments: Any


_decode: Callable[[bytes], Any] = msgspec.json.Decoder(_Statement).decode
_agent, _verb, _object, _activities = _Parts().part, _Parts().part, _Parts().part, _Parts().part


def parse(raw: bytes) -> dict[str, Any]:
    """Return a valid statement, parsed. Nobody may change it, for other statements share its parts."""
    statement: dict[str, Any] = _decode(raw)
    statement["actor"] = _agent(statement["actor"])
    statement["verb"] = _verb(statement["verb"])
    statement["object"] = _object(statement["object"])
    context = statement.get("context")
    if context is not None:
        if "contextActivities" in context:
            context["contextActivities"] = _activities(context["contextActivities"])
        if "instructor" in context:
            context["instructor"] = _agent(context["instructor"])
        if "team" in context:
            context["team"] = _agent(context["team"])
    return statement
