"""How far each partition of the log in Postgres is known to reach: told by NOTIFY at once, and asked every two seconds in case it went silent."""
import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import asyncpg
import structlog

from services.runtime.postgres import Statements, connect
from services.runtime.session import work_until

HEARTBEAT_S = 2.0
QUERY_TIMEOUT_S = 3.0
PAUSE_S = 0.2
CHANNEL = "testamur_log"

T = TypeVar("T")
log = structlog.get_logger(__name__)
_sql = Statements(Path(__file__).with_name("postgres_log.sql"))


class PostgresTail:
    """The ends of the partitions. It listens from the first `watch` on: a process that only writes never does."""

    def __init__(self, dsn: str) -> None:
        """`dsn` is the log's database."""
        self._dsn = dsn
        self._ends: dict[int, int] = {}
        self._listening = False
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def known(self, partition: int) -> int | None:
        """Return the end of a partition as last heard, None when nobody listens: then it has to be asked for."""
        return self._ends.get(partition) if self._listening else None

    def advance(self, partition: int, end: int) -> None:
        """Note that a partition reaches at least to `end`."""
        if end > self._ends.get(partition, 0):
            self._ends[partition] = end
            self._moved.set()
            self._moved = asyncio.Event()

    async def passed(self, partition: int, offset: int, timeout_s: float) -> None:
        """Return when the partition reaches beyond `offset`, or after `timeout_s`, or soon when nobody listens."""
        try:
            async with asyncio.timeout(timeout_s if self._listening else min(timeout_s, PAUSE_S)):
                while self._ends.get(partition, 0) <= offset:
                    await self._moved.wait()
        except TimeoutError:
            return

    def watch(self) -> None:
        """Begin to listen."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="log-tail")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                log.warning("not told of new records for a moment", error=str(error) or repr(error))
            await asyncio.sleep(PAUSE_S)

    async def _listen(self) -> None:
        connection = await connect(self._dsn, application_name="testamur tail")
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await _within(connection, connection.add_listener(CHANNEL, self._heard))
            while not lost.is_set():
                for partition, end in await _within(connection, connection.fetch(_sql.heads)):
                    self.advance(partition, end)
                self._listening = True
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await lost.wait()
                except TimeoutError:
                    continue
        finally:
            self._listening = False
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        partition, _, end = str(payload).partition(":")
        self.advance(int(partition), int(end))


async def _within(connection: "asyncpg.Connection[asyncpg.Record]", work: Awaitable[T]) -> T:
    return await work_until(connection, work, asyncio.get_running_loop().time() + QUERY_TIMEOUT_S)
