"""Workers fold what is appended, share the cursors, take over from the dead, stand still where a record must not be skipped, and set aside what fails."""
import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.core.timeline import seq_of
from services.projector import worker
from services.projector.commit import open_connection
from services.projector.cursor import Step, acquire, advance, clear_halt, free_leases
from services.projector.projections.statements import StatementsProjection
from services.projector.run import Connection, Projection, RecordAt, Run, StatementAt
from services.projector.worker import LEAST_APART_S
from services.runtime.log import NewRecord
from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import connect
from services.runtime.visibility import Visibility
from tests.integration.deciding import link
from tests.integration.projecting import append, fetch, projector, record, statement, until, until_folded, voiding


async def test_what_is_appended_is_folded_and_a_void_finds_its_target_in_any_order(database: str) -> None:
    log, target, early, late = MemoryLog(1), uuid4(), uuid4(), uuid4()
    await append(log, record(0, statement(uuid4()), statement(target)), record(0, voiding(uuid4(), target)), record(0, voiding(uuid4(), early)))
    async with projector(database, log):
        await append(log, record(0, statement(early), statement(late)))
        await until_folded(database, log)
        rows = {row["id"]: row["voided"] for row in await fetch(database, "select id, voided from statement where raw is not null")}
        assert len(rows) == 6
        assert rows[target] is not None
        assert rows[early] is not None
        assert rows[late] is None


async def test_two_projectors_share_the_cursors_and_one_takes_all_when_the_other_stops(database: str) -> None:
    log = MemoryLog(4)
    owners = "select owner, count(*)::int as n from projection_cursor where name = 'statements' and owner is not null group by owner"

    async def shared() -> bool:
        return sorted(row["n"] for row in await fetch(database, owners)) == [2, 2]

    async def alone() -> bool:
        return [row["n"] for row in await fetch(database, owners)] == [4]

    async with projector(database, log):
        async with projector(database, log):
            await until(shared)
        await until(alone)
        await append(log, *(record(partition, statement(uuid4())) for partition in range(4)))
        await until_folded(database, log)


async def test_the_leases_of_a_worker_known_to_be_dead_are_free_at_once(database: str) -> None:
    log, dead = MemoryLog(1), uuid4()
    async with projector(database, log):
        pass
    conn = await connect(database)
    await conn.execute("update projection_cursor set owner = $1, lease_until = clock_timestamp() + interval '1 hour' where name = 'statements'", dead)
    await free_leases(conn, dead)
    await conn.close()
    async with projector(database, log):
        await append(log, record(0, statement(uuid4())))
        await until_folded(database, log)


async def test_a_worker_frozen_in_the_middle_of_a_copy_does_not_keep_its_partition(database: str) -> None:
    log = MemoryLog(1)
    async with projector(database, log):
        pass
    conn = await connect(database)
    (cursor,) = await acquire(conn, uuid4(), ["statements"], 1)
    await conn.execute("update projection_cursor set lease_until = '-infinity'")
    await conn.close()
    frozen = await open_connection(database, cursor.name, cursor.version, cursor.owner)
    await frozen.execute("create temp table run_frozen (id uuid)")
    await frozen.execute("begin")
    await advance(frozen, [Step(cursor, cursor.position + 1, cursor.last_stored + 1, b"x")])
    stopped = asyncio.Event()
    copying = asyncio.create_task(frozen.copy_records_to_table("run_frozen", records=_rows_after(stopped)))
    async with projector(database, log, ready=False):
        await append(log, record(0, statement(uuid4())))
        await until_folded(database, log)
    stopped.set()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError, AttributeError)):  # asyncpg stumbles over the transport that is gone
        await copying
    assert frozen.is_closed()


async def _rows_after(event: asyncio.Event) -> AsyncIterator[tuple[UUID]]:
    """Give rows as late as a process does that was stopped for a while."""
    await event.wait()
    yield (uuid4(),)


async def test_a_partition_halts_at_a_record_whose_authority_is_nobody(database: str) -> None:
    log = MemoryLog(1)
    await append(log, record(0, statement(uuid4()), authority={"account": {}}))
    async with projector(database, log, ready=False):
        async def halted() -> Any:
            return await fetch(database, "select position, halted from projection_cursor where halted is not null and name = 'statements'")
        [row] = await until(halted)
        assert (row["position"], "authority" in row["halted"]) == (1, True)


