"""Where a node can be said to be done at an instant: the positions at or before which there is enough of what counts at that instant.

A node is met at an instant if there is such a position.
"""
from collections.abc import Mapping

from services.core.rules.issuers import Edge, least_choice
from services.core.rules.leaves import Leaf
from services.core.rules.order import Slices, chain, chains_within, ends_of, first_of, flat, from_on, later_than, together_within
from services.core.rules.tree import All, AnyOf, AtLeast, Node


class Moment:
    """What counts at one instant, leaf by leaf, and where each node is done by it. `leaves`, by the id() of their nodes, hold only what counts then."""

    def __init__(self, leaves: Mapping[int, Leaf]) -> None:
        self.leaves = leaves
        self._done: dict[int, Slices] = {}

    def done(self, node: Node) -> Slices:
        """Return the positions at which a node is done."""
        found = self._done.get(id(node))
        if found is None:
            found = self._done[id(node)] = self._leaf(self.leaves[id(node)]) if not isinstance(node, All | AnyOf | AtLeast) else self._group(node)
        return found

    def met(self, node: Node) -> bool:
        """Return whether a node is met, which for a sequence in time is sooner found than all the positions at which it is."""
        if isinstance(node, All) and node.sequence and node.within is not None:
            children = [self.done(child) for child in node.of]
            return all(children) and any(True for _ in chains_within([flat(slices) for slices in children], node.within))
        return bool(self.done(node))

    def edges(self, node: AtLeast) -> list[Edge]:
        """Return what the clauses of a node count, with the issuers of it."""
        return [
            Edge(position, place, getattr(item, "issuers", ()))
            for place, child in enumerate(node.of) for leaf in (self.leaves[id(child)],) for position, item in zip(leaf.positions, leaf.items, strict=True)
        ]

    def forget(self, nodes: list[Node]) -> None:
        """Forget where these nodes are done: what counts for them has changed."""
        for node in nodes:
            self._done.pop(id(node), None)

    def _leaf(self, leaf: Leaf) -> Slices:
        reached = leaf.reach()
        return [] if reached is None else [(leaf.positions, reached)]

    def _group(self, node: All | AnyOf | AtLeast) -> Slices:
        children = [self.done(child) for child in node.of]
        if isinstance(node, AnyOf):
            return [each for slices in children for each in slices]
        if isinstance(node, All) and (node.sequence or node.within is not None):
            return _in_order(node, children)
        if isinstance(node, AtLeast) and node.by_issuer:
            choice = least_choice(self.edges(node), node.n)
            least = None if choice is None else max(edge.position for edge in choice)
        else:
            begun = sorted(first_of(slices) for slices in children if slices)
            wanted = node.n if isinstance(node, AtLeast) else len(children)
            least = begun[wanted - 1] if len(begun) >= wanted else None
        return [] if least is None else [each for slices in children for each in from_on(slices, least)]


def _in_order(node: All, children: list[Slices]) -> Slices:
    if not all(children):
        return []
    if not node.sequence:
        assert node.within is not None
        found = [position for position, _ in together_within(children, node.within)]
    elif node.within is None:
        before = chain(children[:-1])
        return [] if before is None else later_than(children[-1], before[-1]) if before else children[-1]
    else:
        lists = [flat(slices) for slices in children]
        found = ends_of(chains_within(lists, node.within), lists[-1])
    return [(found, 0)] if found else []
