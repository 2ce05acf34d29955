"""The tree of an outcome: node by node what is met, what it rests on, and how far the rest has come."""
from collections.abc import Mapping, Sequence

import msgspec

from services.core.rules import cmi5
from services.core.rules.course import CourseStructure
from services.core.rules.done import Moment
from services.core.rules.facts import Award, Fact
from services.core.rules.issuers import most_clauses
from services.core.rules.leaves import Leaf
from services.core.rules.match import Known
from services.core.rules.narrative import shortened
from services.core.rules.order import first_of, rising
from services.core.rules.outcome import Amount, Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, Credentials, Node, Sum
from services.core.rules.witness import Witnesses, inputs

MOST_INPUTS = 100
_ALMOST = 0.99
"""The most that the progress of a node comes to that is not met: of parts too far apart, each met, it is that."""
_MILLION = 10**6
_HOUR = 3600 * _MILLION
_DIFFERENT = {
    "activity": "different activities", "authority": "different authorities", "registration": "different registrations", "issuer": "different issuers",
    "achievement": "different achievements",
}


class Explaining:
    """Explains nodes at one moment."""

    def __init__(self, moment: Moment, known: Known, courses: Mapping[str, CourseStructure]) -> None:
        self._moment, self._known, self._courses = moment, known, courses
        self._witnesses = Witnesses(moment, known, courses)

    def explain(self, node: Node) -> Explained:
        """Return how far a node is met."""
        if isinstance(node, All | AnyOf | AtLeast):
            return self._group(node)
        leaf, slices = self._moment.leaves[id(node)], self._moment.done(node)
        amount, counting = self._course(node) if isinstance(node, Cmi5) else (_amount(leaf), leaf.items)
        rest = self._witnesses.of(node, first_of(slices)) if slices else counting[:MOST_INPUTS]
        progress = 1.0 if slices else min(amount.got / amount.wanted, _ALMOST)
        return Explained(node.op, _label(node), bool(slices), progress, inputs(rest)[:MOST_INPUTS], amount=amount)

    def _group(self, node: All | AnyOf | AtLeast) -> Explained:
        met, of = bool(self._moment.done(node)), tuple(map(self.explain, node.of))
        if isinstance(node, All) and node.sequence and not met:
            of = self._in_order(node, of)
        by_issuer = False
        wanted = node.n if isinstance(node, AtLeast) else 1 if isinstance(node, AnyOf) else len(of)
        got = sum(child.met and not child.again for child in of)
        if isinstance(node, AtLeast) and node.by_issuer:
            by_issuer, got = True, most_clauses(self._moment.edges(node))
        amount = Amount(min(got, wanted), wanted, "parts of different issuers" if by_issuer else "parts")
        progress = 1.0 if met else min(got / wanted if by_issuer else _mean_of_best(of, wanted), _ALMOST)
        return Explained(node.op, _label(node), met, progress, (), of, amount=amount)

    def _in_order(self, node: All, of: tuple[Explained, ...]) -> tuple[Explained, ...]:
        """Return the nodes of a sequence, those marked that are met before what they must follow."""
        in_order = len(rising([self._moment.done(child) for child in node.of]))
        return tuple(msgspec.structs.replace(child, again=True) if child.met and place >= in_order else child for place, child in enumerate(of))

    def _course(self, node: Cmi5) -> tuple[Amount, Sequence[Fact | Award]]:
        course = self._courses.get(node.course)
        if course is None:
            return Amount(0, 1, "units"), ()
        found = cmi5.nearest(course, self._known)
        return Amount(len(course.units) - len(found.open), len(course.units), "units"), found.counting


def _label(node: Node) -> str:
    return node.label or shortened(node.asks)


def _amount(leaf: Leaf) -> Amount:
    """Return how much of what a leaf wants counts at this moment: of a sum all there is, of anything else no more than is wanted."""
    tally, node = leaf.tally(), leaf.node
    for index in range(len(leaf.items)):
        tally.add(index)
    if isinstance(node, Sum):
        scale, name = (_HOUR, "hours") if node.of == "duration" else (_MILLION, node.of)
        return Amount(tally.got / scale, tally.wanted / scale, name)
    assert not isinstance(node, Cmi5)
    unit = _DIFFERENT[node.distinct] if node.distinct else "credentials" if isinstance(node, Credentials) else "statements"
    return Amount(min(tally.got, tally.wanted), tally.wanted, unit)


def _mean_of_best(of: Sequence[Explained], wanted: int) -> float:
    """Return how far the best parts have come together; one that has to come again has not come anywhere."""
    return sum(sorted((0.0 if child.again else child.progress for child in of), reverse=True)[:wanted]) / wanted
