"""`testamur up`: everything on one machine, ready before the demo loads, drained by Ctrl-C or SIGTERM."""
import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from datetime import timedelta
from typing import Annotated, Any

import typer

from services.commands.options import DataDir, Host, Port, settings_from
from services.commands.progress import shown
from services.core.keys import KeyedHash
from services.data_dir import Refused, announce, hold
from services.demo.load import load_demo
from services.runtime.callers.api_keys import NewKey, create_key, ensure_bootstrap
from services.runtime.postgres import open_pool
from services.runtime.secret import resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.supervisor import System, running_system


def up(
    data_dir: DataDir = None, host: Host = None, port: Port = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Web processes [TESTAMUR_WORKERS, one for each two cores].", show_default=False)] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Load a sample world of about 100,000 statements, once.")] = False,
) -> None:
    """Run everything on this machine until Ctrl-C; started again it goes on from its data."""
    settings = settings_from(data_dir=data_dir, host=host, port=port, workers=workers)
    with hold(settings.data_dir) as left_behind:
        asyncio.run(_until_signalled(_up(settings, demo=demo, left_behind=left_behind)))
    typer.echo("Testamur has stopped.")


async def _up(settings: Settings, *, demo: bool, left_behind: bool) -> None:
    if demo:
        settings = _with_demo_key(settings)
    made: list[NewKey] = []

    async def ensure_keys(bound: Settings, dsn: str) -> None:
        async with await open_pool(dsn, max=1) as pool:
            key = await ensure_bootstrap(bound, pool, resolve_secret(bound), public_url=public_url(bound))
        if key is not None:
            made.append(key)

    async with running_system(settings, shown, ensure_keys, left_behind=left_behind) as system:
        await system.ready(lambda reason: typer.echo(f"Not ready yet: {reason}", err=True))
        announce(settings.data_dir, system.address)
        _greet(system, made)
        if demo:
            assert settings.bootstrap_key is not None
            assert settings.bootstrap_secret is not None
            await _load_demo(system, settings.bootstrap_key, settings.bootstrap_secret.get_secret_value())
        await asyncio.Event().wait()


async def _load_demo(system: System, key: str, secret: str) -> None:
    """Load the sample world; the system stays up whatever comes of that."""

    async def sender_of(name: str, authority: dict[str, Any]) -> tuple[str, str]:
        async with await open_pool(system.dsn, max=1) as pool:
            made = await create_key(
                pool, resolve_secret(system.settings), name=name, scopes=["statements/write"], authority=authority, public_url=public_url(system.settings),
                expires=timedelta(days=1))
        return made["key"], made["secret"]

    try:
        await load_demo(system.address, key, secret, system.settings.data_dir, sender_of)
    except Refused as refusal:
        typer.echo(f"The sample world is not loaded: {refusal} The next start goes on with it.", err=True)


def _with_demo_key(settings: Settings) -> Settings:
    """The demo's key is the administrator's: as given, else made from this installation's secret, so that it can be shown at each start."""
    if settings.bootstrap_key is not None:
        return settings
    secret = KeyedHash(resolve_secret(settings)).mac("demo key", b"demo").hex()
    return Settings(**{**settings.model_dump(), "bootstrap_key": "demo", "bootstrap_secret": secret})


def _greet(system: System, made: list[NewKey]) -> None:
    settings = system.settings
    lines = [f"Testamur is ready at {system.address}", f"  API docs  {system.address}/docs"]
    if made:
        lines += [f"  key       {made[0]['key']}", f"  secret    {made[0]['secret']}   (shown this once)"]
    elif settings.bootstrap_key == "demo" and settings.bootstrap_secret is not None:
        lines += [f"  key       {settings.bootstrap_key}", f"  secret    {settings.bootstrap_secret.get_secret_value()}"]
    elif settings.bootstrap_key is None:
        lines.append("  Keys: `testamur key list`; a new secret: `testamur key rotate KEY`")
    typer.echo("\n".join([*lines, "Ctrl-C stops it; its data stay in " + str(settings.data_dir)]))


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or a signal cancels it; a second signal changes nothing, since draining has its own deadlines."""
    task, loop = asyncio.create_task(work), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    with contextlib.suppress(asyncio.CancelledError):
        await task
