"""Postgres keeps tenants apart by itself: what the role of web processes sees and may do, of every table there is, made from the catalogue."""
import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.runtime.access import WEB, as_web
from services.runtime.migrate import VIEWS, create_version, migrate, replace_views, schema_of
from services.runtime.postgres import Connection, connect
from services.runtime.tenant_rows import TenantRows, open_tenant_rows
from tests.servers.postgres import PostgresServer

WITHOUT_TENANT = {
    "testamur.api_key_rate": "what is left of the rate of a key, whose id is its key; closed to web queries",
    "testamur.log_head": "the log is of all tenants; closed to web queries",
    "testamur.log_identity": "which log this installation has; closed to web queries",
    "testamur.log_record": "the log is of all tenants; closed to web queries",
    "testamur.projection": "which versions there are",
    "testamur.projection_cursor": "how far partitions are folded",
    "testamur.projector_worker": "which projectors live; closed to web queries",
    "testamur.record_span": "where records of several statements lie in time",
    "testamur.schema_version": "which migrations were applied; closed to web queries",
    "testamur.secret_fingerprint": "of the installation's secret; closed to web queries",
    "testamur.tenant": "the tenants themselves; closed to web queries",
}
WRITTEN_BY_WEB = {"testamur.document", "testamur.quarantined", "testamur.issuer", "testamur.credential_visibility"}
READ_BY_WEB = {"testamur.projection", "testamur.projection_cursor", "testamur.record_span", "testamur.dead_letter"}
OURS = "n.nspname = 'testamur' or n.nspname ~ '^(statements|learners)_[0-9]+$'"
VALUES = {"resource": "'state'", "name": "'learners'", "version": "1", "authority": "'{}'"}
"""Of columns that take not just anything of their type."""
OF_TYPE = {
    "int4": "{n}", "int8": "{n}", "int2": "{n}", "uuid": "gen_random_uuid()", "text": "gen_random_uuid()::text", "bytea": "'x'", "bool": "false",
    "_text": "'{}'", "_int4": "'{}'", "_int8": "'{}'", "_uuid": "'{}'", "json": "'{}'", "jsonb": "'{}'", "timestamptz": "now()",
}


async def tables(connection: Connection, with_tenant: bool) -> list[str]:
    rows = await connection.fetch(
        "select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where ({OURS}) and c.relkind in ('r', 'p') and $1 = exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') "
        "order by 1", with_tenant)
    return [row["name"] for row in rows]


async def put_row(connection: Connection, table: str, tenant_id: int) -> None:
    """Give a tenant a row of a table: anything that the types of its columns allow."""
    columns = await connection.fetch(
        "select a.attname as name, t.typname as type from pg_attribute a join pg_type t on t.oid = a.atttypid "
        "where a.attrelid = $1::text::regclass and a.attnum > 0 and a.attnotnull and a.attgenerated = '' and a.attidentity = ''", table)
    values = {row["name"]: VALUES.get(row["name"] if row["type"] in {"text", "int4", "json", "jsonb"} else "", OF_TYPE[row["type"]]) for row in columns}
    names = ", ".join(f'"{name}"' for name in values)
    await connection.execute(f"insert into {table} ({names}) values ({', '.join(values.values()).replace('{n}', str(tenant_id))})")


@pytest_asyncio.fixture
async def owner(database: str) -> AsyncIterator[Connection]:
    """A connection of the owner to a database with two tenants, each of which has a row in every table."""
    connection = await connect(database)
    await connection.execute("insert into tenant (name) values ('a'), ('b')")
    for name in VIEWS:
        async with connection.transaction():
            await create_version(connection, name, 2)
    await connection.execute("set session_replication_role = replica")  # what refers to another row finds none
    for table in await tables(connection, with_tenant=True):
        for tenant_id in (1, 2):
            await put_row(connection, table, tenant_id)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def web(database: str, owner: Connection) -> AsyncIterator[Connection]:
    """A connection of a web process."""
    connection = await connect(await as_web(database))
    assert await connection.fetchval("select current_user") == WEB
    yield connection
    await connection.close()


async def readable(connection: Connection) -> list[str]:
    """Return all tables and views with tenants that the role of web processes may read."""
    rows = await connection.fetch(
        "select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where ({OURS}) and c.relkind in ('r', 'p', 'v') and has_table_privilege($1, c.oid, 'select') "
        "and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')", WEB)
    return [row["name"] for row in rows]


