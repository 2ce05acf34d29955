"""Group commit: what many tasks append is written by one task, which takes everything that waits at once; the write before is the only linger.

Each append ends within its deadline whatever the writer waits for, and more than a bounded number of bytes never waits.
"""
import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from services.core.errors import LogUnavailable, Overloaded
from services.runtime.log import NewRecord, Position

MAX_BATCH_BYTES = 4 << 20
MAX_BATCH_RECORDS = 2000


class Append:
    """One call: its records, where they went, and whether any of them may have been written by now (`sent`)."""

    __slots__ = ("deadline", "future", "positions", "records", "sent", "size", "unplaced")

    def __init__(self, records: Sequence[NewRecord], size: int, deadline: float, future: "asyncio.Future[list[Position]]") -> None:
        self.records, self.size, self.deadline, self.future = records, size, deadline, future
        self.positions: list[Position | None] = [None] * len(records)
        self.unplaced, self.sent = len(records), False

    def place(self, index: int, position: Position) -> None:
        """Note that the record at `index` is durable; with the last one the call ends."""
        self.positions[index] = position
        self.unplaced -= 1
        if not self.unplaced and not self.future.done():
            self.future.set_result(self.positions)  # type: ignore[arg-type]

    def fail(self, error: BaseException) -> None:
        """End the call with an error, if it has not ended."""
        if not self.future.done():
            self.future.set_exception(error)

    def give_up(self, reason: str) -> None:
        """End the call with what is known: `unknown` once anything was sent, `rejected` before."""
        self.fail(unavailable(reason, sent=self.sent))


class GroupCommit:
    """The queue before the one writer task of a process. Use `append` from any task of one loop."""

    def __init__(self, write: Callable[[list[Append]], Awaitable[None]], *, deadline_s: float, max_pending_bytes: int) -> None:
        """`write` ends every call of the batch it is given (or leaves it to the deadline) and never raises."""
        self._write, self._deadline_s, self._max_pending = write, deadline_s, max_pending_bytes
        self._queue: deque[Append] = deque()
        self._taken: list[Append] = []
        self._pending_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name="log-writer")

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Do what `Log.append` promises. Raises Overloaded, nothing written, when too much waits."""
        if not records:
            return []
        size = sum([len(record.value) + len(record.key) for record in records])
        if self._task.done():
            raise unavailable("The log is closed.", sent=False)
        if self._pending_bytes and self._pending_bytes + size > self._max_pending:
            raise Overloaded("More statements arrive than the log takes; repeat the request unchanged a little later.")
        entry = Append(records, size, self._loop.time() + self._deadline_s, self._loop.create_future())
        self._pending_bytes += size
        self._queue.append(entry)
        self._wake.set()
        if self._timer is None:
            self._timer = self._loop.call_at(entry.deadline, self._expire)
        return await entry.future

    async def close(self, patience_s: float) -> None:
        """Let what waits be written for that long, then end every call."""
        if self._queue or self._taken:
            await asyncio.wait([entry.future for entry in (*self._taken, *self._queue)], timeout=patience_s)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=1)
        for entry in (*self._taken, *self._queue):
            entry.give_up("The log was closed before it confirmed the write.")
        if self._timer is not None:
            self._timer.cancel()

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            self._take()
            if self._taken:
                await self._write(self._taken)
                self._taken = []

    def _take(self) -> None:
        """Move what waits into the batch, up to its limits; calls that were cancelled or have expired are dropped: nothing of them is written."""
        size = count = 0
        while self._queue and size < MAX_BATCH_BYTES and count < MAX_BATCH_RECORDS:
            entry = self._queue.popleft()
            self._pending_bytes -= entry.size
            if not entry.future.done():
                self._taken.append(entry)
                size, count = size + entry.size, count + len(entry.records)

    def _expire(self) -> None:
        """End the calls whose deadline has passed: one timer for all, as all have the same patience and wait in order."""
        now = self._loop.time()
        self._timer = None
        for entry in (*self._taken, *self._queue):
            if entry.deadline > now:
                if entry.future.done():
                    continue
                self._timer = self._loop.call_at(entry.deadline, self._expire)
                return
            entry.give_up("The log did not confirm the write in time.")


def unavailable(reason: str, *, sent: bool) -> LogUnavailable:
    """Return the error that tells whether anything may have been written."""
    if sent:
        return LogUnavailable(f"{reason} It may or may not be stored. Repeat the request unchanged.")
    error = LogUnavailable(f"{reason} Nothing was stored. Repeat the request unchanged.")
    error.outcome = "rejected"
    return error
