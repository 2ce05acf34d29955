"""The searchable store: which copy of an id stands, which voids are in force, what a statement is found by, in whatever order all that arrives."""
import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.core.keys import key64
from services.core.statement_keys import Via
from services.core.timeline import NO_SEQ
from services.projector.projections.statements import StatementsProjection
from services.projector.run import Run
from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import connect
from tests.integration.folding import fold_statements, place
from tests.integration.projecting import AUTHORITY, OTHER_AUTHORITY, fetch, projector, record, statement, until_folded, voiding

GROUP = {"objectType": "Group", "mbox": "mailto:team@example.org", "member": [
    {"mbox": "mailto:ada@EXAMPLE.org"}, {"account": {"homePage": "https://a.example", "name": "b"}}]}


def refer(id_: UUID, target: UUID, **more: Any) -> bytes:
    """Return the bytes of a statement about another."""
    return statement(id_, object={"objectType": "StatementRef", "id": str(target)}, **more)


async def row(dsn: str, id_: UUID) -> dict[str, Any]:
    """Return the row of a statement."""
    return dict((await fetch(dsn, "select * from statement where id = $1", id_))[0])


async def test_a_row_holds_the_senders_bytes_and_the_keys_it_is_found_by(database: str) -> None:
    id_, registration = uuid4(), uuid4()
    raw = statement(id_, context={"registration": str(registration)}, result={"score": {"scaled": 0.5}}).replace(b"0.5", b"0.50")
    await fold_statements(database, [record(0, raw)])
    found = await row(database, id_)
    assert found["raw"] == raw
    assert found["registration"] == registration
    assert found["actor"] == key64("mbox:mailto:ada@example.org")
    assert found["verb"] == key64("https://example.org/verbs/did")
    assert found["activity"] == key64("https://example.org/course")
    assert (found["version"], found["voided"], found["voiding"]) == ("1.0.0", None, None)


async def test_members_of_groups_and_agents_in_the_object_are_found_besides_the_actor(database: str) -> None:
    one, other = uuid4(), uuid4()
    await fold_statements(database, [record(0, statement(one), statement(other, object={**GROUP}))])
    agents = {(entry["id"], entry["agent"]) for entry in await fetch(database, "select id, agent from statement_agent join statement using (tenant_id, seq)")}
    assert agents == {(other, key64("mbox:mailto:team@example.org")), (other, key64("account:https://a.example b"))}  # ada is the actor already
    assert (await row(database, other))["activity"] is None


async def test_agents_and_activities_in_the_context_are_found_as_related_once_each(database: str) -> None:
    id_ = uuid4()
    course = "https://example.org/course"  # its object
    module = {"id": "https://example.org/module"}
    context = {"instructor": GROUP, "contextActivities": {"parent": module, "other": [{"id": course}, module]}}
    await fold_statements(database, [record(0, statement(id_, activity=course, context=context))])
    seq = (await row(database, id_))["seq"]
    agents = await fetch(database, "select agent, related, seq from statement_agent")
    assert {tuple(each) for each in agents} == {
        (key64("mbox:mailto:team@example.org"), True, seq), (key64("account:https://a.example b"), True, seq)}  # ada is the actor already
    assert [tuple(each) for each in await fetch(database, "select activity, seq from related_activity")] == [(key64("https://example.org/module"), seq)]


@pytest.mark.parametrize("order", [1, -1])
async def test_who_refers_to_a_statement_has_its_keys_from_when_all_on_the_way_is_there(database: str, order: int) -> None:
    far, near, target = (uuid4() for _ in range(3))
    batches = [
        [record(0, refer(far, near), stored=1000)], [record(1, statement(target), stored=2000, authority=OTHER_AUTHORITY)],
        [record(2, refer(near, target), stored=3000)]]
    await fold_statements(database, *batches[::order])
    rows = await fetch(database, "select seq >> 8 as stored, hops, whole >> 8 as whole, kind from statement_via where key = any($1) order by seq, hops, kind", [
        key64("https://example.org/course"), key64("account:https://lrs.example.org another tool")])
    assert {tuple(each) for each in rows} == {
        (1000, 2, 3000, Via.ACTIVITY), (1000, 2, 3000, Via.RELATED_ACTIVITY), (1000, 2, 3000, Via.RELATED_AGENT),
        (3000, 1, 2000, Via.ACTIVITY), (3000, 1, 2000, Via.RELATED_ACTIVITY), (3000, 1, 2000, Via.RELATED_AGENT), (3000, 1, 2000, Via.AUTHORITY)}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("members", [40, 500])
