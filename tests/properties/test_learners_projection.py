"""The learners projection is a function of the set of records: every order, every cut into runs and partitions ends in the same tables, which say what
the reference fold says."""
import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.projector.projections.learners import LearnersProjection
from services.runtime.postgres import connect
from tests import reference_fold
from tests.folding import CACHES, HASHES, TABLES, At, apply, clear, copies_of, dump, folding, links_of, run_of, transcripts
from tests.properties.records import PARTITIONS, ledger_sets, record_sets, runs_of

pytestmark = pytest.mark.timeout(1800 if os.environ.get("TESTAMUR_SOAK") else 300)
MANY = 1000 if os.environ.get("TESTAMUR_SOAK") else 40
EXAMPLES = settings(max_examples=MANY, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
SMALL_BLOCKS = 2


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run one example to its end; hypothesis calls examples outside any event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(work)


def assert_same(found: reference_fold.Transcripts, records: list[At]) -> None:
    expected = reference_fold.fold(copies_of(records), links_of(records))
    assert found.people == expected.people
    assert found.names == expected.names
    assert found.activities == expected.activities
    assert found.entries == expected.entries


@EXAMPLES
@given(data=st.data())
def test_any_order_and_any_runs_end_in_the_tables_that_the_reference_fold_says(database: str, data: st.DataObject) -> None:
    records = data.draw(record_sets(ledger=True))
    one, other = data.draw(runs_of(records)), data.draw(runs_of(records))

    async def work() -> None:
        projection = LearnersProjection(HASHES)
        small = LearnersProjection(HASHES, most_rows=SMALL_BLOCKS)
        async with folding(database, projection) as connection:
            tables = []
            for by, runs in ((projection, [records]), (projection, one), (small, other)):
                await clear(connection)
                for run in runs:
                    await apply(connection, by, run)
                tables.append(await dump(connection))
                assert_same(await transcripts(connection), records)
            assert tables[0] == tables[1] == tables[2]

    complete(work())


@EXAMPLES
@given(data=st.data())
def test_partitions_folded_at_the_same_time_end_in_the_tables_that_one_fold_makes(database: str, data: st.DataObject) -> None:
    records = data.draw(record_sets(ledger=True))
    of_partition = [[record for record in records if record.seq & 0xFF == partition] for partition in range(PARTITIONS)]
    runs = [data.draw(runs_of(each)) if each else [] for each in of_partition]

    async def worker(mine: list[list[At]]) -> None:
        projection = LearnersProjection(HASHES, most_rows=SMALL_BLOCKS)
        async with folding(database, projection) as connection:
            for run in mine:
                await apply(connection, projection, run)

    async def work() -> None:
        projection = LearnersProjection(HASHES)
        async with folding(database, projection) as connection:
            await clear(connection)
            await asyncio.gather(*map(worker, runs))
            together = await dump(connection)
            assert_same(await transcripts(connection), records)
            await clear(connection)
            await apply(connection, projection, records)
            assert await dump(connection) == together

    complete(work())


@EXAMPLES
@given(data=st.data())
def test_records_of_the_ledger_folded_in_any_order_and_from_any_partitions_make_the_rows_of_their_one_order(database: str, data: st.DataObject) -> None:
    records = data.draw(ledger_sets())
    runs = data.draw(runs_of(records))

    async def work() -> None:
        projection = LearnersProjection(HASHES)
        async with folding(database, projection) as connection:
            tables = []
            for each in ([[record] for record in records], runs):
                await clear(connection)
                for run in each:
                    await apply(connection, projection, run)
                tables.append(await dump(connection))
            assert tables[0] == tables[1]

    complete(work())


@settings(EXAMPLES, max_examples=15)
@given(data=st.data())
def test_a_run_that_was_rolled_back_anywhere_leaves_nothing(database: str, data: st.DataObject) -> None:
    records = data.draw(record_sets(ledger=True, most=10))

    async def work() -> None:
        projection = LearnersProjection(HASHES)
        async with folding(database, projection) as connection:
            await clear(connection)
            before = await dump(connection)
            transaction = connection.transaction()
            await transaction.start()
            await projection.apply(connection, run_of(records))
            await transaction.rollback()
            assert await dump(connection) == before
            await apply(connection, projection, records)
            assert_same(await transcripts(connection), records)

    complete(work())


def test_the_projection_s_tables_are_those_that_are_compared(database: str) -> None:
    async def work() -> None:
        connection = await connect(database)
        try:
            rows = await connection.fetch("select tablename from pg_tables where schemaname = 'learners_1'")
        finally:
            await connection.close(timeout=5)
        assert {row["tablename"] for row in rows} == {*TABLES, *CACHES}

    complete(work())
