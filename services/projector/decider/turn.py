"""Computing that gives way: folds run in the same process, and statements go before what they are worth."""
import asyncio
from collections.abc import Awaitable, Callable

from services.projector.turns import Turns

_TURN_S = 0.002
"""How long one computes before others have their turn: a run awaits some twenty answers of Postgres, and each may find somebody computing."""
_SMALL_S = 0.05
"""What takes no longer in all is never held up on its way."""
_RESTS = 15
"""While folds are pressed as hard as can be, one rests so many times as long as one works; when it is half as hard, a quarter of that."""
_LONGEST_S, _ON_ITS_WAY_S = 0.25, 1.0
"""A transaction that rests must not look frozen to Postgres, which ends it then: so long at a time, and so long in all; what else is owed is paid after it."""
_AT_ONCE_S = 0.05
"""After so much rest one looks again whether folds are still pressed."""
_MOST_S = 1.0
"""No more than this is taken for one stretch of work: a process that was frozen did not work."""


class Turn:
    """Gives way to others of the process: one piece of work after the other, with others' turns in between and after each."""

    def __init__(self, turns: Turns | None = None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """`turns` tells how much folds have to do, if any are in this process, and what time it is."""
        self.turns = turns or Turns()
        self._sleep = sleep
        self._owed = self._owed_before = 0.0
        """Seconds of rest, now and when the part began."""
        self._stopping = self._hurries = False
        self._rested = 0.0
        self._begun = self._since = self.turns.clock()

    def begin(self) -> None:
        """Note that a piece of work begins."""
        self._rested = 0.0
        self._begun = self._since = self.turns.clock()

    def begin_part(self, *, hurries: bool) -> None:
        """Note that a part of the piece begins. One that `hurries` does not rest on its way: others wait behind it."""
        self._count()
        self._hurries, self._owed_before = hurries, self._owed

    async def give(self) -> None:
        """Let others go on, if this went on long enough."""
        now = self.turns.clock()
        if now - self._since > _TURN_S:
            self._count()
            held_up = now - self._begun > _SMALL_S and not self._hurries
            await self._rest(min(_LONGEST_S, _ON_ITS_WAY_S - self._rested) if held_up else 0)

    def hand_over(self, share: float) -> float:
        """Owe this share of the rest for the part no more, and return how many seconds that is: who caused the work is to rest for it."""
        self._count()
        handed = max(0.0, self._owed - self._owed_before) * share
        self._owed -= handed
        return handed

    async def end(self) -> None:
        """Let others have what is theirs of the time that the piece took: many small pieces take as much from them as a large one."""
        self._count()
        while self._owed and self._is_held:
            await self._rest(_AT_ONCE_S)
        self._owed = 0.0

    def stop(self) -> None:
        """Rest no more: what is under way is to come to its end."""
        self._stopping = True

    @property
    def _is_held(self) -> bool:
        return self.turns.pressure > 0 and not self._stopping

    def _count(self) -> None:
        """Owe rest for what was worked since the last, by how hard folds are pressed; if they are not, nothing at all."""
        now = self.turns.clock()
        self._owed = self._owed + min(now - self._since, _MOST_S) * _RESTS * self.turns.pressure**2 if self._is_held else 0.0
        self._since = now

    async def _rest(self, most: float) -> None:
        seconds = min(self._owed, most)
        await self._sleep(seconds)
        self._owed -= seconds
        self._rested += seconds
        self._since = self.turns.clock()
