"""Rules of the schema: made once however many make it, never changed by an older Testamur, and read through the views of active versions."""
import asyncio
from uuid import uuid4

import pytest

from services.runtime.migrate import VIEWS, NewerVersion, create_version, ensure_cursors, migrate, migrations, replace_views, schema_of
from services.runtime.postgres import connect


async def columns(dsn: str) -> list[tuple[str, ...]]:
    connection = await connect(dsn)
    rows = await connection.fetch(
        "select table_schema, table_name, column_name, data_type from information_schema.columns "
        "where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2, ordinal_position")
    await connection.close()
    return [tuple(row) for row in rows]


async def test_processes_that_migrate_at_once_and_again_do_it_once(empty_database: str, database: str) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(5)))
    once = await columns(empty_database)
    await migrate(empty_database)

    assert await columns(empty_database) == once == await columns(database)
    connection = await connect(empty_database)
    assert await connection.fetchval("select array_agg(version) from schema_version") == list(migrations())
    await connection.close()


async def test_every_projection_begins_as_an_active_version_1_seen_through_views(database: str) -> None:
    connection = await connect(database)
    versions = await connection.fetch("select name, version, state from projection order by name")
    assert [tuple(row) for row in versions] == [("learners", 1, "active"), ("statements", 1, "active")]

    for name, views in VIEWS.items():
        for view, table in views.items():
            assert await connection.fetchval("select relkind::text from pg_class where oid = to_regclass($1)", f"testamur.{view}") == "v", view
            assert await connection.fetchval("select to_regclass($1) is not null", f"{schema_of(name, 1)}.{table}")
        tables = await connection.fetch("select tablename from pg_tables where schemaname = $1", schema_of(name, 1))
        assert {row[0] for row in tables} == set(views.values())
    await connection.close()


async def test_a_database_of_a_newer_testamur_is_refused_with_a_sentence_and_left_alone(database: str) -> None:
    connection = await connect(database)
    await connection.execute("insert into schema_version (version, name) values (99, '0099_from_the_future')")
    before = await columns(database)

    with pytest.raises(NewerVersion, match="schema version 99, made by a newer Testamur"):
        await migrate(database)
    assert await columns(database) == before
    await connection.close()


async def test_a_migration_that_is_missing_is_applied_whatever_its_number(database: str) -> None:
    connection = await connect(database)
    await connection.execute("drop table secret_fingerprint; delete from schema_version where name = '0003_secret'")
    before = await columns(database)

    await migrate(database)

    assert {table for _, table, *_ in set(await columns(database)) - set(before)} == {"secret_fingerprint"}
    assert await connection.fetchval("select array_agg(version order by version) from schema_version") == list(migrations())
    await connection.close()


async def test_an_interrupted_migration_leaves_nothing_and_the_next_completes_it(empty_database: str) -> None:
    connection = await connect(empty_database)
    await connection.execute("create schema testamur; create table testamur.tenant (stands int)")
    with pytest.raises(Exception, match="already exists"):
        await migrate(empty_database)
    await connection.execute("drop table testamur.tenant")
    await migrate(empty_database)

    assert await connection.fetchval("select count(*) from testamur.projection") == 2
    await connection.close()


async def test_a_new_version_is_seen_when_the_views_are_replaced_and_not_before(database: str) -> None:
    connection = await connect(database)
    await connection.execute("insert into statements_1.statement_agent (tenant_id, agent, seq, related) values (1, 1, 1, false)")
    async with connection.transaction():
        await create_version(connection, "statements", 2)
        await connection.execute("insert into statements_2.statement_agent (tenant_id, agent, seq, related) values (1, 2, 2, false)")
        assert await connection.fetchval("show search_path") == "testamur"
    assert await connection.fetchval("select agent from statement_agent") == 1

    await replace_views(connection, "statements", 2)
    assert await connection.fetchval("select agent from statement_agent") == 2
    assert await connection.fetchval("select state from projection where name = 'statements' and version = 2") == "building"
    await connection.close()


async def test_cursors_are_made_once_for_each_partition(database: str) -> None:
    connection = await connect(database)
    log_id = uuid4()
    await ensure_cursors(connection, "learners", 1, log_id, 3)
    await connection.execute("update projection_cursor set position = 7 where partition = 1")
    await ensure_cursors(connection, "learners", 1, log_id, 3)

    rows = await connection.fetch("select partition, position, log_id from projection_cursor order by partition")
    assert [tuple(row) for row in rows] == [(0, 0, log_id), (1, 7, log_id), (2, 0, log_id)]
    await connection.close()
