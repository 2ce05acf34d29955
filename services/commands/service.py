"""`testamur ingest`, `api` and `projector`: one service in this process, for a deployment on many machines."""
from uuid import uuid4

import typer

from services import serve
from services.commands.options import DataDir, Host, Port, settings_from
from services.runtime.callers.api_keys import ensure_bootstrap
from services.runtime.migrate import migrate, require_current
from services.runtime.postgres import open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.runtime.telemetry import configure_logging
from services.supervisor import database, listen


def ingest(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Take clients' statements in: the writes of /xapi/statements."""
    from services.web import create_writes  # noqa: PLC0415 - a projector needs nothing of it

    _web("ingest", settings_from(host=host, port=port, data_dir=data_dir), create_writes)


def api(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Answer every other request."""
    from services.web import create_reads  # noqa: PLC0415 - as above

    _web("api", settings_from(host=host, port=port, data_dir=data_dir), create_reads)


def projector(data_dir: DataDir = None) -> None:
    """Fold the log into the projected tables; several share the partitions."""
    settings = settings_from(data_dir=data_dir)
    configure_logging("projector")

    async def fold(stop: serve.Stop) -> None:
        async with database(settings) as dsn:
            await migrate(dsn)
            await require_current(dsn)
            await confirm_secret(settings, dsn)
            await serve.projector(settings, dsn, uuid4(), stop)

    serve.until_signalled(fold)


def _web(name: str, settings: Settings, create_app: serve.CreateApp) -> None:
    configure_logging(name)

    async def answer(stop: serve.Stop) -> None:
        with await listen(settings) as listener:
            bound = settings.model_copy(update={"port": listener.getsockname()[1]})
            async with database(bound) as dsn:
                await migrate(dsn)
                await require_current(dsn)
                await confirm_secret(bound, dsn)
                await _ensure_administrator(bound, dsn)
                typer.echo(f"testamur {name} on http://{bound.host}:{bound.port}")
                await serve.web(bound, dsn, listener, create_app, stop)

    serve.until_signalled(answer)


async def _ensure_administrator(settings: Settings, dsn: str) -> None:
    async with await open_pool(dsn, max=1) as pool:
        made = await ensure_bootstrap(settings, pool, resolve_secret(settings), public_url=public_url(settings))
    if made is not None:
        typer.echo(f"administrator's key {made['key']}, secret {made['secret']} (shown this once)")
