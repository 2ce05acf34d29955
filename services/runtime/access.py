"""The role of Postgres that keeps tenants apart: what it may do, and connections that act as it. docs/adr/0013."""
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import structlog

import schemas
from services.runtime.postgres import Connection, Statements, connect

WEB = "testamur_web"
"""Sees the rows of the one tenant that the setting `testamur.tenant` names, and only reads projections."""

_ACCESS = Path(schemas.__file__).parent / "postgres" / "access.sql"
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger(__name__)


async def grant_access(connection: Connection, *, changed: bool) -> None:
    """Put row-level security in force: once, and again where the schema has `changed`. The database is migrated, and nobody else migrates it.

    Where the user may neither make the role nor act as it everything stays as it is, and a warning says what to do.
    """
    obstacle = await connection.fetchval(_sql.make_web_role)
    if obstacle is not None:
        _log.warning(_not_separated(await connection.fetchval(_sql.user), obstacle))
    elif changed or not await connection.fetchval(_sql.separated):
        async with connection.transaction():
            await connection.execute(_ACCESS.read_text(encoding="utf-8"))


async def as_web(dsn: str) -> str:
    """Return the DSN of connections that act as the role on the migrated database at `dsn`; where row-level security is not in force, `dsn` itself."""
    connection = await connect(dsn, application_name="testamur access")
    try:
        separated = await connection.fetchval(_sql.separated)
    finally:
        await connection.close(timeout=5)
    if not separated:
        return dsn
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, f"role={WEB}"]))))


def _not_separated(user: str, obstacle: str) -> str:
    """Return the sentence that says what is missing, why, and how to get it."""
    return (
        f"Tenants are kept apart by Testamur alone and not by Postgres too: the database user {user} {obstacle}. Let an administrator of Postgres execute "
        f'`create role {WEB} nologin; grant {WEB} to "{user}";`, then run `testamur migrate`.')
