"""Tallies of what counts for a leaf, while items come and go in any order: each knows whether there is enough, at the cost of one item each time."""
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Protocol


class Tally(Protocol):
    """How much of what a leaf wants there is."""

    wanted: int
    got: int

    @property
    def reached(self) -> bool:
        """Whether there is enough."""
        ...

    def add(self, index: int) -> None:
        """Count the item of this index, too."""
        ...

    def remove(self, index: int) -> None:
        """Count it no more."""
        ...


class Count:
    """How many there are."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.got = wanted, 0

    @property
    def reached(self) -> bool:
        """Whether there are enough."""
        return self.got >= self.wanted

    def add(self, index: int) -> None:  # noqa: ARG002 - one is as good as another
        """Count one more."""
        self.got += 1

    def remove(self, index: int) -> None:  # noqa: ARG002 - as `add`
        """Count one less."""
        self.got -= 1


class Distinct(Count):
    """How many different values there are."""

    def __init__(self, wanted: int, values: Sequence[Hashable]) -> None:
        super().__init__(wanted)
        self._values = values
        self._times: dict[Hashable, int] = defaultdict(int)

    def add(self, index: int) -> None:
        """Count the value of an item."""
        value = self._values[index]
        self._times[value] += 1
        self.got = len(self._times)

    def remove(self, index: int) -> None:
        """Count it no more."""
        value = self._values[index]
        self._times[value] -= 1
        if not self._times[value]:
            del self._times[value]
        self.got = len(self._times)


class Amounts(Count):
    """How much they are together."""

    def __init__(self, wanted: int, amounts: Sequence[int]) -> None:
        super().__init__(wanted)
        self._amounts = amounts

    def add(self, index: int) -> None:
        """Add the amount of an item."""
        self.got += self._amounts[index]

    def remove(self, index: int) -> None:
        """Take it away."""
        self.got -= self._amounts[index]


class AmountsByActivity(Amounts):
    """How much the largest amounts of each activity are together."""

    def __init__(self, wanted: int, amounts: Sequence[int], activities: Sequence[Hashable]) -> None:
        super().__init__(wanted, amounts)
        self._activities = activities
        self._of: dict[Hashable, list[int]] = defaultdict(list)

    def add(self, index: int) -> None:
        """Add the amount of an item, as far as it is more than the others of its activity."""
        there = self._of[self._activities[index]]
        before = there[-1] if there else 0
        insort(there, self._amounts[index])
        self.got += there[-1] - before

    def remove(self, index: int) -> None:
        """Take it away, as far as no other of its activity is as much."""
        there = self._of[self._activities[index]]
        before = there[-1]
        del there[bisect_left(there, self._amounts[index])]
        self.got += (there[-1] if there else 0) - before
