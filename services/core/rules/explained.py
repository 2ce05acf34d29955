"""The tree of an outcome: node by node what is met, what it rests on, how far the rest has come, and what would meet it."""
from collections.abc import Mapping, Sequence

import msgspec

from services.core.rules import cmi5, lacking, passed_over
from services.core.rules.done import Moment
from services.core.rules.facts import Award, Fact
from services.core.rules.issuers import most_clauses
from services.core.rules.leaves import Gathering, Leaf, Position
from services.core.rules.order import first_of, rising
from services.core.rules.outcome import Amount, Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, Credentials, LeafNode, Node, Sum
from services.core.rules.witness import Witnesses, inputs

MOST_INPUTS = 100
_ALMOST = 0.99
"""The progress of a node that is not met although each of its parts is: they are in the wrong order, or too far apart."""
_MILLION = 10**6
_HOUR = 3600 * _MILLION
_DIFFERENT = {
    "activity": "different activities", "authority": "different authorities", "registration": "different registrations", "issuer": "different issuers",
    "achievement": "different achievements",
}


class Explaining:
    """Explains nodes at one moment."""

    def __init__(self, moment: Moment, leaves: Mapping[int, Leaf], gathering: Gathering, as_of: int) -> None:
        """`leaves`, by the id() of their nodes, hold what counted at any time; the moment is what is left of them at `as_of`."""
        self._moment, self._leaves, self._gathering, self._as_of = moment, leaves, gathering, as_of
        self._witnesses = Witnesses(moment, gathering.known, gathering.courses)

    def explain(self, node: Node) -> Explained:
        """Return how far a node is met."""
        if isinstance(node, All | AnyOf | AtLeast):
            return self._group(node)
        slices = self._moment.done(node)
        return self._met(node, first_of(slices)) if slices else self._unmet(node)

    def _met(self, node: LeafNode, first: Position) -> Explained:
        amount = self._nearest(node)[0] if isinstance(node, Cmi5) else _amount(self._moment.leaves[id(node)])
        rest = inputs(self._witnesses.of(node, first))[:MOST_INPUTS]
        return Explained(node.op, node.label or node.asks, True, 1.0, rest, asks=node.asks, amount=amount)  # noqa: FBT003 - met

    def _unmet(self, node: LeafNode) -> Explained:
        leaf = self._moment.leaves[id(node)]
        counting: Sequence[Fact | Award] = leaf.items
        if isinstance(node, Cmi5):
            amount, attempt = self._nearest(node)
            lacks, counting = lacking.of_course(attempt), attempt.counting if attempt else ()
        else:
            amount = _amount(leaf)
            lacks = lacking.of_leaf(node, amount, _so_far(leaf), self._as_of)
        return Explained(
            node.op, node.label or node.asks, False, min(amount.got / amount.wanted, _ALMOST), inputs(counting[:MOST_INPUTS]),  # noqa: FBT003 - not met
            asks=node.asks, amount=amount, lacks=lacks, passed_over=passed_over.of_leaf(node, self._gathering, self._leaves[id(node)], leaf))

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
        return Explained(
            node.op, node.label or node.asks, met, progress, (), of, asks=node.asks, amount=amount,
            lacks=None if met else lacking.of_group(node, of, amount))

    def _in_order(self, node: All, of: tuple[Explained, ...]) -> tuple[Explained, ...]:
        """Return the nodes of a sequence, those marked that are met before what they must follow."""
        in_order = len(rising([self._moment.done(child) for child in node.of]))
        return tuple(msgspec.structs.replace(child, again=True) if child.met and place >= in_order else child for place, child in enumerate(of))

    def _nearest(self, node: Cmi5) -> tuple[Amount, cmi5.Nearest | None]:
        """Return how many units are satisfied, and the registration in which they are most; None of a course that nothing is known of."""
        course = self._gathering.courses.get(node.course)
        if course is None:
            return Amount(0, 1, "units"), None
        found = cmi5.nearest(course, self._gathering.known)
        return Amount(len(course.units) - len(found.open), len(course.units), "units"), found


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


def _so_far(leaf: Leaf) -> list[str]:
    """Return the different values that count for a leaf so far, where they are names."""
    if leaf.values is None or isinstance(leaf.node, Sum | Cmi5) or leaf.node.distinct not in {"authority", "issuer", "achievement"}:
        return []
    return list(dict.fromkeys(value if isinstance(value, str) else next((name for name in value if "://" in name), "nobody known") for value in leaf.values))


def _mean_of_best(of: Sequence[Explained], wanted: int) -> float:
    """Return how far the best parts have come together; one that has to come again has not come anywhere."""
    return sum(sorted((0.0 if child.again else child.progress for child in of), reverse=True)[:wanted]) / wanted
