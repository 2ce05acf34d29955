"""Check a statement fast: strict reading, one compiled JSON Schema, and the few rules that a schema cannot say.

Whether a statement holds is settled here; what is wrong with one that does not is told by the slow validator in `explain.py`.
"""
from collections.abc import Set as AbstractSet
from importlib.resources import files
from typing import Any
from uuid import UUID

import jsonschema_rs
import orjson

from services.core import explain
from services.core.errors import InvalidStatement
from services.core.json_limits import check_limits
from services.core.json_slices import MAX_DEPTH, is_deeper, load, too_deep
from services.core.syntax import is_uuid, timestamp
from services.core.vocabulary import SIGNATURE, SIGNATURE_TYPE, VOIDED

_FILES = {"1.0.3": "statement-1.0.3.json", "2.0.0": "statement-2.0.json"}
_NONE_SENT: frozenset[str] = frozenset()
_SHALLOW = 16
"""No statement is deeper than this whose extensions are flat: then nobody needs to measure it."""
_RARE_DAYS = frozenset({"02-29", "02-30", "02-31", "04-31", "06-31", "09-31", "11-31"})
"""The days that the pattern of a timestamp lets pass and a calendar may not have."""
_PREDICATES = ("must ", "lacks ", "has ", "needs ")
COMPONENTS = ("choices", "scale", "source", "target", "steps")
_PLAIN = {"type": ["string", "number", "boolean", "null"]}
_FLAT = {"type": ["string", "number", "boolean", "null", "object", "array"], "additionalProperties": _PLAIN, "items": _PLAIN}


def check(raw: bytes, version: str, *, sent: AbstractSet[str] = _NONE_SENT, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Return the statement that these bytes hold, if it is valid in a request of xAPI `version` (`1.0.3` or `2.0.0`).

    `sent` are the sha2 sums, in lower case, of the attachments whose content came with the request; others need a fileUrl. Raises BadRequest
    for what is not strict JSON and InvalidStatement for the first fault in document order, both with a pointer into the statement.
    """
    statement = load(raw, max_depth=None)
    check_limits(raw, statement)
    if (max_depth < _SHALLOW or not _common[version](statement)) and not _uncommon_holds(statement, version, max_depth):
        raise _refusal(statement, version, sent)
    if not _holds(statement, sent) or ("stored" in statement and timestamp(statement["stored"]) is None):
        raise _refusal(statement, version, sent)
    return statement  # type: ignore[no-any-return]  # the schema says that it is an object


def identify(statement: Any) -> UUID | None:
    """Return the id of a statement that need not be valid, or None if it has none that is a UUID."""
    given = statement.get("id") if isinstance(statement, dict) else None
    return UUID(given) if isinstance(given, str) and is_uuid(given) else None


def _refusal(statement: Any, version: str, sent: AbstractSet[str]) -> InvalidStatement:
    for fault in explain.faults(statement, version, sent=sent):
        return InvalidStatement(told(fault.pointer, fault.sentence), pointer=fault.pointer)
    return InvalidStatement("The statement breaks a rule of xAPI.", pointer="")


def told(pointer: str, sentence: str) -> str:
    """Return what is wrong at a place as one sentence that begins with the place."""
    return f"{pointer or 'The statement'}{' ' if sentence.startswith(_PREDICATES) else ': '}{sentence}."


def _uncommon_holds(statement: Any, version: str, max_depth: int) -> bool:
    """Return whether a statement with deep extensions, or with components in its context's activities, is valid so far. Raises BadRequest if too deep."""
    if is_deeper(statement, max_depth):
        raise too_deep(max_depth)
    if not _valid[version](statement):
        return False
    nested = statement["object"] if "object" in statement["object"] else {}
    return all(
        _components_hold(activity["definition"])
        for part in (statement, nested) for given in part.get("context", {}).get("contextActivities", {}).values()
        for activity in (given if isinstance(given, list) else [given]) if "definition" in activity
    )


def _holds(statement: dict[str, Any], sent: AbstractSet[str]) -> bool:
    """Return whether a statement or SubStatement that satisfies the schema keeps the other rules too."""
    if "timestamp" in statement and statement["timestamp"][5:10] in _RARE_DAYS and timestamp(statement["timestamp"]) is None:
        return False
    if "result" in statement and "score" in statement["result"] and not _score_holds(statement["result"]["score"]):
        return False
    if "attachments" in statement and not all(_attachment_holds(one, sent) for one in statement["attachments"]):
        return False
    thing = statement["object"]
    kind = thing.get("objectType", "Activity")
    if kind != "StatementRef" and statement["verb"]["id"] == VOIDED:
        return False
    if kind == "Activity":
        return "definition" not in thing or "interactionType" not in thing["definition"] or _components_hold(thing["definition"])
    if "context" in statement and ("revision" in (context := statement["context"]) or "platform" in context):
        return False
    return kind != "SubStatement" or _holds(thing, sent)


def _attachment_holds(attachment: dict[str, Any], sent: AbstractSet[str]) -> bool:
    """Return whether the content of an attachment can be had, and a signature is what signatures are."""
    if attachment["usageType"] == SIGNATURE and attachment["contentType"] != SIGNATURE_TYPE:
        return False
    return "fileUrl" in attachment or attachment["sha2"].lower() in sent


def _score_holds(score: dict[str, Any]) -> bool:
    least, most, raw = score.get("min"), score.get("max"), score.get("raw")
    if least is not None and ((most is not None and least >= most) or (raw is not None and raw < least)):
        return False
    return most is None or raw is None or bool(raw <= most)


def _components_hold(definition: dict[str, Any]) -> bool:
    """Return whether no two components of a list have the same id."""
    lists = (definition[name] for name in COMPONENTS if name in definition)
    return all(len({component["id"] for component in components}) == len(components) for components in lists)


def _compile(name: str, *, common: bool) -> Any:
    """Return the compiled schema: whole, or of the common statement only, which needs no look at its depth or its context's components."""
    schema = orjson.loads(files("schemas").joinpath("xapi", name).read_bytes())
    if common:
        definitions = schema["$defs"]
        definitions["extensions"]["patternProperties"] = dict.fromkeys(definitions["extensions"]["patternProperties"], _FLAT)
        members = definitions["definition"]["properties"]
        plain = {key: rule for key, rule in members.items() if key not in COMPONENTS and key != "correctResponsesPattern"}
        definitions["activities"]["properties"]["definition"] = {"type": "object", "properties": plain, "additionalProperties": False}
        definitions["activities"]["items"] = {**definitions["activity"], "properties": definitions["activities"]["properties"]}
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions()).is_valid


_valid = {version: _compile(name, common=False) for version, name in _FILES.items()}
_common = {version: _compile(name, common=True) for version, name in _FILES.items()}
