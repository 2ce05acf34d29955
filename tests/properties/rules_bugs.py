"""Bugs to plant, one or more for each operator and member of the rule language: a comparison that cannot tell them from the rules is worth nothing.

They are planted in the naive reading, which the services are compared with in all they say, so either side may be the wrong one.
"""
# ruff: noqa: ARG005 - a wrong function takes what the right one takes
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tests import reference_cmi5, reference_match, reference_rules
from tests.properties.rules_programmes import Focus
from tests.reference_calendar import EPOCH, add, cycle, instant_of, moment
from tests.reference_calendar import instant as instant_at
from tests.reference_match import LEVELS, MEMBERS, Fact, means_award, type_of
from tests.reference_rules import Answer, Node, Position, Reading

Plant = Callable[[pytest.MonkeyPatch], None]
PLAIN = Focus(leaves=("statement",), nodes=("leaf",), members=1, windows=("none",), validity=("none",), defaults=(False,))
_MONTH = ("2023-01-28T10:00:00Z", "2023-01-31T08:00:00Z", "2023-02-28T08:00:00Z", "2023-02-28T10:00:00Z")
SEQUENCE, WITHIN = replace(PLAIN, nodes=("sequence",)), replace(PLAIN, nodes=("within",), only=("activity",), lengths=("P1M",), days=_MONTH)
ORDERED, DISTINCT = replace(WITHIN, nodes=("ordered",)), replace(PLAIN, counts=(2,), members=0)
SUM, AWARDS, UNITS = replace(PLAIN, leaves=("sum",)), replace(PLAIN, leaves=("credential",)), replace(PLAIN, leaves=("cmi5",))
WINDOW, CYCLE, AWARDED = replace(PLAIN, windows=("last",)), replace(PLAIN, windows=("cycle",)), replace(PLAIN, windows=("awarded",), validity=("for",))
FOR, LAPSE = replace(PLAIN, validity=("for",)), replace(PLAIN, windows=("last",), validity=("lapse",))
DEFAULTS = replace(PLAIN, defaults=(True,))


@dataclass(frozen=True)
class Bug:
    """A bug, and where in the language it shows."""

    focus: Focus
    plant: Plant


def _method(name: str, wrong: Callable[..., Any]) -> Plant:
    return lambda patch: patch.setattr(Reading, name, wrong)


def _function(module: Any, name: str, wrong: Callable[..., Any]) -> Plant:
    return lambda patch: patch.setattr(module, name, wrong)


def _member(name: str, wrong: Callable[[Fact, Any], bool], *noise: str) -> Bug:
    return Bug(replace(PLAIN, only=(name,), noise=noise), lambda patch: patch.setitem(MEMBERS, name, wrong))


def _first_choice(self: Reading, node: Node, t: int) -> set[Position]:
    children = [self.done(child, t) for child in node["all"]]
    choice = [min(child) for child in children if child]
    return {max(choice)} if len(choice) == len(children) and self.in_sequence(node, choice) and self.in_time(node, choice) else set()


def _greedy_issuers(self: Reading, children: Sequence[set[Position]], n: int, last: Position) -> bool:
    issuer = {(award["since"], award["seq"]): tuple(award["issuer"]) for award in self.awards}
    taken: set[Any] = set()
    for child in children:
        free = [issuer[position] for position in sorted(child) if position <= last and issuer[position] not in taken]
        taken |= set(free[:1])
    return len(taken) >= n


def _first_of_each(self: Reading, clause: Node, facts: Sequence[Fact]) -> Fraction:
    first: dict[Any, Fraction] = {}
    for fact in sorted(facts, key=lambda fact: (fact["at"], fact["seq"])):
        first.setdefault(fact["activity"] if clause.get("distinct") else fact["id"], self.capped(clause, self.measure(fact, clause["of"])))
    return sum(first.values(), Fraction())


def _capped_together(self: Reading, clause: Node, facts: Sequence[Fact]) -> Fraction:
    most = [Fraction(str(clause["cap_each"]))] if "cap_each" in clause else []
    return min([_total(self, {name: value for name, value in clause.items() if name != "cap_each"}, facts), *most])


def _rolling_over(when: int, duration: str, times: int = 1) -> int:
    """Add months as some do: to a day that the month lacks, by going on into the next."""
    start = moment(when)
    first = start.replace(day=1)
    return add(instant_at(first), duration, times) + (start - first) // timedelta(microseconds=1)


def _by_thirty_days(when: int, duration: str, times: int = 1) -> int:
    later = moment(add(instant_at(EPOCH), duration)) - EPOCH
    return when + later // timedelta(microseconds=1) * times


