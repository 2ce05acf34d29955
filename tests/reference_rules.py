"""Whether a learner has what a programme asks for, worked out by enumeration: every choice of facts, at every instant at which anything can change.

A second, naive reading of the rule language: the programme is the plain dict of its document, facts and awards are plain dicts (tests/reference_match.py).
It imports nothing of the services, so that they and it can only agree by both being right. `done` of a node at an instant is the set of positions
(event time, seq) at which the node can be said to be completed; a node is met when there is one.
"""
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise, product
from typing import Any

from tests.reference_calendar import add, cycle, instant_of, subtract
from tests.reference_cmi5 import completions
from tests.reference_match import Award, Fact, authority_of, means, means_award, merged, registration_of

OPERATORS = ("all", "any", "at_least", "statement", "credential", "sum", "cmi5")
HOURS = ("https://w3id.org/testamur/ext/pd-hours", "https://lrs.example.org/xapi/ext/pd-hours")
HOUR = 3_600_000_000

Node = dict[str, Any]
Position = tuple[int, int]


@dataclass(frozen=True)
class Answer:
    """What is true at one instant."""

    met: bool
    since: int | None = None
    valid_until: int | None = None
    expired: bool = False


class Reading:
    """A programme read over one set of facts and awards; `courses` are the `cmi5` members of course descriptions by IRI."""

    def __init__(self, programme: Node, facts: Sequence[Fact], awards: Sequence[Award] = (), courses: Node | None = None, last_end: int | None = None) -> None:
        self.programme, self.courses = programme, courses or {}
        self.lasts = programme.get("validity", {}).get("for")
        self.renewal = programme.get("renewal", {})
        self.last_end = last_end if self.lasts is not None else None
        self.bound = self.lower_bound()
        self.given = (facts, awards, courses, last_end)
        self.facts = [fact for fact in facts if self.bound is None or fact["at"] >= self.bound]
        self.awards = [award for award in awards if self.bound is None or award["since"] >= self.bound]
        self.critical = sorted(set(self._critical()))
        self._met: dict[int, bool] = {}
        self._answers: dict[int, Answer] = {}

    def answer(self, as_of: int) -> Answer:
        """Return what is true at an instant, of what had happened by then."""
        if as_of not in self._answers:
            self._answers[as_of] = self.found(as_of)
        return self._answers[as_of]

    def found(self, as_of: int) -> Answer:
        """Return the same, worked out anew."""
        if not self.met(as_of):
            return Answer(met=False)
        since = self.since(as_of)
        if self.lasts is not None:
            ends = add(since, self.lasts)
            return Answer(met=True, since=since, valid_until=ends, expired=as_of >= ends)
        return Answer(met=True, since=since, valid_until=self.lapse(as_of) if self.programme.get("validity", {}).get("until") == "lapse" else None)

    def next_change(self, as_of: int) -> int | None:
        """Return the first instant after this one at which the answer is another, or a reminder of this one is due."""
        now = self.answer(as_of)
        moments = {as_of, *(instant for instant in self.critical if instant > as_of)}
        moments |= {ends for instant in moments if (ends := self.answer(instant).valid_until) is not None}
        changes = [instant for instant in sorted(moments) if instant > as_of and self.answer(instant) != now][:1]
        if now.valid_until is not None:
            changes += [due for before in self.renewal.get("remind", ()) if (due := subtract(now.valid_until, before)) > as_of]
        return min(changes, default=None)

    def met(self, instant: int) -> bool:
        """Return whether the rule is met at an instant."""
        if instant not in self._met:
            self._met[instant] = bool(self.done(self.programme["requires"], instant))
        return self._met[instant]

    def lower_bound(self) -> int | None:
        """Return the instant before which nothing counts for the next award."""
        opens = self.renewal.get("open")
        return self.last_end if self.last_end is None or opens is None else subtract(self.last_end, opens)

    def since(self, as_of: int) -> int:
        """Return when the run of being met began that lasts at an instant, for a renewal not before the last award's end."""
        began = as_of
        for instant in reversed([each for each in self.critical if each <= as_of]):
            if not self.met(instant):
                break
            began = instant
        if self.last_end is None:
            return began
        grace = self.renewal.get("grace")
        return self.last_end if began <= (self.last_end if grace is None else add(self.last_end, grace)) else began

    def lapse(self, as_of: int) -> int | None:
        """Return the first instant at which it is met no longer, if nothing happens any more."""
        facts, awards, courses, last_end = self.given
        known = type(self)(
            self.programme, [fact for fact in facts if fact["at"] <= as_of], [award for award in awards if award["since"] <= as_of], courses, last_end)
        return next((instant for instant in known.critical if instant > as_of and not known.met(instant)), None)

    def done(self, node: Node, t: int) -> set[Position]:
        """Return where a node can be said to be completed, seen from an instant."""
        operator = next(operator for operator in OPERATORS if operator in node)
        found: set[Position] = getattr(self, "done_" + operator)(node, t)
        return found

    def done_any(self, node: Node, t: int) -> set[Position]:
        return {position for child in node["any"] for position in self.done(child, t)}

    def done_all(self, node: Node, t: int) -> set[Position]:
        children = [self.done(child, t) for child in node["all"]]
        if "within" not in node and not node.get("sequence"):
            return self.enough(children, len(children))
        return {max(choice) for choice in product(*children) if self.in_sequence(node, choice) and self.in_time(node, choice)}

    def in_sequence(self, node: Node, choice: Sequence[Position]) -> bool:
        return not node.get("sequence") or all(before < after for before, after in pairwise(choice))

    def in_time(self, node: Node, choice: Sequence[Position]) -> bool:
        return "within" not in node or max(choice)[0] <= add(min(choice)[0], node["within"])

    def done_at_least(self, node: Node, t: int) -> set[Position]:
        clause = node["at_least"]
        children = [self.done(child, t) for child in clause["of"]]
        if clause.get("distinct") == "issuer":
            return {position for position in set().union(*children) if self.of_issuers(children, clause["n"], position)}
        return self.enough(children, clause["n"])

    def enough(self, children: Sequence[set[Position]], n: int) -> set[Position]:
        """Return the positions at or before which so many of the nodes are completed."""
        return {last for last in set().union(*children) if sum(any(position <= last for position in child) for child in children) >= n}

    def of_issuers(self, children: Sequence[set[Position]], n: int, last: Position) -> bool:
        """Return whether so many of the nodes are completed at or before a position, each by an award of another issuer."""
        issuer = {(award["since"], award["seq"]): tuple(award["issuer"]) for award in self.awards}
        issuers = [[issuer[position] for position in child if position <= last] for child in children]
        return any(len(set(choice)) == n for some in combinations(issuers, n) for choice in product(*some))

    def done_statement(self, node: Node, t: int) -> set[Position]:
        clause = node["statement"]
        distinct = clause.get("distinct")
        facts = [fact for fact in self.that_count(clause, clause.get("window"), t) if distinct != "registration" or fact["registration"] is not None]
        values = {(fact["at"], fact["seq"]): self.value(fact, distinct) for fact in facts}
        return self.many(values, clause.get("count", 1))

    def value(self, fact: Fact, distinct: str | None) -> Any:
        """Return what makes a fact another than one before it."""
        if distinct in ("authority", "issuer"):
            return authority_of(fact)
        return fact["activity"] if distinct == "activity" else registration_of(fact) if distinct == "registration" else (fact["at"], fact["seq"])

    def many(self, values: dict[Position, Any], count: int) -> set[Position]:
        """Return the positions at or before which there are so many different values."""
        return {last for last in values if len({value for position, value in values.items() if position <= last}) >= count}

    def done_credential(self, node: Node, t: int) -> set[Position]:
        clause = node["credential"]
        awards = [award for award in self.awards if award["since"] <= t and means_award(award, clause) and self.holds(award, clause.get("status", "active"), t)]
        distinct = clause.get("distinct")
        values = {(award["since"], award["seq"]): (award["since"], award["seq"]) if distinct is None else str(award[distinct]) for award in awards}
        return self.many(values, clause.get("count", 1))

    def holds(self, award: Award, status: str, t: int) -> bool:
        if award["revoked"]:
            return False
        ends = [end for end in (award["ended"], award["valid_until"]) if end is not None]
        return status == "issued" or (not award["suspended"] and all(t < end for end in ends))

    def done_sum(self, node: Node, t: int) -> set[Position]:
        clause = node["sum"]
        facts = [fact for fact in self.that_count(clause.get("match", {}), clause.get("window"), t) if self.measure(fact, clause["of"]) > 0]
        positions = {(fact["at"], fact["seq"]) for fact in facts}
        return {last for last in positions
                if self.total(clause, [fact for fact in facts if (fact["at"], fact["seq"]) <= last]) >= Fraction(str(clause["at_least"]))}

    def total(self, clause: Node, facts: Collection[Fact]) -> Fraction:
        worth = {fact["id"]: self.capped(clause, self.measure(fact, clause["of"])) for fact in facts}
        if clause.get("distinct") == "activity":
            activities = {fact["activity"] for fact in facts}
            return sum((max(worth[fact["id"]] for fact in facts if fact["activity"] == activity) for activity in activities), Fraction())
        return sum(worth.values(), Fraction())

    def capped(self, clause: Node, measure: Fraction) -> Fraction:
        return min(measure, Fraction(str(clause["cap_each"]))) if "cap_each" in clause else measure

    def measure(self, fact: Fact, of: str) -> Fraction:
        if of == "duration":
            return Fraction(fact["duration"] or 0, HOUR)
        names = HOURS if of in HOURS else (of,)
        return next((Fraction(fact["measures"][name]) for name in names if name in fact["measures"]), Fraction())

    def done_cmi5(self, node: Node, t: int) -> set[Position]:
        course = node["cmi5"]["course"]
        return completions(course, self.courses.get(course), [fact for fact in self.facts if fact["at"] <= t])

    def that_count(self, match: Node, window: Node | None, t: int) -> list[Fact]:
        """Return the facts that a clause means and that still count at an instant."""
        asked = merged(self.programme.get("defaults", {}).get("match", {}), match)
        return [fact for fact in self.facts if fact["at"] <= t and means(fact, asked) and self.counts(fact, window, t)]

    def counts(self, fact: Fact, window: Node | None, t: int) -> bool:
        end = self.leaves(fact, window)
        return end is None or t < end

    def leaves(self, fact: Fact, window: Node | None) -> int | None:
        """Return the instant from which a fact counts no more."""
        if window is None:
            return None
        if "last" in window:
            return add(fact["at"], window["last"])
        if window["anchor"] != "awarded":
            return cycle(fact["at"], window["cycle"], instant_of(window["anchor"]))[1]
        return add(fact["at"], window["cycle"]) if self.bound is None else None

    def _critical(self) -> Iterator[int]:
        """Give every instant at which anything begins or ends to count."""
        windows = list(_windows(self.programme["requires"]))
        for fact in self.facts:
            yield fact["at"]
            yield from (end for window in windows if (end := self.leaves(fact, window)) is not None)
        for award in self.awards:
            yield from (instant for instant in (award["since"], award["ended"], award["valid_until"]) if instant is not None)


def _windows(node: Node) -> Iterator[Node]:
    for clause in node.values():
        if isinstance(clause, dict) and "window" in clause:
            yield clause["window"]
        children = clause if isinstance(clause, list) else clause.get("of", ()) if isinstance(clause, dict) else ()
        yield from (window for child in children if isinstance(child, dict) for window in _windows(child))
