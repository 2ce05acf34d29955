"""What folds and deciders ask at each turn reads what it needs and no more, though it was planned while the tables were empty and they have grown since.

Between two visits of autovacuum tables grow by thousands of rows; a plan that reads them all makes everything else wait longer the more there are.
"""
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest
import pytest_asyncio

from services.projector.decider import batch, sweeps, under_way
from services.projector.projections import learners_ledger, learners_wakes
from services.projector.projections.learners import LearnersProjection
from services.runtime.evaluation import load
from services.runtime.migrate import fingerprint_of
from tests.folding import HASHES, folding
from tests.integration.deciding import decider_connection

Connection = asyncpg.Connection
MANY, FEW = 3000, 100
NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"
GROWN = f"""
    insert into testamur.tenant (id, name) overriding system value values (1, 'grown') on conflict do nothing;
    insert into learners_1.ifi (tenant_id, key, identity, agent, has_mbox, learner, linked, folded, grams)
        select 1, md5(n::text)::uuid, n, '', false, md5(n::text)::uuid, false, '', '{{}}' from generate_series(1, {MANY}) n;
    insert into learners_1.learner (tenant_id, id) select 1, md5(n::text)::uuid from generate_series(1, {MANY}) n;
    insert into learners_1.decision (tenant_id, seq, id, kind, matter, ifi, n, k, state, accepted, since, version, rule, known_at, body)
        select 1, n << 8, gen_random_uuid(), 'programme', 'https://example.org/p', md5(n::text)::uuid, 1, 1, 'issued', true, 1, 1, '', 1, '{{}}'
        from generate_series(1, {MANY}) n;
    insert into testamur.wake select 1, md5(n::text)::uuid, n, {NOBODY}, n, null, null from generate_series(1, {MANY}) n;
    insert into testamur.under_way (tenant_id, id, ifis, key, partition, value, sent, folded)
        select 1, md5(n::text)::uuid, '{{}}', '', 0, repeat('x', 500)::bytea, now(), case when n > {MANY // 2} then (1000000 + n)::bigint << 8 end
        from generate_series(1, {MANY}) n;
"""


class Asked(NamedTuple):
    """A statement of somebody's session, and its arguments as SQL."""

    text: str
    arguments: str
    folds: bool = False


TEN = "array[" + ",".join(f"md5('{n}')::uuid" for n in range(1, 11)) + "]"
ASKED = {
    "the last awards of ten IFIs in a matter": Asked(
        learners_ledger._sql.heads,
        f"array_fill(1, array[10]), {TEN}, array_fill('programme'::text, array[10]), array_fill('https://example.org/p'::text, array[10]), "
        "array_fill(1000000000::bigint, array[10])", folds=True),
    "decisions under way that are folded": Asked(
        learners_wakes._sql.folded, f"array_fill(1, array[10]), {TEN}, array_fill(1::bigint, array[10])", folds=True),
    "who ten IFIs are": Asked(load._sql.members, f"1, {TEN}, 1000000000"),
    "the next page of learners": Asked(sweeps._sql.page, "1, 'f0000000-0000-0000-0000-000000000000', 10"),
    "decisions that T has passed": Asked(under_way._sql.settle, "0, 1000"),
    "decisions left behind": Asked(under_way._sql.left_behind, "'5 s', 1000, now() - interval '1 minute'"),
    "what there is to do": Asked(batch._sql.look, f"'{fingerprint_of('learners')}', 5"),
    "whom to judge": Asked(batch._sql.claim, "1, 20, 2000, 200, array[]::uuid[]"),
}


@pytest_asyncio.fixture
async def sessions(database: str) -> AsyncIterator[dict[bool, "Connection[asyncpg.Record]"]]:
    """A session as the fold has, and one as deciders have, that plan each statement once."""
    async with folding(database, LearnersProjection(HASHES)) as fold, decider_connection(database) as decider:
        for conn in (fold, decider):
            await conn.execute("set plan_cache_mode = force_generic_plan")
        yield {True: fold, False: decider}


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for each in plan.get("Plans", ()) for node in _nodes(each))]


@pytest.mark.parametrize("name", ASKED)
async def test_a_plan_made_while_tables_were_empty_reads_little_of_them_when_they_have_grown(
    sessions: dict[bool, "Connection[asyncpg.Record]"], name: str,
) -> None:
    asked = ASKED[name]
    conn = sessions[asked.folds]
    await conn.execute(f"prepare asked as {asked.text}")
    await conn.execute("insert into testamur.projection_cursor (name, version, partition, log_id, last_stored) "
                       "values ('learners', 1, 0, gen_random_uuid(), 1000) on conflict do nothing")
    async with conn.transaction():
        await conn.fetch(f"explain execute asked({asked.arguments})")
        await conn.execute(GROWN)
        [[plan]] = await conn.fetch(f"explain (analyze, timing off, format json) execute asked({asked.arguments})")
    tables = [node for node in _nodes(orjson.loads(plan)[0]["Plan"]) if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    assert tables, plan
    read = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in tables)
    assert read < FEW, [(node["Relation Name"], node.get("Index Name"), node.get("Index Cond"), node["Actual Rows"], node["Actual Loops"]) for node in tables]
