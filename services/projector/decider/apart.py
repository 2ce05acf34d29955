"""Learners who are judged apart from the others: with too many statements for a batch, too long to judge in one, or in hand when a batch failed."""
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from services.projector.decider import metrics
from services.runtime.evaluation.load import Members

MOST = 2_000
"""While so many wait, no more are set apart: they stay in the queue."""
_AGAIN_S = (1.0, 5.0, 60.0)


class Waiting(NamedTuple):
    """A learner to be judged alone."""

    tenant_id: int
    ifis: tuple[UUID, ...]
    at: float
    """When it is tried, by the monotonic clock."""
    failures: int


class Apart:
    """Who waits to be judged alone; batches leave them in the queue meanwhile."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._waiting: dict[UUID, Waiting] = {}
        self._in_hand: tuple[int, Sequence[Members]] = 0, ()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    @property
    def ifis(self) -> list[UUID]:
        """Return all IFIs of those who wait."""
        return [ifi for one in self._waiting.values() for ifi in one.ifis]

    def add(self, tenant_id: int, members: Iterable[Members]) -> None:
        """Have these judged alone."""
        for one in members:
            if len(self._waiting) < MOST and one.learner not in self._waiting:
                self._waiting[one.learner] = Waiting(tenant_id, one.ifis, time.monotonic(), 0)
                metrics.APART.inc()

    def take_up(self, tenant_id: int, members: Sequence[Members]) -> None:
        """Note whom a batch is about to judge."""
        self._in_hand = tenant_id, members

    def put_down(self) -> None:
        """Note that it came to its end."""
        self._in_hand = 0, ()

    def fail(self) -> None:
        """Have those alone judged whom the batch had in hand that failed: one of them may be why."""
        self.add(*self._in_hand)
        self.put_down()

    def next(self) -> Waiting | None:
        """Return who is to be tried now."""
        now = time.monotonic()
        return min((one for one in self._waiting.values() if one.at <= now), key=lambda one: one.at, default=None)

    def done(self, one: Waiting) -> None:
        """Let them be taken in batches again."""
        self._waiting.pop(one.ifis[0], None)

    def later(self, one: Waiting) -> None:
        """Try this one again later, as it failed."""
        wait = _AGAIN_S[min(one.failures, len(_AGAIN_S) - 1)]
        self._waiting[one.ifis[0]] = one._replace(at=time.monotonic() + wait, failures=one.failures + 1)
