"""The building blocks of the slow validator: a check looks at one value and lists what is wrong with it, in document order.

Written apart from the compiled schema on purpose: each is the other's test.
"""
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from services.core import syntax
from services.core.json_slices import escape


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as a sentence, and where: a JSON pointer into the statement (the object, if something is missing in it)."""

    pointer: str
    sentence: str


ENOUGH = 1000
"""No object or array is looked at further than this many faults: hostile input with a million of them costs no more."""
Check = Callable[[Any, str], list[Fault]]
"""Takes a value and its pointer; an empty list means that nothing is wrong."""


def kind_of(value: Any) -> str:
    """Return what JSON calls the type of a value, with its article."""
    if isinstance(value, bool):
        return "a boolean"
    names = {dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def text(value: Any, pointer: str) -> list[Fault]:
    """Any string."""
    return [] if isinstance(value, str) else [Fault(pointer, f"must be a string, not {kind_of(value)}")]


def boolean(value: Any, pointer: str) -> list[Fault]:
    """True or false."""
    return [] if isinstance(value, bool) else [Fault(pointer, f"must be true or false, not {kind_of(value)}")]


def is_number(value: Any) -> bool:
    """Return whether a value is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any, pointer: str) -> list[Fault]:
    """Any number."""
    return [] if is_number(value) else [Fault(pointer, f"must be a number, not {kind_of(value)}")]


def whole_number(value: Any, pointer: str) -> list[Fault]:
    """A number of bytes: 0 or more, without a fraction."""
    return [] if is_number(value) and value >= 0 and value == int(value) else [Fault(pointer, "must be a whole number, 0 or more")]


def text_that(holds: Callable[[str], bool], what: str) -> Check:
    """Return the check of a string in a format."""
    def check(value: Any, pointer: str) -> list[Fault]:
        if not isinstance(value, str):
            return text(value, pointer)
        return [] if holds(value) else [Fault(pointer, f"must be {what}")]
    return check


iri = text_that(syntax.is_iri, "an absolute IRI: a scheme such as https:, and no spaces")
uuid = text_that(syntax.is_uuid, "a UUID")
language = text_that(syntax.is_language_tag, "a language tag of RFC 5646, such as en-US")
moment = text_that(lambda value: syntax.timestamp(value) is not None, "an ISO 8601 timestamp, such as 2026-05-01T12:00:00Z (the offset -00:00 is not allowed)")
duration = text_that(lambda value: syntax.duration(value) is not None, "an ISO 8601 duration, such as PT1H30M or P4W")
sha2 = text_that(syntax.is_sha2, "a SHA-2 sum in hexadecimal")


def one_of(*names: str) -> Check:
    """Return the check of a string that must be one of these, in this case of letters."""
    return text_that(lambda value: value in names, "exactly " + " or ".join(f'"{name}"' for name in names))


def record(members: Mapping[str, Check], required: Collection[str] = (), also: Check | None = None) -> Check:
    """Return the check of an object with these members and no others; `also` looks at the whole of it first, if it is an object."""
    def check(value: Any, pointer: str) -> list[Fault]:
        if not isinstance(value, dict):
            return [Fault(pointer, f"must be an object, not {kind_of(value)}")]
        faults = [Fault(pointer, f'lacks "{name}"') for name in required if name not in value]
        faults += also(value, pointer) if also is not None else []
        for key, member in value.items():
            if len(faults) >= ENOUGH:
                break
            where = f"{pointer}/{escape(key)}"
            rule = members.get(key)
            faults += rule(member, where) if rule is not None else [Fault(where, f'"{key}" is not a property that belongs here')]
        return faults
    return check


def array_of(item: Check, *, at_least: int = 0) -> Check:
    """Return the check of an array of such items."""
    def check(value: Any, pointer: str) -> list[Fault]:
        if not isinstance(value, list):
            return [Fault(pointer, f"must be an array, not {kind_of(value)}")]
        faults = [Fault(pointer, f"must hold at least {at_least}")] if len(value) < at_least else []
        for index, member in enumerate(value):
            if len(faults) >= ENOUGH:
                break
            faults += item(member, f"{pointer}/{index}")
        return faults
    return check


def _map_of(key_holds: Callable[[str], bool], what: str, member: Check | None) -> Check:
    def check(value: Any, pointer: str) -> list[Fault]:
        if not isinstance(value, dict):
            return [Fault(pointer, f"must be an object, not {kind_of(value)}")]
        faults: list[Fault] = []
        for key, item in value.items():
            if len(faults) >= ENOUGH:
                break
            where = f"{pointer}/{escape(key)}"
            if not key_holds(key):
                faults.append(Fault(where, f'the key "{key}" must be {what}'))
            faults += member(item, where) if member is not None else []
        return faults
    return check


language_map = _map_of(syntax.is_language_tag, "a language tag of RFC 5646, such as en-US", text)
extensions = _map_of(syntax.is_iri, "an absolute IRI", None)