def _step_by_step(when: int, duration: str, anchor: int) -> tuple[int, int]:
    while anchor > when:
        anchor = add(anchor, duration, -1)
    while add(anchor, duration) <= when:
        anchor = add(anchor, duration)
    return anchor, add(anchor, duration)


def _first_run(self: Reading, as_of: int) -> int:
    return next((instant for instant in self.critical if self.met(instant)), as_of)


def _late_expiry(self: Reading, as_of: int) -> Answer:
    found = _found(self, as_of)
    return replace(found, expired=found.expired and found.valid_until is not None and as_of > found.valid_until)


def _with_what_comes(self: Reading, as_of: int) -> int | None:
    return next((instant for instant in self.critical if instant > as_of and not self.met(instant)), None)


def _own_name_only(award: dict[str, Any], clause: Node) -> bool:
    return means_award({**award, "issuer": award["issuer"][:1]}, clause)


def _since(self: Reading, as_of: int, **changed: Any) -> int:
    other = copy(self)
    vars(other).update(changed)
    return _began(other, as_of)


def _both(unit: Node, facts: Sequence[Fact]) -> bool:
    return _is_satisfied({**unit, "moveOn": "CompletedAndPassed"} if unit.get("moveOn") == "CompletedOrPassed" else unit, facts)


def _none_applicable(unit: Node, facts: Sequence[Fact]) -> bool:
    return _is_satisfied({**unit, "moveOn": unit.get("moveOn", "CompletedOrPassed")}, facts)


def _without(*names: str) -> Callable[[dict[str, Any], Node], bool]:
    return lambda award, clause: means_award(award, {name: value for name, value in clause.items() if name not in names})


def _holding(**changed: Any) -> Callable[..., bool]:
    return lambda self, award, status, t: _holds(self, {**award, **changed}, status, t)


def _satisfied(**changed: Any) -> Callable[..., bool]:
    return lambda unit, facts: _is_satisfied({**unit, **changed}, facts)


def _registered(self: Reading, match: Node, window: Node | None, t: int) -> list[Fact]:
    return [{**fact, "registration": fact["registration"] or "none"} for fact in _that_count(self, match, window, t)]


_found, _total, _measure, _began = Reading.found, Reading.total, Reading.measure, Reading.since
_holds, _enough, _that_count, _leaves = Reading.holds, Reading.enough, Reading.that_count, Reading.leaves
_is_satisfied, _says, _about = reference_cmi5.satisfied, reference_cmi5._says, reference_cmi5._about
_SWAPPED = {**reference_cmi5._ASKS, "Passed": ["completed"], "Completed": ["passed"]}
_AT_LEAST, _ANY, _ISSUERS = replace(PLAIN, nodes=("at_least",)), replace(PLAIN, nodes=("any",)), replace(PLAIN, nodes=("issuers",))

