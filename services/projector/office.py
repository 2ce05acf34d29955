"""The leases of one projector process: it reports alive, takes its fair share of the cursors, gives back what is over, and knows when all is folded."""
import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import structlog

from services.core.errors import Unavailable
from services.projector import metrics
from services.projector.cursor import LEASE, Cursor, acquire, free_frozen, free_leases, sql
from services.projector.reader import PartitionReader
from services.projector.run import Projection, ReadsAhead
from services.projector.tenants import Tenants
from services.projector.tools import Tools
from services.projector.turns import Turns
from services.projector.worker import Worker
from services.runtime.log import Log
from services.runtime.migrate import ensure_cursors, fingerprint_of
from services.runtime.postgres import transient

ROUND_S = 1.0
_UNREADY_ROUND_S = 0.1
_STOP_S = 5.0
_log = structlog.get_logger()


class Office:
    """The leases of one process and the workers on them."""

    def __init__(  # noqa: PLR0913 - what a process is given
        self, dsn: str, log: Log, owner: UUID, projections: list[Projection], pool: Any, *, live: bool = True, turns: Turns | None = None,
    ) -> None:
        """Holds nothing yet. Not `live`: it builds the versions a replay made, and shares them with nobody. `turns` are those of the whole process."""
        self._state = "active" if live else "building"
        self._log, self._owner, self._pool = log, owner, pool
        self._projections = {projection.name: projection for projection in projections}
        self._fingerprints = [fingerprint_of(name) for name in self._projections]
        tenants, ahead = Tenants(pool), tuple(projection for projection in projections if isinstance(projection, ReadsAhead))
        self._tools = Tools(dsn, log, {partition: PartitionReader(log, partition, tenants, ahead) for partition in range(log.partitions)}, tenants, live,
            turns=turns or Turns())
        self._work: dict[tuple[str, int], tuple[Worker, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._ends: dict[int, int] | None = None
        self.halted: str | None = None
        """Where and why something stood still when this was not ready yet."""

    def want(self, stored: int) -> None:
        """Ask all partitions held here to pass `stored`."""
        for worker, _ in self._work.values():
            worker.want(stored)

    def hurry(self, name: str) -> None:
        """Let a projection that somebody waits for fold without waiting for more."""
        for worker, _ in self._work.values():
            if worker.name == name:
                worker.hurry()

    def hold(self, until: dict[int, int] | None) -> None:
        """Fold nothing from these offsets on; None: go on."""
        self._tools.until = until
        for worker, _ in self._work.values():
            worker.nudge()

    def places(self) -> dict[int, int] | None:
        """Return where each partition of the one projection built here stands, if all stand still."""
        cursors = self._cursors()
        if len(cursors) < self._log.partitions or not all(worker.stands_still for worker, _ in self._work.values()):
            return None
        return {cursor.partition: cursor.position for cursor in cursors}

    def position(self, partition: int) -> int:
        """Return how far a partition of the one projection built here is folded."""
        return max((cursor.position for cursor in self._cursors() if cursor.partition == partition), default=0)

    def progress(self) -> tuple[int, int]:
        """Return how many records are folded of those there were at the start."""
        ends = self._ends or {}
        places = {cursor.partition: cursor.position for cursor in self._cursors()}
        return sum(min(place, ends.get(partition, place)) for partition, place in places.items()), sum(ends.values())

    async def keep(self, stop: asyncio.Event, ready: Callable[[], object]) -> None:
        """Hold a fair share and work on it until `stop`."""
        is_ready = False
        try:
            while not stop.is_set():
                with _passing("projector round"):
                    await self._round()
                    if not is_ready and (is_ready := await self._is_ready()):
                        ready()
                await self._wait(stop, ROUND_S if is_ready else _UNREADY_ROUND_S)
        finally:
            await self._close()

    async def _round(self) -> None:
        await self._reap()
        names = list(self._projections)
        await free_frozen(self._pool, names)
        if self._ends is None:
            async with self._pool.acquire() as conn:
                for name, version in await conn.fetch(sql.versions, names, self._state):
                    await ensure_cursors(conn, name, version, self._log.log_id, self._log.partitions)
            self._ends = {partition: (await self._log.end(partition)).next_offset for partition in range(self._log.partitions)}
        share = await self._share(names)
        held = sorted(self._cursors(), key=lambda cursor: (cursor.partition, cursor.name))
        for cursor in held[share:]:
            self._work[cursor.name, cursor.version][0].give_back(cursor.partition)
        if len(held) < share:
            for cursor in await acquire(self._pool, self._owner, names, share - len(held), self._state):
                self._worker(cursor.name, cursor.version).take(cursor)
        metrics.LEASES.set(len(self._cursors()))

    def _cursors(self) -> list[Cursor]:
        return [cursor for worker, _ in self._work.values() for cursor in worker.cursors]

    async def _share(self, names: list[str]) -> int:
        if not self._tools.live:
            return len(names) * self._log.partitions
        await self._pool.execute(sql.report_alive, self._owner, self._fingerprints)
        return int(await self._pool.fetchval(sql.fair_share, names, 2 * LEASE))

    def _worker(self, name: str, version: int) -> Worker:
        """Return the worker on a version of a projection, begun if there is none."""
        found = self._work.get((name, version))
        if found is None:
            worker = Worker(self._owner, version, self._projections[name], self._tools)
            task = asyncio.create_task(worker.run(), name=f"{name} {version}")
            task.add_done_callback(lambda _done: self._ended.set())
            found = self._work[name, version] = worker, task
        return found[0]

    async def _reap(self) -> None:
        """Forget workers that ended, whose leases would keep their cursors from everybody; end those that have nothing left to do."""
        for key, (worker, task) in list(self._work.items()):
            if not worker.cursors:
                worker.stop()
                del self._work[key]
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
            elif task.done():
                for cursor in worker.cursors:
                    await cursor.release(self._pool)
                del self._work[key]
                if not task.cancelled() and (error := task.exception()):
                    _log.error("worker failed", projection=worker.name, exc_info=error)

    async def _is_ready(self) -> bool:
        ends = self._ends or {}
        rows = await self._pool.fetch(sql.cursors, list(self._projections), self._state)
        self.halted = next((f"partition {row['partition']}: {row['halted']}" for row in rows if row["halted"]), None)
        return len(rows) == len(ends) * len(self._projections) and all(
            (row["owned"] and row["position"] >= ends[row["partition"]]) or (row["halted"] is not None and not self._tools.live) for row in rows)

    async def _wait(self, stop: asyncio.Event, seconds: float) -> None:
        """Wait for the next round, the stop, or a worker that ended."""
        self._ended.clear()
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(self._ended.wait())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _close(self) -> None:
        deadline = time.monotonic() + _STOP_S
        for worker, _ in self._work.values():
            worker.stop()
        tasks = [*self._ending, *(task for _, task in self._work.values())]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_S - 1)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=0.5)
        with _passing("giving leases back"):
            async with asyncio.timeout(max(0.5, deadline - time.monotonic())):
                await self._pool.execute(sql.forget_worker, self._owner)
                await free_leases(self._pool, self._owner)


@contextlib.contextmanager
def _passing(what: str) -> Iterator[None]:
    """Let what passes by itself pass; the next round tries again."""
    try:
        yield
    except Exception as error:
        if not (transient(error) or isinstance(error, Unavailable)):
            raise
        _log.warning("will be tried again", what=what, error=repr(error))
