"""What can be seen: Consistent-Through and the cursors of the active projections, watched by one task on one connection of each process.

Every look is one query, shared by all who wait. `through` never falls: what this process has once answered it never takes back.
"""
import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import asyncpg
import structlog

from services.core.errors import Unavailable
from services.core.timeline import partition_of_seq, rfc3339, stored_of
from services.runtime.backlog import AWAY_TIMES, Backlog
from services.runtime.log import Position
from services.runtime.position import Mark
from services.runtime.postgres import Statements, connect, transient
from services.runtime.seen import Seen, seen_in

CHANNEL = "testamur_folded"
DECIDED = "testamur_decided"
IDLE_S = 1.0
ATTENDED_S = 0.02
TOLD_APART_S = 0.05
QUERY_S = 5.0
LAST_S = 0.5
"""How much longer somebody may wait once the process drains: what is on its way comes in much less."""
_BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0)
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger(__name__)


class _Wait:
    """Someone who waits for marks to be folded by a projection, and with `visible` for Consistent-Through to pass them."""

    __slots__ = ("_bar", "_marks", "_visible", "future", "patience", "projection")
    patience: asyncio.Timeout

    def __init__(self, projection: str, marks: Sequence[Mark], visible: bool) -> None:
        self.projection, self._marks, self._visible = projection, list(marks), visible
        self._bar = -(2**63)
        self.future: asyncio.Future[None] | None = None

    def met(self, seen: Seen) -> bool:
        """Return whether all marks are past; a folded record's last instant is at most where its cursor then stands."""
        cursors = seen.cursors.get(self.projection, {})
        left = []
        for mark in self._marks:
            partition = mark.partition if isinstance(mark, Position) else partition_of_seq(mark)
            cursor = cursors.get(partition)
            if cursor is None or (cursor.position <= mark.offset if isinstance(mark, Position) else cursor.last_stored < stored_of(mark)):
                left.append(mark)
            else:
                self._bar = max(self._bar, cursor.last_stored if isinstance(mark, Position) else stored_of(mark))
        self._marks = left
        return not left and (not self._visible or seen.through >= self._bar)


