"""G4, G5, G6: appending to the log in Postgres, beside a file with the same batching, and beside one INSERT for each request."""
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import uvloop

from services.core.keys import partition_of
from services.runtime.embedded import EmbeddedPostgres
from services.runtime.log import NewRecord
from services.runtime.log.postgres_log import open_postgres_log
from services.runtime.migrate import migrate
from tests.bench.corpus import corpus
from tests.bench.goals import G4, G5, G6
from tests.bench.recipe import Mood, compare, interleaved

ROUNDS, SECONDS, CLIENTS = 7, 1.5, 64
Append = Callable[[bytes], Awaitable[object]]


class FileLog:
    """The limit: a file, a length before each record, one fdatasync for everything that waits; the same batching as the log's writer."""

    def __init__(self, path: Path) -> None:
        self._fd, self._queue, self._wake = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), list[tuple[bytes, asyncio.Future[None]]](), asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def append(self, value: bytes) -> None:
        """Return once the value is on disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((value, future))
        self._wake.set()
        await future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._queue = self._queue, []
            os.write(self._fd, b"".join(len(value).to_bytes(4, "big") + value for value, _ in taken))
            await asyncio.get_running_loop().run_in_executor(None, os.fdatasync, self._fd)
            for _, future in taken:
                future.set_result(None)

    async def close(self) -> None:
        """End its task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        os.close(self._fd)


async def rate(append: Append, values: list[bytes], clients: int = CLIENTS, seconds: float = SECONDS) -> float:
    """Return appends a second of so many clients in closed loop."""
    done, end = 0, time.perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await append(values[(number + done) % len(values)])
            done += 1
    begun = time.perf_counter()
    await asyncio.gather(*(client(n) for n in range(clients)))
    return done / (time.perf_counter() - begun)


async def median_time(append: Append, values: list[bytes], times: int = 400) -> float:
    """Return the median milliseconds of one append at a time."""
    took = []
    for n in range(times):
        begun = time.perf_counter()
        await append(values[n % len(values)])
        took.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(took)


async def measure() -> None:
    """Measure on a durable Postgres in a folder on the same disk as the file."""
    values = corpus(1000)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TESTAMUR_BENCH_DIR")) as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder))
        dsn = await postgres.start()
        await migrate(dsn)
        log, file = await open_postgres_log(dsn, 1), FileLog(Path(folder) / "floor")
        pool = await asyncpg.create_pool(dsn, min_size=16, max_size=16)
        await pool.execute("create table bench_each (id bigint generated always as identity primary key, value bytea not null)")

        async def to_log(value: bytes) -> None:
            await log.append([NewRecord(partition_of(b"12345678", 1), b"key", value)])

        async def one_insert(value: bytes) -> None:
            await pool.execute("insert into bench_each (value) values ($1)", value)

        try:
            mood = Mood(postgres.pid or 0)
            floors, systems = await interleaved(ROUNDS, lambda: rate(file.append, values), lambda: rate(to_log, values))
            compare(G4, floors, systems, "records/s", mood.end()).save()
            mood = Mood(postgres.pid or 0)
            floors, systems = await interleaved(ROUNDS, lambda: rate(one_insert, values), lambda: rate(to_log, values))
            compare(G5, floors, systems, "records/s", mood.end()).save()
            mood = Mood(postgres.pid or 0)
            floors, systems = await interleaved(ROUNDS, lambda: median_time(file.append, values), lambda: median_time(to_log, values))
            compare(G6, floors, systems, "ms", mood.end()).save()
        finally:
            await pool.close()
            await log.close()
            await file.close()
            await postgres.stop()


def main() -> None:
    """Measure all three, on the event loop that services run on."""
    uvloop.run(measure())


if __name__ == "__main__":
    main()
