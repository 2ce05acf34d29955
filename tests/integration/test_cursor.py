"""Leases: one holder at a time, stealing is safe, and whoever lost a lease, in a transaction or not, writes nothing."""
import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from services.projector.cursor import Connection, Cursor, Fenced, Step, acquire, advance, clear_halt, pass_time
from services.runtime.migrate import ensure_cursors
from services.runtime.postgres import connect

NAMES = ["statements"]


@pytest_asyncio.fixture
async def conn(database: str) -> AsyncIterator[Connection]:
    """A connection to a database with three cursors."""
    connection = await connect(database)
    await ensure_cursors(connection, "statements", 1, uuid4(), 3)
    yield connection
    await connection.close()


async def expire(conn: Connection) -> None:
    """Let every lease end."""
    await conn.execute("update projection_cursor set lease_until = clock_timestamp() - interval '1 second'")


async def test_a_cursor_is_given_to_one_worker_only(conn: Connection) -> None:
    first, second = await acquire(conn, uuid4(), NAMES, 2), await acquire(conn, uuid4(), NAMES, 3)
    assert [cursor.partition for cursor in first] == [0, 1]
    assert [cursor.partition for cursor in second] == [2]
    assert await acquire(conn, uuid4(), NAMES, 3) == []


async def test_whoever_lost_a_lease_moves_nothing(conn: Connection) -> None:
    (old,) = await acquire(conn, uuid4(), NAMES, 1)
    await expire(conn)
    (new,) = await acquire(conn, uuid4(), NAMES, 1)
    assert new.epoch == old.epoch + 1
    for write in (advance(conn, [Step(old, 5, 50, b"x")]), pass_time(conn, [(old, 50)]), old.look(conn), old.halt(conn, "no")):
        with pytest.raises(Fenced):
            await write
    await old.release(conn)
    await advance(conn, [Step(new, 1, 10, b"x")])
    new.moved(1, 10, b"x")
    await new.look(conn)
    assert (new.position, new.last_stored, new.tail) == (1, 10, b"x")


async def test_a_run_begun_from_a_position_that_is_not_the_cursors_is_refused(conn: Connection) -> None:
    (cursor,) = await acquire(conn, uuid4(), NAMES, 1)
    await advance(conn, [Step(cursor, 4, 40, b"x")])  # committed, but never heard of: `moved` is not called
    with pytest.raises(Fenced):
        await advance(conn, [Step(cursor, 4, 40, b"x")])
    await cursor.look(conn)
    assert cursor.position == 4
    await advance(conn, [Step(cursor, 5, 50, b"y")])


async def test_stored_never_goes_back(conn: Connection) -> None:
    (cursor,) = await acquire(conn, uuid4(), NAMES, 1)
    await pass_time(conn, [(cursor, 100)])
    await pass_time(conn, [(cursor, 90)])
    assert await conn.fetchval("select last_stored from projection_cursor where partition = 0") == 100
    with pytest.raises(Fenced):
        await advance(conn, [Step(cursor, 1, 99, b"x")])


async def test_a_cursor_whose_run_is_open_cannot_be_stolen_until_the_run_ends(database: str, conn: Connection) -> None:
    (cursor,) = await acquire(conn, uuid4(), NAMES, 1)
    running = await connect(database)
    transaction = running.transaction()
    await transaction.start()
    await advance(running, [Step(cursor, 1, 10, b"x")])
    await expire_others(conn)
    assert all(taken.partition != 0 for taken in await acquire(conn, uuid4(), NAMES, 3))
    await transaction.commit()
    await running.close()


async def expire_others(conn: Connection) -> None:
    """Let the leases of partitions 1 and 2 end: that of 0 is locked by a run."""
    await conn.execute("update projection_cursor set lease_until = '-infinity' where partition > 0")


async def test_a_worker_frozen_in_its_transaction_is_cut_off_and_fenced(database: str, conn: Connection) -> None:
    (cursor,) = await acquire(conn, uuid4(), NAMES, 1)
    frozen = await connect(database, idle_in_transaction_s=0.2)
    transaction = frozen.transaction()
    await transaction.start()
    await advance(frozen, [Step(cursor, 1, 10, b"x")])
    await expire(conn)  # waits for the server to end the idle transaction
    (thief,) = await acquire(conn, uuid4(), NAMES, 1)
    assert (thief.partition, thief.position) == (0, 0)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):  # as far as asyncpg has noticed it
        await transaction.commit()
    frozen.terminate()


async def test_a_halted_cursor_is_given_to_nobody_until_it_is_cleared(conn: Connection) -> None:
    (cursor,) = await acquire(conn, uuid4(), NAMES, 1)
    await cursor.halt(conn, "the log is torn")
    assert [taken.partition for taken in await acquire(conn, uuid4(), NAMES, 3)] == [1, 2]
    assert await clear_halt(conn, "statements") == [("statements", 0)]
    assert [taken.partition for taken in await acquire(conn, uuid4(), NAMES, 3)] == [0]


async def test_many_workers_that_race_share_all_cursors_and_none_twice(database: str, conn: Connection) -> None:
    connections = [await connect(database) for _ in range(4)]
    taken: list[list[Cursor]] = await asyncio.gather(*(acquire(one, uuid4(), NAMES, 1) for one in connections))
    partitions = [cursor.partition for cursors in taken for cursor in cursors]
    assert len(partitions) == len(set(partitions))
    for one in connections:
        await one.close()
