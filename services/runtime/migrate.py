"""The schema: forward-only numbered migrations, and the tables and views of each version of each projection.

Any number of processes may migrate at once: one does, the others wait for it. A database of a newer Testamur is refused and left untouched. The tables of
a projection are never altered: those that other code made stay as they are until all is folded anew from the log (services/projector/upgrade.py).
"""
import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import schemas
from services.runtime.access import grant_access
from services.runtime.postgres import MIGRATION_LOCK, Connection, Statements, connect

FOLDER = Path(schemas.__file__).parent / "postgres"
MIGRATE_TIMEOUT_S = 300.0
VIEWS: dict[str, dict[str, str]] = {
    "statements": {name: name for name in ("statement", "statement_agent", "related_activity", "statement_via", "void", "authority", "conflict", "definition")},
    "learners": {
        "learner_void": "void",
        **{name: name for name in (
            "ifi", "learner", "link", "evidence", "assurance", "activity", "block", "entry", "course", "programme", "retirement",
            "ledger", "decision", "award", "revocation", "waking")},
    },
}
"""For each projection: the views of the schema `testamur` through which all readers see its active version, and the table each stands for."""
FOLDS = {"statements": 2, "learners": 4}
"""For each projection: raised, by hand, with every change of its tables or of what the same records are folded into. Old tables are then made anew at the
next start, which folds the whole log; and this Testamur is refused to whoever knows only a lower number."""

_UNCHANGED = "Nothing was changed. Start the newer Testamur, or restore a backup made before it first ran."
_COMMENT = re.compile(r"--[^\n]*")
_sql = Statements(Path(__file__).with_suffix(".sql"))


class NewerVersion(Exception):
    """The database was migrated by a newer Testamur."""


class OlderProjections(Exception):
    """Projections in use were made by other code, so nobody may fold or read them until they are made anew."""


async def migrate(dsn: str) -> None:
    """Bring the database at `dsn` to this version's schema. Raises NewerVersion, having changed nothing."""
    connection = await connect(dsn, application_name="testamur migrate", command_timeout_s=MIGRATE_TIMEOUT_S, idle_in_transaction_s=60)
    try:
        await connection.execute(_sql.lock, MIGRATION_LOCK)
        await _migrate(connection)
    finally:
        await connection.close(timeout=5)  # which also gives back the lock


async def outdated(dsn: str) -> list[str]:
    """Return the projections of the migrated database at `dsn` whose version in use was not made by this code."""
    connection = await connect(dsn, application_name="testamur migrate")
    try:
        return [row["name"] for row in await connection.fetch(_sql.in_use) if row["name"] in VIEWS and row["fingerprint"] != fingerprint_of(row["name"])]
    finally:
        await connection.close(timeout=5)


async def require_current(dsn: str) -> None:
    """Raise OlderProjections unless the versions in use of all projections of the migrated database at `dsn` were made by this code."""
    if names := await outdated(dsn):
        raise OlderProjections(
            f"This database was made by an earlier version of Testamur, and its {' and '.join(names)} must be folded anew from the log. "
            "Stop whatever of that version still runs, then run `testamur migrate`.")


def migrations() -> dict[int, Path]:
    """Return the numbered migrations that this version of Testamur knows, in order."""
    return {int(file.name[:4]): file for file in sorted(FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


def schema_of(name: str, version: int) -> str:
    """Return the Postgres schema that holds the tables of a version of a projection. Raises KeyError for a projection there is none of."""
    VIEWS[name]
    return f"{name}_{version:d}"


def fingerprint_of(name: str) -> str:
    """Return what tells the tables that this code makes of a projection, and what it folds into them, from those of other code: `number:hash`."""
    words = [*_COMMENT.sub("", _definition(name) + _own_views(name)).split(), *map(str, sorted(VIEWS[name].items()))]
    return f"{FOLDS[name]}:{hashlib.sha256(' '.join(words).encode()).hexdigest()[:32]}"


async def create_version(connection: Connection, name: str, version: int) -> None:
    """Make the empty tables of a new version of a projection, in state `building`."""
    schema = schema_of(name, version)
    async with connection.transaction():
        await connection.execute(f"create schema {schema}")
        before = await connection.fetchval(_sql.search_path, schema)
        await connection.execute(_definition(name))
        await connection.execute(_sql.search_path, before)
        await connection.execute(_sql.add_version, name, version, fingerprint_of(name))
        await connection.execute(_sql.guard_version, schema)


async def replace_views(connection: Connection, name: str, version: int) -> None:
    """Let every reader see this version of a projection, from the commit of the transaction this is called in."""
    schema = schema_of(name, version)
    script = "".join(
        f"drop view if exists testamur.{view}; create view testamur.{view} with (security_invoker = true) as select * from {schema}.{table};\n"  # noqa: S608 - names of ours alone
        for view, table in VIEWS[name].items())
    async with connection.transaction():
        await connection.execute(script + _own_views(name).format(schema=schema))
        await connection.execute(_sql.guard_views)


async def ensure_cursors(connection: Connection, name: str, version: int, log_id: UUID, partitions: int) -> None:
    """Make the cursors of a version, at the beginning of the log, where there are none yet."""
    await connection.execute(_sql.ensure_cursors, name, version, log_id, partitions)


def _definition(name: str) -> str:
    """Return the script that makes the tables of a version of a projection, in the schema that is first in the search path."""
    return (FOLDER / "projections" / f"{name}.sql").read_text(encoding="utf-8")


def _own_views(name: str) -> str:
    """Return the script that makes the views of a projection that are more than a table; `{schema}` is where its tables are."""
    file = FOLDER / "projections" / f"{name}_views.sql"
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def _migrate(connection: Connection) -> None:
    known = migrations()
    await connection.execute(_sql.bookkeeping)
    applied: set[int] = {row["version"] for row in await connection.fetch(_sql.applied)}
    await _refuse_newer(connection, known, applied)
    for number, file in known.items():
        if number not in applied:
            async with connection.transaction():
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute(_sql.record, number, file.stem)
    for name in VIEWS:
        if not await connection.fetchval(_sql.has_versions, name):
            async with connection.transaction():
                await create_version(connection, name, 1)
                await connection.execute(_sql.activate, name, 1)
                await replace_views(connection, name, 1)
    if known.keys() - applied:
        for row in await connection.fetch(_sql.in_use):  # as this code makes views; those of older tables change when these are made anew
            if row["fingerprint"] == fingerprint_of(row["name"]):
                await replace_views(connection, row["name"], row["version"])
    await grant_access(connection, changed=bool(known.keys() - applied))


async def _refuse_newer(connection: Connection, known: Collection[int], applied: set[int]) -> None:
    """Raise NewerVersion if a migration was applied that is not known here, or if a projection in use says that newer code folds it."""
    if unknown := applied.difference(known):
        raise NewerVersion(
            f"This database is at schema version {max(unknown)}, made by a newer Testamur; this one knows versions up to {max(known)}. {_UNCHANGED}")
    if not applied:
        return
    for row in await connection.fetch(_sql.in_use):
        number = int((row["fingerprint"] or "0").partition(":")[0])
        if number > FOLDS.get(row["name"], 0):
            raise NewerVersion(f"The projection {row['name']} of this database was folded by a newer Testamur. {_UNCHANGED}")
