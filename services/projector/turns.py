"""Who goes first in one process: what makes statements visible before what folds them further, and few runs at once, so that a backlog makes runs longer."""
import asyncio
from collections import defaultdict

AT_ONCE = 4
"""Runs of one projection that fold at the same time; the others wait and take along what comes meanwhile."""
PATIENCE_S = 0.02


class Turns:
    """The turns of all workers of a process."""

    def __init__(self) -> None:
        """Nobody folds yet."""
        self.of: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        """One turn for each run, by the projection's name."""
        self._places: dict[int, int] = {}
        self._moved = asyncio.Event()

    def lead(self, partition: int, position: int | None) -> None:
        """Note how far the projection that goes first has folded a partition; None: it is not folded here any more."""
        if position is None:
            self._places.pop(partition, None)
        else:
            self._places[partition] = position
        self._moved.set()
        self._moved = asyncio.Event()

    async def behind(self, partition: int, position: int) -> None:
        """Return when the projection that goes first has passed `position`, at once if it is not folded here, soon if it takes long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._places.get(partition, position) < position:
                    await self._moved.wait()
        except TimeoutError:
            return
