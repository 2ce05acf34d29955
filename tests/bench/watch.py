"""What is seen of a whole system from outside while it works: lag from /metrics, CPU and memory of its processes by role, bytes in its database."""
import asyncio
import contextlib
import itertools
import re
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from services.runtime.embedded import EmbeddedPostgres
from services.runtime.postgres import connect
from tests.bench.recipe import cpu_s
from tests.servers.system import Role, System

ROLES: tuple[Role, ...] = ("web", "projector", "postgres", "supervisor")
_LAG = re.compile(r'^testamur_projection_lag_records\{partition="\d+",projection="(\w+)"\} (\S+)$', re.MULTILINE)
_SAMPLE_S, _MEMORY_EACH = 1.0, 5
_DRAIN_S = 600.0


@dataclass
class Series:
    """Figures by name, sampled in time."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: dict[str, float]) -> None:
        """Take one sample of each."""
        for name, figure in figures.items():
            self.samples.setdefault(name, []).append(figure)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return for each name the median of the first and of the last third, and the most."""
        found = {}
        for name, values in self.samples.items():
            third = max(1, len(values) // 3)
            found[name] = {"first third": statistics.median(values[:third]), "last third": statistics.median(values[-third:]), "most": max(values)}
        return found


@dataclass
class Seen:
    """What was seen while something else went on: records that each projection has yet to fold, and the MiB of each role."""

    lag: Series = field(default_factory=Series)
    memory: Series = field(default_factory=Series)


async def lag_of(system: System) -> dict[str, float]:
    """Return how many records each projection has yet to fold."""
    async with system.connection() as connection:
        answer = await connection.request("GET", "/metrics")
    assert answer.status == 200, answer.body
    lag: dict[str, float] = {}
    for name, records in _LAG.findall(answer.body.decode()):
        lag[name] = lag.get(name, 0) + float(records)
    assert set(lag) == {"statements", "learners"}, lag
    return lag


@asynccontextmanager
async def watched(system: System) -> AsyncIterator[Seen]:
    """Look at the system while the body runs: at its lag each second, at its memory, which costs it more, now and then."""
    seen = Seen()

    async def watch() -> None:
        for second in itertools.count():
            seen.lag.add(await lag_of(system))
            if second % _MEMORY_EACH == 0:
                seen.memory.add(await asyncio.to_thread(_memory_of, system, lambda process: process.memory_info().rss))
            await asyncio.sleep(_SAMPLE_S)  # noqa: TID251 - samples in time
    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def drained(system: System) -> None:
    """Wait until both projections have folded everything."""
    async with asyncio.timeout(_DRAIN_S):
        while any((await lag_of(system)).values()):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)  # noqa: TID251 - as above


def cpu_by_role(system: System) -> dict[str, float]:
    """Return the CPU seconds used by each role."""
    used: dict[str, float] = {role: cpu_s(*system.pids(role)) for role in ROLES}
    used["supervisor"] -= used["web"] + used["projector"]  # they are its children
    return used


def peaks_by_role(system: System) -> dict[str, float]:
    """Return the MiB each role needs at most so far: of Postgres, whose processes share memory, each one's fair share now."""
    return _memory_of(system, lambda process: _peak(process.pid))


def _memory_of(system: System, of_process: Callable[[psutil.Process], int]) -> dict[str, float]:
    found: dict[str, int] = {role: sum(of_process(psutil.Process(pid)) for pid in system.pids(role)) for role in ROLES if role != "postgres"}
    family = [process for pid in system.pids("postgres") for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    found["postgres"] = sum(_fair_share(process) for process in family)
    return {role: size / 2**20 for role, size in found.items()}


def _fair_share(process: psutil.Process) -> int:
    """Return the bytes of a process; of those that others share a part. One that has just ended has none."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


async def sizes_of(system: System) -> dict[str, int]:
    """Return the bytes of the database, of the log in it, and of each projection, after a checkpoint."""
    connection = await connect(EmbeddedPostgres(system.data_dir).dsn, command_timeout_s=120)
    try:
        await connection.execute("checkpoint")
        row = await connection.fetchrow("""
            select pg_database_size(current_database()) as database, pg_total_relation_size('testamur.log_record') as log,
                (select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind = 'r' and n.nspname like 'statements\\_%') as statements,
                (select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind = 'r' and n.nspname like 'learners\\_%') as learners""")
        assert row is not None
        return {name: int(size) for name, size in row.items()}
    finally:
        await connection.close()


def _peak(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
