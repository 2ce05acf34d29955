"""How a measurement is made: all sides interleaved in one run, ratios per round, their median; with the machine's mood beside them.

Wall clocks on a shared machine lie; CPU time and ratios of the same run lie less. A round in which the floor itself moved more than twofold from its median
is reported and left out.
"""
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil

RESULTS = Path(__file__).parent / "results.json"
T = TypeVar("T")
_QUIET_S, _QUIET_CORES = 5.0, 0.15


@dataclass(frozen=True)
class Goal:
    """What performance is held to: `ratio` in words, and the two bounds with the direction in which better lies."""

    id: str
    what: str
    good: float
    must: float
    less_is_better: bool

    def verdict(self, ratio: float) -> str:
        """Return good, must or missed."""
        if ratio <= self.good if self.less_is_better else ratio >= self.good:
            return "good"
        return "must" if (ratio <= self.must if self.less_is_better else ratio >= self.must) else "missed"


class Mood:
    """What else the machine did during a measurement, and how quick its disk was at the beginning and the end."""

    def __init__(self, *servers: int) -> None:
        """`servers` are processes of ours that are not descended from this one."""
        self._servers = servers
        self._load, self._disk = os.getloadavg()[0], fdatasync_us()
        self._begun, self._busy, self._ours = time.perf_counter(), _busy_s(), cpu_s(os.getpid(), *servers)

    def end(self) -> dict[str, Any]:
        """Return load average before, cores that others kept busy meanwhile, microseconds of an fdatasync before and after, the time and the machine."""
        wall, busy, ours = time.perf_counter() - self._begun, _busy_s() - self._busy, cpu_s(os.getpid(), *self._servers) - self._ours
        return {
            "load_before": round(self._load, 2), "foreign_cores": round(max(0.0, busy - ours) / wall, 2),
            "fdatasync_us": [round(self._disk), round(fdatasync_us())], "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(),
        }


@dataclass
class Result:
    """One goal measured: per-round ratios, the two sides' medians, and the conditions."""

    id: str
    ratios: list[float]
    floor: float
    system: float
    unit: str
    ratio: float
    verdict: str
    left_out: int
    mood: dict[str, Any]
    notes: dict[str, float] = field(default_factory=dict)
    """Figures that belong to it, by what they are."""

    def save(self) -> None:
        """Add it to the results of this machine and print it."""
        save("goals", self.id, asdict(self))
        say(f"{self.id}: {self.floor:.4g} and {self.system:.4g} {self.unit}: {self.ratio:.2f} "
            f"({min(self.ratios):.2f}-{max(self.ratios):.2f}, {len(self.ratios)} rounds), {self.verdict}; others used {self.mood['foreign_cores']} cores; "
            + ", ".join(f"{what} {value:.4g}" for what, value in self.notes.items()))


def save(kind: Literal["goals", "systems"], name: str, what: dict[str, Any]) -> None:
    """Put one result in the place of the one before it."""
    known: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known.setdefault(kind, {})[name] = what
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def compare(goal: Goal, floor: Sequence[float], system: Sequence[float], unit: str, mood: dict[str, Any], *, notes: dict[str, float] | None = None) -> Result:
    """Make a result of two series of rounds: costs where less is better, else rates."""
    middle = statistics.median(floor)
    kept = [(f, s) for f, s in zip(floor, system, strict=True) if middle / 2 <= f <= middle * 2]
    ratios = [s / f for f, s in kept]
    ratio = statistics.median(ratios)
    return Result(goal.id, ratios, statistics.median([f for f, _ in kept]), statistics.median([s for _, s in kept]), unit, ratio, goal.verdict(ratio),
                  len(floor) - len(kept), mood, notes or {})


async def interleaved(rounds: int, *sides: Callable[[], Awaitable[T]]) -> list[list[T]]:
    """Run all sides in turn, ABCABC…, after one warm-up of each; return the values of each side per round."""
    values: list[list[T]] = [[] for _ in sides]
    for number in range(rounds + 1):
        for side, of in zip(sides, values, strict=True):
            value = await side()
            if number:
                of.append(value)
    return values


def cpu_s(*pids: int) -> float:
    """Return the CPU seconds used so far by processes and all their descendants, those included that ended and were waited for."""
    total = 0.0
    for pid in pids:
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in family:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def fdatasync_us(times: int = 200) -> float:
    """Return the median of an 8 kB write and fdatasync, in microseconds."""
    with tempfile.NamedTemporaryFile(dir=os.environ.get("TESTAMUR_BENCH_DIR")) as file:
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(took)


def machine() -> str:
    """Return what was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    memory = psutil.virtual_memory().total >> 30
    return f"{os.cpu_count()} × {model}, {memory} GiB, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def await_quiet(patience_s: float) -> None:
    """Wait until others leave the machine alone for five seconds, at most so long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        busy = _busy_s()
        time.sleep(_QUIET_S)  # noqa: TID251 - what others do can only be watched
        if (_busy_s() - busy) / _QUIET_S < _QUIET_CORES:
            return


def say(line: str) -> None:
    """Tell whoever watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def soak() -> bool:
    """Return whether measurements run at full length."""
    return bool(os.environ.get("TESTAMUR_SOAK"))


def _busy_s() -> float:
    """Return the CPU seconds that all processes of the machine used so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
