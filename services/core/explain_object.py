"""What is wrong with the object of a statement, short of a SubStatement: Activities, StatementRefs, Agents and Groups (xAPI Data 2.4.4)."""
from typing import Any

from services.core.explain_actor import agent, group
from services.core.explain_shapes import Check, Fault, array_of, extensions, iri, kind_of, language_map, one_of, record, text, uuid

_COMPONENTS = ("choices", "scale", "source", "target", "steps")
_component = record({"id": text, "description": language_map}, required=("id",))
_component_list = array_of(_component)


def _components(value: Any, pointer: str) -> list[Fault]:
    """An array of interaction components, no two of which share an id."""
    faults = _component_list(value, pointer)
    if not faults and len({component["id"] for component in value}) < len(value):
        return [Fault(pointer, "two of these components have the same id")]
    return faults


def _interaction_type(value: Any, pointer: str) -> list[Fault]:
    if "interactionType" in value:
        return []
    return [Fault(pointer, f'"{name}" needs "interactionType" beside it') for name in ("correctResponsesPattern", *_COMPONENTS) if name in value][:1]


_definition = record({
    "name": language_map, "description": language_map, "type": iri, "moreInfo": iri, "extensions": extensions,
    "interactionType": one_of("true-false", "choice", "fill-in", "long-fill-in", "matching", "performance", "sequencing", "likert", "numeric", "other"),
    "correctResponsesPattern": array_of(text),
    **dict.fromkeys(_COMPONENTS, _components),
}, also=_interaction_type)

activity = record({"objectType": one_of("Activity"), "id": iri, "definition": _definition}, required=("id",))
statement_ref = record({"objectType": one_of("StatementRef"), "id": uuid}, required=("objectType", "id"))


def activity_or_array(value: Any, pointer: str) -> list[Fault]:
    """An Activity, or an array of them."""
    return array_of(activity)(value, pointer) if isinstance(value, list) else activity(value, pointer)


def object_type(value: Any) -> Any:
    """Return the objectType of a statement's object: Activity unless it says otherwise; None if it is no object at all."""
    return value.get("objectType", "Activity") if isinstance(value, dict) else None


def object_of(kinds: dict[str, Check]) -> Check:
    """Return the check of an object that is one of these kinds."""
    def check(value: Any, pointer: str) -> list[Fault]:
        if not isinstance(value, dict):
            return [Fault(pointer, f"must be an object, not {kind_of(value)}")]
        kind = object_type(value)
        if not isinstance(kind, str) or kind not in kinds:
            return [Fault(f"{pointer}/objectType", "must be exactly " + ", ".join(kinds))]
        return kinds[kind](value, pointer)
    return check


PLAIN_KINDS: dict[str, Check] = {"Activity": activity, "Agent": agent, "Group": group, "StatementRef": statement_ref}
"""The kinds of object that a SubStatement may have too."""
