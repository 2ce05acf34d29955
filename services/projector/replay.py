"""`testamur replay`: fold the whole log into a new version beside the one in use, compare the two, and change over where they stand equal.

Live workers go on meanwhile; they stand still only for the moments in which both versions are brought to equal positions. The tables of the version left
behind are dropped at the end: going back is another replay.
"""
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import asyncpg
import structlog

from services.projector.checksum import DEADLINE_S, checksum, first_differences
from services.projector.cursor import Connection
from services.projector.main import make_projections
from services.projector.office import Office
from services.projector.run import Projection
from services.runtime.log import Log
from services.runtime.migrate import create_version, ensure_cursors, replace_views, schema_of
from services.runtime.postgres import Statements, connect, open_pool
from services.runtime.settings import Settings
from services.runtime.telemetry import settle_garbage_collector

Progress = Callable[[str, int, int], object]
"""Called with what is being done, and how many records of how many are folded."""

T = TypeVar("T")
_POLL_S = 0.01
_REPORT_S = 0.25
_LEVEL_S = 3.0
_MEET_S = 300.0
_FOR_READERS = {
    "statements": ("statement_seq", "statement_actor", "statement_verb", "statement_activity", "statement_registration", "statement_authority"),
    "learners": ("ifi_grams",),
}
"""Indexes by which no fold looks anything up: one made of the finished table costs a fraction of one that grows row by row."""
_NEAR = 200
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger()


class ReplayRefused(Exception):
    """The replay cannot be done; nothing was changed."""


@dataclass(slots=True)
class ReplayReport:
    """What came of a replay: the checksums of each table in both versions, the keys of the first rows that differ, and whether readers see the new one."""

    name: str
    old: int
    new: int
    records: int
    before: dict[str, str]
    after: dict[str, str]
    differences: dict[str, list[str]] = field(default_factory=dict)
    cut_over: bool = False
    seconds: float = 0.0


async def replay(settings: Settings, dsn: str, log: Log, name: str, progress: Progress, accept_changes: bool = False) -> ReplayReport:
    """Rebuild the projection `name` from the log and put the rebuilt version in use, if it equals the old one or `accept_changes`.

    Raises ReplayRefused, having changed nothing, when there is no such projection, another replay of it runs, or a partition is halted.
    """
    settle_garbage_collector()
    projection = next((projection for projection in make_projections(settings) if projection.name == name), None)
    if projection is None:
        raise ReplayRefused(f"there is no projection {name}")
    return await replay_projection(dsn, log, projection, progress, accept_changes=accept_changes)


async def replay_projection(dsn: str, log: Log, projection: Projection, progress: Progress, *, accept_changes: bool = False) -> ReplayReport:
    """Do as `replay` says with a projection of the caller's own, which folds nothing else."""
    began = time.monotonic()
    control = await _connect(dsn)
    try:
        old, new, indexes = await _begin(control, log, projection.name)
        async with _building(dsn, log, projection, progress) as office:
            await _index(control, office, indexes, progress)
            report = await _compare(dsn, control, office, projection.name, old, new, progress)
            if not report.differences or accept_changes:
                progress("changing over", report.records, report.records)
                await _cut_over(control, office, projection.name, old, new)
                report.cut_over = True
        await _drop_leftovers(control, projection.name)
    finally:
        control.terminate()
    report.seconds = time.monotonic() - began
    return report


async def _begin(control: Connection, log: Log, name: str) -> tuple[int, int, list[str]]:
    """Make the tables of a new version; return the version in use, the new one, and how the indexes are made that it still lacks."""
    if not await control.fetchval(_sql.claim, name):
        raise ReplayRefused(f"another replay of {name} is running")
    await _drop_leftovers(control, name)
    old, new = await control.fetchval(_sql.active_version, name), await control.fetchval(_sql.next_version, name)
    await create_version(control, name, new)
    indexes = await control.fetch(_sql.indexes, schema_of(name, new), _FOR_READERS[name])
    for index, _ in indexes:
        await control.execute(f"drop index {schema_of(name, new)}.{index}")
    await ensure_cursors(control, name, new, log.log_id, log.partitions)
    return old, new, [definition for _, definition in indexes]


async def _index(control: Connection, office: Office, indexes: list[str], progress: Progress) -> None:
    """Make the indexes that only readers need, while the new version stands still."""
    records = office.progress()[1]
    progress("indexing", records, records)
    office.hold({})
    deadline = time.monotonic() + _MEET_S
    while await _until(office.places) is None:
        if time.monotonic() > deadline:
            raise ReplayRefused("the new version does not stand still to be indexed")
    for definition in indexes:
        await control.execute(definition)
    office.hold(None)


