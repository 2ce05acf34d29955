"""The watch on what can be seen, against a real database whose cursors the test moves."""
import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from services.core.errors import Overloaded, Unavailable
from services.core.timeline import rfc3339, seq_of
from services.runtime.backlog import AWAY_TIMES, Backlog
from services.runtime.log import Position
from services.runtime.migrate import ensure_cursors
from services.runtime.postgres import connect
from services.runtime.visibility import Visibility
from tests.servers.in_process import until
from tests.servers.postgres import MakePostgres

PARTITIONS = 3


class Cursors:
    """The cursors of a database, moved by hand."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection

    async def move(self, partition: int, position: int, last_stored: int, *, name: str = "statements", conflicts: int = 0, notify: bool = True) -> None:
        await self.connection.execute(
            "update projection_cursor set position = $3, last_stored = $4, conflicts = conflicts + $5 where name = $1 and partition = $2",
            name, partition, position, last_stored, conflicts)
        if notify:
            await self.connection.execute("notify testamur_folded")

    async def move_all(self, position: int, last_stored: int) -> None:
        for partition in range(PARTITIONS):
            await self.move(partition, position, last_stored)


async def _cursors(dsn: str) -> Cursors:
    connection = await connect(dsn)
    log_id = uuid4()
    for name in ("statements", "learners"):
        await ensure_cursors(connection, name, 1, log_id, PARTITIONS)
    return Cursors(connection)


@pytest_asyncio.fixture
async def cursors(database: str) -> AsyncIterator[Cursors]:
    made = await _cursors(database)
    yield made
    await made.connection.close()


@pytest_asyncio.fixture
async def visibility(database: str, cursors: Cursors) -> AsyncIterator[Visibility]:
    async with Visibility(database) as watch:
        yield watch


async def test_a_record_is_visible_once_consistent_through_has_passed_what_its_cursor_then_stood_at(visibility: Visibility, cursors: Cursors) -> None:
    waiting = asyncio.create_task(visibility.until_visible(Position(1, 4), 20))
    await cursors.move(1, 4, 100)  # offsets below 4
    await cursors.move(0, 9, 500)
    await cursors.move(2, 9, 500)
    assert await visibility.fresh() == 100
    assert not waiting.done()
    await cursors.move(1, 5, 700)  # folded, but the others have only passed 500
    assert await visibility.fresh() == 500
    assert not waiting.done()
    await cursors.move(0, 9, 700)
    await cursors.move(2, 9, 701)
    assert await waiting
    assert visibility.through == 700
    assert visibility.header.decode() == rfc3339(700)


async def test_a_statement_is_visible_once_consistent_through_has_passed_its_seq(visibility: Visibility, cursors: Cursors) -> None:
    await cursors.move_all(3, 99)
    assert not await visibility.until_visible(seq_of(100, 1), 0.05)
    await cursors.move_all(3, 100)
    assert await visibility.until_visible([seq_of(100, 1), Position(2, 2)], 20)


async def test_learners_have_folded_a_mark_when_their_own_cursor_is_past_it(visibility: Visibility, cursors: Cursors) -> None:
    await cursors.move_all(9, 900)
    assert not await visibility.until_folded("learners", Position(1, 4), 0.05)
    waiting = [asyncio.create_task(visibility.until_folded("learners", mark, 20)) for mark in (Position(1, 4), seq_of(77, 1))]
    await cursors.move(1, 5, 77, name="learners")
    assert await asyncio.gather(*waiting) == [True, True]


async def test_without_a_notification_a_waiter_is_served_by_polling(visibility: Visibility, cursors: Cursors) -> None:
    waiting = asyncio.create_task(visibility.until_visible(Position(0, 0), 20))
    for partition in range(PARTITIONS):
        await cursors.move(partition, 1, 10, notify=False)
    async with asyncio.timeout(5):
        assert await waiting


async def test_a_wait_ends_with_its_time(visibility: Visibility) -> None:
    async with asyncio.timeout(5):
        assert not await visibility.until_visible(Position(0, 10**9), 0.05)


async def test_what_was_once_given_is_never_taken_back(visibility: Visibility, cursors: Cursors) -> None:
    await cursors.move_all(5, 500)
    assert await visibility.fresh() == 500
    await cursors.move_all(4, 400)  # as after a restore of the database to an earlier point
    with pytest.raises(Unavailable):
        await visibility.fresh()
    assert visibility.through == 500
    with pytest.raises(Unavailable):
        visibility.give(499)
    await cursors.move_all(6, 600)
    assert await visibility.fresh() == 600


async def test_conflicts_seen_by_any_partition_move_the_figure(visibility: Visibility, cursors: Cursors) -> None:
    before = visibility.conflicts
    await cursors.move(2, 1, 1, conflicts=1)
    await visibility.fresh()
    assert visibility.conflicts != before


async def test_a_halted_partition_is_known_and_named(visibility: Visibility, cursors: Cursors) -> None:
    assert not visibility.any_halted
    await cursors.connection.execute("update projection_cursor set halted = 'a gap' where name = 'statements' and partition = 2")
    await visibility.fresh()
    assert visibility.any_halted
    assert (visibility.halted(2), visibility.halted(0)) == ("a gap", None)


async def test_the_watch_goes_on_when_its_connection_is_cut(visibility: Visibility, cursors: Cursors) -> None:
    await cursors.move_all(5, 500)
    await visibility.fresh()
    await cursors.connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'testamur-visibility' and datname = current_database()")
    waiting = asyncio.create_task(visibility.until_visible(Position(0, 6), 20))
    await cursors.move_all(7, 700)
    assert await waiting


async def test_writes_are_pushed_back_until_the_projection_that_is_furthest_behind_has_folded(database: str, cursors: Cursors) -> None:
    async with Visibility(database, Backlog(max_statements=100)) as visibility:
        visibility.backlog.note(Position(1, 5), 1, 100)
        for name in ("statements", "learners"):
            with pytest.raises(Overloaded):
                visibility.check_room(0)
            await cursors.move(1, 6, 100, name=name)
            await visibility.fresh(5)
        visibility.check_room(0)


async def test_a_projection_that_is_waited_for_is_told_and_one_that_nobody_waits_for_wakes_nobody(visibility: Visibility, cursors: Cursors) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    await cursors.connection.add_listener("testamur_awaited", lambda *heard: told.put_nowait(heard[-1]))
    await cursors.move_all(9, 900)
    assert await visibility.until_visible(Position(1, 8), 20)
    waiting = asyncio.create_task(visibility.until_folded("learners", Position(1, 4), 20))
    async with asyncio.timeout(5):
        assert await told.get() == "learners"
        await told.get()  # and again while he waits
    await cursors.move(1, 5, 77, name="learners")
    assert await waiting


async def test_many_who_wait_share_the_looks(visibility: Visibility, cursors: Cursors) -> None:
    waiting = [asyncio.create_task(visibility.until_visible(Position(at % PARTITIONS, at), 20)) for at in range(300)]
    for position in range(0, 301, 50):
        await cursors.move_all(position, position)
    assert all(await asyncio.gather(*waiting))


async def _is_back(visibility: Visibility) -> bool:
    return not visibility.away


async def test_while_postgres_is_away_nobody_waits_and_afterwards_everybody_is_served(make_postgres: MakePostgres) -> None:
    server = await make_postgres()
    cursors = await _cursors(server.dsn)
    async with Visibility(server.dsn) as visibility:
        await cursors.move_all(5, 500)
        assert await visibility.fresh() == 500
        server.kill9()
        async with asyncio.timeout(20):
            while not visibility.away:
                await visibility.until_visible(Position(0, 9), 0.05)
        with pytest.raises(Unavailable):
            await visibility.fresh()
        assert not await visibility.until_visible(Position(0, 9), 20)
        await server.restart()
        await until(lambda: _is_back(visibility), 20)
        assert await visibility.fresh() == 500
    await cursors.connection.close()


async def test_while_postgres_is_away_more_may_wait_but_not_for_ever_more(make_postgres: MakePostgres) -> None:
    server = await make_postgres()
    await (await _cursors(server.dsn)).connection.close()
    async with Visibility(server.dsn, Backlog(max_statements=100)) as visibility:
        server.kill9()
        async with asyncio.timeout(20):
            while not visibility.away:
                await visibility.until_visible(Position(0, 9), 0.05)
        for offset in range(AWAY_TIMES):
            visibility.check_room(0)
            visibility.backlog.note(Position(1, offset), 1, 100)
        with pytest.raises(Overloaded):
            visibility.check_room(0)
        await server.restart()
        await until(lambda: _is_back(visibility), 20)
        with pytest.raises(Overloaded):  # what came meanwhile is still to be folded
            visibility.check_room(0)
        connection = await connect(server.dsn)
        await connection.execute("update projection_cursor set position = $1", AWAY_TIMES)
        await connection.close()
        await visibility.fresh()
        visibility.check_room(0)


async def test_the_end_of_a_process_releases_whoever_waits(database: str, cursors: Cursors) -> None:
    async with Visibility(database) as visibility:
        waiting = asyncio.create_task(visibility.until_visible(Position(0, 9), 20))
        await visibility.fresh()
    async with asyncio.timeout(5):
        assert not await waiting
    assert cursors.connection is not None


