"""The searchable store is determined by the set of statements: any order of partitions, any cut into runs, and repeated copies give the same rows."""
import asyncio
from random import Random
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.projector.checksum import checksum
from services.runtime.log import NewRecord
from services.runtime.migrate import create_version
from services.runtime.postgres import connect
from tests.integration.folding import fold_statements
from tests.integration.projecting import AUTHORITY, OTHER_AUTHORITY, record, statement, voiding
from tests.servers.postgres import run_now

Sent = tuple[int, list[bytes], dict[str, object], tuple[str, ...]]
IDS = [UUID(int=n) for n in range(1, 6)]
GROUP = {"objectType": "Group", "mbox": "mailto:team@example.org", "member": [{"mbox": "mailto:bo@example.org"}]}

plain = st.builds(lambda id_, actor: statement(id_, actor=actor), st.sampled_from(IDS), st.sampled_from(["ada", "bo"]))
grouped = st.builds(lambda id_: statement(id_, object=GROUP), st.sampled_from(IDS))
voids = st.builds(voiding, st.sampled_from(IDS), st.sampled_from(IDS))
references = st.builds(
    lambda id_, target: statement(id_, object={"objectType": "StatementRef", "id": str(target)}), st.sampled_from(IDS), st.sampled_from(IDS))
in_context = st.builds(
    lambda id_, context: statement(id_, context=context), st.sampled_from(IDS),
    st.sampled_from([{"instructor": GROUP}, {"contextActivities": {"parent": {"id": "https://example.org/module"}}}]))
sent = st.tuples(
    st.integers(0, 2), st.lists(st.one_of(plain, grouped, in_context, references, references, voids), min_size=1, max_size=3),
    st.sampled_from([AUTHORITY, OTHER_AUTHORITY, {**AUTHORITY, "name": "Tool"}]), st.sampled_from([("statements/write",), ("lrs:void",)]))


def records_of(history: list[Sent]) -> list[NewRecord]:
    """Return records in the order of the log, each in its place."""
    return [record(one[0], *one[1], authority=one[2], scopes=one[3], stored=1000 * (n + 1)) for n, one in enumerate(history)]


async def fold_and_sum(dsn: str, *queues: list[list[NewRecord]], together: bool = False) -> dict[str, str]:
    """Fold batches into version 2, made anew, all queues of them at once, and return its checksums. Who is the victim of a deadlock tries again."""
    conn = await connect(dsn)
    try:
        await conn.execute("drop schema if exists statements_2 cascade; delete from projection where name = 'statements' and version = 2")
        await create_version(conn, "statements", 2)
        await asyncio.gather(*(fold_queue(dsn, batches, together=together) for batches in queues))
        return await checksum(conn, "statements", 2)
    finally:
        await conn.close()


async def fold_queue(dsn: str, batches: list[list[NewRecord]], *, together: bool) -> None:
    """Fold batches of statements, one after the other."""
    for batch in batches:
        for attempt in range(10):
            try:
                await fold_statements(dsn, batch, version=2, together=together)
                break
            except asyncpg.DeadlockDetectedError:
                assert attempt < 9


@pytest.mark.timeout(240)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(sent, min_size=1, max_size=8), chance=st.randoms(use_true_random=False))
def test_any_order_and_any_runs_give_the_same_rows(database: str, history: list[Sent], chance: Random) -> None:
    records = records_of(history)
    queues = {partition: [one for one in records if one.partition == partition] for partition in range(3)}
    batches: list[list[NewRecord]] = []
    while any(queues.values()):
        queue = chance.choice([queue for queue in queues.values() if queue])
        cut = chance.randint(1, len(queue))
        batches.append(queue[:cut])
        del queue[:cut]
    in_order = run_now(lambda: fold_and_sum(database, [[one] for one in records]))
    assert run_now(lambda: fold_and_sum(database, batches)) == in_order
    assert run_now(lambda: fold_and_sum(database, [records])) == in_order
    assert run_now(lambda: fold_and_sum(database, [records], together=True)) == in_order


@pytest.mark.timeout(240)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(sent, min_size=2, max_size=8))
def test_partitions_folded_at_once_give_the_same_rows(database: str, history: list[Sent]) -> None:
    records = records_of(history)
    queues = [[[one] for one in records if one.partition == partition] for partition in range(3)]
    in_order = run_now(lambda: fold_and_sum(database, [[one] for one in records]))
    assert run_now(lambda: fold_and_sum(database, *queues)) == in_order
