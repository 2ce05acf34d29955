"""G2 and G3: what a POST of one statement costs, beside a bare echo, and what a durable append leaves of its rate."""
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from tests.bench.corpus import corpus
from tests.bench.goals import G2, G3
from tests.bench.load import DURABLE
from tests.bench.recipe import Mood, compare, cpu_s, interleaved
from tests.bench.wire import Wire
from tests.servers.system import free_port

ROUNDS, SECONDS, CLIENTS = 7, 2.0, 64


class Server:
    """One application in a process of its own."""

    def __init__(self, kind: str) -> None:
        self.kind, self.port, self.postgres = kind, free_port(), 0
        self.process: asyncio.subprocess.Process | None = None
        self.wires: list[Wire] = []

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.apps", self.kind, str(self.port), stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        key: dict[str, Any] = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))
        self.postgres = key["postgres"]
        self.wires = [Wire(self.port, key["key"], key["secret"]) for _ in range(CLIENTS)]

    async def load(self, bodies: list[bytes]) -> tuple[float, float]:
        """Return requests a second and server CPU microseconds a request."""
        assert self.process is not None
        done, end, cpu, begun = 0, time.perf_counter() + SECONDS, cpu_s(self.process.pid), time.perf_counter()

        async def client(wire: Wire) -> None:
            nonlocal done
            while time.perf_counter() < end:
                status, answer = await wire.post(bodies[done % len(bodies)], DURABLE)
                assert status == 200, answer
                done += 1
        await asyncio.gather(*(client(wire) for wire in self.wires))
        return done / (time.perf_counter() - begun), (cpu_s(self.process.pid) - cpu) * 1e6 / done

    async def stop(self) -> None:
        """End it."""
        for wire in self.wires:
            wire.close()
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def awake() -> AsyncIterator[None]:
    """Never let this process sleep: waking an idle core costs as much as the server's own work, and would be charged to whichever server is the slower."""
    going_on = True

    async def turn() -> None:
        while going_on:  # noqa: ASYNC110 - it waits for nothing
            await asyncio.sleep(0)  # noqa: TID251 - as above
    task = asyncio.create_task(turn())
    try:
        yield
    finally:
        going_on = False
        await task


def without_id(raw: bytes) -> bytes:
    """Return the statement without its id, so that nothing has to be looked up."""
    statement = json.loads(raw)
    del statement["id"]
    return json.dumps(statement, separators=(",", ":")).encode()


async def measure() -> None:
    """Run the three servers and compare them."""
    bodies = [without_id(raw) for raw in corpus(500)]
    servers = {kind: Server(kind) for kind in ("echo", "unwritten", "durable")}
    try:
        for server in servers.values():
            await server.start()

        async def cost(kind: str) -> float:
            async with awake():
                return (await servers[kind].load(bodies))[1]

        async def rate(kind: str) -> float:
            return (await servers[kind].load(bodies))[0]

        mood = Mood(*(server.postgres for server in servers.values()))
        floors, systems = await interleaved(ROUNDS, lambda: cost("echo"), lambda: cost("unwritten"))
        compare(G2, floors, systems, "µs CPU a request", mood.end()).save()
        mood = Mood(*(server.postgres for server in servers.values()))
        floors, systems = await interleaved(ROUNDS, lambda: rate("unwritten"), lambda: rate("durable"))
        compare(G3, floors, systems, "requests/s", mood.end()).save()
    finally:
        for server in servers.values():
            await server.stop()


def main() -> None:
    """Measure both."""
    uvloop.run(measure())


if __name__ == "__main__":
    main()