async def test_every_table_has_a_policy_by_tenant_or_a_reason_to_have_none(owner: Connection) -> None:
    assert await tables(owner, with_tenant=False) == sorted(WITHOUT_TENANT)
    policed = await owner.fetch(
        "select schemaname || '.' || tablename as name, cmd, permissive, qual from pg_policies where roles = array[$1::name]", WEB)
    assert sorted(row["name"] for row in policed) == await tables(owner, with_tenant=True)
    assert {(row["cmd"], row["permissive"], row["qual"]) for row in policed} == {
        ("ALL", "PERMISSIVE", "(tenant_id = (NULLIF(current_setting('testamur.tenant'::text, true), ''::text))::integer)")}
    assert not await owner.fetchval("select count(*) from pg_policies where roles <> array[$1::name]", WEB)
    for table in await tables(owner, with_tenant=True):
        assert await owner.fetchval("select relrowsecurity from pg_class where oid = $1::text::regclass", table), table


async def test_without_a_tenant_there_are_no_rows_in_any_table_or_view(owner: Connection, web: Connection) -> None:
    relations = await readable(owner)
    assert len(relations) > 2 * sum(map(len, VIEWS.values()))
    for setting in (None, "", "0"):
        if setting is not None:
            await web.execute(f"set testamur.tenant = '{setting}'")
        for relation in relations:
            assert relation == "testamur.ifi_search" or await owner.fetchval(f"select count(*) from {relation}"), relation
            assert await web.fetchval(f"select count(*) from {relation}") == 0, (relation, setting)
    async with web.transaction():
        await web.execute("set local testamur.tenant = '1'")
        assert await web.fetchval("select count(*) from testamur.document") == 1
    assert await web.fetchval("select count(*) from testamur.document") == 0  # the setting is empty now, which is no number


