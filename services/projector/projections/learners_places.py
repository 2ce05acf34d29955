"""Where the evidence of a run changed what stands: what its fold has to look at again."""
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

from services.core.transcript import Row

Key = tuple[int, UUID]
"""Tenant and statement id, IFI key, learner id or activity key."""
Pair = tuple[int, UUID, UUID]
"""Tenant, IFI key and activity key."""


class Places:
    """What changed in the evidence of (IFI, activity) pairs: rows that came to stand, neither voided nor assured, and places where something else changed."""

    __slots__ = ("came", "changed", "fallen", "judged")

    def __init__(self) -> None:
        """Begin with none."""
        self.came: dict[Pair, list[Row]] = {}
        self.changed: dict[Pair, set[tuple[int, int]]] = {}
        self.judged: set[Key] = set()
        """The statements to which more may have happened than that they came: copies, voids, assurances."""
        self.fallen: list[tuple[Key, Pair, bytes]] = []
        """The packed facts of copies that fell, by their id and what they were about."""

    def change(self, pair: Pair, at: int, seq: int) -> None:
        """Remember the (at, seq) of a row that fell, or that has to be read again."""
        self.changed.setdefault(pair, set()).add((at, seq))

    def pairs(self) -> AbstractSet[Pair]:
        """Return all pairs to fold."""
        return self.came.keys() | self.changed.keys()

    def of(self, pair: Pair) -> set[tuple[int, int]]:
        """Return the (at, seq) of everything that changed in a pair."""
        return {(row.at, row.seq) for row in self.came.get(pair, ())} | self.changed.get(pair, set())


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows, of which there must be some, as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]
