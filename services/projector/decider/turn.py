"""Computing that gives way: folds run in the same process, and statements go before what they are worth."""
import asyncio
import time
from dataclasses import dataclass, field

from services.projector.turns import Turns

_TURN_S = 0.01
"""How long one computes before others have their turn."""
_SMALL_S = 0.05
"""What takes no longer in all is never held up."""
_SHARE = 20
"""While folds are pressed, one works for one part of so many."""
_LONGEST_S = 0.25
"""A transaction that rests must not look frozen to Postgres, which ends it then."""


@dataclass(slots=True)
class Turn:
    """Gives way to others of the process, in one piece of work."""

    turns: Turns
    begun: float = field(default_factory=time.monotonic)
    since: float = field(default_factory=time.monotonic)

    async def give(self) -> None:
        """Let others go on, if this went on long enough."""
        now = time.monotonic()
        took = now - self.since
        if took > _TURN_S:
            rests = now - self.begun > _SMALL_S and self.turns.is_pressed
            await asyncio.sleep(min(took * (_SHARE - 1), _LONGEST_S) if rests else 0)
            self.since = time.monotonic()