BUGS = {
    "sequence takes the first of each": Bug(SEQUENCE, _method("done_all", _first_choice)),
    "sequence is ignored": Bug(SEQUENCE, _method("in_sequence", lambda self, node, choice: True)),
    "sequence lets one fact be two steps": Bug(SEQUENCE, _method("in_sequence", lambda self, node, choice: list(choice) == sorted(choice))),
    "sequence ignores seq": Bug(SEQUENCE, _method("in_sequence", lambda self, node, choice: all(a[0] < b[0] for a, b in pairwise(choice)))),
    "within takes the first of each": Bug(WITHIN, _method("done_all", _first_choice)),
    "within is ignored": Bug(WITHIN, _method("in_time", lambda self, node, choice: True)),
    "within is open at its end": Bug(WITHIN, _method("in_time", lambda self, node, choice: max(choice)[0] < add(min(choice)[0], node["within"]))),
    "within counts months by days": Bug(ORDERED, _function(reference_rules, "add", _by_thirty_days)),
    "all asks for one": Bug(replace(PLAIN, nodes=("all",)), _method("enough", lambda self, children, n: _enough(self, children, 1))),
    "any asks for all": Bug(_ANY, _method("done_any", lambda self, node, t: self.enough([self.done(child, t) for child in node["any"]], len(node["any"])))),
    "at_least asks one less": Bug(_AT_LEAST, _method("enough", lambda self, children, n: _enough(self, children, max(n - 1, 1)))),
    "at_least asks one more": Bug(_AT_LEAST, _method("enough", lambda self, children, n: _enough(self, children, n + 1))),
    "issuers are taken greedily": Bug(_ISSUERS, _method("of_issuers", _greedy_issuers)),
    "issuers may be one": Bug(_ISSUERS, _method("of_issuers", lambda self, children, n, last: last in _enough(self, children, n))),
    "count is ignored": Bug(PLAIN, _method("many", lambda self, values, count: set(values))),
    "distinct is ignored": Bug(DISTINCT, _method("value", lambda self, fact, distinct: (fact["at"], fact["seq"]))),
    "distinct is always by activity": Bug(DISTINCT, _method("value", lambda self, fact, distinct: fact["activity"] if distinct else fact["seq"])),
    "no registration is one": Bug(DISTINCT, _method("that_count", _registered)),
    "cap_each is ignored": Bug(SUM, _method("capped", lambda self, clause, measure: measure)),
    "cap_each caps the sum": Bug(SUM, _method("total", _capped_together)),
    "sum takes the first of each activity": Bug(SUM, _method("total", _first_of_each)),
    "sum ignores distinct": Bug(SUM, _method("total", lambda self, clause, facts: _total(self, {**clause, "distinct": None}, facts))),
    "sum must be exceeded": Bug(SUM, _method("total", lambda self, clause, facts: _total(self, clause, facts) - Fraction(1, 10**9))),
    "sum counts what is negative": Bug(SUM, _method("measure", lambda self, fact, of: abs(_measure(self, fact, of)))),
    "sum knows one name of hours": Bug(SUM, lambda patch: patch.setattr(reference_rules, "HOURS", ())),
    "sum takes minutes for hours": Bug(SUM, lambda patch: patch.setattr(reference_rules, "HOUR", 60_000_000)),
    "window is closed at its end": Bug(WINDOW, _method("counts", lambda self, fact, window, t: window is None or t <= _leaves(self, fact, window))),
    "window is ignored": Bug(WINDOW, _method("counts", lambda self, fact, window, t: True)),
    "window rolls over the end of the month": Bug(WINDOW, _function(reference_rules, "add", _rolling_over)),
    "window counts months by days": Bug(WINDOW, _function(reference_rules, "add", _by_thirty_days)),
    "cycle is a window": Bug(CYCLE, _function(reference_rules, "cycle", lambda when, duration, anchor: (when, add(when, duration)))),
    "cycle goes step by step": Bug(CYCLE, _function(reference_rules, "cycle", _step_by_step)),
    "cycle begins after its first instant": Bug(CYCLE, _function(reference_rules, "cycle", lambda when, duration, anchor: cycle(when - 1, duration, anchor))),
    "cycle of an award always ends": Bug(AWARDED, _method("leaves", lambda self, fact, window: window and add(fact["at"], window["cycle"]))),
    "cycle of an award never ends": Bug(AWARDED, _method("leaves", lambda self, fact, window: None)),
    "activity is ignored": _member("activity", lambda fact, wanted: True),
    "activity_in is its first": _member("activity_in", lambda fact, wanted: fact["activity"] == wanted[0]),
    "under is parents alone": _member("under", lambda fact, wanted: wanted in fact["parent"]),
    "under is groupings alone": _member("under", lambda fact, wanted: wanted in fact["grouping"]),
    "category is any context": _member(
        "category", lambda fact, wanted: wanted in [*fact["category"], *fact["other"], *fact["parent"], *fact["grouping"]], "other", "parent"),
    "competency is no activity": _member("competency", lambda fact, wanted: any(wanted in fact[kind] for kind in ("parent", "grouping", "category", "other"))),
    "competency is the activity alone": _member("competency", lambda fact, wanted: fact["activity"] == wanted),
    "type compares IRIs": _member("type", lambda fact, wanted: fact["type"] == wanted, "type"),
    "type knows no short name": _member("type", lambda fact, wanted: wanted != "course" and type_of(fact["type"]) == type_of(wanted), "type"),
    "verb compares IRIs": _member("verb", lambda fact, wanted: fact["verb"] == wanted),
    "verb_in is its last": _member("verb_in", lambda fact, wanted: MEMBERS["verb"](fact, wanted[-1])),
    "success is the result alone": _member("success", lambda fact, wanted: fact["success"] is wanted),
    "success is the verb alone": _member("success", lambda fact, wanted: MEMBERS["verb"](fact, "passed" if wanted else "failed")),
    "score must be exceeded": _member("score_gte", lambda fact, wanted: fact["score"] is not None and fact["score"] > wanted),
    "no score is enough": _member("score_gte", lambda fact, wanted: fact["score"] is None or fact["score"] >= wanted),
    "authority_in is its first": _member("authority_in", lambda fact, wanted: reference_match.authority_of(fact) == wanted[0]),
    "authority is a home page": _member("authority_in", lambda fact, wanted: any(reference_match.authority_of(fact)[:-1] in each for each in wanted)),
    "identity must be exceeded": _member("identity", lambda fact, wanted: wanted == "none" or fact["level"] > LEVELS.index(wanted)),
    "identity must be exact": _member("identity", lambda fact, wanted: fact["level"] == LEVELS.index(wanted), "level"),
    "identity is ignored": _member("identity", lambda fact, wanted: True),
    "evidence is any": _member("evidence", lambda fact, wanted: fact["evidence"] > 0, "evidence"),
    "since is open": _member("since", lambda fact, wanted: instant_of(wanted) < fact["at"]),
    "until is closed": Bug(
        replace(PLAIN, only=("until",), days=("2024-02-29T00:00:00Z", "2024-02-29T08:00:00Z")),
        lambda patch: patch.setitem(MEMBERS, "until", lambda fact, wanted: fact["at"] <= instant_of(wanted))),
    "registration compares letters": _member("registration", lambda fact, wanted: fact["registration"] == wanted, "registration"),
    "defaults are ignored": Bug(DEFAULTS, _function(reference_rules, "merged", lambda defaults, own: own)),
    "defaults win": Bug(DEFAULTS, _function(reference_rules, "merged", lambda defaults, own: {**own, **defaults})),
    "verb_in and a default verb are both asked": Bug(
        replace(DEFAULTS, only=("verb", "verb_in")), _function(reference_rules, "merged", lambda defaults, own: {**defaults, **own})),
    "credential may be suspended": Bug(AWARDS, _method("holds", _holding(suspended=False))),
    "credential may be revoked": Bug(AWARDS, _method("holds", _holding(revoked=False))),
    "credential never ends": Bug(AWARDS, _method("holds", _holding(ended=None))),
    "credential outlives its valid_until": Bug(AWARDS, _method("holds", _holding(valid_until=None))),
    "issued is active": Bug(AWARDS, _method("holds", lambda self, award, status, t: _holds(self, award, "active", t))),
    "credential of any achievement": Bug(replace(AWARDS, counts=(1,)), _function(reference_rules, "means_award", _without("achievement"))),
    "credential of any alignment": Bug(replace(AWARDS, counts=(1,)), _function(reference_rules, "means_award", _without("alignment"))),
    "credential of any issuer": Bug(AWARDS, _function(reference_rules, "means_award", _without("issuer", "issuer_in"))),
    "issuer is its slug": Bug(AWARDS, _function(reference_rules, "means_award", _own_name_only)),
    "credential of any time": Bug(AWARDS, _function(reference_rules, "means_award", _without("since", "until"))),
    "mastery score of the course is ignored": Bug(
        UNITS, _function(reference_cmi5, "_says", lambda fact, verb, unit: _says(fact, verb, {**unit, "masteryScore": None}))),
    "mastery score of the launch is ignored": Bug(UNITS, _function(reference_cmi5, "_says", lambda fact, *asked: _says({**fact, "mastery": None}, *asked))),
    "moveOn is swapped": Bug(UNITS, lambda patch: patch.setattr(reference_cmi5, "_ASKS", _SWAPPED)),
    "moveOn is always Passed": Bug(UNITS, _function(reference_cmi5, "satisfied", _satisfied(moveOn="Passed"))),
    "CompletedOrPassed asks for both": Bug(UNITS, _function(reference_cmi5, "satisfied", _both)),
    "waived is ignored": Bug(UNITS, _function(reference_cmi5, "_about", lambda fact, unit: not fact["verb"].endswith("waived") and _about(fact, unit))),
    "registrations are mixed": Bug(UNITS, _function(reference_cmi5, "registration_of", lambda fact: fact["registration"] and "any")),
    "no registration is a registration": Bug(UNITS, _function(reference_cmi5, "registration_of", lambda fact: fact["registration"] or "none")),
    "launches under the publisher's id are unknown": Bug(UNITS, _function(reference_cmi5, "_about", lambda fact, unit: fact["activity"] == unit["id"])),
    "NotApplicable asks for an end": Bug(UNITS, _function(reference_cmi5, "satisfied", _none_applicable)),
    "since is that of the first run": Bug(replace(WINDOW, validity=("none",)), _method("since", _first_run)),
    "since forgets the last award": Bug(FOR, _method("since", lambda self, as_of: _since(self, as_of, last_end=None))),
    "grace is ignored": Bug(FOR, _method("since", lambda self, as_of: _since(self, as_of, renewal={}))),
    "old facts count for the next award": Bug(FOR, _method("lower_bound", lambda self: None)),
    "renewal does not open early": Bug(FOR, _method("lower_bound", lambda self: self.last_end)),
    "expired only after the end": Bug(FOR, _method("found", _late_expiry)),
    "validity counts months by days": Bug(FOR, _function(reference_rules, "add", _by_thirty_days)),
    "lapse knows what comes": Bug(LAPSE, _method("lapse", _with_what_comes)),
    "lapse is forgotten": Bug(LAPSE, _method("lapse", lambda self, as_of: None)),
}
