"""Read YAML 1.2, and so JSON, into JSON values that know the lines they stand in: no tags, no objects, aliases counted as often as they are used.

Only the events of the YAML parser are used; what plain scalars mean is decided here, by the core schema of YAML 1.2: `on` is a text.
"""
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

MAX_BYTES = 64 << 10
MAX_DEPTH = 40
MAX_VALUES = 10_000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]{1,20}|[0-9]{1,20}(?:\.[0-9]{0,20})?)(?:[eE][-+]?[0-9]{1,2})?")
_LIKE_A_NUMBER = re.compile(r"[-+]?(?:[0-9]+|[0-9]*\.[0-9]+|[0-9]+\.)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Unreadable(Exception):
    """The text is no YAML or JSON that is read here."""

    def __init__(self, line: int, sentence: str) -> None:
        self.line, self.sentence = line, sentence
        super().__init__(sentence)


class Mark(NamedTuple):
    """The line a value stands in, and those of its members or elements (of members: the lines of their names)."""

    line: int
    size: int
    """How many values it is, itself and all in it."""
    of: "dict[str, Mark] | list[Mark] | None"


def read(text: bytes | str) -> tuple[Any, Mark]:
    """Return the value that a text says, and its lines, from 1. Raises Unreadable."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise Unreadable(1, f"The text has {len(raw)} bytes; at most {MAX_BYTES >> 10} KiB are read.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(raw[:error.start].count(b"\n") + 1, "The text is not UTF-8.") from error
    try:
        return _Builder(YAML(typ="safe", pure=True).parse(text)).document()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or "it holds a character that is not allowed"
        raise Unreadable(mark.line + 1 if mark is not None else _line_of(text, error), f"The text is neither YAML nor JSON: {problem}.") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise Unreadable(1, "The text is neither YAML nor JSON.") from error


def line_of(mark: Mark, path: list[str | int]) -> int:
    """Return the line of the value at a path, or of the nearest there is above it."""
    for step in path:
        try:
            mark = mark.of[step]  # type: ignore[index]  # whatever does not fit ends the way
        except (LookupError, TypeError):
            break
    return mark.line


class _Builder:
    """Makes values of the parser's events, as they come: what is too deep or too much is never read on."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Any, Mark]] = {}
        self._values = 0

    def document(self) -> tuple[Any, Mark]:
        documents = 0
        found: tuple[Any, Mark] = (None, Mark(1, 1, None))
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable(event.start_mark.line + 1, "The text holds more than one document.")
                found = self._value(next(self._events), 1)
        return found

    def _value(self, event: Any, depth: int) -> tuple[Any, Mark]:
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise Unreadable(line, f"The alias *{event.anchor} names nothing above it.")
            value, mark = self._anchors[event.anchor]
            self._count(mark.size, line)
            return value, mark
        if getattr(event, "tag", None) is not None:
            raise Unreadable(line, f"The tag {event.tag} is not read here; write the value without it.")
        if depth > MAX_DEPTH:
            raise Unreadable(line, f"The text is nested more than {MAX_DEPTH} deep.")
        self._count(1, line)
        if isinstance(event, ScalarEvent):
            found: tuple[Any, Mark] = (_text(event.value, line) if event.style is not None else _plain(event.value, line), Mark(line, 1, None))
        elif isinstance(event, SequenceStartEvent):
            found = self._sequence(line, depth)
        else:
            assert isinstance(event, MappingStartEvent)
            found = self._mapping(line, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = found
        return found

    def _sequence(self, line: int, depth: int) -> tuple[list[Any], Mark]:
        values, marks = [], []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            value, mark = self._value(event, depth + 1)
            values.append(value)
            marks.append(mark)
        return values, Mark(line, 1 + sum(mark.size for mark in marks), marks)

    def _mapping(self, line: int, depth: int) -> tuple[dict[str, Any], Mark]:
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            there = event.start_mark.line + 1
            if not isinstance(event, ScalarEvent) or getattr(event, "tag", None) is not None:
                raise Unreadable(there, "The name of a member must be a plain text.")
            name = _text(event.value, there)
            if name in values:
                raise Unreadable(there, f"The member {name} stands here twice.")
            values[name], mark = self._value(next(self._events), depth + 1)
            marks[name] = mark._replace(line=there)
        return values, Mark(line, 1 + sum(mark.size for mark in marks.values()), marks)

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise Unreadable(line, f"The text holds more than {MAX_VALUES} values.")


def _plain(text: str, line: int) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _LIKE_A_NUMBER.fullmatch(text):
        raise Unreadable(line, f"The number {text[:40]} is not read here; write it in decimals, with at most 18 digits.")
    return _text(text, line)


def _text(text: str, line: int) -> str:
    """Return a text without halves of characters: JSON writes those beyond the first plane in two escapes."""
    try:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise Unreadable(line, "A text holds half a character (a lone surrogate).") from error
    if "\0" in whole:
        raise Unreadable(line, "A text holds U+0000.")
    return whole


def _line_of(text: str, error: YAMLError) -> int:
    place = getattr(error, "position", None)
    return text[:place].count("\n") + 1 if isinstance(place, int) else 1
