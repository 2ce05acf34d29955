"""What deciding costs and how soon it comes: `testamur up` in its processes, with programmes published over HTTP and decisions heard through /v1/events.

Five figures: the rate of statements with a thousand programmes beside the rate with none; a preview over all learners; how long after its statement a
decision comes at half the sustained rate, and while a publication sweeps all learners; ten thousand expiries due at one instant; expiries when idle.
Those that are promised are saved with what they must be.
"""
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from services.runtime.embedded import EmbeddedPostgres
from services.runtime.postgres import connect
from tests.bench.corpus import HOME, Stream, corpus
from tests.bench.hearing import Hearing, Moment, decided_s, due_s
from tests.bench.load import VISIBLE, closed, for_seconds, paced
from tests.bench.recipe import Mood, save, say, soak
from tests.servers.http_client import Connection
from tests.servers.system import KEY, SECRET, System

LEARNERS = int(os.environ.get("TESTAMUR_BENCH_LEARNERS") or (100_000 if soak() else 10_000))
EXPIRIES = 10_000 if soak() else 1_000
PROGRAMMES, SHARING, SEED = 1_000, 30, 2
ROUNDS, ROUND_S, PROBED_S = (3, 20.0, 30.0) if soak() else (3, 8.0, 15.0)
WARM_S, SWEPT_S = 4.0, 600.0
SWEPT = "decision after its statement, while all are swept"
HALF = "decision after its statement, at half the sustained rate"
AT_LEAST = {"statements a second, with": ("ratio", 0.80), "statements a second, sharing": ("ratio", 0.80)}
AT_MOST = {
    "preview": ("seconds", 60.0), HALF: ("decided_p99_ms", 250.0), SWEPT: ("decided_most_ms", 1000.0), "expiries at one instant": ("last_late_s", 30.0),
    "expiries one by one, when idle": ("last_late_s", 5.0),
}
"""What is promised: which figure of a measurement must be how much. A promise about decisions is held to when they are made; p50, p99 and most say when
they can be read as events, which takes an append, a fold and a poll more."""
IRI = "https://programmes.example.org/"
VERB = "http://adlnet.gov/expapi/verbs/"
_AT_REST = """select (select min(last_stored) from testamur.projection_cursor where name = 'learners') >= $1
    and not exists (select from testamur.wake) and not exists (select from testamur.under_way) and not exists (select from testamur.sweep)"""


def programme(slug: str, requires: dict[str, Any], version: int = 1, **more: Any) -> bytes:
    """Return the document of a programme that awards a badge."""
    return json.dumps({"programme": f"{IRI}{slug}", "version": version, "title": slug, "award": {"type": "Badge"}, "requires": requires, **more}).encode()


def passing(person: str, activity: str, at: datetime | None = None) -> bytes:
    """Return a statement that somebody passed something."""
    said: dict[str, Any] = {
        "id": str(uuid4()), "actor": {"account": {"homePage": HOME, "name": person}}, "verb": {"id": VERB + "passed"}, "object": {"id": activity}}
    return json.dumps(said | ({"timestamp": at.isoformat()} if at else {})).encode()


async def send(connection: Connection, method: str, path: str, body: bytes, *accepted: int) -> Any:
    """Send a body and return the JSON of the answer."""
    answer = await connection.request(method, path, body)
    assert answer.status in accepted, (path, answer.status, answer.body[:500])
    return json.loads(answer.body) if answer.body else None


