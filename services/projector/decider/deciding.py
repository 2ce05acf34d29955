"""What a decider keeps in mind from one batch to the next."""
from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from services.core.keys import KeyedHash
from services.projector.decider.apart import Apart
from services.projector.decider.pace import Pace, Portion
from services.projector.decider.turn import Turn
from services.runtime.evaluation.catalog import Catalogs

MOST_IFIS = 200
_USUAL_S = 0.5
"""A batch takes as many as are judged in this time: what else was read of others would have to be read again."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What all batches of a decider share."""

    hashes: KeyedHash
    partitions: int
    fingerprint: str
    turn: Turn = field(default_factory=Turn)
    """That of whoever judges batches."""
    turn_apart: Turn = field(default_factory=Turn)
    """That of whoever judges learners alone."""
    catalogs: Catalogs = field(default_factory=Catalogs)
    failed: dict[UUID, float] = field(default_factory=dict)
    """IFIs of learners whom this code could not judge, or whom somebody else has in hand, and when they are tried again."""
    apart: Apart = field(default_factory=Apart)
    paces: dict[int, Pace] = field(default_factory=dict)
    """Those of the sweeps that go on, or whose last page is not done with, by tenant."""
    portions: dict[int, Portion] = field(default_factory=lambda: defaultdict(lambda: Portion(MOST_IFIS, MOST_IFIS, _USUAL_S)))
    """How many IFIs a batch takes, by tenant: the rules of one may be slow."""
