"""`testamur replay NAME`: a projection folded anew from the log, compared, and put in use."""
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

import typer
import uvloop

from services.commands.options import DataDir, settings_of_a_store
from services.commands.progress import shown
from services.data_dir import Refused, running
from services.projector.building import ReplayRefused
from services.projector.main import run_projector
from services.projector.replay import ReplayReport
from services.projector.replay import replay as rebuild
from services.runtime.log import Log
from services.runtime.log.open_log import open_log
from services.runtime.migrate import VIEWS, migrate, require_current
from services.runtime.secret import confirm_secret
from services.runtime.settings import Settings
from services.supervisor import database


def replay(
    name: Annotated[str, typer.Argument(help=f"The projection: {' or '.join(VIEWS)}.")],
    accept_changes: Annotated[bool, typer.Option("--accept-changes", help="Change over even if the new version differs from the one in use.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Fold the log into a new version beside the one in use, compare them, and change over. Ends with 1 if they differ, having changed nothing."""
    if name not in VIEWS:
        raise Refused(f"There is no projection {name}; there are {' and '.join(VIEWS)}.")
    try:
        report = uvloop.run(_replay(settings_of_a_store(data_dir=data_dir), name, accept_changes=accept_changes))
    except ReplayRefused as refusal:
        raise Refused(str(refusal)) from refusal
    typer.echo(_as_text(report))
    if not report.cut_over:
        raise typer.Exit(1)


async def _replay(settings: Settings, name: str, *, accept_changes: bool) -> ReplayReport:
    async with database(settings) as dsn:
        await migrate(dsn)
        await require_current(dsn)
        await confirm_secret(settings, dsn)
        log = await open_log(settings, dsn)
        try:
            async with _live_workers(settings, dsn, log):
                with shown(name) as progress:
                    return await rebuild(settings, dsn, log, name, progress, accept_changes=accept_changes)
        finally:
            await log.close()


@asynccontextmanager
async def _live_workers(settings: Settings, dsn: str, log: Log) -> AsyncIterator[None]:
    """Have somebody fold into the version in use: where no `up` runs, we do."""
    if running(settings.data_dir) is not None:
        yield
        return
    stop, ready = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(run_projector(settings, dsn, log, uuid4(), stop, ready.set))
    try:
        await asyncio.wait({work, waiting := asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        yield
    finally:
        stop.set()
        await work


def _as_text(report: ReplayReport) -> str:
    lines = [f"{table:<16} {'equal' if report.before[table] == report.after[table] else 'DIFFERS'}  {report.after[table]}" for table in report.after]
    for table, keys in report.differences.items():
        lines.append(f"first rows of {table} that differ: {' '.join(keys)}")
    ending = f"version {report.new} of {report.name} is in use" if report.cut_over else f"version {report.old} of {report.name} stays in use"
    return "\n".join([*lines, f"{report.records:,} records in {report.seconds:.1f} s; {ending}."])
