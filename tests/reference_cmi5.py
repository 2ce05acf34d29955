"""Where a learner completed a cmi5 course, by its description and the statements of each registration: the slow truth for the rules' `cmi5`.

It imports nothing of the services. Facts are plain dicts (tests/reference_match.py) with, here, `mastery` for the mastery score of the launch.
"""
from collections.abc import Iterator, Sequence
from typing import Any

from tests.reference_match import Fact, registration_of, verb_of

CATEGORY = "https://w3id.org/xapi/cmi5/context/categories/cmi5"
_ASKS = {"Passed": ["passed"], "Completed": ["completed"], "CompletedAndPassed": ["passed", "completed"], "CompletedOrPassed": ["passed", "completed"]}


def completions(course: str, structure: dict[str, Any] | None, facts: Sequence[Fact]) -> set[tuple[int, int]]:
    """Return the positions at which the course can be said to be completed in some one registration, by facts that all count."""
    units = list(_units(structure["children"])) if structure is not None else []
    found = set()
    for registration in {registration_of(fact) for fact in facts} - {None}:
        ours = [fact for fact in facts if registration_of(fact) == registration and _about_course(fact, course, units)]
        for last in ours:
            before = [fact for fact in ours if (fact["at"], fact["seq"]) <= (last["at"], last["seq"])]
            if units and any(tells(last, unit) for unit in units) and all(satisfied(unit, before) for unit in units):
                found.add((last["at"], last["seq"]))
    return found


def satisfied(unit: dict[str, Any], facts: Sequence[Fact]) -> bool:
    """Return whether a unit is satisfied by these facts of one registration."""
    asks = unit.get("moveOn", "NotApplicable")
    about = [fact for fact in facts if _about(fact, unit)]
    if any(verb_of(fact["verb"]) == "waived" for fact in about):
        return True
    if asks == "NotApplicable":
        return bool(facts)
    got = [any(_says(fact, verb, unit) for fact in about) for verb in _ASKS[asks]]
    return any(got) if asks == "CompletedOrPassed" else all(got)


def tells(fact: Fact, unit: dict[str, Any]) -> bool:
    """Return whether a fact of the registration bears on a unit's being satisfied."""
    asks = unit.get("moveOn", "NotApplicable")
    return asks == "NotApplicable" or (_about(fact, unit) and (verb_of(fact["verb"]) == "waived" or any(_says(fact, verb, unit) for verb in _ASKS[asks])))


def _says(fact: Fact, verb: str, unit: dict[str, Any]) -> bool:
    if verb_of(fact["verb"]) != verb:
        return False
    mastery = fact["mastery"] if fact["mastery"] is not None else unit.get("masteryScore")
    return verb != "passed" or fact["score"] is None or mastery is None or bool(fact["score"] >= mastery)


def _about_course(fact: Fact, course: str, units: Sequence[dict[str, Any]]) -> bool:
    """Return whether a fact is about the course or a unit of it."""
    return fact["activity"] == course or any(_about(fact, unit) for unit in units)


def _about(fact: Fact, unit: dict[str, Any]) -> bool:
    publisher = unit.get("publisher", unit["id"])
    return fact["activity"] == unit["id"] or (CATEGORY in fact["category"] and (publisher in fact["parent"] or publisher in fact["grouping"]))


def _units(children: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for child in children:
        if child["type"] == "block":
            yield from _units(child["children"])
        else:
            yield child
