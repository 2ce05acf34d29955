"""The slow validator: every fault of a statement, in document order (xAPI Data 2).

`check` asks it what to tell the sender, and a property test asks both and wants one answer.
"""
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

from services.core import syntax
from services.core.explain_actor import actor, agent, authority, group
from services.core.explain_object import PLAIN_KINDS, activity_or_array, object_of, object_type, statement_ref
from services.core.explain_shapes import (
    ENOUGH,
    Check,
    Fault,
    array_of,
    boolean,
    duration,
    extensions,
    iri,
    is_number,
    language,
    language_map,
    moment,
    number,
    one_of,
    record,
    sha2,
    text,
    text_that,
    uuid,
    whole_number,
)
from services.core.json_slices import escape
from services.core.vocabulary import SIGNATURE, SIGNATURE_TYPE, VOIDED

__all__ = ["Fault", "faults"]


def faults(statement: Any, version: str, *, sent: AbstractSet[str] = frozenset()) -> list[Fault]:
    """Return everything wrong with a statement (the first thousand faults or so) in a request of xAPI `version` (`1.0.3` or `2.0.0`); nothing, if it is valid.

    `sent` are the sha2 sums of the attachments whose content came with the request.
    """
    found = _statement(version)(statement, "") + _missing_content(statement, sent)
    members: dict[int, dict[str, tuple[int, Any]]] = {}
    return sorted(found, key=lambda fault: _place(statement, fault.pointer, members)) if len(found) > 1 else found


def _place(document: Any, pointer: str, members: dict[int, dict[str, tuple[int, Any]]]) -> tuple[int, ...]:
    """Return where in the document a pointer leads, so that sorting gives document order; what is missing counts as first of its object.

    `members` remembers, for each object met, the place and value of each key: many faults of one object stay cheap.
    """
    place: list[int] = []
    for token in pointer.split("/")[1:]:
        if isinstance(document, list):
            index, document = int(token), document[int(token)]
        else:
            if (known := members.get(id(document))) is None:
                known = members[id(document)] = {escape(key): (at, value) for at, (key, value) in enumerate(document.items())}
            index, document = known[token]
        place.append(index)
    return tuple(place)


@cache
def _statement(version: str) -> Check:
    common: dict[str, Check] = {
        "actor": actor, "verb": _verb, "result": _result, "context": _context(version), "timestamp": moment, "attachments": array_of(_attachment),
    }
    sub = record({"objectType": one_of("SubStatement"), **common, "object": object_of(PLAIN_KINDS)},
                 required=("objectType", "actor", "verb", "object"), also=_across)
    return record({
        "id": uuid, **common, "object": object_of({**PLAIN_KINDS, "SubStatement": sub}), "authority": authority, "stored": moment,
        "version": text_that(_is_version_for(version), "1.0.x" if version.startswith("1") else "1.0.x or 2.0.x"),
    }, required=("actor", "verb", "object"), also=_across)


def _is_version_for(version: str) -> Callable[[str], bool]:
    families = ("1",) if version.startswith("1") else ("1", "2")

    def holds(value: str) -> bool:
        family, *minor = value.split(".")
        return family in families and minor[:1] == ["0"] and len(minor) < 3 and all(part.isascii() and part.isdigit() for part in minor)
    return holds


def _across(value: Any, pointer: str) -> list[Fault]:
    """The rules that look at two properties of a statement at once."""
    found: list[Fault] = []
    kind, verb, context = object_type(value.get("object", {})), value.get("verb"), value.get("context")
    if isinstance(verb, dict) and verb.get("id") == VOIDED and "object" in value and kind != "StatementRef":
        found.append(Fault(f"{pointer}/object", "what is voided must be a StatementRef"))
    if isinstance(context, dict) and "object" in value and kind is not None and kind != "Activity":
        misplaced = [name for name in context if name in ("revision", "platform")]
        found += [Fault(f"{pointer}/context/{name}", f'"{name}" is only for statements about an Activity') for name in misplaced]
    return found


_verb = record({"id": iri, "display": language_map}, required=("id",))


def _limits(value: Any, pointer: str) -> list[Fault]:
    least, most, raw = (value[name] if is_number(value.get(name)) else None for name in ("min", "max", "raw"))
    if least is not None and most is not None and least >= most:
        return [Fault(pointer, "min must be below max")]
    if raw is not None and ((least is not None and raw < least) or (most is not None and raw > most)):
        return [Fault(f"{pointer}/raw", "raw must lie between min and max")]
    return []


def _scaled(value: Any, pointer: str) -> list[Fault]:
    return number(value, pointer) or ([] if -1 <= value <= 1 else [Fault(pointer, "must lie between -1 and 1")])


_score = record({"scaled": _scaled, "raw": number, "min": number, "max": number}, also=_limits)
_result = record({"score": _score, "success": boolean, "completion": boolean, "response": text, "duration": duration, "extensions": extensions})
def _signature(value: Any, pointer: str) -> list[Fault]:
    if value.get("usageType") != SIGNATURE or "contentType" not in value or value["contentType"] == SIGNATURE_TYPE:
        return []
    return [Fault(f"{pointer}/contentType", f'must be "{SIGNATURE_TYPE}": the attachment is a signature')]


_attachment = record(
    {"usageType": iri, "display": language_map, "description": language_map, "contentType": text, "length": whole_number, "sha2": sha2, "fileUrl": iri},
    required=("usageType", "display", "contentType", "length", "sha2"), also=_signature)


@cache
def _context(version: str) -> Check:
    members: dict[str, Check] = {
        "registration": uuid, "instructor": actor, "team": group, "revision": text, "platform": text, "language": language, "statement": statement_ref,
        "contextActivities": record(dict.fromkeys(("parent", "grouping", "category", "other"), activity_or_array)), "extensions": extensions,
    }
    if not version.startswith("1"):
        types = array_of(iri, at_least=1)
        members["contextAgents"] = array_of(record(
            {"objectType": one_of("contextAgent"), "agent": agent, "relevantTypes": types}, required=("objectType", "agent")))
        members["contextGroups"] = array_of(record(
            {"objectType": one_of("contextGroup"), "group": group, "relevantTypes": types}, required=("objectType", "group")))
    return record(members)


def _missing_content(statement: Any, sent: AbstractSet[str], pointer: str = "") -> list[Fault]:
    """Attachments without fileUrl whose content did not come with the request (xAPI Data 2.4.11)."""
    if not isinstance(statement, dict):
        return []
    attachments = statement.get("attachments")
    found: list[Fault] = []
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else ()):
        if len(found) >= ENOUGH:
            break
        given = attachment.get("sha2") if isinstance(attachment, dict) and "fileUrl" not in attachment else None
        if isinstance(given, str) and syntax.is_sha2(given) and given.lower() not in sent:
            found.append(Fault(f"{pointer}/attachments/{index}", "has no fileUrl, and no part of the request has its content"))
    if not pointer and object_type(statement.get("object")) == "SubStatement":
        found += _missing_content(statement["object"], sent, "/object")
    return found
