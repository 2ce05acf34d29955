"""G14 and the table of whole systems: `testamur up` in its processes on either log, loaded over HTTP from the same machine, watched from outside."""
import asyncio
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import uvloop

from tests.bench import watch
from tests.bench.corpus import Stream
from tests.bench.goals import G14, G14K
from tests.bench.load import DURABLE, VISIBLE, Loaded, closed, for_seconds, for_statements, paced
from tests.bench.recipe import Mood, compare, cpu_s, save, say, soak
from tests.servers.kafka import KafkaServers, running
from tests.servers.system import System

STATEMENTS = int(os.environ.get("TESTAMUR_BENCH_STATEMENTS") or (1_000_000 if soak() else 100_000))
BURST_S, PACED_S, SUSTAINED_S = (30.0, 60.0, (300.0,)) if soak() else (8.0, 15.0, (15.0, 15.0, 15.0))
READS = 500
_REPLAYED = re.compile(r"([\d,]+) records in ([\d.]+) s")


@dataclass
class Figures:
    """What was measured on one system."""

    system: System
    broker: KafkaServers | None
    stream: Stream = field(default_factory=Stream)
    statements: int = 0
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def servers(self) -> list[int]:
        """Processes of ours that are nobody's children."""
        return self.system.pids("postgres")

    async def bursts(self) -> None:
        """Rates of small and large requests, accepted and visible, with the lag that each leaves."""
        for name, clients, size, headers in (("1 a request, durable", 64, 1, DURABLE), ("1 a request, visible", 64, 1, VISIBLE),
                                             ("50 a request, durable", 8, 50, DURABLE), ("50 a request, visible", 8, 50, VISIBLE)):
            loaded = await closed(self.system, self.stream, clients=clients, size=size, headers=headers, going_on=for_seconds(BURST_S))
            lag, begun = await watch.lag_of(self.system), time.perf_counter()
            await watch.drained(self.system)
            self.statements += loaded.statements
            self._note(name, {**_figures(loaded), "lag_records": lag, "drained_s": time.perf_counter() - begun})

    async def sustained(self, seconds: float) -> tuple[float, float]:
        """Post until the time is over and both projections have folded all of it; return statements a second over all that, and CPU µs a statement."""
        before, load, broker = watch.cpu_by_role(self.system), time.process_time(), self._broker_cpu()
        begun = time.perf_counter()
        async with watch.watched(self.system) as seen:
            loaded = await closed(self.system, self.stream, clients=8, size=50, headers=VISIBLE, going_on=for_seconds(seconds))
        drain = time.perf_counter()
        await watch.drained(self.system)
        wall, drain = time.perf_counter() - begun, time.perf_counter() - drain
        n, after = loaded.statements, watch.cpu_by_role(self.system)
        self.statements += n
        cpu = {role: (after[role] - before[role]) * 1e6 / n for role in after}
        self._note("sustained", {
            **_figures(loaded), "accepted_s": loaded.rate, "statements_s": n / wall, "seconds": seconds, "drained_s": drain,
            "lag_records": seen.lag.summary(), "memory_mib": seen.memory.summary(), "cpu_us": cpu,
            "load_cpu_us": (time.process_time() - load) * 1e6 / n, "broker_cpu_us": (self._broker_cpu() - broker) * 1e6 / n})
        return n / wall, sum(cpu.values())

    async def at_half_rate(self) -> None:
        """Time from the moment a request is due until its statements are visible, at half the rates seen before."""
        for size, rate in ((50, self.found["sustained"]["statements_s"] / 2), (1, self.found["1 a request, visible"]["statements_s"] / 2)):
            loaded = await paced(self.system, self.stream, rate=rate, size=size, seconds=PACED_S)
            self.statements += loaded.statements
            self._note(f"{size} a request at half the rate", {**_figures(loaded), "wanted_s": rate})
        await watch.drained(self.system)

    async def fill(self) -> None:
        """Load up to the full size."""
        if (left := STATEMENTS - self.statements) > 0:
            loaded = await closed(self.system, self.stream, clients=8, size=50, headers=VISIBLE, going_on=for_statements(left))
            self.statements += loaded.statements
        await watch.drained(self.system)
        self.found["statements"] = self.statements

    async def read(self) -> None:
        """Time transcripts of random learners, one at a time, on the system at rest."""
        r, ids, took, entries = random.Random(3), list[str](), Loaded(), 0
        async with self.system.connection() as connection:
            while len(ids) < READS:
                agent = orjson.dumps({"account": {"homePage": "https://lms.example.org", "name": f"user-{r.randrange(20_000):05}"}}).decode()
                answer = await connection.request("GET", f"/v1/learners?{urlencode({'agent': agent})}")
                assert answer.status == 200, answer.body
                ids += [one["id"] for one in orjson.loads(answer.body)["learners"]]
            for learner in ids:
                begun = time.perf_counter()
                answer = await connection.request("GET", f"/v1/learners/{learner}/transcript")
                took.took.append(time.perf_counter() - begun)
                assert answer.status == 200, answer.body
                entries += len(orjson.loads(answer.body)["entries"])
        self._note("transcript", {"p50_ms": took.quantile_ms(0.5), "p99_ms": took.quantile_ms(0.99), "entries": entries / len(ids)})

    async def measure_store(self) -> None:
        """Bytes a statement and memory."""
        sizes = await watch.sizes_of(self.system)
        if self.broker is not None:
            sizes["kafka"] = sum(file.stat().st_size for file in self.broker._directory.glob("data*/*/*.log"))
        self._note("bytes_a_statement", {name: size / self.statements for name, size in sizes.items()})
        self._note("rss_mib", watch.peaks_by_role(self.system))

    async def replay(self) -> None:
        """Rebuild both projections beside the running system, compared and put in use."""
        for name in ("statements", "learners"):
            ended = await asyncio.to_thread(self.system.command, "replay", name, timeout_s=7200)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            seconds = float(_REPLAYED.search(ended.stdout).group(2))  # type: ignore[union-attr]
            self._note(f"replay of {name}", {"statements_s": self.statements / seconds, "seconds": seconds})

    def _broker_cpu(self) -> float:
        return cpu_s(self.broker.pid(0)) if self.broker else 0.0

    def _note(self, name: str, figures: dict[str, Any]) -> None:
        self.found[name] = figures
        say(f"  {name}: {_rounded(figures)}")