async def test_a_tenant_sees_its_own_rows_and_changes_no_others(owner: Connection, web: Connection) -> None:
    for tenant_id in (1, 2):
        await web.execute(f"set testamur.tenant = '{tenant_id}'")
        for relation in await readable(owner):
            assert await web.fetchval(f"select array_agg(distinct tenant_id) from {relation}") == [tenant_id], relation
    for table in WRITTEN_BY_WEB:
        assert await web.execute(f"update {table} set tenant_id = 2") == "UPDATE 1", table
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await web.execute(f"update {table} set tenant_id = 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await put_row(web, table, 1)
        assert await web.execute(f"delete from {table}") == "DELETE 1", table
        assert await owner.fetchval(f"select array_agg(tenant_id) from {table}") == [1], table


async def test_web_processes_may_do_what_they_need_and_nothing_else_and_everybody_nothing(owner: Connection) -> None:
    role = await owner.fetchrow("select rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb from pg_roles where rolname = $1", WEB)
    assert role is not None
    assert not any(role)
    assert not await owner.fetchval("select count(*) from pg_class where pg_get_userbyid(relowner) = $1", WEB)
    allowed = {name: {"select", "insert", "update", "delete"} for name in WRITTEN_BY_WEB} | {name: {"select"} for name in READ_BY_WEB}
    rows = await owner.fetch(
        "select n.nspname || '.' || c.relname as name, c.relkind = 'v' or n.nspname <> 'testamur' as folded, "
        "array(select lower(a.privilege_type) from aclexplode(c.relacl) a where a.grantee = $1::text::regrole) as given, "
        "exists (select from aclexplode(c.relacl) a where a.grantee = 0) as everybody "
        f"from pg_class c join pg_namespace n on n.oid = c.relnamespace where ({OURS}) and c.relkind in ('r', 'p', 'v', 'S')", WEB)
    for row in rows:
        assert set(row["given"]) == ({"select"} if row["folded"] else allowed.get(row["name"], set())), row["name"]
        assert not row["everybody"], row["name"]


async def test_views_are_read_as_their_reader_but_for_the_one_that_names_the_tenant_itself(owner: Connection) -> None:
    for view in (*(view for views in VIEWS.values() for view in views), "ifi_search"):
        invoker = await owner.fetchval("select coalesce('security_invoker=true' = any(reloptions), false) from pg_class where oid = $1::text::regclass", view)
        assert invoker is (view != "ifi_search"), view


async def test_a_later_version_of_a_projection_is_kept_apart_too(database: str, owner: Connection, web: Connection) -> None:
    for name in VIEWS:
        await owner.execute("update projection set state = case version when 2 then 'active' else 'retired' end where name = $1 and version = 1", name)
        await owner.execute("update projection set state = 'active' where name = $1 and version = 2", name)
        await replace_views(owner, name, 2)
        await owner.execute(f"drop schema {schema_of(name, 1)} cascade")
    await migrate(database)
    await web.execute("set testamur.tenant = '2'")
    for view in (*(view for views in VIEWS.values() for view in views), "ifi_search"):
        assert await web.fetchval(f"select array_agg(distinct tenant_id) from {view}") == [2], view


async def documents(rows: TenantRows, tenant_id: int) -> Any:
    return await rows.of(tenant_id).fetchval("select array_agg(tenant_id) from document")


async def _in_a_transaction_that_fails(rows: TenantRows) -> None:
    async with rows.of(2).acquire() as connection, connection.transaction():
        assert await connection.fetchval("select array_agg(tenant_id) from document") == [2]
        await connection.execute("select 1 / 0")


async def test_a_connection_shows_whoever_gets_it_his_own_rows_whatever_became_of_its_last_use(database: str, owner: Connection) -> None:
    rows = await open_tenant_rows(await as_web(database), max=2)
    assert [await documents(rows, tenant_id) for tenant_id in (1, 2, 2, 1)] == [[1], [2], [2], [1]]
    assert await asyncio.gather(*(documents(rows, 1 + n % 2) for n in range(40))) == [[1 + n % 2] for n in range(40)]
    with pytest.raises(asyncpg.DivisionByZeroError):
        await rows.of(1).execute("select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await _in_a_transaction_that_fails(rows)
    for tenant_id in (1, 2, 2, 1):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rows.of(tenant_id).fetchval("select pg_sleep(5)")
        assert await documents(rows, 3 - tenant_id) == [3 - tenant_id]
    rows.terminate()


@pytest_asyncio.fixture
async def plain(postgres: PostgresServer, empty_database: str) -> AsyncIterator[str]:
    """The DSN of a database that belongs to a user who may do nothing else."""
    parts = urlsplit(empty_database)
    admin = await connect(empty_database)
    user = f"plain_{parts.path[1:]}"
    await admin.execute(f"create role {user} login password 'x'; alter database {parts.path[1:]} owner to {user}; grant all on schema public to {user}")
    await admin.execute(f"do $$ begin create role {WEB} nologin; exception when duplicate_object then null; end $$")
    query = "&".join(filter(None, [parts.query, f"user={user}", "password=x"]))
    yield urlunsplit(parts._replace(query=query, netloc=parts.netloc.rpartition("@")[2]))
    await admin.execute(f"drop owned by {user} cascade; alter database {parts.path[1:]} owner to current_user; drop role {user}")
    await admin.close()


async def test_a_user_who_may_not_act_as_the_role_is_told_so_and_separated_once_he_may(plain: str, empty_database: str) -> None:
    with capture_logs() as logs:
        await migrate(plain)
    [warning] = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert "may not act as the role testamur_web" in warning
    assert "create role testamur_web nologin; grant testamur_web to" in warning
    assert await as_web(plain) == plain

    admin = await connect(empty_database)
    await admin.execute(f"grant {WEB} to {await admin.fetchval('select pg_get_userbyid(datdba) from pg_database where datname = current_database()')}")
    with capture_logs() as logs:
        await migrate(plain)
    assert not logs
    connection = await connect(await as_web(plain))
    assert await connection.fetchval("select current_user") == WEB
    assert await connection.fetchval("select count(*) from statement") == 0
    await connection.close()
    for name, views in VIEWS.items():  # the owner goes on as before, a COPY of its own included
        owner = await connect(plain, search_path=f"{schema_of(name, 1)}, testamur")
        for table in set(views.values()):
            await put_row(owner, f"{schema_of(name, 1)}.{table}", 1)
            assert await owner.fetchval(f"select count(*) from {table}") == 1
        await owner.copy_records_to_table("void", records=[])
        await owner.close()
    await admin.close()
