"""The work on all partitions that a process holds of one projection: one connection, runs over as many of them as have something, and time passed in the rest.

An error that passes by itself is waited out for ever, on a new connection and from where the cursors really are; a lost lease ends the work on its partition
silently, a record that must not be skipped ends it loudly, and in both cases the other partitions go on.
"""
import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from uuid import UUID

import asyncpg
import structlog

from services.core.errors import Halted
from services.projector import aside, metrics
from services.projector.commit import Committer, open_connection
from services.projector.cursor import SPANNED, Cursor, Fenced, pass_time
from services.projector.lane import BACKOFF_S, Lane, passing
from services.projector.next_run import Part, next_run, wanted_by
from services.projector.reader import Record
from services.projector.run import Projection
from services.projector.ticks import Ticks
from services.projector.tools import Tools
from services.runtime.postgres import while_connected

RENEW_S, _CLOSE_S = 1.0, 2.0
RUN_APART_S, LEAST_APART_S, APART = 0.05, 0.02, 2.0
"""How long a projection that makes nothing visible lets records gather, for a run has its price: so many times what the last one took, within these bounds."""
WORTH_A_RUN = 500
"""So many statements are folded at once, whoever waits for more."""
AWAITED_S = 0.1
"""How long one hearing that somebody waits is good for; while he waits it is repeated."""
RUN_S = 300.0
"""How long a run may take in all. Its commands have shorter deadlines, but for a COPY, which waits until a frozen server reads on."""
_log = structlog.get_logger()


