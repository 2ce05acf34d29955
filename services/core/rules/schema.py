"""The closed vocabulary of the language: its published JSON Schema, and what is wrong with a document that breaks it, in sentences."""
from collections.abc import Iterable, Iterator
from datetime import date
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

import jsonschema_rs
import orjson

from services.core import vocabulary
from services.core.rules.calendar import span
from services.core.syntax import is_iri, is_uuid, timestamp
from services.core.timeline import EPOCH

Path = list[str | int]
Fault = tuple[Path, str]
"""Where, and a sentence without its subject."""

_SCHEMA = orjson.loads(files("schemas").joinpath("rules", "programme.json").read_bytes())
_SLUG = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_DAY_US = 86_400_000_000
_OPERATORS = "all, any, at_least, statement, credential, sum or cmi5"
_ONE_OF = {"node": f"must have exactly one of {_OPERATORS}", "validity": "must say either for or until", "window": "must say either last, or cycle with anchor"}
_FORMATS = {
    "absolute-iri": "must be an absolute IRI, such as https://courses.example.org/welding",
    "span": "must be an ISO 8601 duration such as P3Y or P6M, more than nothing and at most P100Y",
    "date-or-instant": "must be a date such as 2025-06-01, or an RFC 3339 timestamp",
    "anchor": "must be awarded, a date or an RFC 3339 timestamp",
    "uuid": "must be a UUID",
    "slug": "must be a slug: letters, digits, dots, hyphens and underlines, at most 80, the first a letter or digit",
    "measure": "must be duration, or the absolute IRI of an extension",
    "verb": "must be the absolute IRI of a verb, or a short name that is known",
    "activity-type": "must be the absolute IRI of an activity type, or a short name that is known",
}
_SHORT = {"verb": vocabulary.VERBS, "activity-type": vocabulary.ACTIVITY_TYPES}
_TYPES = {"object": "an object", "array": "a list", "string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}
_INSTEAD = {
    "template": "is not supported: say what the statement looks like by the other members of a match",
    "not": "is not supported: the absence of evidence proves nothing, so that no rule can ask for it",
    "none": "is not supported: the absence of evidence proves nothing, so that no rule can ask for it",
}


def is_slug(text: str) -> bool:
    """Return whether a text can name a programme or an issuer in an address."""
    return 0 < len(text) <= 80 and text[0] not in "._-" and _SLUG.issuperset(text)


def instant(text: str) -> int | None:
    """Return the instant of a date, which is its midnight in UTC, or of an RFC 3339 timestamp; None if it is neither."""
    if len(text) == 10:
        if text[4] + text[7] != "--":
            return None
        try:
            return (date.fromisoformat(text) - EPOCH.date()).days * _DAY_US
        except ValueError:
            return None
    return timestamp(text) if len(text) > 19 and not text[19:].isdigit() and text[-1] in "zZ0123456789" else None


def faults(document: Any) -> Iterator[Fault]:
    """Give what is wrong with a document, as far as the schema can tell."""
    unknown: set[tuple[str | int, ...]] = set()
    late: list[tuple[Path, Any]] = []
    for error in _validator.iter_errors(document):
        path = list(error.instance_path)
        if error.kind.name == "additionalProperties":
            unknown.add(tuple(path))
            known = _known_members(list(error.schema_path))
            yield from (([*path, name], _unknown(name, known)) for name in error.kind.value)
        elif error.kind.name in {"oneOf", "anyOf"}:
            late.append((path, error))
        else:
            yield _told(path, error)
    for path, error in late:
        if tuple(path) not in unknown:
            yield _told(path, error)


def _told(path: Path, error: Any) -> Fault:
    kind, value = error.kind.name, error.kind.value
    schema = _within(list(error.schema_path)[:-1])
    if kind == "required":
        return path, f"lacks {value}" if value != "all" else "has sequence or within, which only stand beside all"
    if kind == "type":
        return path, "must be " + " or ".join(_TYPES[name] for name in value)
    if kind == "enum":
        if value == ["learner"]:
            return path, "must be learner: one award for each registration is not supported"
        return path, "must be one of " + ", ".join(value) if len(value) > 1 else f"must be {value[0]}"
    if kind == "format":
        return path, _FORMATS[value] + _near(error.instance, _SHORT.get(value, ()))
    if kind == "oneOf":
        return path, _ONE_OF["node" if "all" in schema["properties"] else "validity" if "for" in schema["properties"] else "window"]
    if kind == "anyOf":
        return path, "must name an achievement, an alignment, an issuer or issuer_in"
    sentences = {
        "minimum": "must be at least {}", "maximum": "must be at most {}", "exclusiveMinimum": "must be more than {}", "minItems": "must not be empty",
        "maxItems": "must have at most {} elements", "minLength": "must not be empty", "maxLength": "must have at most {} characters",
    }
    return path, sentences[kind].format(f"{value:g}" if isinstance(value, float) else value)


def _unknown(name: str, known: list[str]) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    return "is no member that is known here" + (_near(name, known) or "; known are " + ", ".join(known))


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _known_members(path: Path) -> list[str]:
    return sorted(_within(path[:-1])["properties"])


def _within(path: Path) -> Any:
    """Return the part of the schema at a path."""
    found = _SCHEMA
    for step in path:
        found = found[step]
    return found


_validator = jsonschema_rs.Draft202012Validator(_SCHEMA, validate_formats=True, ignore_unknown_formats=False, formats={
    "absolute-iri": is_iri,
    "span": lambda text: span(text) is not None,
    "date-or-instant": lambda text: instant(text) is not None,
    "anchor": lambda text: text == "awarded" or instant(text) is not None,
    "uuid": is_uuid,
    "slug": is_slug,
    "measure": lambda text: text == "duration" or is_iri(text),
    "verb": lambda text: text in vocabulary.VERBS or is_iri(text),
    "activity-type": lambda text: text in vocabulary.ACTIVITY_TYPES or is_iri(text),
})
