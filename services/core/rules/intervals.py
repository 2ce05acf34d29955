"""When a rule is met, over all of time: half-open intervals of instants, for leaves by one sweep over what comes and goes, for nodes from their children's.

Intervals are sorted, do not touch, and end at FOREVER where nothing known ends them.
"""
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.core.rules.done import Moment
from services.core.rules.leaves import Counting, Leaf
from services.core.rules.order import first_of
from services.core.rules.tree import All, AnyOf, AtLeast, Node, nodes
from services.core.rules.windows import FOREVER

Intervals = list[tuple[int, int]]

_PAST_ALL = FOREVER + 1


def met_when(node: Node, leaves: Mapping[int, Leaf]) -> Intervals:
    """Return when a node is met; `leaves` by the id() of their nodes."""
    if not isinstance(node, All | AnyOf | AtLeast):
        return _leaf(leaves[id(node)])
    if (isinstance(node, All) and (node.sequence or node.within is not None)) or (isinstance(node, AtLeast) and node.by_issuer):
        return _whole(node, leaves)
    wanted = len(node.of) if isinstance(node, All) else 1 if isinstance(node, AnyOf) else node.n
    return overlap([met_when(child, leaves) for child in node.of], wanted)


def overlap(parts: Sequence[Intervals], wanted: int) -> Intervals:
    """Return when at least `wanted` of the parts are met at once."""
    begun = sorted(part[0][0] for part in parts if part)
    if len(begun) < wanted:
        return []
    if all(len(part) == 1 and part[0][1] == FOREVER for part in parts if part):
        return [(begun[wanted - 1], FOREVER)]
    changes = [(instant, change) for part in parts for start, end in part for instant, change in ((start, 1), (end, -1))]
    return _runs(_counted(changes, wanted))


def _counted(changes: list[tuple[int, int]], wanted: int) -> Iterable[tuple[int, bool]]:
    changes.sort()
    there = 0
    for place, (instant, change) in enumerate(changes):
        there += change
        if place + 1 == len(changes) or changes[place + 1][0] > instant:
            yield instant, there >= wanted


def _runs(states: Iterable[tuple[int, bool]]) -> Intervals:
    """Return the intervals of a state that is told whenever it may change, at rising instants."""
    found: Intervals = []
    since: int | None = None
    for instant, met in states:
        if met and since is None:
            since = instant
        elif since is not None and not met:
            found.append((since, instant))
            since = None
    if since is not None and since < FOREVER:
        found.append((since, FOREVER))
    return found


def _leaf(leaf: Leaf) -> Intervals:
    if leaf.ends is None:
        reached = leaf.reach()
        return [] if reached is None else [(leaf.positions[reached][0], FOREVER)]
    return _runs(_swept(leaf, leaf.ends))


def _swept(leaf: Leaf, ends: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """Give whether there is enough for a leaf, at each instant at which anything begins to count or ends to."""
    tally = leaf.tally()
    coming = [(at, index) for index, (at, _) in enumerate(leaf.positions) if ends[index] > at]
    going = sorted([(end, index) for end, index in zip(ends, range(len(ends)), strict=True) if leaf.positions[index][0] < end < FOREVER])
    coming.append((_PAST_ALL, 0))
    going.append((_PAST_ALL, 0))
    begun = ended = 0
    while (now := min(coming[begun][0], going[ended][0])) < _PAST_ALL:
        while coming[begun][0] == now:
            tally.add(coming[begun][1])
            begun += 1
        while going[ended][0] == now:
            tally.remove(going[ended][1])
            ended += 1
        yield now, tally.reached


def _whole(node: Node, leaves: Mapping[int, Leaf]) -> Intervals:
    """Return when a node is met that must be looked at as a whole, at each instant at which anything below it comes or goes."""
    below = [leaves[id(each)] for each in nodes(node) if id(each) in leaves]
    if all(leaf.ends is None for leaf in below):
        slices = Moment(leaves).done(node)
        return [(first_of(slices)[0], FOREVER)] if slices else []
    return _runs(_states(node, below))


def _states(node: Node, below: Sequence[Leaf]) -> Iterator[tuple[int, bool]]:
    counting = {id(leaf.node): Counting(leaf) for leaf in below}
    moment = Moment(counting)
    inner = [each for each in nodes(node) if id(each) not in counting]
    steps = sorted(_steps(below))
    for number, (instant, comes, place, index) in enumerate(steps):
        leaf = below[place].node
        counting[id(leaf)].change(index, comes=comes)
        moment.forget([*inner, leaf])
        if number + 1 == len(steps) or steps[number + 1][0] > instant:
            yield instant, moment.met(node)


def _steps(leaves: Sequence[Leaf]) -> Iterator[tuple[int, bool, int, int]]:
    """Give (instant, whether it begins to count, place of the leaf, index of the item) of all that comes or goes."""
    for place, leaf in enumerate(leaves):
        for index, (at, _) in enumerate(leaf.positions):
            end = FOREVER if leaf.ends is None else leaf.ends[index]
            if end > at:
                yield at, True, place, index
                if end < FOREVER:
                    yield end, False, place, index