class Decisions:
    """The measurements, on one running system."""

    def __init__(self, system: System) -> None:
        """`system` is ready."""
        self.system, self.found = system, dict[str, Any]()

    def connection(self, key: tuple[str, str] = (KEY, SECRET), timeout_s: float = 120) -> Connection:
        """Return a connection with time enough for a preview."""
        return self.system.connection(key=key[0], secret=key[1], timeout_s=timeout_s)

    async def rates(self) -> float:
        """Alternate rounds of load on tenants without programmes, with a thousand, and with a thousand of which thirty share a key; return the first rate."""
        keys = {name: self.system.create_key(name, "lrs:admin") for name in ("without", "with", "sharing")}
        said = [json.loads(raw) for raw in corpus(2000, SEED)]
        most, some = await asyncio.gather(self._publish_many(keys["with"], said, 0), self._publish_many(keys["sharing"], said, SHARING))
        woken = {"without": 0.0, "with": most, "sharing": some}
        rates: dict[str, list[float]] = {name: [] for name in keys}
        behind: dict[str, list[float]] = {name: [] for name in keys}
        for number in range(ROUNDS + 1):
            for name, key in keys.items():
                going_on = for_seconds(ROUND_S if number else WARM_S)
                loaded = await closed(self.system, Stream(SEED, order=number), clients=8, size=50, headers=VISIBLE, going_on=going_on, key=key)
                seconds = await self._caught_up()
                if number:
                    rates[name].append(loaded.rate)
                    behind[name].append(seconds)
        for name, each in rates.items():
            self._note(f"statements a second, {name}", {
                "rate_s": statistics.median(each), "ratio": statistics.median(one / other for one, other in zip(each, rates["without"], strict=True)),
                "programmes_a_statement_wakes": woken[name], "last_decided_late_s": statistics.median(behind[name])})
        return statistics.median(rates["without"])

    async def _publish_many(self, key: tuple[str, str], said: list[dict[str, Any]], sharing: int) -> float:
        """Publish a thousand programmes; return how many of them an average statement of the load wakes.

        Nine in ten ask that two things were passed, one in ten that one was; `sharing` of them ask for many statements of the category that all have.
        """
        chance = random.Random(4)
        passed = sorted({one["object"]["id"] for one in said if one["verb"]["id"] == VERB + "passed"})
        common = said[0]["context"]["contextActivities"]["category"][0]["id"]
        reads = dict.fromkeys(passed, 0)
        async with self.connection(key) as connection:
            for number in range(PROGRAMMES):
                if number < sharing:
                    asks: dict[str, Any] = {"statement": {"category": common, "count": 20 + number}}
                else:
                    things = chance.sample(passed, 1 + (number % 10 > 0))
                    asks = {"all": [{"statement": {"verb": "passed", "activity": thing}} for thing in things]}
                    reads.update({thing: reads[thing] + 1 for thing in things})
                await send(connection, "POST", "/v1/programmes", programme(f"p{number}", asks), 201)
        return sharing + statistics.mean(reads[one["object"]["id"]] if one["verb"]["id"] == VERB + "passed" else 0 for one in said)

    async def _caught_up(self) -> float:
        """Wait until all that is visible now is folded, nobody is left in the queue and no sweep will queue anybody; return how many seconds that took."""
        begun = time.perf_counter()
        conn = await connect(EmbeddedPostgres(self.system.data_dir).dsn)
        try:
            now = await conn.fetchval("select max(last_stored) from testamur.projection_cursor where name = 'statements'")
            while not await conn.fetchval(_AT_REST, now):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)  # noqa: TID251 - nothing tells of it
        finally:
            await conn.close()
        return time.perf_counter() - begun

    async def fill(self) -> None:
        """Make learners, each of whom has passed one of two things."""
        async with self.connection() as connection:
            for start in range(0, LEARNERS, 500):
                batch = [passing(f"many-{n}", f"{HOME}/things/{n % 2}") for n in range(start, min(LEARNERS, start + 500))]
                await send(connection, "POST", "/xapi/statements", b"[" + b",".join(batch) + b"]", 200)
        await self._caught_up()

    async def preview(self) -> None:
        """Time a preview over all learners."""
        async with self.connection() as connection:
            begun = time.perf_counter()
            said = await send(connection, "POST", "/v1/programmes/preview", self._for_half(), 200)
        assert said["gaining"] == LEARNERS // 2, said["gaining"]
        self._note("preview", {"learners": LEARNERS, "seconds": time.perf_counter() - begun})

    def _for_half(self) -> bytes:
        return programme("half", {"statement": {"verb": "passed", "activity": f"{HOME}/things/1"}})

    async def probe(self, name: str, seconds: float, is_over: Callable[[], bool] = lambda: False) -> int:
        """Post a statement that earns something ten times a second, and see how long after it each decision is taken and can be read; return how many."""
        async with self.connection() as connection, Hearing(self.connection(timeout_s=60), "credential.issued") as hearing:
            sent, visible, end = dict[str, Moment](), list[float](), time.perf_counter() + seconds
            while time.perf_counter() < end and not is_over():
                raw = passing(f"probe-{uuid4()}", f"{HOME}/things/probe")
                began = sent[json.loads(raw)["id"]] = Moment.now()
                await send(connection, "POST", "/xapi/statements", raw, 200)
                visible.append(time.perf_counter() - began.clock)
                await asyncio.sleep(0.1)  # noqa: TID251 - the pace of the probe
            delays = await hearing.delays(sent)
        decided, took = sorted(each.decided for each in delays), sorted(each.heard for each in delays)
        self._note(name, {
            "decided_p50_ms": decided[len(decided) // 2] * 1e3, "decided_p99_ms": decided[int(len(decided) * 0.99)] * 1e3,
            "decided_most_ms": decided[-1] * 1e3,
            "p50_ms": took[len(took) // 2] * 1e3, "p99_ms": took[int(len(took) * 0.99)] * 1e3, "most_ms": took[-1] * 1e3, "decisions": len(took),
            "statement_visible_p50_ms": statistics.median(visible) * 1e3})
        return len(took)

    async def probes(self, rate: float) -> None:
        """Probe at rest, under half of the sustained rate, and while a publication concerns all learners, from its beginning to its end."""
        async with self.connection() as connection:
            await send(connection, "POST", "/v1/programmes", programme("probe", {"statement": {"verb": "passed", "activity": f"{HOME}/things/probe"}}), 201)
            await self._caught_up()
            await self.probe("decision after its statement, at rest", PROBED_S)
            load = asyncio.create_task(paced(self.system, Stream(seed=9), rate=rate / 2, size=50, seconds=WARM_S + PROBED_S + 2))
            await asyncio.sleep(WARM_S)  # noqa: TID251 - as rounds of rates have it: what begins is slower than what goes on
            await self.probe(HALF, PROBED_S)
            await load
        await self._caught_up()
        begun = time.perf_counter()
        async with self.connection() as connection, Hearing(self.connection(timeout_s=60), "credential.issued") as hearing:
            await send(connection, "POST", "/v1/programmes", self._for_half(), 201)
            probes = await self.probe(SWEPT, SWEPT_S, lambda: hearing.count >= LEARNERS // 2)
            await hearing.until(LEARNERS // 2 + probes, 60)
            self._note("publication to all", {"learners": LEARNERS, "awards": LEARNERS // 2, "seconds": hearing.last_at - begun})

    async def expiries(self, count: int, name: str, ahead_s: float, apart_s: float = 0.0) -> None:
        """Have awards end, all at one instant or one after the other, and hear how late each is decided."""
        length = 3600
        slug = f"term-{uuid4()}"
        rule = programme(slug, {"statement": {"verb": "passed", "activity": f"{HOME}/{slug}"}}, validity={"for": f"PT{length}S"})
        async with self.connection() as connection, Hearing(self.connection(timeout_s=60), "credential.expired") as hearing:
            await send(connection, "POST", "/v1/programmes", rule, 201)
            first = datetime.now(UTC) + timedelta(seconds=ahead_s)
            ends = [first + timedelta(seconds=apart_s * n) for n in range(count)]
            for start in range(0, count, 500):
                batch = [passing(f"{slug}-{n}", f"{HOME}/{slug}", ends[n] - timedelta(seconds=length)) for n in range(start, min(count, start + 500))]
                await send(connection, "POST", "/xapi/statements", b"[" + b",".join(batch) + b"]", 200)
            events = await hearing.until(count, ahead_s + apart_s * count + 300)
        late = sorted(decided_s(event) - due_s(event) for event in events)
        self._note(name, {"expiries": count, "first_late_s": late[0], "p50_late_s": late[len(late) // 2], "last_late_s": late[-1]})

    def _note(self, name: str, figures: dict[str, Any]) -> None:
        for bounds, word, sign in ((AT_LEAST, "at least", 1), (AT_MOST, "at most", -1)):
            if name in bounds:
                what, bound = bounds[name]
                figures["must"] = f"{what} {word} {bound:g}: {'met' if figures[what] * sign >= bound * sign else 'missed'}"
        self.found[name] = figures
        say(f"  {name}: { {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()} }")


async def measure_the_rest(decisions: Decisions, rate: float) -> None:
    """Measure all but rates; `rate` is that of statements without programmes."""
    await decisions.fill()
    await decisions.preview()
    await decisions.probes(rate)
    await decisions.expiries(EXPIRIES, "expiries at one instant", 30.0 + EXPIRIES / 200)
    await decisions.expiries(20, "expiries one by one, when idle", 5.0, 0.7)


@contextmanager
def running() -> Iterator[tuple[Decisions, Mood]]:
    """Give the measurements of a system of their own."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="testamur-bench-", dir=os.environ.get("TESTAMUR_BENCH_DIR", "/tmp")))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        system = System(folder / "data", arguments=())
        stack.callback(system.destroy)
        system.start()
        yield Decisions(system), Mood(*system.pids("postgres"))
        assert system.stop() == 0, system.tail()


def main() -> None:
    """Measure on the log in Postgres: the rates on one system, everything else on another, which half a million statements in a minute have not just shaken."""
    say("decisions, testamur up:")
    random.seed(4)
    with running() as (rates, mood):
        rate = uvloop.run(rates.rates())
        under_load = mood.end()
    with running() as (rest, mood):
        uvloop.run(measure_the_rest(rest, rate))
        save("systems", "decisions", {**rates.found, **rest.found, "mood": under_load, "mood_of_the_rest": mood.end()})


if __name__ == "__main__":
    main()