async def measure(figures: Figures, log: str) -> None:
    """Measure everything on one system, and save it."""
    whole = Mood(*figures.servers)
    await figures.bursts()
    mood = Mood(*figures.servers)
    runs = [await figures.sustained(seconds) for seconds in SUSTAINED_S]
    cores = os.cpu_count() or 1
    sustained = figures.found["sustained"]
    measured = mood.end()
    left = statistics.median(rate * cpu for rate, cpu in runs) / 1e6 / (cores - measured["foreign_cores"])
    notes = {"share of the cores that others left": left, "CPU µs a statement": runs[-1][1],
             "besides, the load generator's": sustained["load_cpu_us"], "and the broker's": sustained["broker_cpu_us"]}
    compare(G14K if log == "kafka" else G14, [cores * 1e6 / cpu for _, cpu in runs], [rate for rate, _ in runs], "statements/s", measured, notes=notes).save()
    await figures.at_half_rate()
    await figures.fill()
    await figures.read()
    await figures.measure_store()
    await figures.replay()
    save("systems", log, {**figures.found, "mood": whole.end()})


def run(log: str) -> None:
    """Have a system on this log, in a folder on the disk that is measured, and measure it."""
    say(f"testamur up, log on {log}:")
    with ExitStack() as stack:
        broker = stack.enter_context(running(1)) if log == "kafka" else None
        assert broker is None or isinstance(broker, KafkaServers), "a broker of our own, which can be measured"
        folder = Path(tempfile.mkdtemp(prefix="testamur-bench-", dir=os.environ.get("TESTAMUR_BENCH_DIR", "/tmp")))
        folder.chmod(0o755)
        stack.callback(_remove, folder)
        settings = {"TESTAMUR_KAFKA_REPLICATION": "1"} if broker else {}
        system = System(folder / "data", kafka=broker.bootstrap if broker else None, settings=settings, arguments=())
        stack.callback(system.destroy)
        system.start()
        uvloop.run(measure(Figures(system, broker), log))
        assert system.stop() == 0, system.tail()


def main() -> None:
    """Measure on both logs, or on the one that TESTAMUR_BENCH_LOG names."""
    for log in (os.environ.get("TESTAMUR_BENCH_LOG") or "postgres kafka").split():
        run(log)


def _remove(folder: Path) -> None:
    """Remove a folder that a killed Postgres may still be tidying."""
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _figures(loaded: Loaded) -> dict[str, Any]:
    return {"statements_s": loaded.rate, "p50_ms": loaded.quantile_ms(0.5), "p99_ms": loaded.quantile_ms(0.99), "requests": len(loaded.took),
            "pushed_back": loaded.pushed_back}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 1) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