async def test_a_partition_halts_at_a_record_it_cannot_read_the_others_go_on_and_it_goes_on_when_cleared(database: str) -> None:
    log = MemoryLog(2)
    bad = NewRecord(0, b"", b'{"v":99,"kind":"statements"}')
    await append(log, record(0, statement(uuid4())), bad, record(0, statement(uuid4())))
    async with projector(database, log, ready=False):
        async def halted() -> Any:
            return await fetch(database, "select position, halted from projection_cursor where halted is not null and name = 'statements'")
        rows = await until(halted)
        assert [(row["position"], "version 99 is unknown" in row["halted"]) for row in rows] == [(2, True)]
        await append(log, record(1, statement(uuid4())))

        async def other() -> bool:
            return bool(await fetch(database, "select from statement where seq & 255 = 1"))
        await until(other)
        good = record(0, statement(uuid4()))
        damaged = log._partitions[0].records
        damaged[2] = type(damaged[2])(0, 2, damaged[2].timestamp, good.value)
        conn = await connect(database)
        assert await clear_halt(conn, "statements", 0) == [("statements", 0)]
        await conn.close()
        await until_folded(database, log)


async def test_a_log_that_is_not_the_one_folded_halts(database: str) -> None:
    log = MemoryLog(1)
    await append(log, record(0, statement(uuid4())))
    async with projector(database, log):
        pass
    other = MemoryLog(1, log_id=log.log_id)
    await append(other, record(0, statement(uuid4())), record(0, statement(uuid4())))
    async with projector(database, other, ready=False):
        async def halted() -> Any:
            return await fetch(database, "select halted from projection_cursor where halted is not null")
        assert "another record here" in (await until(halted))[0]["halted"]


