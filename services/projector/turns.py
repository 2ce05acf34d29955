"""Who goes first in one process: the projection that makes statements visible. Those that fold them further never overtake it, and wait for longer runs.

Deciding comes after all of them.
"""
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.runtime.log import LogEnd

_LATELY_S = 1.5
"""Long enough that a run which waits half a second for the disk is not taken for a load that folds cannot keep up with."""
_PRESSED = 0.85
"""Folds that are at work for more of the time than this have more to do than they get done at leisure."""


class Turns:
    """How far the projection that goes first has folded each partition, and what its ticks have told of their ends."""

    def __init__(self) -> None:
        """Nobody folds yet."""
        self.ends: dict[int, LogEnd] = {}
        self._places: dict[int, int] = {}
        self._followers: dict[Callable[[], object], Callable[[], object]] = {}
        self._folding, self._share, self._seen = 0, 0.0, time.monotonic()

    @property
    def is_pressed(self) -> bool:
        """Whether a run of some projection was under way nearly all the time lately."""
        self._look()
        return self._share > _PRESSED

    @contextmanager
    def folding(self) -> Iterator[None]:
        """Note that a run is under way."""
        self._look()
        self._folding += 1
        try:
            yield
        finally:
            self._look()
            self._folding -= 1

    def _look(self) -> None:
        """Count the time since the last look as one in which there was folding, or none."""
        now = time.monotonic()
        self._share = (self._folding > 0) + (self._share - (self._folding > 0)) * math.exp((self._seen - now) / _LATELY_S)
        self._seen = now

    def lead(self, partition: int, position: int | None) -> None:
        """Note where the projection that goes first stands; None: it does not fold this partition here any more."""
        if position is None:
            self._places.pop(partition, None)
        else:
            self._places[partition] = position
        for moved in self._followers:
            moved()

    def place(self, partition: int) -> int | None:
        """Return the offset that the others may fold up to, None when nobody here goes first."""
        return self._places.get(partition)

    def follow(self, moved: Callable[[], object], told: Callable[[], object]) -> None:
        """Have `moved` called when a place changes, and `told` when `ends` do."""
        self._followers[moved] = told

    def leave(self, moved: Callable[[], object]) -> None:
        """Have them called no more."""
        self._followers.pop(moved, None)

    def tell(self) -> None:
        """Let the others look at `ends`."""
        for told in self._followers.values():
            told()