class Worker:
    """Folds the partitions it is given, of one version of one projection, until `stop`."""

    def __init__(self, owner: UUID, version: int, projection: Projection, tools: Tools) -> None:
        """Holds nothing yet."""
        self.name, self.version, self._owner = projection.name, version, owner
        self._projection, self._tools = projection, tools
        self._leads = self.name == SPANNED
        self._gathers = tools.live and not self._leads
        self._lanes, self._nudge = dict[int, Lane](), asyncio.Event()
        self._stopping = self._rests = False
        self._ticks = Ticks(tools.log, tools.turns, self.nudge, leads=self._leads)
        self._began = self._took = self._awaited = 0.0
        self._failures, self._log = 0, _log.bind(projection=self.name, version=version)

    @property
    def cursors(self) -> list[Cursor]:
        """What it holds, or held when it ended."""
        return [lane.cursor for lane in self._lanes.values()]

    @property
    def stands_still(self) -> bool:
        """Whether it has folded all it may for now and holds no transaction."""
        return self._rests and not self._parts()

    def take(self, cursor: Cursor) -> None:
        """Work on a cursor that was just acquired."""
        self._drop(cursor.partition)  # what is there was lost, or it could not have been acquired
        self._lanes[cursor.partition] = Lane(cursor, self._tools.log, self._tools.readers[cursor.partition], self._came)
        self.nudge()

    def give_back(self, partition: int) -> None:
        """Leave a partition to others after the run it is in."""
        self._lanes[partition].leaving = True
        self.nudge()

    def want(self, stored: int) -> None:
        """Ask that time passes `stored` soon in all partitions."""
        if self._leads:
            self._ticks.want(stored)

    def hurry(self) -> None:
        """Fold what is there without waiting for more: somebody waits for it."""
        self._awaited = time.monotonic()
        self.nudge()

    def stop(self) -> None:
        """Ask it to end after the run it is in."""
        self._stopping = True
        self.nudge()

    def nudge(self) -> None:
        """Have it look around."""
        self._nudge.set()

    async def run(self) -> None:
        """Work until stopped, and give the leases back."""
        if not self._leads:
            self._tools.turns.follow(self._stir, self.nudge)
        try:
            while not self._stopping:
                try:
                    await self._on_one_connection()
                except Exception as error:
                    if not passing(error):
                        raise
                    self._failures += 1
                    metrics.RETRIES.labels(self.name, "").inc()
                    self._log.warning("waiting for what passes", error=repr(error), failures=self._failures)
                    await self._back_off(BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1])
        finally:
            self._tools.turns.leave(self._stir)
            await self._ticks.stop()
            for lane in self._lanes.values():
                self._end(lane)

    async def _on_one_connection(self) -> None:
        """Fold until an error or the stop; the connection is never used after an error."""
        conn = await open_connection(self._tools.dsn, self.name, self.version, self._owner)
        try:
            async with while_connected(conn):
                await self._work_on(conn)
            await conn.close(timeout=_CLOSE_S)
        finally:
            if not conn.is_closed():
                conn.terminate()

    async def _work_on(self, conn: asyncpg.Connection) -> None:
        """Fold until the stop, then give the leases back."""
        await self._projection.prepare(conn)
        committer = Committer(conn, self._projection, tells=self._tools.live, spans=self._tools.log.partitions > 1)
        for lane in self._lanes.values():
            lane.stop()  # where its cursor is has to be seen again
        while not self._stopping:
            for lane in list(self._lanes.values()):
                await self._guarded(conn, self._look_after(conn, lane))
            await self._guarded(conn, self._pass_time(conn))
            if parts := self._parts():
                async with asyncio.timeout(RUN_S):
                    await self._guarded(conn, self._fold(committer, parts))
                del parts  # what is parsed is large: it must not outlive the fold while this waits
            else:
                await self._rest()
        for cursor in self.cursors:
            await cursor.release(conn)

    async def _guarded(self, conn: asyncpg.Connection, work: Awaitable[None]) -> None:
        """Do it; what ends the work on some partitions ends it on those alone."""
        try:
            await work
        except Fenced as fenced:
            self._lose(fenced)
        except Halted as halted:
            metrics.HALTED.labels(self.name, halted.partition).set(1)
            self._log.critical("partition halted", partition=halted.partition, offset=halted.offset, reason=halted.reason)
            try:
                await self._lanes[halted.partition].cursor.halt(conn, f"offset {halted.offset}: {halted.reason}")
                self._drop(halted.partition)
            except Fenced as fenced:
                self._lose(fenced)

    async def _look_after(self, conn: asyncpg.Connection, lane: Lane) -> None:
        """Let it go, begin to read, or see what became of the reading."""
        if lane.leaving:
            await lane.cursor.release(conn)
            self._drop(lane.cursor.partition)
        elif not lane.is_running:
            await lane.cursor.look(conn)
            lane.start()
        elif lane.is_verified and not lane.is_open:
            await self._open(conn, lane)
        elif (fault := lane.fault) and not lane.records:  # what came before it is folded first
            if isinstance(fault, Halted):
                raise fault
            self._log.error("reading failed", partition=lane.cursor.partition, exc_info=fault)
            await lane.cursor.release(conn)
            self._drop(lane.cursor.partition)

    async def _open(self, conn: asyncpg.Connection, lane: Lane) -> None:
        """Make ready to fold there."""
        cursor = lane.cursor
        if self._projection.sets_aside:
            await aside.retry(conn, cursor, self._projection, self._tools.readers[cursor.partition], self._tools.tenants)
        lane.is_open = True
        metrics.HALTED.labels(self.name, cursor.partition).set(0)
        if self._leads:
            self._tools.turns.lead(cursor.partition, cursor.position)

    def _parts(self) -> list[Part]:
        """Return the next run: the oldest of what may be folded now, within the bounds of a run."""
        if not self._may_fold:
            return []
        return next_run([(lane.cursor, lane.records, self._limit(lane.cursor.partition)) for lane in self._lanes.values() if lane.records and lane.is_open])

    @property
    def _may_fold(self) -> bool:
        """Whether it is time to fold, or enough is there, or what nobody should wait for."""
        enough = sum(lane.statements for lane in self._lanes.values()) >= WORTH_A_RUN
        return not self._gathers or enough or time.monotonic() >= self._due() or any(lane.is_urgent(self._limit(of)) for of, lane in self._lanes.items())

    def _limit(self, partition: int) -> int | None:
        """Return the offset from which on nothing may be folded yet."""
        if self._tools.until is not None:
            return self._tools.until.get(partition, 0)
        return None if self._leads or not self._tools.live else self._tools.turns.place(partition)

    def _due(self) -> float:
        """Return when a projection that gathers folds, however little there is."""
        return self._began + (0.0 if self._awaited + AWAITED_S > time.monotonic() else min(RUN_APART_S, max(LEAST_APART_S, APART * self._took)))

    async def _fold(self, committer: Committer, parts: Sequence[Part]) -> None:
        self._began = time.monotonic()
        shared = self._leads and self._tools.live and len(self._lanes) < self._tools.log.partitions
        try:
            with self._tools.turns.folding():
                await committer.fold(parts, wanted=wanted_by(*(part.records for part in parts)) if shared else None)
            self._failures = 0
        finally:
            self._took = (now := time.monotonic()) - self._began
            metrics.RUNS.labels(self.name).observe(self._took)
            for part in parts:
                self._settle(part.cursor.partition, now)
            if self._gathers:
                self._tools.turns.left(sum(lane.waiting for lane in self._lanes.values()))

    def _settle(self, partition: int, now: float) -> None:
        lane = self._lanes[partition]
        lane.renewed = now
        metrics.STATEMENTS.labels(self.name, partition).inc(lane.settle())
        if self._leads:
            self._tools.turns.lead(partition, lane.cursor.position)

    async def _pass_time(self, conn: asyncpg.Connection) -> None:
        """Note what time has passed, have it pass where it stands still, and keep the leases."""
        if self._tools.until is not None:
            return
        now, lanes = time.monotonic(), [lane for lane in self._lanes.values() if lane.is_open]
        if self._tools.live:
            self._ticks.give(lanes)
        passed = {lane.cursor.partition: instant for lane in lanes if (instant := self._ticks.passed(lane)) is not None}
        late = [lane for lane in lanes if lane.cursor.partition in passed or now >= lane.renewed + RENEW_S]
        if not late:
            return
        for lane in late:
            lane.renewed = now
        instants = [(lane.cursor, passed.get(lane.cursor.partition, lane.cursor.last_stored)) for lane in late]
        await pass_time(conn, instants, tells=self._tools.live and bool(passed))

    def _came(self, records: list[Record]) -> None:
        """Look at what a lane has read: the other partitions will have to pass it."""
        if self._leads and self._tools.live and (wanted := wanted_by(records)) is not None:
            self._ticks.want(wanted)
        (self._stir if records else self.nudge)()

    def _stir(self) -> None:
        """Have it look around if it may have something to fold; what it lets gather, it looks at in its time."""
        if self._may_fold:
            self.nudge()

    async def _rest(self) -> None:
        lanes = self._lanes.values()
        due = min((lane.renewed + RENEW_S for lane in lanes), default=float("inf"))
        if self._tools.live:
            due = min(due, self._ticks.due([lane for lane in lanes if lane.is_open]))
        if self._gathers and (gathered := self._due()) > time.monotonic():
            due = min(due, gathered)
        self._rests = True
        await self._pause(max(0.0, due - time.monotonic()))
        self._rests = False

    async def _pause(self, seconds: float) -> None:
        """Wait for a nudge."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, RENEW_S)):
                await self._nudge.wait()
        self._nudge.clear()

    async def _back_off(self, seconds: float) -> None:
        """Wait so long, whatever there is to look at, unless it is to stop."""
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            await self._pause(left)

    def _lose(self, fenced: Fenced) -> None:
        """See where the cursors really are: if that is not for us to see either, the leases are lost."""
        for partition in fenced.partitions:
            lane = self._lanes[partition]
            if lane.is_running:
                lane.stop()
                continue
            metrics.FENCED.labels(self.name, partition).inc()
            self._log.info("lease lost", partition=partition)
            self._drop(partition)

    def _drop(self, partition: int) -> None:
        if lane := self._lanes.pop(partition, None):
            self._end(lane)

    def _end(self, lane: Lane) -> None:
        lane.leave()
        if self._leads:
            self._tools.turns.lead(lane.cursor.partition, None)