@dataclass(slots=True)
class Picky:
    """A projection that cannot fold some statements, and counts the rest in a table of its own."""

    refuses: UUID
    code_hash: str
    sets_aside: bool = True
    name: str = "statements"

    async def prepare(self, conn: Connection) -> None:
        """Make the table of what is folded."""
        await conn.execute("create table if not exists folded (id uuid primary key, seq bigint)")

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold, or raise."""
        await conn.executemany("insert into folded values ($1, $2)", [(item.id, item.seq) for item in run.items])
        if any(item.id == self.refuses for item in run.items):
            raise ZeroDivisionError("a fold that fails")
        return 0

    def blame(self, item: StatementAt | RecordAt) -> UUID | None:  # noqa: ARG002 - the protocol's
        """Name nobody."""
        return None


class Counting:
    """A projection that goes second, and counts its runs."""

    name, code_hash, sets_aside, runs = "learners", "counting", True, 0

    async def prepare(self, conn: Connection) -> None:
        """Need nothing."""

    async def apply(self, conn: Connection, run: Run) -> int:  # noqa: ARG002 - the protocol's
        """Count."""
        Counting.runs += bool(run.items)
        return 0

    def blame(self, item: StatementAt | RecordAt) -> UUID | None:  # noqa: ARG002 - the protocol's
        """Name nobody."""
        return None


async def test_a_statement_that_fails_is_set_aside_alone_and_other_code_folds_it_where_it_was(database: str) -> None:
    log, bad = MemoryLog(1), uuid4()
    ids = [uuid4() for _ in range(9)]
    ids[4] = bad
    await append(log, *(record(0, *(statement(id_) for id_ in ids[n:n + 3])) for n in range(0, 9, 3)))
    async with projector(database, log, projections=[Picky(bad, "one")]):
        rows = await fetch(database, 'select "offset", idx, reason, statement_id from dead_letter')
        assert [tuple(row) for row in rows] == [(2, 1, "ZeroDivisionError: a fold that fails", bad)]
        assert {row["id"] for row in await fetch(database, "select id from statements_1.folded")} == set(ids) - {bad}
    async with projector(database, log, projections=[Picky(uuid4(), "two")]):
        async def none_left() -> bool:
            return not await fetch(database, "select from dead_letter")
        await until(none_left)
        placed = {row["id"]: row["seq"] for row in await fetch(database, "select id, seq from statements_1.folded")}
        assert placed[bad] == seq_of((placed[ids[3]] >> 8) + 1, 0)


async def test_a_projection_that_must_not_skip_halts_at_the_record_after_folding_all_before_it(database: str) -> None:
    log, bad = MemoryLog(1), uuid4()
    await append(log, *(record(0, statement(id_)) for id_ in (uuid4(), uuid4(), bad, uuid4())))
    async with projector(database, log, projections=[Picky(bad, "one", sets_aside=False)], ready=False):
        async def halted() -> Any:
            return await fetch(database, "select position, halted from projection_cursor where halted is not null")
        assert [(row["position"], "ZeroDivisionError" in row["halted"]) for row in await until(halted)] == [(3, True)]


async def test_lost_connections_are_survived_and_nothing_is_folded_twice(database: str) -> None:
    log = MemoryLog(2)
    ours = "datname = current_database() and application_name like 'testamur projector%'"
    kill = f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}"
    async with projector(database, log):
        for _ in range(5):
            await append(log, *(record(n % 2, statement(uuid4())) for n in range(20)))
            await fetch(database, kill)
        await until_folded(database, log)
        assert (await fetch(database, "select count(*) from statement"))[0][0] == 100
        assert (await fetch(database, "select count(*) from conflict"))[0][0] == 0


@pytest.mark.parametrize("place", ["in_transaction", "before_commit", "after_commit"])
async def test_a_run_that_fails_anywhere_is_folded_once(database: str, place: str) -> None:
    log, target = MemoryLog(1), uuid4()
    await append(log, record(0, statement(target)), record(0, voiding(uuid4(), target)), record(0, statement(target, actor="bo")))
    async with projector(database, log, failpoints=f"projector.{place}=error"):
        await append(log, record(0, statement(uuid4())))
        await until_folded(database, log)
        assert (await fetch(database, "select count(*) from statement"))[0][0] == 3
        assert (await fetch(database, "select conflicts from projection_cursor where name = 'statements'"))[0][0] == 1


async def test_a_run_over_several_partitions_goes_on_without_the_one_that_was_lost(database: str) -> None:
    log, thief = MemoryLog(4), uuid4()
    async with projector(database, log, projections=[StatementsProjection()]):
        conn = await connect(database)
        await conn.execute(
            "update projection_cursor set owner = $1, epoch = epoch + 1, lease_until = clock_timestamp() + interval '1 hour' where partition = 2", thief)
        await append(log, *(record(partition, statement(uuid4()), statement(uuid4())) for partition in range(4)))

        async def others() -> bool:
            return {row[0] for row in await fetch(database, "select distinct (seq & 255)::int from statement")} == {0, 1, 3}
        await until(others)
        assert await conn.fetchval("select position from projection_cursor where partition = 2") == 1
        await free_leases(conn, thief)
        await conn.close()
        await until_folded(database, log)
        assert (await fetch(database, "select count(*) from statement"))[0][0] == 8


async def test_of_a_run_over_several_partitions_only_the_one_at_fault_halts(database: str) -> None:
    log, bad = MemoryLog(3), uuid4()
    await append(log, *(record(n % 3, statement(bad if n == 4 else uuid4())) for n in range(9)))
    async with projector(database, log, projections=[Picky(bad, "one", sets_aside=False)], ready=False):
        async def places() -> bool:
            rows = await fetch(database, "select position, halted is not null as halted from projection_cursor order by partition")
            return [tuple(row) for row in rows] == [(4, False), (2, True), (4, False)]
        await until(places)


async def test_a_projection_that_nobody_waits_for_lets_records_gather_and_hurries_when_somebody_does(database: str) -> None:
    log = MemoryLog(2)
    both: list[Projection] = [StatementsProjection(), Counting()]
    async with projector(database, log, projections=both), Visibility(database) as visibility:
        runs, begun = Counting.runs, time.monotonic()
        for n in range(20):
            [position] = await append(log, record(n % 2, statement(uuid4())))
            assert await visibility.until_visible(position, 10)
        await until_folded(database, log, "learners")
        assert Counting.runs - runs <= 1 + (time.monotonic() - begun) / LEAST_APART_S
        runs = Counting.runs
        for n in range(5):
            [position] = await append(log, record(n % 2, statement(uuid4())))
            assert await visibility.until_folded("learners", position, 10)
        assert Counting.runs - runs >= 5


async def test_what_is_no_statement_is_folded_at_once_with_all_that_gathers_before_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(2)
    both: list[Projection] = [StatementsProjection(), Counting()]
    async with projector(database, log, projections=both), Visibility(database) as visibility:
        await until_folded(database, log, "learners")
        monkeypatch.setattr(worker, "LEAST_APART_S", 3600.0)
        monkeypatch.setattr(worker, "RUN_APART_S", 3600.0)
        runs = Counting.runs
        [gathers] = await append(log, record(0, statement(uuid4())))
        assert await visibility.until_visible(gathers, 10)
        assert Counting.runs == runs
        await append(log, link(log, uuid4(), "ada", "bob"))
        await until_folded(database, log, "learners")
        assert Counting.runs == runs + 1


async def test_a_deadlock_is_retried_and_both_partitions_go_on(database: str) -> None:
    log = MemoryLog(2)
    ids = [uuid4() for _ in range(300)]
    raw = {id_: statement(id_) for id_ in ids}
    async with projector(database, log, projections=[StatementsProjection()]):
        for n in range(0, 300, 30):
            await append(log, *(record(0, raw[id_]) for id_ in ids[n:n + 30]), *(record(1, raw[id_]) for id_ in reversed(ids[n:n + 30])))
            await asyncio.sleep(0)  # noqa: TID251 - let the other task begin
        await until_folded(database, log)
        assert (await fetch(database, "select count(*) from statement"))[0][0] == 300
