"""Load on a whole system: clients that post as fast as they are answered, or at a pace of their own, and obey when they are pushed back."""
import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.corpus import Stream
from tests.servers.http_client import Connection
from tests.servers.system import System

VISIBLE: dict[str, str] = {}
DURABLE = {"Prefer": "respond-async"}
_LATE_S = 10.0
"""An open loop that is so far behind its pace has its answer: it cannot be kept."""


@dataclass
class Loaded:
    """What came of a load: statements accepted, requests pushed back, seconds until each answer."""

    statements: int = 0
    pushed_back: int = 0
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Statements a second."""
        return self.statements / self.seconds

    def quantile_ms(self, q: float) -> float:
        """Return a quantile of the time to an answer, in milliseconds."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e3


async def _post(connection: Connection, stream: Stream, size: int, headers: dict[str, str], loaded: Loaded) -> None:
    """Post one batch until it is accepted."""
    body = stream.batch(size)
    while True:
        answer = await connection.request("POST", "/xapi/statements", body, headers)
        if answer.status == 200:
            loaded.statements += size
            return
        assert answer.status in (429, 503), (answer.status, answer.body[:500])
        loaded.pushed_back += 1
        await asyncio.sleep(float(answer.headers.get("retry-after", "1")))  # noqa: TID251 - what a client that is pushed back does


async def closed(system: System, stream: Stream, *, clients: int, size: int, headers: dict[str, str], going_on: Callable[[Loaded], bool]) -> Loaded:
    """Let each client post its next batch as soon as the last was answered."""
    loaded, begun = Loaded(), time.perf_counter()

    async def client() -> None:
        async with system.connection(timeout_s=60) as connection:
            while going_on(loaded):
                started = time.perf_counter()
                await _post(connection, stream, size, headers, loaded)
                loaded.took.append(time.perf_counter() - started)
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    loaded.seconds = time.perf_counter() - begun
    return loaded


async def paced(system: System, stream: Stream, *, rate: float, size: int, seconds: float) -> Loaded:
    """Post batches at a steady pace whatever the answers do; each is timed from the moment it was due, until it was visible."""
    loaded, begun, apart = Loaded(), time.perf_counter(), size / rate
    free: list[Connection] = []

    async def one(due: float) -> None:
        connection = free.pop() if free else system.connection(timeout_s=60)
        await _post(connection, stream, size, VISIBLE, loaded)
        loaded.took.append(time.perf_counter() - due)
        free.append(connection)
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds / apart)):
            due = begun + number * apart
            await asyncio.sleep(max(0.0, due - time.perf_counter()))  # noqa: TID251 - the pace is what is asked for
            if time.perf_counter() - due > _LATE_S:
                break
            group.create_task(one(due))
    loaded.seconds = time.perf_counter() - begun
    for connection in free:
        connection.close()
    return loaded


def for_seconds(seconds: float) -> Callable[[Loaded], bool]:
    """Go on for so long from now."""
    end = time.perf_counter() + seconds
    return lambda _: time.perf_counter() < end


def for_statements(count: int) -> Callable[[Loaded], bool]:
    """Go on until so many are accepted."""
    return lambda loaded: loaded.statements < count
