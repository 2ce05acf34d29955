"""The words of an explanation: for each node of the tree what it asks for, what would meet it, and what came close without counting."""
from collections.abc import Mapping, Sequence

import msgspec

from services.core.rules import cmi5, lacking, passed_over
from services.core.rules.done import Moment
from services.core.rules.leaves import Gathering, Leaf
from services.core.rules.narrative import shortened
from services.core.rules.outcome import Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, LeafNode, Node, Sum


class Wording:
    """Finds the words at one moment."""

    def __init__(self, moment: Moment, leaves: Mapping[int, Leaf], gathering: Gathering, as_of: int, gone: Mapping[str, Gathering]) -> None:
        """`leaves`, by the id() of their nodes, hold what counted at any time, the moment what is left of them; `gone` cannot count any more, by why."""
        self._moment, self._leaves, self._gathering, self._as_of, self._gone = moment, leaves, gathering, as_of, gone

    def put(self, node: Node, explained: Explained) -> Explained:
        """Return what was explained of a node, in words too."""
        asks = shortened(node.asks)
        if isinstance(node, All | AnyOf | AtLeast):
            of = tuple(self.put(child, shown) for child, shown in zip(node.of, explained.of, strict=True))
            lacks = None if explained.met else lacking.of_group(node, of, explained.amount)
            return msgspec.structs.replace(explained, of=of, asks=asks, lacks=lacks)
        if explained.met:
            return msgspec.structs.replace(explained, asks=asks)
        gone = {why: len(gathering.leaf(node).at(self._as_of).items) for why, gathering in self._gone.items()}
        near = passed_over.of_leaf(node, self._gathering, self._leaves[id(node)], self._moment.leaves[id(node)], gone)
        return msgspec.structs.replace(explained, asks=asks, lacks=self._lacks(node, explained), passed_over=near)

    def _lacks(self, node: LeafNode, explained: Explained) -> str:
        if not isinstance(node, Cmi5):
            return lacking.of_leaf(node, explained.amount, _so_far(self._moment.leaves[id(node)]), self._as_of)
        course = self._gathering.courses.get(node.course)
        return lacking.of_course(None if course is None else cmi5.nearest(course, self._gathering.known))


def _so_far(leaf: Leaf) -> list[str]:
    """Return the different values that count for a leaf so far, where they are names."""
    if leaf.values is None or isinstance(leaf.node, Sum | Cmi5) or leaf.node.distinct not in {"authority", "issuer", "achievement"}:
        return []
    return list(dict.fromkeys(name for value in leaf.values if (name := value if isinstance(value, str) else _name(value))))


def _name(names: Sequence[str]) -> str | None:
    """Return which of the names of an issuer people know best: its address, else its DID, else what there is."""
    return next((name for begin in ("http", "did:", "") for name in names if name.startswith(begin)), None)
