"""Until when a fact counts: the end of its window, or of the cycle it is in."""
from collections.abc import Callable

from services.core.rules.calendar import DAY, Span, add
from services.core.rules.tree import Window

FOREVER = 2**62
"""Later than every instant: the end of what counts for good."""

_MONTH = 2_629_746_000_000
"""Microseconds of the mean month of the calendar (400 years are 146,097 days)."""


def end_of(window: Window | None, *, renewed: bool) -> Callable[[int], int] | None:
    """Return the function that gives, by a fact's event time, the instant from which it counts no more; None if facts count for good.

    `renewed`: there was an award before, so that a cycle anchored to the award is bounded by validity alone.
    """
    if window is None or (window.cycle and window.anchor is None and renewed):
        return None
    length, anchor = window.length, window.anchor
    if window.cycle and anchor is not None:
        return lambda at: cycle_end(anchor, length, at)
    return lambda at: add(at, length)


def cycle_end(anchor: int, length: Span, at: int) -> int:
    """Return the first instant after `at` at which a cycle begins; cycles are counted from the anchor, not one from the other."""
    number = (at - anchor) // (length.months * _MONTH + length.days * DAY + length.micros)
    while add(anchor, length, number) > at:
        number -= 1
    end = add(anchor, length, number + 1)
    while end <= at and end < (later := add(anchor, length, number + 2)):
        number, end = number + 1, later
    return end