class Visibility:
    """The watch of one process. `async with` starts and ends it."""

    def __init__(self, dsn: str, backlog: Backlog | None = None) -> None:
        """`dsn` is the migrated database; the backlog is told what is folded."""
        self._dsn = dsn
        self.backlog = backlog or Backlog()
        self.draining = False
        """Whether the process ends: nobody should wait for anything any more."""
        self._seen = Seen()
        self._through = 0
        self._header = (0, b"2020-01-01T00:00:00.000000Z")
        self._waits: set[_Wait] = set()
        self._asked: list[asyncio.Future[int]] = []
        self._notified = False
        self._told = 0.0
        self._woken = asyncio.Event()
        self._first, self._decided = asyncio.Event(), asyncio.Event()
        self._away = True
        self._any_halted = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start watching; returns after the first look, or after 5 s without one."""
        self._task = asyncio.create_task(self._run(), name="visibility")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUERY_S):
                await self._first.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching; whoever still asks is told that it is over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(Unavailable("The server is stopping."))

    def drain(self) -> None:
        """End all waiting, for the process ends: for decisions at once, for what is to be seen within LAST_S."""
        self.draining = True
        self._decided.set()
        last = asyncio.get_running_loop().time() + LAST_S
        for wait in self._waits:
            wait.patience.reschedule(min(last, wait.patience.when() or last))

    @property
    def through(self) -> int:
        """The greatest Consistent-Through this process has seen: an instant, never falling."""
        return self._through

    @property
    def header(self) -> bytes:
        """`through` as the value of X-Experience-API-Consistent-Through."""
        if self._header[0] != self._through:
            self._header = (self._through, rfc3339(self._through).encode())
        return self._header[1]

    @property
    def away(self) -> bool:
        """Whether Postgres cannot be reached: nothing can be seen, and nobody should wait."""
        return self._away

    @property
    def seen(self) -> Seen:
        """The last look."""
        return self._seen

    @property
    def conflicts(self) -> tuple[int, int]:
        """A figure that differs from an earlier one if a fold has met a losing copy since (or the projection was replaced)."""
        return self._seen.conflicts

    @property
    def any_halted(self) -> bool:
        """Whether a partition of the store stands still, and with it Consistent-Through."""
        return self._any_halted

    def halted(self, partition: int, projection: str = "statements") -> str | None:
        """Return why a partition stands still, None when it does not."""
        cursor = self._seen.cursors.get(projection, {}).get(partition)
        return cursor.halted if cursor else None

    def give(self, through: int) -> int:
        """Take note that `through`, read from the database just now, is about to be answered. Raises Unavailable if more was answered before."""
        if through < self._through:
            raise Unavailable("The store is behind what this server has already answered; repeat the request a little later.")
        self._through = through
        return through

    async def fresh(self, timeout_s: float = 2.0) -> int:
        """Return Consistent-Through as it is now. Raises Unavailable when it cannot be read or is below what was answered before."""
        if self._away:
            raise Unavailable("The store cannot be read right now; repeat the request a little later.")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        self._woken.set()
        try:
            async with asyncio.timeout(timeout_s):
                return self.give(await future)
        except TimeoutError as error:
            raise Unavailable("The store did not answer in time; repeat the request a little later.") from error

    async def until_visible(self, marks: Mark | Sequence[Mark], timeout_s: float) -> bool:
        """Return whether Consistent-Through passed every mark within `timeout_s`; at once False while Postgres is away."""
        return await self._until(_Wait("statements", marks if isinstance(marks, Sequence) else (marks,), visible=True), timeout_s)

    async def until_folded(self, projection: str, marks: Mark | Sequence[Mark], timeout_s: float) -> bool:
        """Return whether `projection` has folded every mark within `timeout_s`; at once False while Postgres is away."""
        return await self._until(_Wait(projection, marks if isinstance(marks, Sequence) else (marks,), visible=False), timeout_s)

    async def until_decided(self, timeout_s: float) -> bool:
        """Return whether, within `timeout_s`, it was said that a decision was folded: it may not be visible yet."""
        if self.draining:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return await self._decided.wait()
        return False

    def check_room(self, partition: int) -> None:
        """Raise Overloaded when too much is unfolded. While Postgres is away the log alone is needed, and there is room for more, but not for ever more."""
        self.backlog.check_room(partition, AWAY_TIMES if self._away else 1)

    async def _until(self, wait: _Wait, timeout_s: float) -> bool:
        if wait.met(self._seen):
            return True
        if self._away:
            return False
        future = wait.future = asyncio.get_running_loop().create_future()
        wait.patience = asyncio.timeout(min(timeout_s, LAST_S) if self.draining else timeout_s)
        self._waits.add(wait)
        self._woken.set()
        try:
            async with wait.patience:
                await future
        except (TimeoutError, Unavailable):
            return False
        finally:
            self._waits.discard(wait)
        return True

    async def _run(self) -> None:
        failures = 0
        while True:
            connection: asyncpg.Connection[Any] | None = None
            try:
                async with asyncio.timeout(QUERY_S):
                    connection = await connect(self._dsn, application_name="testamur-visibility")
                    await connection.add_listener(CHANNEL, self._on_notify)
                    await connection.add_listener(DECIDED, self._on_decided)
                while True:
                    await self._look(connection)
                    failures = 0
                    await self._pause()
            except Exception as error:  # noqa: BLE001 - the watch must not end while the process lives: whatever it was is reported and tried again
                failures += 1
                self._lost(error, failures)
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1])

    async def _look(self, connection: "asyncpg.Connection[Any]") -> None:
        asked, self._asked = self._asked, []
        self._notified = False
        try:
            async with asyncio.timeout(QUERY_S):
                await self._ask_for(connection)
                rows = await connection.fetch(_sql["seen"])
        except BaseException:
            self._asked += asked
            raise
        self._seen = seen = seen_in(rows)
        self._through = max(self._through, seen.through)
        self._away = False
        store = seen.cursors.get("statements", {})
        self._any_halted = any(cursor.halted for cursor in store.values())
        for partition in store:  # a projection that stands elsewhere on the way is as much of a reason to push back
            self.backlog.fold(partition, min(cursors[partition].position for cursors in seen.cursors.values() if partition in cursors))
        self._first.set()
        for future in asked:
            _resolve(future, seen.through)
        for wait in [wait for wait in self._waits if wait.met(seen)]:
            self._waits.discard(wait)
            if wait.future is not None:
                _resolve(wait.future, None)

    async def _ask_for(self, connection: "asyncpg.Connection[Any]") -> None:
        """Let projections that gather records know that somebody waits for them, and again while he does."""
        awaited = {wait.projection for wait in self._waits} - {"statements"}
        if awaited and (now := asyncio.get_running_loop().time()) - self._told >= TOLD_APART_S:
            self._told = now
            for projection in awaited:
                await connection.execute(_sql["awaited"], projection)

    async def _pause(self) -> None:
        clock: Callable[[], float] = asyncio.get_running_loop().time
        looked = clock()
        while not self._asked and not (self._notified and self._waits):
            self._woken.clear()
            left = looked + (ATTENDED_S if self._waits else IDLE_S) - clock()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._woken.wait()
            except TimeoutError:
                return

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Look at once if somebody waits for the projection that has folded; no name stands for any."""
        if not payload or any(wait.projection == payload for wait in self._waits):
            self._notified = True
            self._woken.set()

    def _on_decided(self, *_: object) -> None:
        """Wake all who wait for a decision, and let those who come later wait for the next."""
        decided, self._decided = self._decided, asyncio.Event()
        decided.set()

    def _lost(self, error: Exception, failures: int) -> None:
        if not transient(error):
            _log.error("watching the store failed", exc_info=error)
        if failures > 1 and not self._away:
            _log.warning("postgres is away", error=repr(error))
            self._away = True
        if self._away:
            self._fail(Unavailable("The store cannot be read right now; repeat the request a little later."))

    def _fail(self, error: Unavailable) -> None:
        asked, self._asked = self._asked, []
        futures: list[asyncio.Future[Any]] = [*asked, *(wait.future for wait in self._waits if wait.future is not None)]
        for future in futures:
            if not future.done():
                future.set_exception(error)


def _resolve(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)
