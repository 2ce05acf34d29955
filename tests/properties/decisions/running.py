"""Deciders that run: after whatever happens all is folded and a decider looks around until there is nothing left to do before more time passes."""
import random

from tests.properties.decisions.house import House
from tests.properties.decisions.simulation import OUTCOMES
from tests.properties.decisions.stood import Folded

TICK = 500_000
"""Idle partitions tick each second: twice as often here, for an entry may have to wait until T has passed another of its learner."""


class Running:
    """The folds and deciders of a house while they keep up with its log."""

    def __init__(self, home: House, chance: random.Random) -> None:
        """`chance` says what becomes of appends; it keeps up from now on."""
        self._home, self._chance = home, chance
        self.looks: list[list[Folded]] = [[]]
        """How far all was folded whenever a decider looked around, in order: one list for each time over which it kept up."""

    async def keep_up(self) -> None:
        """Fold and decide until nothing more comes of it; what the log does not confirm is looked for at once."""
        home, how = self._home, self._chance.choice(OUTCOMES)
        while True:
            await home.fold.catch_up()
            self._look()
            size, home.log.next_append = home.log.size, how
            worked = await home.decide(0)
            home.log.next_append = "well"
            if not worked and how == "well" and home.log.size == size:
                return
            how = "well"

    async def pass_time(self, span: int) -> None:
        """Let time pass: partitions tick, and sooner where somebody waits for T."""
        log = self._home.log
        until = log.now + span
        while log.now < until:
            waited = log.gap if await self._home.waits() else 0
            log.now = min(until, log.now + (waited if 0 < waited < TICK else TICK))
            await self.keep_up()

    def pause(self) -> None:
        """Keep up no longer, until it does so again."""
        if self.looks[-1]:
            self.looks.append([])

    def _look(self) -> None:
        folded = tuple(self._home.log.passed(partition) for partition in range(self._home.log.partitions))
        if not self.looks[-1] or folded != self.looks[-1][-1]:
            self.looks[-1].append(folded)
