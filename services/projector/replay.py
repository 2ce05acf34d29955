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

from services.projector.building import (
    Build,
    Progress,
    ReplayRefused,
    begin,
    claim,
    complete,
    drop_leftovers,
    held,
    open_control,
    put_in_use,
    until_nobody_decides,
    workers,
)
from services.projector.checksum import checksum, first_differences
from services.projector.cursor import Connection
from services.projector.main import make_projections
from services.projector.office import Office
from services.projector.run import Projection
from services.runtime.log import Log
from services.runtime.postgres import Statements
from services.runtime.settings import Settings
from services.runtime.telemetry import settle_garbage_collector

T = TypeVar("T")
_POLL_S = 0.01
_LEVEL_S = 3.0
_MEET_S = 300.0
_NEAR = 200
_sql = Statements(Path(__file__).with_suffix(".sql"))


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
    control = await open_control(dsn)
    try:
        if not await claim(control, projection.name):
            raise ReplayRefused(f"another replay of {projection.name} is running")
        build = await begin(control, log, projection.name)
        async with workers(dsn, log, projection, progress) as office:
            await _index(control, office, build, progress)
            report = await _compare(dsn, control, office, build, progress)
            if not report.differences or accept_changes:
                progress("changing over", report.records, report.records)
                await _cut_over(control, office, build)
                report.cut_over = True
        await drop_leftovers(control, projection.name)
    finally:
        control.terminate()
    report.seconds = time.monotonic() - began
    return report


async def _index(control: Connection, office: Office, build: Build, progress: Progress) -> None:
    """Make the indexes that only readers need, while the new version stands still."""
    records = office.progress()[1]
    progress("indexing", records, records)
    office.hold({})
    deadline = time.monotonic() + _MEET_S
    while await _until(office.places) is None:
        if time.monotonic() > deadline:
            raise ReplayRefused("the new version does not stand still to be indexed")
    await complete(control, build)
    office.hold(None)


async def _compare(dsn: str, control: Connection, office: Office, build: Build, progress: Progress) -> ReplayReport:
    """Take one snapshot of both versions at equal positions and compare them in it, while writes go on."""
    name, old, new = build.name, build.old, build.new
    snapshot = await open_control(dsn)
    try:
        view = snapshot.transaction(isolation="repeatable_read", readonly=True)
        async with _level(control, office, build) as places:
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
async def _level(control: Connection, office: Office, build: Build, *, undecided: bool = False) -> AsyncIterator[dict[int, int]]:
    """Hold both versions at equal positions: inside, a transaction of `control` locks the live cursors. Raises ReplayRefused if they never meet.

    `undecided`: inside, nobody decides either. Deciders are waited for while folds go on.
    """
    deadline = time.monotonic() + _MEET_S
    while time.monotonic() < deadline:
        if await _near(control, office, build):
            async with control.transaction():
                if undecided:
                    await until_nobody_decides(control)
                live = await held(control, build.name, build.old)
                office.hold(live)
                if await _until(lambda live=live: office.places() == live or None):  # type: ignore[misc]
                    yield live
                    return
        await asyncio.sleep(_POLL_S)
    raise ReplayRefused(f"the version in use and the new one of {build.name} did not come to equal positions: is anybody folding the one in use?")


async def _near(control: Connection, office: Office, build: Build) -> bool:
    """Return whether ours stands still, not ahead of the live one and little behind it, so that locking the live one will take a moment only."""
    live = {}
    for partition, position, halted in await control.fetch(_sql.places, build.name, build.old):
        if halted:
            raise ReplayRefused(f"partition {partition} of the version in use is halted: {halted}")
        live[partition] = position
    if any(office.position(partition) < position - _NEAR for partition, position in live.items()):
        office.hold(None)
        return False
    office.hold({})
    standing = office.places()
    return standing is not None and all(position <= live[partition] for partition, position in standing.items())


async def _cut_over(control: Connection, office: Office, build: Build) -> None:
    """Let all readers see the new version, in one transaction with all cursors of both locked at equal positions."""
    async with _level(control, office, build, undecided=build.name == "learners") as live:
        if await held(control, build.name, build.new) != live:
            raise ReplayRefused("the new version moved while it was held")
        await put_in_use(control, build)


async def _until(look: Callable[[], T | None]) -> T | None:
    deadline = time.monotonic() + _LEVEL_S
    while (found := look()) is None and time.monotonic() < deadline:  # noqa: ASYNC110 - workers tell nobody that they stand still
        await asyncio.sleep(_POLL_S)
    return found
