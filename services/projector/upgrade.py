"""After an upgrade: the projections whose tables other code made are folded anew from the whole log, before anybody serves or folds.

Unlike a replay it has nothing to compare with, since the new tables are meant to differ, and nobody folds meanwhile. Killed at any moment, the next one drops
what it finds half done and begins again; readers see the old tables until the new ones are complete.
"""
import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from services.projector.building import Build, Progress, ReplayRefused, begin, claim, complete, drop_leftovers, held, open_control, put_in_use, workers
from services.projector.cursor import LEASE, Connection
from services.projector.main import make_projections
from services.projector.run import Projection
from services.runtime import failpoint
from services.runtime.log import Log
from services.runtime.log.open_log import open_log
from services.runtime.migrate import VIEWS, outdated
from services.runtime.postgres import Statements
from services.runtime.settings import Settings
from services.runtime.telemetry import settle_garbage_collector

Shown = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far the work on a projection is, while the context lasts."""

_POLL_S = 0.5
_ENDS_S = 2 * LEASE.total_seconds() + 2
"""How long a projector that was killed counts as alive, and a little more."""
_sql = Statements(Path(__file__).with_suffix(".sql"))


async def upgrade(settings: Settings, dsn: str, shown: Shown) -> None:
    """Fold anew each projection of the migrated database whose version in use was not made by this code, and put that in use.

    Raises ReplayRefused when a projector still runs, or when a record halts the new version that the old one has passed; the old one then stays in use.
    """
    names = await outdated(dsn)
    control = await open_control(dsn)
    try:
        if names:
            await _fold_anew(settings, dsn, control, names, shown)
        for name in VIEWS:
            if name not in names and await claim(control, name):  # one that was killed may have left tables
                await drop_leftovers(control, name)
    finally:
        control.terminate()


async def _fold_anew(settings: Settings, dsn: str, control: Connection, names: list[str], shown: Shown) -> None:
    failpoint.FAILPOINTS.arm(settings.failpoints)
    settle_garbage_collector()
    log = await open_log(settings, dsn)
    try:
        for projection in make_projections(settings):
            if projection.name in names:
                with shown(projection.name) as progress:
                    await upgrade_projection(dsn, log, control, projection, progress)
    finally:
        await log.close()


async def upgrade_projection(
    dsn: str, log: Log, control: Connection, projection: Projection, progress: Progress, *, patience_s: float = _ENDS_S,
) -> None:
    """Do as `upgrade` says with one projection, on a connection of `open_control`; if another process does it just now, wait for that one.

    A projector that reported alive of late is waited for as long as our patience lasts.
    """
    name = projection.name
    while not await claim(control, name):
        progress("waiting for another process that folds it anew", 0, 0)
        await asyncio.sleep(_POLL_S)
    if name not in await outdated(dsn):
        return
    await _until_nobody_folds(control, progress, patience_s)
    build = await begin(control, log, name)
    async with workers(dsn, log, projection, progress, past_halts=True) as office:
        records = office.progress()[1]
    progress("indexing", records, records)
    await complete(control, build)
    async with control.transaction():
        await _refuse_if_behind(control, build)
        await put_in_use(control, build)
    failpoint.hit("upgrade.in_use")
    await drop_leftovers(control, name)
    progress(f"version {build.new} is in use; other code made version {build.old}, so there was nothing to compare it with", records, records)


async def _until_nobody_folds(control: Connection, progress: Progress, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while await control.fetchval(_sql.living, 2 * LEASE):
        if time.monotonic() > deadline:
            raise ReplayRefused("A projector still runs on this database: stop every process of the earlier version first.")
        progress("waiting for the last projector to end", 0, 0)
        await asyncio.sleep(_POLL_S)


async def _refuse_if_behind(control: Connection, build: Build) -> None:
    """Raise ReplayRefused if the old version has folded what the new one has not: readers would lose it."""
    old, new = await held(control, build.name, build.old), await held(control, build.name, build.new)
    behind = [partition for partition, position in old.items() if new.get(partition, 0) < position]
    if not behind:
        return
    for partition, reason in await control.fetch(_sql.halts, build.name, build.new):
        if partition in behind:
            raise ReplayRefused(f"The new version of {build.name} halted in partition {partition}, {reason}.")
    raise ReplayRefused(f"Somebody folded on into the version of {build.name} in use: stop every process of the earlier version first.")
