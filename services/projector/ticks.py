"""Letting time pass in partitions that have nothing to fold, so that Consistent-Through moves on: each second, and soon after something has to become visible.

All partitions that are behind are ticked in one go, at most once in 50 ms, and none that has records on their way (docs/adr/0006).
"""
import asyncio
import time
from collections.abc import Callable, Collection

import structlog

from services.core.errors import Halted, Unavailable
from services.projector import metrics
from services.projector.lane import Lane
from services.projector.turns import Turns
from services.runtime.log import Log, LogEnd

IDLE_S = 1.0
TICK_APART_S = 0.05
_TICK_S = 2.0
_log = structlog.get_logger()


class Ticks:
    """The ticks of one worker. The one that leads gives them; the others hear of their outcome, and ask the log about partitions that are led elsewhere."""

    def __init__(self, log: Log, turns: Turns, wake: Callable[[], object], *, leads: bool) -> None:
        """`wake` is called when there is something to look at."""
        self._log, self._turns, self._wake, self._leads = log, turns, wake, leads
        self._wanted = 0
        self._given = 0.0
        self._giving: asyncio.Task[None] | None = None
        self._tells = True
        """Whether asking the log tells an instant without a record."""

    def want(self, stored: int) -> None:
        """Have time pass `stored` soon. Costs next to nothing where it has passed, or is about to."""
        if stored > self._wanted:
            self._wanted = stored
            self._wake()

    def due(self, lanes: Collection[Lane]) -> float:
        """Return when `give` will have something to do."""
        if self._giving is not None or not (self._leads or self._tells):
            return float("inf")
        if self._leads and any(self._is_behind(lane) for lane in lanes):
            return self._given + TICK_APART_S
        return min((lane.heard + IDLE_S for lane in lanes if self._is_idle(lane)), default=float("inf"))

    def give(self, lanes: Collection[Lane]) -> None:
        """Begin to tick whatever needs it now."""
        now = time.monotonic()
        if self.due(lanes) > now:
            return
        late = [lane for lane in lanes if self._is_idle(lane) and (now >= lane.heard + IDLE_S / 2 or (self._leads and self._is_behind(lane)))]
        self._given = now
        self._giving = asyncio.create_task(self._give(late), name="ticks")

    def passed(self, lane: Lane) -> int | None:
        """Return an instant up to which all is folded there though no record says so, if it is news. A tick that is a record is put where it will be folded."""
        end = self._turns.ends.get(lane.cursor.partition)
        if end is not None and end.tick is not None:
            lane.meet(end.tick)
        if end is None or end.stored is None or end.next_offset != lane.cursor.position or end.stored <= lane.cursor.last_stored:
            return None
        return end.stored

    async def stop(self) -> None:
        """Wait for nothing any more."""
        if self._giving is not None:
            self._giving.cancel()
            await asyncio.gather(self._giving, return_exceptions=True)

    def _is_idle(self, lane: Lane) -> bool:
        """Return whether nothing is there or on its way."""
        if lane.records or lane.expected > lane.cursor.position or not lane.is_verified:
            return False
        return self._leads or self._turns.place(lane.cursor.partition) is None

    def _is_behind(self, lane: Lane) -> bool:
        return lane.cursor.last_stored < self._wanted and self._is_idle(lane)

    async def _give(self, lanes: Collection[Lane]) -> None:
        try:
            async with asyncio.timeout(_TICK_S):
                partitions = [lane.cursor.partition for lane in lanes]
                ends = await self._log.tick(partitions) if self._leads else [await self._log.end(partition) for partition in partitions]
        except (Unavailable, Halted, TimeoutError) as error:
            # Appends are refused or the broker is away: leases are kept, time stands still. What is wrong with a partition, its reading will find.
            _log.warning("no tick", error=repr(error))
        else:
            for lane, end in zip(lanes, ends, strict=True):
                self._note(lane, end)
            self._turns.tell()
        finally:
            for lane in lanes:
                lane.heard = time.monotonic()
            self._giving = None
            self._wake()

    def _note(self, lane: Lane, end: LogEnd) -> None:
        partition = lane.cursor.partition
        self._turns.ends[partition] = end
        if self._leads:
            metrics.TICKS.labels(partition).inc()
            if end.stored is None:
                lane.expected = end.next_offset
        else:
            self._tells = end.stored is not None
