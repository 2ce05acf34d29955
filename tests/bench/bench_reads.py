"""G10 and G11: every filter of GET /xapi/statements over many statements, beside the page that reads the next statements of all in the order of their index.

TESTAMUR_BENCH_READS sets how many statements there are: 200,000 by default, a million with TESTAMUR_SOAK.
"""
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import orjson

from services.api import statement_query
from services.api.context import fetch_planned
from services.core.actor import authority_text
from services.core.fingerprint import fingerprint
from services.core.keys import key64
from services.core.timeline import moment, seq_of
from services.core.vocabulary import VOIDED
from services.projector.projections.statements import StatementsProjection
from services.projector.reader import authority_of
from services.projector.run import Run, StatementAt
from services.runtime.access import as_web
from services.runtime.tenant_rows import RowsOf, open_tenant_rows
from tests.bench.corpus import HOME, Stream
from tests.bench.goals import G10, G11
from tests.bench.recipe import Goal, Mood, compare, cpu_s, save, say, soak
from tests.bench.world import AUTHORITY, World, worlds

RUN, PAGE, ASKED = 2000, 100, 200
ROUNDS = 5
FIRST = 200_000_000_000_000
RARE = "https://example.org/verbs/seldom"
SOURCE = {"objectType": "Agent", "mbox": "mailto:source@example.org"}
_CURSOR = """insert into testamur.projection_cursor (name, version, partition, log_id, last_stored) values ('statements', 1, 0, gen_random_uuid(), $1)
    on conflict (name, version, partition) do update set last_stored = excluded.last_stored"""
_SIZES = """select relname, pg_relation_size(oid) as size from pg_class where relnamespace = 'statements_1'::regnamespace and relkind in ('r', 'i')
    order by size desc limit 20"""
BASELINE = "since a moment, oldest first"


@dataclass(frozen=True)
class Filter:
    """One kind of question: its parameters for a random value, and which goal it is held to; `mine` restricts it to one authority."""

    params: Callable[["Asker"], dict[str, str]]
    goal: Goal | None = None
    mine: bool = False


class Asker:
    """Picks values that are there."""

    def __init__(self, count: int) -> None:
        self.chance = Random(7)
        self._count = count

    def agent(self) -> str:
        """Return somebody."""
        return orjson.dumps({"account": {"homePage": HOME, "name": f"user-{self.chance.randrange(20_000):05}"}}).decode()

    def teacher(self) -> str:
        """Return one of fifty instructors."""
        return orjson.dumps({"mbox": f"mailto:teacher{self.chance.randrange(50)}@example.org"}).decode()

    def course(self) -> str:
        """Return one of 200 courses."""
        return f"{HOME}/course/{self.chance.randrange(200)}"

    def module(self) -> str:
        """Return one of 8,000 modules; a fourth of them has statements."""
        return f"{self.course()}/module/{self.chance.randrange(40)}"

    def verb(self) -> str:
        """Return one of three frequent verbs."""
        return "http://adlnet.gov/expapi/verbs/" + self.chance.choice(("completed", "answered", "launched"))

    def instant(self, part: float | None = None) -> str:
        """Return a moment at which something was stored."""
        return moment(FIRST + int(self._count * (self.chance.random() if part is None else part)) * 1000).isoformat()


def related(params: dict[str, str], *kinds: str) -> dict[str, str]:
    """Return them with `related_…=true`."""
    return params | {f"related_{kind}": "true" for kind in kinds}


