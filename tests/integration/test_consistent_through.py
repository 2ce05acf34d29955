"""Consistent-Through: everything stored at or before it can be seen, no record is cut by it, it never goes back, and it moves on when nothing happens."""
import asyncio
import time
from uuid import uuid4

from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import connect
from tests.integration.projecting import append, fetch, projector, record, statement, until, until_folded

THROUGH = "select consistent_through()"


async def test_it_moves_on_within_two_seconds_when_nothing_is_written(database: str) -> None:
    log = MemoryLog(3)
    async with projector(database, log):
        before = (await fetch(database, THROUGH))[0][0]

        async def moved() -> bool:
            return bool((await fetch(database, THROUGH))[0][0] > before + 1_000_000)
        await until(moved, 4)


async def test_what_is_written_to_one_partition_is_behind_it_at_once_though_the_others_are_idle(database: str) -> None:
    log = MemoryLog(6)
    conn = await connect(database)
    waits = []
    async with projector(database, log):
        for n in range(10):
            id_ = uuid4()
            began = time.monotonic()
            await append(log, record(n % 6, statement(id_)))

            async def visible(id_: object = id_) -> bool:
                return bool(await conn.fetchval("select seq >> 8 <= consistent_through() from statement where id = $1", id_))
            await until(visible)
            waits.append(time.monotonic() - began)
    await conn.close()
    assert sorted(waits)[len(waits) // 2] < 0.5, waits


async def test_it_never_cuts_a_record_and_never_goes_back_while_all_partitions_write(database: str) -> None:
    log, done = MemoryLog(3), False
    conn = await connect(database)

    async def write(partition: int) -> None:
        for _ in range(60):
            await append(log, record(partition, *(statement(uuid4()) for _ in range(20))))
            await asyncio.sleep(0.005)  # noqa: TID251 - a poll with a deadline

    async def watch() -> int:
        seen = cuts = last = 0
        while not done:
            through = await conn.fetchval(THROUGH)
            assert through is None or through >= last
            last = through or 0
            rows = await conn.fetch("select count(*) as n from statement where seq >> 8 <= $1 group by raw is null, seq & 255", last)
            cuts += sum(row["n"] % 20 != 0 for row in rows)
            seen += 1
            await asyncio.sleep(0)  # noqa: TID251 - let the other task begin
        assert cuts == 0
        return seen

    async with projector(database, log):
        watching = asyncio.create_task(watch())
        await asyncio.gather(*map(write, range(3)))
        await until_folded(database, log)
        done = True
        assert await watching > 10
    await conn.close()


async def test_spans_of_records_of_several_statements_are_kept_until_it_has_passed_them(database: str) -> None:
    log = MemoryLog(2)
    async with projector(database, log):
        for _ in range(3):
            await append(log, record(0, statement(uuid4()), statement(uuid4())), record(1, statement(uuid4())))
            await until_folded(database, log)
        spans = await fetch(database, "select partition, last from record_span order by last")
        assert {row["partition"] for row in spans} == {0}

        async def pruned() -> bool:
            await append(log, record(0, statement(uuid4()), statement(uuid4())))
            await until_folded(database, log)
            return not await fetch(database, "select from record_span where last <= $1", spans[-1]["last"])
        await until(pruned)


async def test_a_log_with_one_partition_keeps_no_spans(database: str) -> None:
    log = MemoryLog(1)
    await append(log, record(0, statement(uuid4()), statement(uuid4())))
    async with projector(database, log):
        await until_folded(database, log)
        assert await fetch(database, "select from record_span") == []
