"""Positions of which a node is done, as slices of sorted lists, and what `sequence` and `within` choose of them."""
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from services.core.rules.calendar import DAY, Span, add
from services.core.rules.leaves import Position

Slices = list[tuple[Sequence[Position], int]]
"""Sorted lists of positions, none empty, each with the index from which it counts."""

_AFTER_ALL = 2**80


class Chain(NamedTuple):
    """What a sequence may begin with, and the range of the positions of its last child that may then end it."""

    first: Position
    low: int
    high: int


def first_of(slices: Slices) -> Position:
    """Return the least position of slices that are some."""
    return min(positions[start] for positions, start in slices)


def from_on(slices: Slices, least: Position) -> Slices:
    """Return what of the slices is at or after a position."""
    return [(positions, place) for positions, start in slices if (place := bisect_left(positions, least, start)) < len(positions)]


def later_than(slices: Slices, before: Position) -> Slices:
    """Return what of the slices is after a position."""
    return [(positions, place) for positions, start in slices if (place := bisect_right(positions, before, start)) < len(positions)]


def latest(slices: Slices, most: Position) -> Position | None:
    """Return the greatest position of the slices at or before one, None if all are after it."""
    found = [positions[place - 1] for positions, start in slices if (place := bisect_right(positions, most, start)) > start]
    return max(found, default=None)


def flat(slices: Slices) -> list[Position]:
    """Return all positions in order."""
    if len(slices) == 1:
        positions, start = slices[0]
        return list(positions[start:])
    return sorted({position for positions, start in slices for position in positions[start:]})


def chain(children: Sequence[Slices]) -> list[Position] | None:
    """Return the earliest positions of all children, each after the one before; None if there are none."""
    found = rising(children)
    return found if len(found) == len(children) else None


def rising(children: Sequence[Slices]) -> list[Position]:
    """Return the earliest positions of children, each after the one before, up to the first that has none."""
    found: list[Position] = []
    for slices in children:
        left = later_than(slices, found[-1]) if found else slices
        if not left:
            break
        found.append(first_of(left))
    return found


def chains_within(children: Sequence[list[Position]], length: Span) -> Iterator[Chain]:
    """Give the chains of rising positions, one of each child, that may end within `length` of their first."""
    places = [0] * len(children)
    for first in children[0]:
        before = first
        for child in range(1, len(children) - 1):
            positions = children[child]
            places[child] = bisect_right(positions, before, places[child])
            if places[child] == len(positions):
                return
            before = positions[places[child]]
        ends = children[-1]
        low = bisect_right(ends, before) if len(children) > 1 else bisect_left(ends, first)
        high = bisect_right(ends, (add(first[0], length), _AFTER_ALL))
        if low < high:
            yield Chain(first, low, high if len(children) > 1 else low + 1)


def ends_of(chains: Iterable[Chain], ends: Sequence[Position]) -> list[Position]:
    """Return the positions at which such chains may end, in order: their ranges begin at rising places."""
    found: list[Position] = []
    covered = 0
    for _, low, high in chains:
        found += ends[max(low, covered):high]
        covered = max(covered, high)
    return found


def together_within(children: Sequence[Slices], length: Span) -> list[tuple[Position, tuple[Position, int] | None]]:
    """Return the positions that are the last of a choice of one of each child, all within `length` of the first, in order.

    Each choice takes the latest of every child, but for the one that may be named with it (as position and child).
    """
    coming = sorted((position, child) for child, slices in enumerate(children) for position in flat(slices))
    last: dict[int, Position] = {}
    found: list[tuple[Position, tuple[Position, int] | None]] = []
    at_once: set[int] = set()
    for place, (position, child) in enumerate(coming):
        at_once.add(child)
        last[child] = position
        if place + 1 < len(coming) and coming[place + 1][0] == position:
            continue
        if len(last) == len(children):
            first = min(last.values())
            if position[0] <= add(first[0], length):
                found.append((position, None))
            elif (earlier := _earlier(coming, first, position, at_once, length)) is not None:
                found.append((position, earlier))
        at_once = set()
    return found


def _earlier(coming: Sequence[tuple[Position, int]], first: Position, end: Position, at_end: set[int], length: Span) -> tuple[Position, int] | None:
    """Return a position a little before `first` from which it is not too long to `end`, and its child.

    Of two instants at the end of a month the earlier may be the later one, a month on: 30 January in the evening is 28 February in the evening, 31 January
    in the morning is 28 February in the morning.
    """
    if not length.months or end[0] >= add(first[0], length) + DAY:
        return None
    for position, child in reversed(coming[:bisect_left(coming, (first, -1))]):
        if position[0] < first[0] - 4 * DAY:
            return None
        if end[0] <= add(position[0], length) and at_end != {child}:
            return position, child
    return None
