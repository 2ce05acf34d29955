"""The leaves of a rule, with what counts for each: facts or awards in order of (at, seq), and until when each counts."""
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.core.rules.cmi5 import about, completions
from services.core.rules.course import CourseStructure
from services.core.rules.facts import Award, Fact
from services.core.rules.match import Known, issuer, reads
from services.core.rules.tally import Amounts, AmountsByActivity, Count, Distinct, Tally
from services.core.rules.tree import Cmi5, Credentials, LeafNode, Statements, Sum
from services.core.rules.windows import FOREVER, end_of

Position = tuple[int, int]
"""(at, seq): the place of a fact or award among all of a learner's."""

_VALUE_OF_FACT: dict[str, Callable[[Fact], Any]] = {
    "activity": lambda fact: fact.activity,
    "authority": lambda fact: issuer(fact.said.authority),
    "registration": lambda fact: (fact.said.registration or "").lower(),
}
_VALUE_OF_AWARD: dict[str, Callable[[Award], Any]] = {"issuer": lambda award: award.issuers, "achievement": lambda award: award.achievement}


class Leaf:
    """A leaf and what counts for it, in order. `ends` is None if all of it counts for good."""

    __slots__ = ("amounts", "ends", "items", "node", "positions", "values")

    def __init__(
        self, node: LeafNode, items: Sequence[Fact | Award], positions: list[Position], ends: list[int] | None = None,
        values: list[Any] | None = None, amounts: list[int] | None = None,
    ) -> None:
        """`values` are what must be distinct, `amounts` what is summed; both as long as `items`, as `ends` is."""
        self.node, self.items, self.positions, self.ends, self.values, self.amounts = node, items, positions, ends, values, amounts

    def at(self, instant: int) -> "Leaf":
        """Return the leaf with only what counts at an instant that none of its items comes after."""
        if self.ends is None:
            return self
        kept = [index for index, end in enumerate(self.ends) if end > instant]
        return self if len(kept) == len(self.items) else self.only(kept)

    def only(self, kept: Sequence[int]) -> "Leaf":
        """Return the leaf with only the items of these rising indices."""
        values, amounts, ends = self.values, self.amounts, self.ends
        return Leaf(
            self.node, [self.items[index] for index in kept], [self.positions[index] for index in kept], ends and [ends[index] for index in kept],
            values and [values[index] for index in kept], amounts and [amounts[index] for index in kept],
        )

    def tally(self) -> Tally:
        """Return an empty tally of this leaf, which counts items by their index."""
        node = self.node
        if isinstance(node, Sum):
            assert self.amounts is not None
            if node.by_activity:
                assert self.values is not None
                return AmountsByActivity(node.at_least, self.amounts, self.values)
            return Amounts(node.at_least, self.amounts)
        wanted = 1 if isinstance(node, Cmi5) else node.count
        return Count(wanted) if self.values is None else Distinct(wanted, self.values)

    def reach(self) -> int | None:
        """Return the least index at which the items up to it are enough, None if all of them are not."""
        node = self.node
        if self.values is None and not isinstance(node, Sum):
            wanted = 1 if isinstance(node, Cmi5) else node.count
            return wanted - 1 if wanted <= len(self.items) else None
        tally = self.tally()
        for index in range(len(self.items)):
            tally.add(index)
            if tally.reached:
                return index
        return None


class Counting(Leaf):
    """What counts for a leaf while it comes and goes."""

    __slots__ = ("_both", "_indices")

    def __init__(self, whole: Leaf) -> None:
        """Nothing of `whole` counts yet."""
        super().__init__(whole.node, [], [], None, None if whole.values is None else [], None if whole.amounts is None else [])
        self._indices: list[int] = []
        pairs = (self.items, whole.items), (self.positions, whole.positions), (self.values, whole.values), (self.amounts, whole.amounts)
        self._both: list[tuple[Any, Any]] = [(ours, theirs) for ours, theirs in pairs if ours is not None]

    def change(self, index: int, *, comes: bool) -> None:
        """Count the item of this index of the whole leaf from now on, or no more."""
        place = bisect_left(self._indices, index)
        if comes:
            self._indices.insert(place, index)
        else:
            del self._indices[place]
        for ours, theirs in self._both:
            if comes:
                ours.insert(place, theirs[index])
            else:
                del ours[place]


class Gathering:
    """Gathers what counts for each leaf from what is known of a learner."""

    def __init__(self, known: Known, awards: Sequence[Award], courses: Mapping[str, CourseStructure], *, renewed: bool) -> None:
        """`awards` in order of (since, seq); `renewed`: there was an award of the programme before."""
        self.known, self.awards, self.courses, self._renewed = known, awards, courses, renewed

    def leaf(self, node: LeafNode) -> Leaf:
        """Return a leaf with what counts for it."""
        if isinstance(node, Statements):
            return self._statements(node)
        if isinstance(node, Sum):
            return self._sum(node)
        if isinstance(node, Credentials):
            return self._credentials(node)
        structure = self.courses.get(node.course)
        facts = completions(structure, self.known) if structure is not None else []
        return Leaf(node, facts, [(fact.at, fact.seq) for fact in facts])

    def first(self, node: LeafNode) -> int | None:
        """Return the instant of the first that a leaf reads, whether it is enough for anything or not; None if it reads nothing."""
        if not isinstance(node, Cmi5):
            return next((at for at, _ in self.leaf(node).positions), None)
        structure = self.courses.get(node.course)
        return next((fact.at for fact, _ in about(structure, self.known)), None) if structure is not None else None

    def _statements(self, node: Statements) -> Leaf:
        facts = self.known.matching(node.match)
        value = _VALUE_OF_FACT[node.distinct] if node.distinct else None
        if node.distinct == "registration":
            facts = [fact for fact in facts if fact.said.registration]
        end = end_of(node.window, renewed=self._renewed)
        return Leaf(
            node, facts, [(fact.at, fact.seq) for fact in facts], end and [end(fact.at) for fact in facts], value and [value(fact) for fact in facts],
        )

    def _sum(self, node: Sum) -> Leaf:
        measure, most = _measure(node), node.cap_each or FOREVER
        found = [(fact, amount) for fact in self.known.matching(node.match) if (amount := measure(fact)) > 0]
        end = end_of(node.window, renewed=self._renewed)
        return Leaf(
            node, [fact for fact, _ in found], [(fact.at, fact.seq) for fact, _ in found], end and [end(fact.at) for fact, _ in found],
            [fact.activity for fact, _ in found] if node.by_activity else None, [min(amount, most) for _, amount in found],
        )

    def _credentials(self, node: Credentials) -> Leaf:
        standing = [award for award in self.awards if not award.revoked and reads(node, award)]
        found = [(award, FOREVER) for award in standing]
        if node.active:
            found = [(award, end) for award in standing if not award.suspended and (end := _end(award)) > award.since]
        value = _VALUE_OF_AWARD[node.distinct] if node.distinct else None
        return Leaf(
            node, [award for award, _ in found], [(award.since, award.seq) for award, _ in found],
            [end for _, end in found] if any(end < FOREVER for _, end in found) else None, value and [value(award) for award, _ in found],
        )


def _measure(node: Sum) -> Callable[[Fact], int]:
    if node.of == "duration":
        return lambda fact: fact.said.duration or 0
    if node.of == "hours":
        return lambda fact: fact.said.hours
    key = node.key
    return lambda fact: fact.said.measures.get(key, 0) if fact.said.measures else 0


def _end(award: Award) -> int:
    return min(FOREVER if award.ended is None else award.ended, FOREVER if award.valid_until is None else award.valid_until)
