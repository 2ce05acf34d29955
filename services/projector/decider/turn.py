"""Computing that gives way: folds run in the same process."""
import asyncio
import time
from dataclasses import dataclass, field

_TURN_S = 0.01
"""How long one computes before others have their turn."""


@dataclass(slots=True)
class Turn:
    """Gives way to others of the process."""

    since: float = field(default_factory=time.monotonic)

    async def give(self) -> None:
        """Let others go on, if this went on long enough."""
        if time.monotonic() - self.since > _TURN_S:
            await asyncio.sleep(0)
            self.since = time.monotonic()
