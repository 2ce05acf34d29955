"""Definitions of activities: where a statement gives them, and the one that several make together (xAPI Data 2.4.4.1, Communication 2.5)."""
from collections.abc import Sequence
from typing import Any

import orjson

from services.core.json_members import Members, joined, members

_UNITED = ("name", "description", "extensions")
"""Maps of which each key stands for itself: languages, and extensions."""
_INTERACTION = ("interactionType", "correctResponsesPattern", "choices", "scale", "source", "target", "steps")
"""Members that mean something together only: whoever gives a type gives them all."""


Defined = list[tuple[str, dict[str, Any]]]
"""Ids of activities and their definitions."""


def definitions_in(statement: dict[str, Any]) -> Defined:
    """Return the id and definition of each activity that a valid statement defines: its object, its context activities, and those of its SubStatement."""
    found = in_object(statement["object"])
    context = statement.get("context")
    if context is not None and (related := context.get("contextActivities")) is not None:
        found += in_activities(related)
    return found


def in_object(object_: dict[str, Any]) -> Defined:
    """Return what the object of a statement defines."""
    definition = object_.get("definition")
    if definition is not None:
        return [(object_["id"], definition)]
    return definitions_in(object_) if object_.get("objectType") == "SubStatement" else []


def in_activities(related: dict[str, Any]) -> Defined:
    """Return what the context activities of a statement define."""
    found: Defined = []
    for activities in related.values():
        for activity in activities if type(activities) is list else (activities,):
            definition = activity.get("definition")
            if definition is not None:
                found.append((activity["id"], definition))
    return found


def text_of(definition: dict[str, Any]) -> bytes:
    """Return the one text of a definition, however its members were ordered or its numbers written: equal definitions are equal texts."""
    return orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)


def merged(texts: Sequence[bytes]) -> Members:
    """Return the members of the definition that these make together, the earliest first: a later one wins member by member.

    Names, descriptions and extensions are united key by key; a later interactionType replaces all that belongs to an interaction.
    """
    found: Members = {}
    for text in texts:
        later = members(text)
        if "interactionType" in later:
            for name in _INTERACTION:
                found.pop(name, None)
        for name in _UNITED:
            if name in found and name in later:
                later[name] = joined(members(found[name]) | members(later[name]))
        found |= later
    return found
