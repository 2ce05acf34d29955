"""The schema: forward-only numbered migrations, and the tables and views of each version of each projection.

Any number of processes may migrate at once: one does, the others wait for it. A database of a newer Testamur is refused and left untouched.
"""
from pathlib import Path
from uuid import UUID

import schemas
from services.runtime.postgres import MIGRATION_LOCK, Connection, Statements, connect

FOLDER = Path(schemas.__file__).parent / "postgres"
MIGRATE_TIMEOUT_S = 300.0
VIEWS: dict[str, dict[str, str]] = {
    "statements": {name: name for name in ("statement", "statement_agent", "related_activity", "statement_via", "void", "authority", "conflict", "definition")},
    "learners": {
        "learner_void": "void",
        **{name: name for name in ("ifi", "learner", "link", "evidence", "assurance", "activity", "block", "entry", "course")},
    },
}
"""For each projection: the views of the schema `testamur` through which all readers see its active version, and the table each stands for."""

_sql = Statements(Path(__file__).with_suffix(".sql"))


class NewerVersion(Exception):
    """The database was migrated by a newer Testamur."""


async def migrate(dsn: str) -> None:
    """Bring the database at `dsn` to this version's schema. Raises NewerVersion, having changed nothing."""
    connection = await connect(dsn, application_name="testamur migrate", command_timeout_s=MIGRATE_TIMEOUT_S, idle_in_transaction_s=60)
    try:
        await connection.execute(_sql.lock, MIGRATION_LOCK)
        await _migrate(connection)
    finally:
        await connection.close(timeout=5)  # which also gives back the lock


def migrations() -> dict[int, Path]:
    """Return the numbered migrations that this version of Testamur knows, in order."""
    return {int(file.name[:4]): file for file in sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


def schema_of(name: str, version: int) -> str:
    """Return the Postgres schema that holds the tables of a version of a projection. Raises KeyError for a projection there is none of."""
    VIEWS[name]
    return f"{name}_{version:d}"


async def create_version(connection: Connection, name: str, version: int) -> None:
    """Make the empty tables of a new version of a projection, in state `building`."""
    schema = schema_of(name, version)
    async with connection.transaction():
        await connection.execute(f"create schema {schema}")
        before = await connection.fetchval(_sql.search_path, schema)
        await connection.execute((FOLDER / "projections" / f"{name}.sql").read_text(encoding="utf-8"))
        await connection.execute(_sql.search_path, before)
        await connection.execute(_sql.add_version, name, version)


async def replace_views(connection: Connection, name: str, version: int) -> None:
    """Let every reader see this version of a projection, from the commit of the transaction this is called in."""
    schema = schema_of(name, version)
    script = "".join(
        f"drop view if exists testamur.{view}; create view testamur.{view} as select * from {schema}.{table};\n"  # noqa: S608 - names of ours alone
        for view, table in VIEWS[name].items())
    async with connection.transaction():
        await connection.execute(script)


async def ensure_cursors(connection: Connection, name: str, version: int, log_id: UUID, partitions: int) -> None:
    """Make the cursors of a version, at the beginning of the log, where there are none yet."""
    await connection.execute(_sql.ensure_cursors, name, version, log_id, partitions)


async def _migrate(connection: Connection) -> None:
    known = migrations()
    await connection.execute(_sql.bookkeeping)
    done: int = await connection.fetchval(_sql.version)
    if done > max(known):
        raise NewerVersion(
            f"This database is at schema version {done}, made by a newer Testamur; this one knows versions up to {max(known)}. "
            "Nothing was changed. Start the newer Testamur, or restore a backup made before it first ran.")
    for number, file in known.items():
        if number > done:
            async with connection.transaction():
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute(_sql.record, number, file.stem)
    for name in VIEWS:
        if not await connection.fetchval(_sql.has_versions, name):
            async with connection.transaction():
                await create_version(connection, name, 1)
                await connection.execute(_sql.activate, name, 1)
                await replace_views(connection, name, 1)