@asynccontextmanager
async def _building(dsn: str, log: Log, projection: Projection, progress: Progress) -> AsyncIterator[Office]:
    """Workers of our own on the new version, which has reached the end of the log seen at the start."""
    pool = await open_pool(dsn, min=0, max=2, application_name="testamur replay")
    stop, ready = asyncio.Event(), asyncio.Event()
    office = Office(dsn, log, uuid4(), [projection], pool, live=False)
    work = asyncio.create_task(office.keep(stop, ready.set))
    try:
        while not ready.is_set():
            await _wait(work, _REPORT_S)
            progress("folding", *office.progress())
            if office.halted:
                raise ReplayRefused(f"the new version of {projection.name} halted: {office.halted}")
        yield office
    finally:
        stop.set()
        await asyncio.wait({work})
        pool.terminate()
    work.result()


async def _compare(dsn: str, control: Connection, office: Office, name: str, old: int, new: int, progress: Progress) -> ReplayReport:  # noqa: PLR0913, PLR0917 - two versions
    """Take one snapshot of both versions at equal positions and compare them in it, while writes go on."""
    snapshot = await _connect(dsn)
    try:
        view = snapshot.transaction(isolation="repeatable_read", readonly=True)
        async with _level(control, office, name, old) as places:
            await view.start()
            await snapshot.execute(_sql.snapshot)
        office.hold(None)
        records = sum(places.values())
        progress("comparing", records, records)
        before, after = await checksum(snapshot, name, old), await checksum(snapshot, name, new)
        differences = {table: await first_differences(snapshot, name, (old, new), table) for table in before if before[table] != after[table]}
        return ReplayReport(name, old, new, records, before, after, differences)
    finally:
        snapshot.terminate()


@asynccontextmanager
async def _level(control: Connection, office: Office, name: str, old: int) -> AsyncIterator[dict[int, int]]:
    """Hold both versions at equal positions: inside, a transaction of `control` locks the live cursors. Raises ReplayRefused if they never meet."""
    deadline = time.monotonic() + _MEET_S
    while time.monotonic() < deadline:
        if await _near(control, office, name, old):
            async with control.transaction():
                live = {row["partition"]: row["position"] for row in await control.fetch(_sql.hold, name, old)}
                office.hold(live)
                if await _until(lambda live=live: office.places() == live or None):  # type: ignore[misc]
                    yield live
                    return
        await asyncio.sleep(_POLL_S)
    raise ReplayRefused(f"the version in use and the new one of {name} did not come to equal positions: is anybody folding the one in use?")


async def _near(control: Connection, office: Office, name: str, old: int) -> bool:
    """Return whether ours stands still, not ahead of the live one and little behind it, so that locking the live one will take a moment only."""
    live = {}
    for partition, position, halted in await control.fetch(_sql.places, name, old):
        if halted:
            raise ReplayRefused(f"partition {partition} of the version in use is halted: {halted}")
        live[partition] = position
    if any(office.position(partition) < position - _NEAR for partition, position in live.items()):
        office.hold(None)
        return False
    office.hold({})
    standing = office.places()
    return standing is not None and all(position <= live[partition] for partition, position in standing.items())


async def _cut_over(control: Connection, office: Office, name: str, old: int, new: int) -> None:
    """Let all readers see the new version, in one transaction with all cursors of both locked at equal positions."""
    async with _level(control, office, name, old) as live:
        built = {row["partition"]: row["position"] for row in await control.fetch(_sql.hold, name, new)}
        if built != live:
            raise ReplayRefused("the new version moved while it was held")
        before = await control.fetchval(_sql.through)
        await control.execute(_sql.carry, name, old, new)
        await control.execute(_sql.fence, name, old)
        await control.execute(_sql.set_state, name, old, "retired")
        await control.execute(_sql.set_state, name, new, "active")
        await replace_views(control, name, new)
        await control.execute(_sql.forget_spans, name, old)
        await control.execute(_sql.forget_dead_letters, name, old)
        after = await control.fetchval(_sql.through)
        if before is not None and after < before:
            raise ReplayRefused(f"Consistent-Through would go back from {before} to {after}")
        await control.execute(_sql.folded)
    _log.info("cut over", projection=name, old=old, new=new)


async def _drop_leftovers(control: Connection, name: str) -> None:
    for row in await control.fetch(_sql.leftovers, name):
        try:
            await control.execute(f"drop schema if exists {schema_of(name, row['version'])} cascade")
            await control.execute(_sql.forget_building, name, row["version"])
        except asyncpg.LockNotAvailableError as error:  # somebody still reads it: the next replay will find it
            _log.warning("tables of a version left behind are still in use", projection=name, version=row["version"], error=repr(error))


async def _connect(dsn: str) -> Connection:
    return await connect(
        dsn, application_name="testamur replay", command_timeout_s=DEADLINE_S, idle_in_transaction_s=DEADLINE_S, server_settings={"lock_timeout": "30000"})


async def _until(look: Callable[[], T | None]) -> T | None:
    deadline = time.monotonic() + _LEVEL_S
    while (found := look()) is None and time.monotonic() < deadline:  # noqa: ASYNC110 - workers tell nobody that they stand still
        await asyncio.sleep(_POLL_S)
    return found


async def _wait(work: "asyncio.Task[None]", seconds: float) -> None:
    """Wait a moment; raise what the work raised if it ended."""
    done, _ = await asyncio.wait({work}, timeout=seconds)
    for task in done:
        task.result()
