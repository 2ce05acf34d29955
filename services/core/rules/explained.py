"""The tree of an outcome: node by node what is met, what it rests on, and how far the rest has come."""
from collections.abc import Mapping, Sequence

from services.core.rules import cmi5
from services.core.rules.course import CourseStructure
from services.core.rules.done import Moment
from services.core.rules.facts import Award, Fact
from services.core.rules.leaves import Leaf
from services.core.rules.match import Known
from services.core.rules.order import first_of
from services.core.rules.outcome import Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, Node
from services.core.rules.witness import Witnesses, inputs

MOST_INPUTS = 100
_ALMOST = 0.99
"""The progress of a node that is not met although each of its parts is: they are in the wrong order, or too far apart."""


class Explaining:
    """Explains nodes at one moment."""

    def __init__(self, moment: Moment, known: Known, courses: Mapping[str, CourseStructure]) -> None:
        self._moment, self._known, self._courses = moment, known, courses
        self._witnesses = Witnesses(moment, known, courses)

    def explain(self, node: Node) -> Explained:
        """Return how far a node is met."""
        slices = self._moment.done(node)
        if not isinstance(node, All | AnyOf | AtLeast):
            if slices:
                return Explained(node.op, node.says, True, 1.0, inputs(self._witnesses.of(node, first_of(slices)))[:MOST_INPUTS])  # noqa: FBT003 - met
            leaf = self._moment.leaves[id(node)]
            progress, counting = (_part(leaf), leaf.items) if not isinstance(node, Cmi5) else self._cmi5(node)
            return Explained(node.op, node.says, False, min(progress, _ALMOST), inputs(counting[:MOST_INPUTS]))  # noqa: FBT003 - not met
        of = tuple(map(self.explain, node.of))
        progress = 1.0 if slices else min(_mean_of_best(node, of), _ALMOST)
        return Explained(node.op, node.says, bool(slices), progress, (), of)

    def _cmi5(self, node: Cmi5) -> tuple[float, Sequence[Fact | Award]]:
        course = self._courses.get(node.course)
        return cmi5.progress(course, self._known) if course is not None else (0.0, [])


def _mean_of_best(node: Node, of: tuple[Explained, ...]) -> float:
    wanted = node.n if isinstance(node, AtLeast) else 1 if isinstance(node, AnyOf) else len(of)
    return sum(sorted((child.progress for child in of), reverse=True)[:wanted]) / wanted


def _part(leaf: Leaf) -> float:
    tally = leaf.tally()
    for index in range(len(leaf.items)):
        tally.add(index)
    return tally.got / tally.wanted
