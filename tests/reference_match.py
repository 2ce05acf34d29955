"""Which facts and awards a clause of a rule means, one member at a time: the slow truth that the rules' matching is compared with.

A fact is a plain dict: id, ifi, at, seq, activity, verb, type, parent, grouping, category, other (lists of IRIs), success, score, authority (a mailbox, or
home page and name), level (0 to 3), evidence (attachments that are no signature), registration, measures ({IRI: decimal text}), duration (microseconds),
mastery. An award: id, ifi, achievement, issuer (its names), alignment (targets), since, seq, ended, valid_until, revoked, suspended. It imports nothing of
the services.
"""
from collections.abc import Callable
from typing import Any

from tests.reference_calendar import instant_of

LEVELS = ["none", "asserted", "verified", "proctored"]
_ADL, _CMI5 = "http://adlnet.gov/expapi/", "https://w3id.org/xapi/cmi5/"
_VERBS = {
    **{_ADL + "verbs/" + verb: verb for verb in ("passed", "failed", "completed", "satisfied", "waived", "assessed")},
    **{"https://w3id.org/xapi/adl/verbs/" + verb: verb for verb in ("passed", "failed", "completed", "satisfied", "waived")},
}
_TYPES = {_ADL + "activities/course": "course", _CMI5 + "activitytype/course": "course", _ADL + "activities/module": "module"}

Fact = dict[str, Any]
Award = dict[str, Any]


def verb_of(iri: str) -> str:
    """Return the short name of a verb, the IRI itself for one that has none."""
    return _VERBS.get(iri, iri)


def type_of(iri: str | None) -> str | None:
    """Return the short name of an activity type, the IRI itself for one that has none."""
    return _TYPES.get(iri, iri) if iri is not None else None


def authority_of(fact: Fact) -> str:
    """Return an authority as rules name it."""
    named = fact["authority"]
    return named if isinstance(named, str) else "/".join(named)


def registration_of(fact: Fact) -> str | None:
    """Return a registration, whatever case its letters were sent in."""
    return fact["registration"].lower() if fact["registration"] is not None else None


def merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return what a clause asks once the defaults are merged under it."""
    left = dict(defaults)
    for one, other in (("verb", "verb_in"), ("activity", "activity_in")):
        if one in own or other in own:
            left.pop(one, None)
            left.pop(other, None)
    return {**left, **own}


def means(fact: Fact, match: dict[str, Any]) -> bool:
    """Return whether a fact is one that a match means: every member must hold."""
    return all(MEMBERS[member](fact, wanted) for member, wanted in match.items() if member in MEMBERS)


def means_award(award: Award, clause: dict[str, Any]) -> bool:
    """Return whether an award is one that a `credential` clause means, whatever its state."""
    return (
        ("achievement" not in clause or clause["achievement"] == award["achievement"])
        and ("alignment" not in clause or clause["alignment"] in award["alignment"])
        and ("issuer" not in clause or clause["issuer"] in award["issuer"])
        and ("issuer_in" not in clause or any(issuer in award["issuer"] for issuer in clause["issuer_in"]))
        and ("since" not in clause or instant_of(clause["since"]) <= award["since"])
        and ("until" not in clause or award["since"] < instant_of(clause["until"]))
    )


MEMBERS: dict[str, Callable[[Fact, Any], bool]] = {
    "activity": lambda fact, wanted: fact["activity"] == wanted,
    "activity_in": lambda fact, wanted: fact["activity"] in wanted,
    "under": lambda fact, wanted: wanted in fact["parent"] or wanted in fact["grouping"],
    "category": lambda fact, wanted: wanted in fact["category"],
    "competency": lambda fact, wanted: wanted in [fact["activity"], *fact["parent"], *fact["grouping"], *fact["category"], *fact["other"]],
    "type": lambda fact, wanted: type_of(fact["type"]) == type_of(wanted),
    "verb": lambda fact, wanted: verb_of(fact["verb"]) == verb_of(wanted),
    "verb_in": lambda fact, wanted: verb_of(fact["verb"]) in [verb_of(each) for each in wanted],
    "success": lambda fact, wanted: fact["success"] is wanted or verb_of(fact["verb"]) == ("passed" if wanted else "failed"),
    "score_gte": lambda fact, wanted: fact["score"] is not None and fact["score"] >= wanted,
    "authority_in": lambda fact, wanted: authority_of(fact) in wanted,
    "identity": lambda fact, wanted: fact["level"] >= LEVELS.index(wanted),
    "evidence": lambda fact, wanted: fact["evidence"] >= wanted,
    "since": lambda fact, wanted: instant_of(wanted) <= fact["at"],
    "until": lambda fact, wanted: fact["at"] < instant_of(wanted),
    "registration": lambda fact, wanted: registration_of(fact) == wanted.lower(),
}