FILTERS: dict[str, Filter] = {
    BASELINE: Filter(lambda ask: {"since": ask.instant(), "ascending": "true"}),
    "no filter, newest first": Filter(lambda _: {}, G10),
    "agent": Filter(lambda ask: {"agent": ask.agent()}, G10),
    "verb": Filter(lambda ask: {"verb": ask.verb()}, G10),
    "rare verb": Filter(lambda _: {"verb": RARE}, G10),
    "verb, since and until": Filter(lambda ask: {"verb": ask.verb(), "since": ask.instant(0.4), "until": ask.instant(0.5)}, G10),
    "activity": Filter(lambda ask: {"activity": f"{ask.module()}/item/{ask.chance.randrange(30)}"}, G10),
    "registration": Filter(lambda ask: {"registration": str(UUID(int=ask.chance.getrandbits(128), version=4))}, G10),
    "agent and verb": Filter(lambda ask: {"agent": ask.agent(), "verb": ask.verb()}),
    "verb and activity": Filter(lambda ask: {"verb": ask.verb(), "activity": f"{ask.module()}/item/{ask.chance.randrange(30)}"}),
    "verb, of one authority": Filter(lambda ask: {"verb": ask.verb()}, mine=True),
    "agent, of one authority": Filter(lambda ask: {"agent": ask.agent()}, mine=True),
    "voiding statements": Filter(lambda _: {"verb": VOIDED}),
    "verb that only statements referred to have": Filter(lambda _: {"verb": RARE + "-referred"}),
    "related activity, module (1 of 8,000)": Filter(lambda ask: related({"activity": ask.module()}, "activities"), G11),
    "related activity, course (1 of 200)": Filter(lambda ask: related({"activity": ask.course()}, "activities"), G11),
    "related activity, programme (1 of 7)": Filter(lambda ask: related({"activity": f"{HOME}/programme/{ask.chance.randrange(7)}"}, "activities"), G11),
    "related activity, in every statement": Filter(lambda _: related({"activity": f"{HOME}/templates/item"}, "activities"), G11),
    "related activity, unknown": Filter(lambda ask: related({"activity": f"{HOME}/none/{ask.chance.random()}"}, "activities"), G11),
    "related agent, instructor (1 of 50)": Filter(lambda ask: related({"agent": ask.teacher()}, "agents"), G11),
    "related agent, actor": Filter(lambda ask: related({"agent": ask.agent()}, "agents"), G11),
    "related agent, authority of all": Filter(lambda _: related({"agent": orjson.dumps(AUTHORITY).decode()}, "agents"), G11),
    "related course and rare verb": Filter(lambda ask: related({"activity": ask.course(), "verb": RARE}, "activities")),
    "related course and verb": Filter(lambda ask: related({"activity": ask.course(), "verb": ask.verb()}, "activities")),
    "related course and agent": Filter(lambda ask: related({"activity": ask.course(), "agent": ask.agent()}, "activities")),
    "related course and related instructor": Filter(lambda ask: related({"activity": ask.course(), "agent": ask.teacher()}, "activities", "agents")),
    "related programme, rare verb, one authority": Filter(
        lambda ask: related({"activity": f"{HOME}/programme/{ask.chance.randrange(7)}", "verb": RARE}, "activities"), mine=True),
    "related course, verb, since": Filter(lambda ask: related({"activity": ask.course(), "verb": ask.verb(), "since": ask.instant(0.5)}, "activities")),
}


class Mixed:
    """The stream of statements with voids, references, groups, a rare verb, and authorities, as an LRS of several tools has them."""

    def __init__(self) -> None:
        self._stream, self._chance, self._number = Stream(), Random(3), 0
        self._authorities = [authority_of(each, ["lrs:admin"]) for each in (AUTHORITY, SOURCE)]
        self._ids: list[str] = []

    def items(self, count: int) -> list[StatementAt]:
        """Return so many more, in their places."""
        made = []
        for _ in range(count):
            raw = self._varied(orjson.loads(self._stream.next()))
            doc = orjson.loads(raw)
            self._number += 1
            self._ids.append(doc["id"])
            authority = self._authorities[self._number % 10 == 0]
            made.append(StatementAt(1, "default", seq_of(FIRST + self._number * 1000, 0), UUID(doc["id"]), fingerprint(doc), raw, authority, "1.0.3", 0, 0))
        return made

    def _varied(self, doc: dict[str, Any]) -> bytes:
        die = self._chance.randrange(1000)
        if die < 40 and self._ids:
            doc["object"] = {"objectType": "StatementRef", "id": self._chance.choice(self._ids)}
            if die < 20:
                doc["verb"] = {"id": VOIDED}
        elif die < 50:
            doc["actor"] = {"objectType": "Group", "member": [doc["actor"], {"mbox": f"mailto:member{self._chance.randrange(1000)}@example.org"}]}
        elif die == 50:
            doc["verb"] = {"id": RARE}
        elif die == 51 and self._chance.random() < 0.1:
            doc["verb"] = {"id": RARE + "-referred"}
        return orjson.dumps(doc)


