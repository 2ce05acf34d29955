"""Rules of the log in Postgres that no other log has to keep: how it settles what is unknown, and what it does about damage to its tables."""
import asyncio
from collections.abc import AsyncIterator

import pytest

from services.core.errors import Halted, LogUnavailable, Overloaded
from services.core.timeline import micros
from services.runtime.log import Log, WrongLog
from services.runtime.log.postgres_log import PostgresLog, open_postgres_log
from services.runtime.postgres import connect
from tests.contract.log_cases import MAX_BYTES, LogKind, names, place_all, record
from tests.servers.cutter import cutter
from tests.servers.postgres import MakePostgres, OwnPostgres


@pytest.fixture
async def log(database: str) -> AsyncIterator[PostgresLog]:
    opened = await open_postgres_log(database)
    yield opened
    await opened.close()


@pytest.fixture
async def own(make_postgres: MakePostgres) -> OwnPostgres:
    return await make_postgres(durable=True)


async def stored_names(log: Log) -> list[str]:
    return [name for placed in await place_all(log) for name in names(placed)]


@pytest.mark.parametrize("what", ["answer", "request"])
async def test_an_append_whose_connection_was_cut_is_written_once_and_acknowledged(own: OwnPostgres, what: str) -> None:
    async with cutter(own.dsn) as proxy:
        log = await open_postgres_log(proxy.dsn)
        await log.append([record(0, "before")])
        proxy.cut(what, b"the-marked-one")  # type: ignore[arg-type]
        positions = await asyncio.gather(*(log.append([record(0, name)]) for name in ("the-marked-one", "neighbour")))

        assert proxy.cuts
        assert sorted(await stored_names(log)) == ["before", "neighbour", "the-marked-one"]
        assert names((await place_all(log))[positions[0][0].offset]) == ["the-marked-one"]
        await log.close()


async def test_no_acknowledged_record_is_lost_when_all_of_postgres_is_killed_under_load(own: OwnPostgres) -> None:
    log = await open_postgres_log(own.dsn)
    acked: dict[str, int] = {}
    stop = asyncio.Event()

    async def write(task: int) -> None:
        while not stop.is_set():
            name = f"{task}-{len(acked)}"
            try:
                (position,) = await log.append([record(0, name)])
                acked[name] = position.offset
            except LogUnavailable:
                await asyncio.sleep(0.01)  # noqa: TID251 - a client's back-off

    async with asyncio.TaskGroup() as group:
        for task in range(16):
            group.create_task(write(task))
        for _ in range(3):
            await asyncio.sleep(0.4)  # noqa: TID251 - load between two faults
            own.kill9()
            await own.restart()
        await asyncio.sleep(0.4)  # noqa: TID251 - load between two faults
        stop.set()
    placed = await place_all(log)
    assert len(acked) > 100
    assert all(names(placed[offset]) == [name] for name, offset in acked.items())
    await log.close()


async def test_a_frozen_process_does_not_hold_the_head(own: OwnPostgres) -> None:
    holder = await connect(own.dsn, idle_in_transaction_s=2)
    await holder.execute("begin")
    await holder.execute("update log_head set next_offset = next_offset")
    log = await open_postgres_log(own.dsn)

    async with asyncio.timeout(8):
        await log.append([record()])
    holder.terminate()
    await log.close()


async def test_too_many_waiting_bytes_are_refused_at_once(database: str) -> None:
    opened = await open_postgres_log(database)
    log = PostgresLog(database, opened.log_id, 1, max_pending_bytes=1000)
    results = await asyncio.gather(*(log.append([record(0, "x" * 100)]) for _ in range(20)), return_exceptions=True)

    refused = [result for result in results if isinstance(result, Overloaded)]
    assert refused
    assert {result.outcome for result in refused} == {"rejected"}
    assert len(await place_all(log)) == 1 + 20 - len(refused)
    await log.close()
    await opened.close()


async def test_a_cancelled_append_that_still_waits_is_not_written(database: str) -> None:
    log = await open_postgres_log(database)
    blocker = await connect(database)
    async with blocker.transaction():
        await blocker.execute("select from log_head for update")
        first = asyncio.create_task(log.append([record(0, "first")]))
        await asyncio.sleep(0.1)  # noqa: TID251 - let the append reach the blocked writer
        second = asyncio.create_task(log.append([record(0, "second")]))
        await asyncio.sleep(0.1)  # noqa: TID251 - let the append reach the blocked writer
        second.cancel()
    await first

    assert await stored_names(log) == ["first"]
    await blocker.close()
    await log.close()


async def test_a_head_in_the_future_keeps_stored_rising(database: str, log: PostgresLog) -> None:
    connection = await connect(database)
    ahead = await connection.fetchval("update log_head set last_stored = last_stored + 3600000000 returning last_stored")
    await log.append([record(0, "a", "b"), record(0, "c")])

    assert (await log.tick([0]))[0].stored == ahead + 3
    assert [(each.first, each.last) for each in (await place_all(log))[1:]] == [(ahead + 1, ahead + 2), (ahead + 3, ahead + 3)]
    await connection.close()


async def test_a_tick_is_as_late_as_the_database_clock(database: str, log: PostgresLog) -> None:
    connection = await connect(database)
    before = micros(await connection.fetchval("select clock_timestamp()"))
    [end] = await log.tick([0])

    assert end.stored is not None
    assert before <= end.stored <= micros(await connection.fetchval("select clock_timestamp()"))
    await connection.close()


@pytest.mark.parametrize(("damage", "offset"), [
    ('delete from log_record where "offset" = 2', 1),
    ('delete from log_record where "offset" >= 2', 2),
    ("update log_head set next_offset = 1; delete from log_record", 2),
])
async def test_a_damaged_table_halts(database: str, log: PostgresLog, damage: str, offset: int) -> None:
    await log.append([record() for _ in range(3)])
    connection = await connect(database)
    await connection.execute(damage)

    with pytest.raises(Halted):
        await log.read(0, offset, max_records=5, max_bytes=MAX_BYTES, wait_s=5)
    await connection.close()


async def test_a_lost_listening_connection_costs_a_moment_not_a_record(database: str, log: PostgresLog) -> None:
    await log.read(0, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=0.3)
    connection = await connect(database)
    reading = asyncio.create_task(log.read(0, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=20))
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'testamur tail' and datname = current_database()")
    other = await open_postgres_log(database)
    await other.append([record()])

    async with asyncio.timeout(5):
        assert [each.offset for each in await reading] == [1]
    await connection.close()
    await other.close()


async def test_the_number_of_partitions_is_fixed_when_the_log_is_made(database: str) -> None:
    kind = LogKind("postgres", database, {"kafka": None, "partitions": 3})
    assert (await kind.open()).partitions == 3

    with pytest.raises(WrongLog, match="has 3 partitions"):
        await open_postgres_log(database, 2)
    same = await open_postgres_log(database)
    assert same.partitions == 3
    await same.close()
    await kind.close()


async def test_a_database_that_knows_a_kafka_log_is_refused(database: str) -> None:
    connection = await connect(database)
    await connection.execute("insert into log_identity (log_id, kind, partitions) values (gen_random_uuid(), 'kafka', 12)")

    with pytest.raises(WrongLog, match="Kafka"):
        await open_postgres_log(database)
    await connection.close()
