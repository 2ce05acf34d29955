"""A durable Postgres with a log full of statements, and the real projector on it in this process: what measurements of folding share."""
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import orjson

from services.core.envelope import encode_statements
from services.core.fingerprint import fingerprint
from services.core.keys import KeyedHash
from services.projector.main import run_projector
from services.projector.metrics import STATEMENTS
from services.projector.projections.learners import LearnersProjection
from services.projector.projections.statements import StatementsProjection
from services.projector.run import Connection, Projection
from services.runtime.embedded import EmbeddedPostgres
from services.runtime.log import NewRecord
from services.runtime.log.postgres_log import PostgresLog, open_postgres_log
from services.runtime.migrate import migrate
from services.runtime.postgres import connect
from services.runtime.settings import Settings
from tests.bench.corpus import Stream
from tests.bench.recipe import cpu_s

BATCH = 50
AUTHORITY = {"objectType": "Agent", "account": {"homePage": "http://127.0.0.1:8080", "name": "bench"}}
HASHES = KeyedHash(b"a secret for measurements")
_FOLD_S = 300


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work came to: statements a second by the wall clock, and CPU microseconds a statement of this process and of Postgres."""

    rate: float
    client_us: float
    server_us: float

    @property
    def cpu_us(self) -> float:
        """Both."""
        return self.client_us + self.server_us


class Meter:
    """Measures from its making to `stop`."""

    def __init__(self, server: int) -> None:
        """`server` is the postmaster."""
        self._server = server
        self._cpu, self._server_cpu, self._begun = time.process_time(), cpu_s(server), time.perf_counter()

    def stop(self, statements: int) -> Cost:
        """Return what so many statements cost."""
        wall, client, server = time.perf_counter() - self._begun, time.process_time() - self._cpu, cpu_s(self._server) - self._server_cpu
        return Cost(statements / wall, client * 1e6 / statements, server * 1e6 / statements)


class World:
    """One database of a durable server: its log is filled, then folded."""

    def __init__(self, dsn: str, server: int, log: PostgresLog) -> None:
        self.dsn, self.server, self.log = dsn, server, log
        self._stream = Stream()

    def statements(self, count: int) -> list[tuple[UUID, str, bytes]]:
        """Return (id, fingerprint, bytes) of new statements."""
        made = [self._stream.next() for _ in range(count)]
        docs = map(orjson.loads, made)
        return [(UUID(doc["id"]), fingerprint(doc).hex(), raw) for doc, raw in zip(docs, made, strict=True)]

    async def fill(self, count: int) -> None:
        """Append so many statements in batches of 50, as ingest would."""
        made = self.statements(count)
        records = [record_of(made[n:n + BATCH]) for n in range(0, count, BATCH)]
        for n in range(0, len(records), 100):
            await self.log.append(records[n:n + 100])

    async def fold(self, statements: int, projections: Sequence[Projection]) -> Cost:
        """Fold what is in the log and not folded yet, which is so many statements, by the real projector; from its start to its last commit."""
        stop = asyncio.Event()
        wanted = {projection.name: _folded(projection.name) + statements for projection in projections}
        meter = Meter(self.server)
        work = asyncio.create_task(run_projector(
            Settings(secret="bench"), self.dsn, self.log, uuid4(), stop, lambda: None, projections=projections))
        try:
            async with asyncio.timeout(_FOLD_S):
                while any(_folded(name) < count for name, count in wanted.items()):
                    assert not work.done(), work.exception()
                    await asyncio.sleep(0.002)  # noqa: TID251 - the counter of the projector tells nobody
            return meter.stop(statements)
        finally:
            stop.set()
            await work

    async def connect(self, schema: str = "statements_1") -> Connection:
        """Return a connection with the settings that the projector uses."""
        return await connect(
            self.dsn, search_path=f"{schema}, testamur", command_timeout_s=120, idle_in_transaction_s=60, server_settings={"synchronous_commit": "off"})


def both() -> list[Projection]:
    """Return both projections."""
    return [StatementsProjection(), LearnersProjection(HASHES)]


def record_of(statements: Sequence[tuple[UUID, str, bytes]]) -> NewRecord:
    """Return the record of one POST."""
    value = encode_statements(batch=uuid4(), tenant="default", authority=AUTHORITY, credential="bench", scopes=["lrs:admin"],
                              received="2026-01-01T00:00:00.000Z", xapi="1.0.3", statements=statements)
    return NewRecord(0, b"bench", value, count=len(statements))


@asynccontextmanager
async def worlds(count: int) -> AsyncIterator[list[World]]:
    """Have a durable server with so many migrated databases, each with an empty log."""
    folder = Path(tempfile.mkdtemp(prefix="testamur-bench-", dir=os.environ.get("TESTAMUR_BENCH_DIR", "/tmp")))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder)
    made: list[World] = []
    try:
        dsn = await postgres.start()
        for number in range(count):
            own = dsn if not number else dsn.replace("/testamur?", f"/testamur{number}?")
            if number:
                admin = await connect(dsn)
                await admin.execute(f"create database testamur{number}")
                await admin.close()
            await migrate(own)
            assert postgres.pid is not None
            made.append(World(own, postgres.pid, await open_postgres_log(own, 1)))
        yield made
    finally:
        for world in made:
            await world.log.close()
        await postgres.stop()
        shutil.rmtree(folder)


def _folded(name: str) -> float:
    return float(STATEMENTS.labels(name, 0)._value.get())