async def test_who_refers_to_large_groups_has_a_bounded_number_of_rows_the_nearest_first(database: str, members: int, order: int) -> None:
    team = {"objectType": "Group", "member": [{"mbox": f"mailto:member{n}@example.org"} for n in range(members)]}
    context = {"registration": str(uuid4()), "team": team}
    chain = [uuid4() for _ in range(17)]
    large = [refer(one, target, context=context) for one, target in pairwise(chain)] + [statement(chain[-1], context=context)]
    referring = [refer(uuid4(), chain[0]) for _ in range(3)]
    await fold_statements(database, *[[record(n % 3, raw, stored=1000 + n)] for n, raw in enumerate(referring + large)][::order])
    rows = await fetch(database, "select seq >> 8 as stored, kind, hops from statement_via where seq < 1003 << 8")
    assert len(rows) == len(referring) * (16 * 6 + 64)  # actor and authority twice each, verb, registration; and members
    assert {tuple(each) for each in rows if each["kind"] == Via.REGISTRATION} == {
        (1000 + n, Via.REGISTRATION, hops) for n in range(3) for hops in range(1, 17)}
    related = Counter(each["hops"] for each in rows if each["kind"] == Via.RELATED_AGENT)
    nearest = min(members, 64)
    assert (related[1], related[2], related[3]) == (3 * (2 + nearest), 3 * (2 + 64 - nearest), 3 * 2)


async def test_a_copy_that_falls_takes_what_it_is_found_by_with_it(database: str) -> None:
    id_, target, referring = (uuid4() for _ in range(3))
    late = refer(id_, target, context={"instructor": GROUP, "contextActivities": {"parent": {"id": "https://example.org/module"}}})
    await fold_statements(
        database, [record(0, statement(target, actor="bo"), stored=500)], [record(1, late, stored=2000)], [record(0, refer(referring, id_), stored=3000)],
        [record(2, statement(id_, actor="cy"), stored=1000)])
    assert await fetch(database, "select from statement_agent") == await fetch(database, "select from related_activity") == []
    agents = await fetch(database, "select seq >> 8 as stored, key from statement_via where kind = $1", int(Via.AGENT))
    assert [tuple(each) for each in agents] == [(3000, key64("mbox:mailto:cy@example.org"))]


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_copies_the_one_stored_first_stands_whichever_is_folded_first(database: str, first: int) -> None:
    id_, target = uuid4(), uuid4()
    early, late = record(0, voiding(id_, target), stored=1000), record(1, statement(id_, object={**GROUP}), stored=2000)
    batches = [[early], [late]]
    conflicts = await fold_statements(database, batches[first], batches[1 - first], [record(0, statement(target), stored=3000)])
    assert conflicts == 1
    assert (await row(database, id_))["raw"] == voiding(id_, target)
    assert (await row(database, target))["voided"] == 1000 << 8
    assert await fetch(database, "select from statement_agent") == []
    lost = (await fetch(database, "select seq, stands from conflict"))[0]
    assert (lost["seq"], lost["stands"]) == (2000 << 8 | 1, 1000 << 8)


async def test_a_void_falls_with_the_copy_that_said_it(database: str) -> None:
    id_, target, second = uuid4(), uuid4(), uuid4()
    await fold_statements(
        database, [record(0, statement(target), stored=500)], [record(1, voiding(id_, target), stored=2000)],
        [record(1, voiding(second, target), stored=3000)], [record(0, statement(id_), stored=1000)])
    assert (await row(database, target))["voided"] == 3000 << 8 | 1
    assert [void["voiding"] for void in await fetch(database, "select voiding from void")] == [second]


