"""What a met node rests on: facts and awards that are enough for it to be done at a position, the earliest that are, and few."""
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from services.core.rules import cmi5
from services.core.rules.course import CourseStructure
from services.core.rules.done import Moment
from services.core.rules.facts import Award, Fact
from services.core.rules.issuers import least_choice
from services.core.rules.leaves import Leaf, Position
from services.core.rules.match import Known
from services.core.rules.order import Slices, chain, chains_within, first_of, flat, latest, together_within
from services.core.rules.outcome import Input
from services.core.rules.tree import All, AnyOf, AtLeast, Cmi5, Node, Sum

Items = dict[Position, Fact | Award]


class Witnesses:
    """Finds witnesses among what counts at one moment."""

    def __init__(self, moment: Moment, known: Known, courses: Mapping[str, CourseStructure]) -> None:
        self._moment, self._known, self._courses = moment, known, courses

    def of(self, node: Node, end: Position) -> Iterable[Fact | Award]:
        """Give facts and awards that are enough for the node to be done at `end`, one of the positions of which it is."""
        if not isinstance(node, All | AnyOf | AtLeast):
            yield from self._leaf(self._moment.leaves[id(node)], end)
            return
        for child, position in self._chosen(node, end):
            yield from self.of(child, position)

    def _chosen(self, node: All | AnyOf | AtLeast, end: Position) -> list[tuple[Node, Position]]:
        """Return which children the node rests on, and where each is done."""
        children = [self._moment.done(child) for child in node.of]
        if isinstance(node, All) and (node.sequence or node.within is not None):
            return list(zip(node.of, _in_order(node, children, end), strict=True))
        last = next(place for place, slices in enumerate(children) if latest(slices, end) == end)
        if isinstance(node, AnyOf):
            return [(node.of[last], end)]
        if isinstance(node, AtLeast) and node.by_issuer:
            choice = least_choice([edge for edge in self._moment.edges(node) if edge.position <= end], node.n) or []
            chosen = [(node.of[edge.clause], edge.position) for edge in choice]
            return chosen if any(position == end for _, position in chosen) else [*chosen, (node.of[last], end)]
        begun = sorted((first_of(slices), place) for place, slices in enumerate(children) if slices and place != last)
        wanted = node.n if isinstance(node, AtLeast) else len(children)
        return [(node.of[last], end), *((node.of[place], first) for first, place in begun[:wanted - 1])]

    def _leaf(self, leaf: Leaf, end: Position) -> Iterable[Fact | Award]:
        place = bisect_left(leaf.positions, end)
        item = leaf.items[place]
        if isinstance(leaf.node, Sum):
            return [leaf.items[index] for index in _largest(leaf, leaf.node, place)]
        if isinstance(leaf.node, Cmi5):
            assert isinstance(item, Fact)
            return cmi5.witness(self._courses[leaf.node.course], self._known, item)
        return [leaf.items[index] for index in _earliest(leaf, place, leaf.node.count)]


def inputs(items: Iterable[Fact | Award]) -> tuple[Input, ...]:
    """Return facts and awards as what an outcome rests on, each once, by (at, seq)."""
    each = {id(item): item for item in items}
    return tuple(map(_input, sorted(each.values(), key=_place) if len(each) > 1 else each.values()))


def _place(item: Fact | Award) -> tuple[int, int, UUID]:
    return (item.at, item.seq, item.statement) if isinstance(item, Fact) else (item.since, item.seq, item.credential)


def _input(item: Fact | Award) -> Input:
    if isinstance(item, Fact):
        return Input("statement", item.statement, item.at, item.seq, item.ifi)
    return Input("credential", item.credential, item.since, item.seq, item.ifi)


def _in_order(node: All, children: Sequence[Slices], end: Position) -> list[Position]:
    """Return one position of each child, as `sequence` and `within` want them, the last of them `end`."""
    if node.sequence and node.within is None:
        return [*(chain(children[:-1]) or ()), end]
    if node.within is not None and node.sequence:
        lists = [flat(slices) for slices in children]
        index = lists[-1].index(end)
        first = next(each.first for each in chains_within(lists, node.within) if each.low <= index < each.high)
        return [first, *(chain([[([first], 0)], *children[1:-1]]) or [first])[1:], end] if len(children) > 1 else [end]
    assert node.within is not None
    earlier = next(earlier for position, earlier in together_within(children, node.within) if position == end)
    found = [latest(slices, end) or end for slices in children]
    if earlier is not None:
        found[earlier[1]] = earlier[0]
    return found


def _earliest(leaf: Leaf, place: int, count: int) -> list[int]:
    """Return the indices of `count` items, or of items of as many values: the one in this place, and the earliest others."""
    if leaf.values is None:
        return [*range(min(count - 1, place)), place]
    first: dict[object, int] = {leaf.values[place]: place}
    for index in range(place):
        if len(first) == count:
            break
        first.setdefault(leaf.values[index], index)
    return list(first.values())


def _largest(leaf: Leaf, node: Sum, place: int) -> list[int]:
    """Return the indices of the fewest items that are enough with the one in this place, the largest of those before it."""
    assert leaf.amounts is not None
    amounts = leaf.amounts
    if node.by_activity:
        assert leaf.values is not None
        best: dict[object, int] = {}
        for index in range(place):
            if index == best.setdefault(leaf.values[index], index) or amounts[index] > amounts[best[leaf.values[index]]]:
                best[leaf.values[index]] = index
        own = best.get(leaf.values[place], place)
        gains = [(amounts[index] - (amounts[place] if index == own else 0), index) for index in best.values()]
    else:
        gains = [(amounts[index], index) for index in range(place)]
    found, total = [place], amounts[place]
    for gain, index in sorted(gains, key=lambda each: (-each[0], each[1])):
        if total >= node.at_least:
            break
        found.append(index)
        total += gain
    return found
