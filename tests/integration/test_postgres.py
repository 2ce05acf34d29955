"""Rules of connections: each has its limits on both sides, statements come from files, and it is known which errors pass."""
import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import uvloop

from services.core.errors import Unavailable
from services.runtime.postgres import Connection, Statements, connect, open_pool, or_unavailable, transient, while_connected
from tests.servers.postgres import MakePostgres, OwnPostgres


async def error_of(connection: Connection, sql: str) -> Exception:
    try:
        await connection.execute(sql)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return error
    raise AssertionError(f"no error: {sql}")


async def test_a_connection_has_limits_on_both_sides(database: str) -> None:
    connection = await connect(database, command_timeout_s=3, idle_in_transaction_s=2)
    names = ("search_path", "statement_timeout", "idle_in_transaction_session_timeout", "timezone", "jit")
    assert [await connection.fetchval("select current_setting($1)", name) for name in names] == ["testamur", "3500ms", "2s", "UTC", "off"]

    with pytest.raises(TimeoutError):
        await connection.execute("select pg_sleep(20)")
    await connection.close()


async def test_a_transaction_that_a_client_forgets_is_ended_by_the_server(database: str) -> None:
    connection = await connect(database, idle_in_transaction_s=1)
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    await connection.execute("begin")

    await asyncio.wait_for(ended.wait(), 10)
    assert transient(await error_of(connection, "select 1"))


async def test_a_pool_that_resets_nothing_keeps_what_was_set(database: str) -> None:
    pool = await open_pool(database, min=1, max=1, reset=False)
    await pool.execute("set application_name = 'kept'")

    assert await pool.fetchval("show application_name") == "kept"
    await pool.close()


@pytest.mark.parametrize(("sql", "passes"), [
    ("select 1 / 0", False),
    ("select nothing from nowhere", False),
    ("insert into tenant (name) values ('a'), ('a')", False),
    ("do $$ begin raise exception using errcode = '40001'; end $$", True),
    ("do $$ begin raise exception using errcode = '40P01'; end $$", True),
    ("do $$ begin raise exception using errcode = '53100'; end $$", True),
    ("do $$ begin raise exception using errcode = '57P01'; end $$", True),
    ("do $$ begin raise exception using errcode = '55P03'; end $$", True),
    ("set statement_timeout = 50; select pg_sleep(5)", True),
])
async def test_it_is_known_which_errors_pass(database: str, sql: str, passes: bool) -> None:
    connection = await connect(database)

    assert transient(await error_of(connection, sql)) is passes
    await connection.close()


async def test_a_plan_that_a_migration_made_invalid_passes(database: str) -> None:
    connection, other = await connect(database), await connect(database)
    await connection.execute("create table changing (a int)")
    async with connection.transaction():
        await connection.fetch("select * from changing")
    await other.execute("alter table changing alter a type text")

    transaction = connection.transaction()
    await transaction.start()
    with pytest.raises(asyncpg.InvalidCachedStatementError) as caught:
        await connection.fetch("select * from changing")
    assert transient(caught.value)
    await transaction.rollback()
    await connection.close()
    await other.close()


async def test_a_server_that_is_gone_passes_and_wrong_arguments_do_not(make_postgres: MakePostgres) -> None:
    server = await make_postgres(durable=False)
    connection = await connect(server.dsn)
    with pytest.raises(asyncpg.DataError) as wrong:
        await connection.fetchval("select $1::int", "text")
    server.kill9()
    gone = await error_of(connection, "select 1")
    refused = OSError()
    with contextlib.suppress(asyncpg.PostgresError):
        try:
            await connect(server.dsn)
        except OSError as error:
            refused = error

    assert (transient(wrong.value), transient(gone), transient(refused)) == (False, True, True)


@pytest.mark.parametrize("error", [
    asyncpg.InternalClientError("got result for unknown protocol state 3"), asyncpg.InterfaceError("the connection is closed"),
    asyncpg.DeadlockDetectedError("deadlock detected"), ConnectionResetError(),
])
async def test_what_passes_is_told_as_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable, match="Come again") as told:
        async with or_unavailable("Come again.", 5.0):
            raise error
    assert told.value.__cause__ is error


async def test_what_does_not_pass_is_raised_as_it_is_and_what_takes_too_long_is_cut_short() -> None:
    for error in (asyncpg.DataError("invalid input"), asyncpg.InterfaceError("the server expects 1 argument"), ValueError("no")):
        with pytest.raises(type(error)):
            async with or_unavailable("Come again.", 5.0):
                raise error
    with pytest.raises(Unavailable, match="Come again"):
        async with or_unavailable("Come again.", 0.01):
            await asyncio.Event().wait()


def test_statements_are_found_by_name(tmp_path: Path) -> None:
    file = tmp_path / "some.sql"
    file.write_text("-- About the file.\n\n-- name: one\n-- Its purpose.\nselect 1;\n\n-- name: two\nselect\n    2;\n")
    statements = Statements(file)

    assert list(statements) == ["one", "two"]
    assert statements.two == statements["two"] == "select\n    2"
    with pytest.raises(AttributeError, match="no statement three"):
        _ = statements.three


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.sql"
    file.write_text("-- name: one\nselect 1;\n-- name: one\nselect 2;\n")

    with pytest.raises(ValueError, match="one is empty or given twice"):
        Statements(file)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
async def test_a_copy_in_the_middle_of_its_data_hears_that_its_connection_is_lost(
        make_postgres: MakePostgres, run: Callable[..., BaseException | None]) -> None:
    server = await make_postgres(durable=False)

    error = await asyncio.to_thread(run, _lose_the_connection_of_a_copy(server))

    assert transient(error or AssertionError("it ended well")), repr(error)


async def _lose_the_connection_of_a_copy(server: OwnPostgres) -> BaseException | None:
    """Kill a server that has read half of a COPY; return what the COPY comes to, within 5 s."""
    connection = await connect(server.dsn)
    await connection.execute("create temp table big (content bytea)")

    def rows() -> Iterator[tuple[bytes]]:
        yield (bytes(1 << 20),)
        server.freeze()
        for _ in range(16):
            yield (bytes(1 << 20),)

    async def copy() -> None:
        async with while_connected(connection):
            await connection.copy_records_to_table("big", records=rows())

    copying = asyncio.create_task(copy())
    done, _ = await asyncio.wait({copying}, timeout=0.5)
    assert not done, "a frozen server reads no more than fits into buffers"
    server.kill9()
    done, _ = await asyncio.wait({copying}, timeout=5)
    assert done
    return copying.exception()