async def test_an_equal_copy_is_no_conflict(database: str) -> None:
    id_ = uuid4()
    assert await fold_statements(database, [record(0, statement(id_)), record(0, statement(id_))], [record(0, statement(id_))]) == 0
    assert await fetch(database, "select from conflict") == []


async def test_a_void_is_in_force_by_the_same_authority_or_one_that_may_void_and_never_on_a_void(database: str) -> None:
    plain, foreign, trusted, void = (uuid4() for _ in range(4))
    await fold_statements(
        database, [record(0, *map(statement, (plain, foreign, trusted)))],
        [record(0, voiding(void, plain), authority=AUTHORITY), record(0, voiding(uuid4(), foreign), authority=OTHER_AUTHORITY)],
        [record(0, voiding(uuid4(), trusted), authority=OTHER_AUTHORITY, scopes=["lrs:void"]), record(0, voiding(uuid4(), void), scopes=["lrs:admin"])])
    assert (await row(database, plain))["voided"] is not None
    assert (await row(database, foreign))["voided"] is None
    assert (await row(database, trusted))["voided"] is not None
    assert (await row(database, void))["voided"] is None


async def test_a_target_that_is_not_there_is_a_phantom_that_no_list_shows(database: str) -> None:
    target = uuid4()
    await fold_statements(database, [record(0, voiding(uuid4(), target))])
    found = await row(database, target)
    assert (found["seq"], found["raw"], found["fp"]) == (NO_SEQ, None, None)


async def test_an_authority_keeps_the_words_of_its_first_statement(database: str) -> None:
    later, earlier = {**AUTHORITY, "name": "Later"}, {**AUTHORITY, "name": "Earlier"}
    await fold_statements(
        database, [record(1, statement(uuid4()), authority=later, stored=2000)], [record(0, statement(uuid4()), authority=earlier, stored=1000)])
    agents = await fetch(database, "select agent, seq from authority")
    assert [(b'"Earlier"' in one["agent"], one["seq"]) for one in agents] == [(True, 1000 << 8)]


async def test_conflicts_are_counted_in_the_cursor_for_those_who_wait(database: str) -> None:
    log, id_ = MemoryLog(1), uuid4()
    await log.append([record(0, statement(id_)), record(0, statement(id_, actor="bo")), record(0, statement(id_, actor="cy"))])
    async with projector(database, log):
        await until_folded(database, log)
    conn = await connect(database)
    assert await conn.fetchval("select conflicts from projection_cursor where name = 'statements'") == 2
    await conn.close()


async def test_what_a_crash_of_postgres_took_back_is_written_again_though_it_was_seen_before(database: str) -> None:
    projection = StatementsProjection()
    runs = [items for one in ([record(0, statement(uuid4()))], [record(0, statement(uuid4()))]) for items in place(one, {}).values()]

    async def fold() -> None:
        conn = await connect(database, search_path="statements_1, testamur")
        await projection.prepare(conn)
        for items in runs:
            async with conn.transaction():
                await projection.apply(conn, Run(items))
        await conn.close()

    await fold()
    before = await fetch(database, "select * from authority")
    conn = await connect(database)
    await conn.execute("truncate statements_1.statement, statements_1.authority")  # its commits do not wait for the disk
    await conn.close()
    await fold()
    assert await fetch(database, "select * from authority") == before


async def test_a_reference_that_falls_leaves_nothing_behind_while_what_it_led_to_arrives(database: str) -> None:
    one, target = uuid4(), uuid4()
    await fold_statements(database, [record(2, refer(one, target), stored=30_000)])
    conn = await connect(database, search_path="statements_1, testamur")
    try:
        projection = StatementsProjection()
        await projection.prepare(conn)
        async with conn.transaction():
            await projection.apply(conn, Run(place([record(0, statement(target, object=GROUP), stored=40_000)], {})[0]))
            falling = asyncio.create_task(fold_statements(database, [record(1, statement(one), stored=20_000)]))
            await asyncio.wait({falling}, timeout=0.5)  # it finds the target locked
        await falling
    finally:
        await conn.close()
    assert (await row(database, one))["refers"] is None
    assert await fetch(database, "select * from statement_via") == []
