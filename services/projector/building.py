"""A new version of a projection beside the one in use: its tables, made empty, and workers of our own that fold the whole log into them.

Killed at any moment it leaves a version that nobody reads and the next one to build drops.
"""
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import structlog

from services.projector.checksum import DEADLINE_S
from services.projector.cursor import Connection
from services.projector.office import Office
from services.projector.run import Projection
from services.runtime.log import Log
from services.runtime.migrate import VIEWS, create_version, ensure_cursors, replace_views, schema_of
from services.runtime.postgres import Statements, connect, open_pool

Progress = Callable[[str, int, int], object]
"""Called with what is being done, and how many records of how many are folded."""

_REPORT_S = 0.25
_FOR_READERS = {
    "statements": (
        "statement_seq", "statement_actor", "statement_verb", "statement_activity", "statement_registration", "statement_authority", "definition_latest"),
    "learners": ("ifi_grams", "decision_id", "award_credential", "award_matter"),
}
"""Indexes by which no fold looks anything up: one made of the finished table costs a fraction of one that grows row by row."""
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger()


class ReplayRefused(Exception):
    """The projection cannot be folded anew; the version in use stays in use."""


@dataclass(frozen=True, slots=True)
class Build:
    """A version being built: the one in use, the new one, and how the indexes are made that it still lacks."""

    name: str
    old: int
    new: int
    indexes: tuple[str, ...]


async def claim(control: Connection, name: str) -> bool:
    """Be the only one to build versions of this projection as long as the connection lives; return whether nobody else is."""
    return bool(await control.fetchval(_sql.claim, name))


async def begin(control: Connection, log: Log, name: str) -> Build:
    """Make the tables of a new version of a projection that is claimed."""
    await drop_leftovers(control, name)
    old, new = await control.fetchval(_sql.active_version, name), await control.fetchval(_sql.next_version, name)
    await create_version(control, name, new)
    indexes = await control.fetch(_sql.indexes, schema_of(name, new), _FOR_READERS[name])
    for index, _ in indexes:
        await control.execute(f"drop index {schema_of(name, new)}.{index}")
    await ensure_cursors(control, name, new, log.log_id, log.partitions)
    return Build(name, old, new, tuple(definition for _, definition in indexes))


@asynccontextmanager
async def workers(dsn: str, log: Log, projection: Projection, progress: Progress, *, past_halts: bool = False) -> AsyncIterator[Office]:
    """Workers of our own on the new version, which has reached the end of the log seen at the start.

    Raises ReplayRefused when a partition halts, unless the others are to be folded `past_halts`.
    """
    pool = await open_pool(dsn, min=0, max=2, application_name="testamur replay", reset=False)
    stop, ready = asyncio.Event(), asyncio.Event()
    office = Office(dsn, log, uuid4(), [projection], pool, live=False)
    work = asyncio.create_task(office.keep(stop, ready.set))
    try:
        while not ready.is_set():
            await _wait(work, _REPORT_S)
            progress("folding", *office.progress())
            if office.halted and not past_halts:
                raise ReplayRefused(f"the new version of {projection.name} halted: {office.halted}")
        yield office
    finally:
        stop.set()
        await asyncio.wait({work})
        pool.terminate()
    work.result()


async def complete(control: Connection, build: Build) -> None:
    """Make the indexes that only readers need, of tables that stand still, and let Postgres know what it will plan queries of them by."""
    for definition in build.indexes:
        await control.execute(definition)
    for table in VIEWS[build.name].values():
        await control.execute(f"analyze {schema_of(build.name, build.new)}.{table}")


async def held(control: Connection, name: str, version: int) -> dict[int, int]:
    """Return where each partition of a version is folded to; until the end of the transaction nobody folds on."""
    return {row["partition"]: row["position"] for row in await control.fetch(_sql.hold, name, version)}


async def until_nobody_decides(control: Connection) -> None:
    """Wait until nobody decides by the version in use; until the end of the transaction nobody begins to. Raises ReplayRefused if somebody takes very long."""
    try:
        await control.execute(_sql.undecided)
    except asyncpg.LockNotAvailableError as error:
        raise ReplayRefused("A learner is judged who takes very long: try again later.") from error


async def put_in_use(control: Connection, build: Build) -> None:
    """Let all readers see the new version, in the caller's transaction, which holds both versions and in which the new one is behind nowhere.

    Whoever folded the old one can do so no more. Raises ReplayRefused if Consistent-Through would go back.
    """
    before = await control.fetchval(_sql.through)
    await control.execute(_sql.carry, build.name, build.old, build.new)
    await control.execute(_sql.fence, build.name, build.old)
    await control.execute(_sql.set_state, build.name, build.old, "retired")
    await control.execute(_sql.set_state, build.name, build.new, "active")
    await replace_views(control, build.name, build.new)
    if build.name == "learners":
        await control.execute(_sql.sweep_all, build.name, build.new)
    await control.execute(_sql.forget_spans, build.name, build.old)
    await control.execute(_sql.forget_dead_letters, build.name, build.old)
    after = await control.fetchval(_sql.through)
    if before is not None and after < before:
        raise ReplayRefused(f"Consistent-Through would go back from {before} to {after}")
    await control.execute(_sql.folded)
    _log.info("cut over", projection=build.name, old=build.old, new=build.new)


async def drop_leftovers(control: Connection, name: str) -> None:
    """Drop the tables that nobody reads: of versions left behind, and of builds that did not end."""
    for row in await control.fetch(_sql.leftovers, name):
        try:
            await control.execute(f"drop schema if exists {schema_of(name, row['version'])} cascade")
            await control.execute(_sql.forget_building, name, row["version"])
        except asyncpg.LockNotAvailableError as error:  # somebody still uses it: the next build will find it
            await control.execute(_sql.abandon, name, row["version"])
            _log.warning("tables of a version left behind are still in use", projection=name, version=row["version"], error=repr(error))


async def open_control(dsn: str) -> Connection:
    """Return the connection from which a version is built and put in use."""
    return await connect(
        dsn, application_name="testamur replay", command_timeout_s=DEADLINE_S, idle_in_transaction_s=DEADLINE_S, server_settings={"lock_timeout": "30000"})


async def _wait(work: "asyncio.Task[None]", seconds: float) -> None:
    """Wait a moment; raise what the work raised if it ended."""
    done, _ = await asyncio.wait({work}, timeout=seconds)
    for task in done:
        task.result()
