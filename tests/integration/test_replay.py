"""A replay equals what was folded live, while writes go on; whoever folded the old version is fenced; a difference is refused and shown."""
import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from services.core.keys import KeyedHash
from services.projector.building import ReplayRefused
from services.projector.checksum import checksum
from services.projector.cursor import Cursor, Fenced, Step, advance, pass_time
from services.projector.projections.learners import LearnersProjection
from services.projector.projections.statements import StatementsProjection
from services.projector.replay import replay_projection
from services.projector.run import Projection
from services.runtime.log import Log
from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import connect
from tests.integration.projecting import OTHER_AUTHORITY, append, fetch, projector, record, statement, until, until_folded, voiding


def learners() -> LearnersProjection:
    """Return a fold of learners with the key of these tests."""
    return LearnersProjection(KeyedHash(b"a secret of tests"))


async def fill(log: Log, rounds: int) -> None:
    """Append copies with other content, voids and their targets, over all partitions."""
    for n in range(rounds):
        shared, target = uuid4(), uuid4()
        await append(
            log, record(n % log.partitions, statement(shared), voiding(uuid4(), target)),
            record((n + 1) % log.partitions, statement(shared, actor="bo"), statement(uuid4(), actor=f"someone{n % 7}")),
            record(n % log.partitions, statement(target), authority=OTHER_AUTHORITY), record(n % log.partitions, voiding(uuid4(), target), scopes=["lrs:void"]))


@pytest.mark.parametrize("make", [StatementsProjection, learners])
async def test_a_replay_while_writes_go_on_equals_what_was_folded_live_and_readers_change_over(database: str, make: Callable[[], Projection]) -> None:
    log, seen, going = MemoryLog(3), list[tuple[str, int, int]](), True
    await fill(log, 40)
    async with projector(database, log, projections=[StatementsProjection(), learners()]):
        async def write_on() -> None:
            while going:
                await fill(log, 1)
                await asyncio.sleep(0.005)  # noqa: TID251 - a poll with a deadline
        writing = asyncio.create_task(write_on())
        through = (await fetch(database, "select consistent_through()"))[0][0]
        report = await replay_projection(database, log, make(), lambda what, done, of: seen.append((what, done, of)))
        going = False
        await writing
        assert report.differences == {}
        assert report.cut_over
        assert (report.old, report.new) == (1, 2)
        assert [step for step, _, _ in seen][-1] == "changing over"
        await until_folded(database, log, make().name)
        assert (await fetch(database, "select consistent_through()"))[0][0] >= through
        assert await fetch(database, "select 1 where to_regnamespace($1) is null", f"{make().name}_1")
        assert (await fetch(database, "select version from projection where state = 'active' and name = $1", make().name))[0][0] == 2


async def test_a_flipped_byte_is_found_and_refused_unless_accepted(database: str) -> None:
    log, id_ = MemoryLog(1), uuid4()
    await append(log, record(0, statement(id_), statement(uuid4())))
    async with projector(database, log):
        await fetch(database, "update statements_1.statement set raw = set_byte(raw, 5, get_byte(raw, 5) # 1) where id = $1", id_)
        report = await replay_projection(database, log, StatementsProjection(), lambda *_: None)
        assert list(report.differences) == ["statement"]
        assert str(id_) in report.differences["statement"][0]
        assert not report.cut_over
        assert (await fetch(database, "select version from projection"))[0][0] == 1
        accepted = await replay_projection(database, log, StatementsProjection(), lambda *_: None, accept_changes=True)
        assert accepted.cut_over
        assert (await fetch(database, "select raw from statement where id = $1", id_))[0][0] == statement(id_)


async def test_a_worker_of_the_old_version_that_wakes_after_the_cut_over_is_fenced(database: str) -> None:
    log = MemoryLog(1)
    await append(log, record(0, statement(uuid4())))
    async with projector(database, log):
        columns = "name, version, partition, log_id, owner, epoch, position, last_stored, tail"
        row = (await fetch(database, f"select {columns} from projection_cursor where name = 'statements'"))[0]
        frozen = Cursor(**row)
        await replay_projection(database, log, StatementsProjection(), lambda *_: None)
        conn = await connect(database, search_path="testamur")
        with pytest.raises(Fenced):
            await advance(conn, [Step(frozen, frozen.position + 1, frozen.last_stored + 1, b"")])
        with pytest.raises(Fenced):
            await pass_time(conn, [(frozen, frozen.last_stored + 1)])
        await conn.close()
        await append(log, record(0, statement(uuid4())))
        await until_folded(database, log)


async def test_a_replay_that_died_leaves_nothing_that_stops_the_next(database: str) -> None:
    log, begun = MemoryLog(2), asyncio.Event()
    await fill(log, 20)
    async with projector(database, log):
        dying = asyncio.create_task(replay_projection(database, log, StatementsProjection(), lambda *_: begun.set()))
        await begun.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        report = await replay_projection(database, log, StatementsProjection(), lambda *_: None)
        assert report.cut_over


async def test_one_replay_of_a_projection_at_a_time(database: str) -> None:
    log = MemoryLog(1)
    async with projector(database, log):
        conn = await connect(database)
        await conn.fetchval("select pg_advisory_lock(hashtext('testamur replay'), hashtext('statements'))")
        with pytest.raises(ReplayRefused, match="another replay"):
            await replay_projection(database, log, StatementsProjection(), lambda *_: None)
        await conn.close()


async def test_the_checksum_tells_one_flipped_byte_in_any_table(database: str) -> None:
    log = MemoryLog(1)
    await fill(log, 3)
    async with projector(database, log):
        await until_folded(database, log)
        conn = await connect(database)
        before = await checksum(conn, "statements", 1)
        for table, change in {
            "void": "trusted = not trusted", "authority": "agent = set_byte(agent, 3, get_byte(agent, 3) # 1)", "statement": "version = '1.0.9'",
        }.items():
            await conn.execute(f"update statements_1.{table} set {change} where ctid = (select min(ctid) from statements_1.{table})")
            after = await checksum(conn, "statements", 1)
            assert {name for name in before if before[name] != after[name]} == {table}
            before = after
        await conn.close()


async def test_live_workers_are_not_stopped_by_a_replay_that_never_meets_them(database: str) -> None:
    """A replay of a halted partition refuses, and what was live stays live."""
    log = MemoryLog(1)
    await append(log, record(0, statement(uuid4())))
    async with projector(database, log):
        damaged = log._partitions[0].records
        damaged[1] = type(damaged[1])(0, 1, damaged[1].timestamp, b"{}")
        with pytest.raises(ReplayRefused, match="halted"):
            await replay_projection(database, log, StatementsProjection(), lambda *_: None)
        await append(log, record(0, statement(uuid4())))
        await until_folded(database, log)

        async def active() -> bool:
            return [row["version"] for row in await fetch(database, "select version from projection where name = 'statements' and state = 'active'")] == [1]
        await until(active)
