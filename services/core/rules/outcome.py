"""What evaluating a programme says, and why."""
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import msgspec


class Input(msgspec.Struct, frozen=True, gc=False):
    """A statement or credential that an outcome rests on."""

    kind: str
    """`statement` or `credential`."""
    id: UUID
    at: int
    """Event time of the statement, since of the credential."""
    seq: int
    ifi: UUID


class Amount(msgspec.Struct, frozen=True):
    """How much a node has of what it wants; only a sum may have more."""

    got: float
    wanted: float
    unit: str
    """What is counted, in the plural: `hours`, `statements`, `parts`, …; of a sum of anything else, its IRI."""


class Explained(msgspec.Struct, frozen=True):
    """A node of the rule, and how far it is met."""

    op: str
    label: str
    """Its label, else what it asks for."""
    met: bool
    progress: float
    inputs: tuple[Input, ...]
    """What it rests on when it is met, what counts towards it while it is not: at most 100."""
    of: "tuple[Explained, ...]" = ()
    amount: Amount = Amount(0, 1, "parts")
    again: bool = False
    """Met, but before what it must follow in a sequence: it counts there once it comes again, after that."""
    asks: str = ""
    """What it asks for, but for what is under it. This and what follows are in `Outcome.worded` alone."""
    lacks: str | None = None
    """What would meet it, in words; None while it is met, whether it must come again or not."""
    passed_over: tuple[str, ...] = ()
    """Of a leaf that is not met: what is about the same and does not count, so many for each reason."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Whether a programme is met, since when and until when. Instants are microseconds since 2020. Why is found out when it is asked for first."""

    met: bool
    since: int | None
    """When the run of being met began that lasts at as_of; None while unmet."""
    valid_until: int | None
    expired: bool
    """Met, but its validity was over at as_of."""
    lapse: int | None
    """The first instant after as_of at which it is unmet if nothing new comes; None: never, or it is unmet now."""
    next_change_at: int | None
    """No later than the first instant after as_of at which anything here may change, or a reminder is due, if nothing new comes; None: never."""
    explain: Callable[[], Explained] = field(repr=False)
    rest: Callable[[], tuple[Input, ...]] = field(repr=False)
    word: Callable[[Explained], Explained] = field(repr=False)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """A sufficient witness, by (at, seq); empty while unmet."""
        return self.rest()

    @property
    def tipping(self) -> Input | None:
        """The input with the greatest (at, seq): its IFI owns the award."""
        return self.inputs[-1] if self.inputs else None

    @cached_property
    def tree(self) -> Explained:
        """The rule node by node, without the words."""
        return self.explain()

    @cached_property
    def worded(self) -> Explained:
        """The same in words: what each node asks for, what would meet it, what came close. It takes longer."""
        return self.word(self.tree)

    @property
    def progress(self) -> float:
        """0 to 1; 1 if and only if met."""
        return self.tree.progress

    @property
    def unmet(self) -> tuple[str, ...]:
        """Labels of the leaves that lack something, in the order of the rule; of parts all met but not as they must be, what the whole asks for."""
        return _unmet(self.tree)

    def __eq__(self, other: object) -> bool:
        """Return whether the same is said, for the same reasons."""
        return isinstance(other, Outcome) and self._said == other._said and self.inputs == other.inputs and self.tree == other.tree

    def __hash__(self) -> int:
        """Return a hash of what is said."""
        return hash(self._said)

    @property
    def _said(self) -> tuple[bool, int | None, int | None, bool, int | None, int | None]:
        return self.met, self.since, self.valid_until, self.expired, self.lapse, self.next_change_at


def _unmet(explained: Explained) -> tuple[str, ...]:
    if explained.met:
        return ()
    return tuple(text for child in explained.of for text in _unmet(child)) or (explained.label,)
