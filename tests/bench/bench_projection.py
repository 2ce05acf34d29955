"""G7, G8, G9 and G16: folding the log beside the least that Postgres could do with the same bytes, beside a fold row by row, and beside parsing alone.

People and activities repeat as in the sample world (tests/bench/corpus.py: Stream); both sides of each ratio get the same bytes.
"""
import statistics
from typing import Any

import orjson
import uvloop

from services.core.actor import ifi
from services.core.envelope import decode
from services.core.keys import key64
from services.core.splice import flags_of
from services.core.timeline import seq_of
from services.projector.projections.statements import StatementsProjection
from services.projector.reader import authority_of
from services.projector.replay import replay_projection
from services.projector.run import Connection, StatementAt
from services.runtime.log import LogRecord
from tests.bench.goals import G7, G7C, G8, G16
from tests.bench.recipe import Mood, compare, interleaved, soak
from tests.bench.row_by_row import fold_both_ways
from tests.bench.world import AUTHORITY, Cost, Meter, World, both, worlds

COPIED_AT_ONCE = 2000
PER_ROUND = 20_000
"""A round begins with the start of a projector: enough that this is a few hundredths of it."""
COLUMNS = ("tenant_id", "id", "seq", "fp", "actor", "verb", "activity", "registration", "authority", "flags", "version", "raw")


class Floors:
    """Tables that are as quick to fill as tables can be, and one that has the indexes of the statement store."""

    def __init__(self, world: World, conn: Connection) -> None:
        self._world, self._conn = world, conn

    async def make(self) -> None:
        """Make them."""
        await self._conn.execute("""
            create table bare (seq bigint not null, id uuid not null, raw bytea not null);
            alter table bare alter column raw set storage external;
            alter table bare set (toast_tuple_target = 4080);
            create table indexed (like statements_1.statement including all)""")

    async def copy_bare(self, items: list[StatementAt]) -> Cost:
        """COPY the bytes of these statements where there is no index."""
        rows = [(one.seq, one.id, one.raw) for one in items]
        meter = Meter(self._world.server)
        for n in range(0, len(rows), COPIED_AT_ONCE):
            await self._conn.copy_records_to_table("bare", records=rows[n:n + COPIED_AT_ONCE], columns=("seq", "id", "raw"))
        return meter.stop(len(rows))

    async def copy_indexed(self, items: list[StatementAt]) -> Cost:
        """COPY the finished rows of these statements into a table with the same indexes."""
        rows = [row_of(one) for one in items]
        meter = Meter(self._world.server)
        for n in range(0, len(rows), COPIED_AT_ONCE):
            await self._conn.copy_records_to_table("indexed", records=rows[n:n + COPIED_AT_ONCE], columns=COLUMNS)
        return meter.stop(len(rows))


def row_of(one: StatementAt) -> tuple[Any, ...]:
    """Return the row of the store for one of these statements."""
    doc = one.doc
    return (one.tenant_id, one.id, one.seq, one.fp, key64(ifi(doc["actor"]) or ""), key64(doc["verb"]["id"]), key64(doc["object"]["id"]),
            doc["context"]["registration"], one.authority_key, flags_of(doc), "1.0.0", one.raw)


def items_of(world: World, count: int, first_seq: int) -> list[StatementAt]:
    """Return new statements in places, as the reader of the log gives them."""
    authority = authority_of(AUTHORITY, ["lrs:admin"])
    return [StatementAt(1, "default", seq_of(first_seq + n, 0), id_, bytes.fromhex(fp), raw, authority, "1.0.3", n, 0)
            for n, (id_, fp, raw) in enumerate(world.statements(count))]


async def projection(rounds: int, per_round: int) -> None:
    """G7, G7c, G8: the whole projection beside both kinds of COPY; beside them, for the notes, the statements projection alone in another database."""
    async with worlds(2) as (world, alone):
        conn = await world.connect()
        floors = Floors(world, conn)
        await floors.make()
        place = iter(range(10**9, 10**12, per_round))

        async def bare() -> Cost:
            return await floors.copy_bare(items_of(world, per_round, next(place)))

        async def indexed() -> Cost:
            return await floors.copy_indexed(items_of(world, per_round, next(place)))

        async def whole() -> Cost:
            await world.fill(per_round)
            return await world.fold(per_round, both())

        async def store_alone() -> Cost:
            await alone.fill(per_round)
            return await alone.fold(per_round, [StatementsProjection()])

        mood_of = Mood(world.server)
        bares, indexeds, wholes, alones = await interleaved(rounds, bare, indexed, whole, store_alone)
        await conn.close()
        notes = _parts(wholes, alones)
        mood = mood_of.end()
    compare(G7, [c.rate for c in bares], [c.rate for c in wholes], "statements/s", mood, notes=notes).save()
    compare(G7C, [c.cpu_us for c in bares], [c.cpu_us for c in wholes], "µs CPU a statement", mood, notes=notes).save()
    compare(G8, [c.rate for c in indexeds], [c.rate for c in wholes], "statements/s", mood,
            notes={**notes, "ratio of the statements projection alone": _middle([a.rate / f.rate for a, f in zip(alones, indexeds, strict=True)])}).save()


def _parts(wholes: list[Cost], alones: list[Cost]) -> dict[str, float]:
    return {
        "µs in the projector": _middle([c.client_us for c in wholes]), "µs in Postgres": _middle([c.server_us for c in wholes]),
        "statements/s of the statements projection alone": _middle([c.rate for c in alones]),
        "its µs in the projector": _middle([c.client_us for c in alones]), "its µs in Postgres": _middle([c.server_us for c in alones]),
    }


async def whole_replay(rounds: int, statements: int) -> None:
    """G16: `testamur replay` of both projections, with its comparison, beside reading the log and parsing what is in it."""
    async with worlds(1) as (world,):
        await world.fill(statements)
        await world.fold(statements, both())

        async def parse() -> Cost:
            meter, offset, count = Meter(world.server), 0, 0
            while offset < (await world.log.end(0)).next_offset:
                records: list[LogRecord] = await world.log.read(0, offset, max_records=500, max_bytes=4 << 20, wait_s=0)
                for record in records:
                    for one in decode(record.value).statements:
                        orjson.loads(memoryview(one.raw))
                        count += 1
                offset = records[-1].offset + 1
                del records
            assert count == statements
            return meter.stop(statements)

        async def rebuild() -> Cost:
            meter = Meter(world.server)
            for each in both():
                report = await replay_projection(world.dsn, world.log, each, lambda *_: None)
                assert report.cut_over, report.differences
            return meter.stop(statements)

        mood = Mood(world.server)
        floors, systems = await interleaved(rounds, parse, rebuild)
        notes = {"µs in the projector": _middle([c.client_us for c in systems]), "µs in Postgres": _middle([c.server_us for c in systems]),
                 "statements/s of both, one after the other": _middle([c.rate for c in systems])}
        compare(G16, [c.cpu_us for c in floors], [c.cpu_us for c in systems], "µs CPU a statement", mood.end(), notes=notes).save()


def _middle(values: list[float]) -> float:
    return statistics.median(values)


def main() -> None:
    """Measure all four."""
    uvloop.run(projection(20 if soak() else 10, PER_ROUND))  # the loop that projectors run on
    uvloop.run(fold_both_ways(9 if soak() else 5, 6_000, items_of))
    uvloop.run(whole_replay(5 if soak() else 3, 20_000))


if __name__ == "__main__":
    main()
