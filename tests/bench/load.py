"""Load on a whole system: clients that post as fast as they are answered, or at a pace of their own, and obey when they are pushed back."""
import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.corpus import Stream
from tests.bench.wire import Wire
from tests.servers.system import KEY, SECRET, System

VISIBLE = b""
DURABLE = b"Prefer: respond-async\r\n"
_RETRY = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
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


async def _post(wire: Wire, stream: Stream, size: int, headers: bytes, loaded: Loaded) -> None:
    """Post one batch until it is accepted."""
    body = stream.batch(size)
    while True:
        status, answer = await wire.post(body, headers)
        if status == 200:
            loaded.statements += size
            return
        assert status in (429, 503), answer[:1000]
        loaded.pushed_back += 1
        await asyncio.sleep(float(found[1]) if (found := _RETRY.search(answer)) else 1)  # noqa: TID251 - what a client that is pushed back does


async def closed(  # noqa: PLR0913 - what a load is
    system: System, stream: Stream, *, clients: int, size: int, headers: bytes, going_on: Callable[[Loaded], bool], key: tuple[str, str] = (KEY, SECRET),
) -> Loaded:
    """Let each client post its next batch as soon as the last was answered, all with one API key."""
    loaded, begun = Loaded(), time.perf_counter()

    async def client() -> None:
        async with Wire(system.port, *key) as wire:
            while going_on(loaded):
                started = time.perf_counter()
                await _post(wire, stream, size, headers, loaded)
                loaded.took.append(time.perf_counter() - started)
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    loaded.seconds = time.perf_counter() - begun
    return loaded


async def paced(system: System, stream: Stream, *, rate: float, size: int, seconds: float) -> Loaded:
    """Post batches at a steady pace whatever the answers do; each is timed from the moment it was due, until it was visible."""
    loaded, begun, apart = Loaded(), time.perf_counter(), size / rate
    free: list[Wire] = []

    async def one(due: float) -> None:
        wire = free.pop() if free else Wire(system.port)
        await _post(wire, stream, size, VISIBLE, loaded)
        loaded.took.append(time.perf_counter() - due)
        free.append(wire)
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds / apart)):
            due = begun + number * apart
            await asyncio.sleep(max(0.0, due - time.perf_counter()))  # noqa: TID251 - the pace is what is asked for
            if time.perf_counter() - due > _LATE_S:
                break
            group.create_task(one(due))
    loaded.seconds = time.perf_counter() - begun
    for wire in free:
        wire.close()
    return loaded


def for_seconds(seconds: float) -> Callable[[Loaded], bool]:
    """Go on for so long from now."""
    end = time.perf_counter() + seconds
    return lambda _: time.perf_counter() < end


def for_statements(count: int) -> Callable[[Loaded], bool]:
    """Go on until so many are accepted."""
    return lambda loaded: loaded.statements < count