async def fill(world: World, count: int) -> None:
    """Fold so many statements, without a log, and tell what that cost."""
    conn, mixed, projection = await world.connect(), Mixed(), StatementsProjection()
    await projection.prepare(conn)
    begun = time.perf_counter()
    for _ in range(0, count, RUN):
        items = mixed.items(RUN)
        async with conn.transaction():
            await projection.apply(conn, Run(items))
    await conn.execute(_CURSOR, FIRST + count * 1000)
    await conn.execute("vacuum analyze", timeout=600)
    say(f"{count} statements folded in {time.perf_counter() - begun:.0f} s")
    for row in await conn.fetch(_SIZES):
        say(f"  {row['relname']}: {row['size'] / count:.0f} bytes a statement")
    await conn.close()


async def ask(store: RowsOf, asker: Asker, wanted: Filter, times: int) -> list[float]:
    """Return the milliseconds of each question."""
    took, authority = [], key64(authority_text(SOURCE)) if wanted.mine else None
    for _ in range(times):
        listing = statement_query.parse(wanted.params(asker) | {"limit": str(PAGE)})
        assert isinstance(listing, statement_query.Listing)
        begun = time.perf_counter()
        sql, args = statement_query.page_sql(listing, 1, authority=authority, through=None, after=None)
        await (fetch_planned(store, sql, args, in_order=True) if listing.combines or authority is not None else store.fetch(sql, *args))
        took.append((time.perf_counter() - begun) * 1000)
    return took


async def reads(count: int) -> None:
    """Fill a store and ask every question in turn."""
    async with worlds(1) as (world,):
        await fill(world, count)
        rows = await open_tenant_rows(await as_web(world.dsn), max=2)
        asker = Asker(count)
        mood = Mood(world.server)
        took: dict[str, list[list[float]]] = {name: [] for name in FILTERS}
        cpu = dict.fromkeys(FILTERS, 0.0)
        for number in range(ROUNDS + 1):
            for name, wanted in FILTERS.items():
                before = cpu_s(world.server)
                times = await ask(rows.of(1), asker, wanted, ASKED // ROUNDS)
                if number:
                    took[name].append(times)
                    cpu[name] += cpu_s(world.server) - before
        await rows.close()
        ended = mood.end()
    table = {name: {"p50_ms": percentile(rounds, 50), "p99_ms": percentile(rounds, 99), "cpu_ms": cpu[name] * 1000 / ASKED} for name, rounds in took.items()}
    for name, each in table.items():
        say(f"{name}: p50 {each['p50_ms']:.2f} ms, p99 {each['p99_ms']:.2f} ms, CPU of Postgres {each['cpu_ms']:.2f} ms")
    save("systems", "reads", {"statements": count, "filters": table, "mood": ended})
    floor = [statistics.median(times) for times in took[BASELINE]]
    for goal in (G10, G11):
        named = {name: wanted for name, wanted in FILTERS.items() if wanted.goal is goal}
        slowest = max(named, key=lambda name: table[name]["p50_ms"])
        compare(goal, floor, [statistics.median(times) for times in took[slowest]], "ms, the slowest filter's median", ended,
                notes={f"p99 of {name}, ms": table[name]["p99_ms"] for name in named}).save()


def percentile(rounds: list[list[float]], which: int) -> float:
    """Return a percentile of all rounds together."""
    return statistics.quantiles([each for times in rounds for each in times], n=100, method="inclusive")[which - 1]


def main() -> None:
    """Run it and save the results."""
    asyncio.run(reads(int(os.environ.get("TESTAMUR_BENCH_READS") or (1_000_000 if soak() else 200_000))))


if __name__ == "__main__":
    main()
