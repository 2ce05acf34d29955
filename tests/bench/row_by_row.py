"""G9: the fold of learners as anyone would write it first, one statement at a time with an upsert for each table, beside the one that takes runs of 2,000."""
import statistics
from collections.abc import Callable

import orjson

from services.core.actor import agent_of, authority_text
from services.core.evidence import evidence_of, unpack
from services.core.evidence import pack as pack_facts
from services.core.keys import key128
from services.core.search_text import fold, grams
from services.core.transcript import Row, line, named, pack, summarise
from services.projector.projections.learners import LearnersProjection
from services.projector.run import Connection, Run, StatementAt
from services.runtime.migrate import create_version, schema_of
from tests.bench.goals import G9
from tests.bench.recipe import Mood, compare, interleaved
from tests.bench.world import AUTHORITY, HASHES, Cost, Meter, World, worlds

RUN = 2000
_IFI = """insert into ifi (tenant_id, key, agent, has_mbox, name, name_seq, folded, grams, identity, learner, linked)
    values ($1, $2, $3, $4, $5, $6, $7, $8::text::int[], $9, $2, false)
    on conflict (tenant_id, key) do update set name = excluded.name, name_seq = excluded.name_seq where ifi.name_seq < excluded.name_seq"""
_LEARNER = "insert into learner (tenant_id, id) values ($1, $2) on conflict do nothing"
_EVIDENCE = """insert into evidence (tenant_id, statement_id, seq, ifi, activity, at, authority, voiding, class, facts)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing"""
_ACTIVITY = """insert into activity (tenant_id, key, iri, name, name_seq, type, type_seq) values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (tenant_id, key) do update set name = excluded.name, name_seq = excluded.name_seq, type = excluded.type, type_seq = excluded.type_seq
    where activity.name_seq < excluded.name_seq"""
_ROWS = "select statement_id, seq, at, assured, facts from evidence where tenant_id = $1 and ifi = $2 and activity = $3 and voided is null"
_ENTRY = """insert into entry (tenant_id, learner, activity, status, first_at, line) values ($1, $2, $3, $4, $5, $6)
    on conflict (tenant_id, learner, activity) do update set status = excluded.status, first_at = excluded.first_at, line = excluded.line"""


async def one_by_one(conn: Connection, items: list[StatementAt]) -> None:
    """Fold statements that nobody voids, assures or sends twice: as many tables, no more promises."""
    authority = authority_text(AUTHORITY)
    for item in items:
        said = evidence_of(item.doc, ifi=item.ifi, stored=item.stored, authority=authority, scopes=item.scopes)
        assert said is not None
        tenant, key, activity = item.tenant_id, HASHES.ifi(item.tenant, said.identity), key128(said.activity)
        folded = fold([said.name or "", said.identity])
        await conn.execute(_IFI, tenant, key, orjson.dumps(agent_of(said.ifi)).decode(), said.ifi.startswith("mbox:"), said.name, item.seq, folded,
                           "{" + ",".join(map(str, grams(folded))) + "}", said.identity)
        await conn.execute(_LEARNER, tenant, key)
        await conn.execute(_EVIDENCE, tenant, item.id, item.seq, key, activity, said.at, item.authority_key, None, said.facts.klass, pack_facts(said.facts))
        await conn.execute(_ACTIVITY, tenant, activity, said.activity, said.activity_name, item.seq, said.activity_type, item.seq)
        rows = [Row(id_, seq, at, assured, unpack(facts)) for id_, seq, at, assured, facts in await conn.fetch(_ROWS, tenant, key, activity)]
        summary = summarise(rows)
        entry = line(summary, [id_ for _, _, id_ in named(rows, summary.deciding())])
        await conn.execute(_ENTRY, tenant, key, activity, entry.status, entry.first, pack(entry))


async def in_runs(conn: Connection, projection: LearnersProjection, items: list[StatementAt]) -> None:
    """Fold a run as the projector does, without its cursor."""
    await projection.apply(conn, Run(items))


async def fold_both_ways(rounds: int, statements: int, items_of: Callable[[World, int, int], list[StatementAt]]) -> None:
    """Fold the same statements into two schemas of their own, in transactions of 2,000, and see that both came to the same entries."""
    async with worlds(1) as (world,):
        admin = await world.connect()
        for version in (2, 3):
            await create_version(admin, "learners", version)
        await admin.close()
        slow, quick = await world.connect(schema_of("learners", 2)), await world.connect(schema_of("learners", 3))
        projection = LearnersProjection(HASHES)
        await projection.prepare(quick)
        pending: list[list[StatementAt]] = []
        place = iter(range(10**9, 10**12, statements))

        async def floor() -> Cost:
            items = items_of(world, statements, next(place))
            pending.append([StatementAt(1, "default", one.seq, one.id, one.fp, one.raw, one.authority_at, one.xapi, one.offset, one.idx) for one in items])
            meter = Meter(world.server)
            for n in range(0, statements, RUN):
                async with slow.transaction():
                    await one_by_one(slow, items[n:n + RUN])
            return meter.stop(statements)

        async def system() -> Cost:
            items = pending.pop()
            meter = Meter(world.server)
            for n in range(0, statements, RUN):
                async with quick.transaction():
                    await in_runs(quick, projection, items[n:n + RUN])
            return meter.stop(statements)

        mood = Mood(world.server)
        floors, systems = await interleaved(rounds, floor, system)
        same = "select count(*), sum(hashtext(encode(line, 'hex'))) from entry"
        assert tuple(await slow.fetchrow(same) or ()) == tuple(await quick.fetchrow(same) or ()), "the two folds differ"
        notes = {"µs of one by one": statistics.median(c.cpu_us for c in floors), "µs in runs": statistics.median(c.cpu_us for c in systems)}
        compare(G9, [c.rate for c in floors], [c.rate for c in systems], "statements/s", mood.end(), notes=notes).save()
        await slow.close()
        await quick.close()
