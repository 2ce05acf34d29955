"""Who goes first in one process: the projection that makes statements visible. Those that fold them further never overtake it, and wait for longer runs.

Deciding comes after all of them.
"""
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.runtime.log import LogEnd

_LATELY_S = 1.0
"""What part of the time there were runs is said of about so long."""
_AT_LEISURE, _PRESSED = 0.75, 0.85
"""Folds that are at work for no more of the time than the first get done at leisure what they have to do; beyond the second they have more than they can."""
_WAITING_S = 2.5
"""What waits for them is said of about so long: a moment in which Postgres is slow, as at the end of a checkpoint, is no load that they cannot keep up with."""
_LOOK_S = 0.5
"""What is seen once stands for so long at most."""
_LITTLE, _MUCH = 180, 300
"""So much waits after a run when folds keep up with ease, and when they do not."""


class Turns:
    """How far the projection that goes first has folded each partition, and what its ticks have told of their ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody folds yet. `clock` gives seconds."""
        self.clock = clock
        self.ends: dict[int, LogEnd] = {}
        self._places: dict[int, int] = {}
        self._followers: dict[Callable[[], object], Callable[[], object]] = {}
        self._folding, self._share, self._seen = 0, 0.0, clock()
        self._waiting, self._noted = 0.0, -math.inf

    @property
    def pressure(self) -> float:
        """How hard folds are pressed, 0 to 1: by the part of the time in which a run of some projection was under way lately, and by what waited after runs.

        What waits is told by who follows; where none did lately, the part of the time alone counts.
        """
        self._look()
        waiting = self._waiting if self.clock() - self._noted < _WAITING_S else _MUCH
        return min(_between(_AT_LEISURE, _PRESSED, self._share), _between(_LITTLE, _MUCH, waiting))

    def left(self, waiting: int) -> None:
        """Note what waits after a run of who follows (`Lane.waiting`). One look says little, however long it is after the one before, and whatever it sees."""
        waiting, now = min(waiting, 2 * _MUCH), self.clock()
        self._waiting = waiting + (self._waiting - waiting) * math.exp(max(self._noted - now, -_LOOK_S) / _WAITING_S)
        self._noted = now

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
        now = self.clock()
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


def _between(least: float, most: float, value: float) -> float:
    """Return 0 up to `least`, 1 from `most` on, and what is between in proportion."""
    return min(1.0, max(0.0, (value - least) / (most - least)))
