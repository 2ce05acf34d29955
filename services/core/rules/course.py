"""The structure of a cmi5 course, as its description gives it: `{"id", "name", "cmi5": {"children": [unit or block, …]}}`.

A unit is `{"id", "type": "au", "moveOn"?, "masteryScore"?, "publisher"?}`, a block `{"id", "type": "block", "children": […]}`.
"""
from typing import Any
from uuid import UUID

import msgspec

from services.core.keys import key64, key128

MOVE_ON = ("Passed", "Completed", "CompletedAndPassed", "CompletedOrPassed", "NotApplicable")
MAX_UNITS = 2000
MAX_DEPTH = 16


class Unit(msgspec.Struct, frozen=True):
    """An assignable unit."""

    iri: str
    activity: UUID
    """key128 of its id."""
    publisher: int
    """key64 of its publisher id, which is its id unless given: statements about a launch of it group under that."""
    move_on: str
    mastery: float | None


class CourseStructure(msgspec.Struct, frozen=True):
    """A cmi5 course: its units in order, and the blocks they are in."""

    iri: str
    activity: UUID
    units: tuple[Unit, ...]
    blocks: dict[str, tuple[int, ...]]
    """The places of the units under each block, however deep, by the block's id."""


def structure(course: dict[str, Any]) -> CourseStructure | None:
    """Return the structure that a course description gives, None if it gives none or one that is not as it must be."""
    described = course.get("cmi5")
    children = described.get("children") if isinstance(described, dict) else None
    units: list[Unit] = []
    blocks: dict[str, tuple[int, ...]] = {}
    try:
        _gather(children, units, blocks, 1)
    except (ValueError, TypeError, KeyError):
        return None
    return CourseStructure(course["id"], key128(course["id"]), tuple(units), blocks) if units else None


def _gather(children: Any, units: list[Unit], blocks: dict[str, tuple[int, ...]], depth: int) -> None:
    if not isinstance(children, list) or depth > MAX_DEPTH:
        raise ValueError("no list of children, or too deep a one")
    for child in children:
        if child["type"] == "block":
            first = len(units)
            _gather(child["children"], units, blocks, depth + 1)
            blocks[child["id"]] = tuple(range(first, len(units)))
        else:
            units.append(_unit(child))
            if len(units) > MAX_UNITS:
                raise ValueError("too many units")


def _unit(child: dict[str, Any]) -> Unit:
    iri, move_on, mastery = child["id"], child.get("moveOn", "NotApplicable"), child.get("masteryScore")
    publisher = child.get("publisher", iri)
    if child["type"] != "au" or move_on not in MOVE_ON or not isinstance(iri, str) or not isinstance(publisher, str):
        raise ValueError("not a unit")
    if mastery is not None and (isinstance(mastery, bool) or not 0 <= mastery <= 1):
        raise ValueError("not a mastery score")
    return Unit(iri, key128(iri), key64(publisher), move_on, mastery)
