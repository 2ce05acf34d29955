"""What evaluating a programme says, and why."""
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


class Explained(msgspec.Struct, frozen=True):
    """A node of the rule, and how far it is met."""

    op: str
    label: str
    """Its label, else a text made of what it asks for."""
    met: bool
    progress: float
    inputs: tuple[Input, ...]
    """What it rests on when it is met, what counts towards it while it is not: at most 100."""
    of: "tuple[Explained, ...]" = ()


class Outcome(msgspec.Struct, frozen=True):
    """Whether a programme is met, since when and until when. Instants are microseconds since 2020."""

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
    inputs: tuple[Input, ...]
    """A sufficient witness, by (at, seq); empty while unmet."""
    tipping: Input | None
    """The input with the greatest (at, seq): its IFI owns the award."""
    progress: float
    """0 to 1; 1 if and only if met."""
    tree: Explained
    unmet: tuple[str, ...]
    """Labels of the leaves that lack something."""
