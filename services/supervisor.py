"""Everything on one machine: Postgres (embedded unless one is named), web processes on one inherited socket, and a projector, all kept alive.

What dies is started again; when this process dies, however it dies, its children follow. Ending drains in order: web, projector, Postgres.
"""
import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import structlog
from pydantic import SecretStr

from services import data_dir
from services.child_process import Child
from services.core.errors import LogUnavailable
from services.projector.building import ReplayRefused
from services.projector.cursor import free_leases
from services.projector.upgrade import Shown, upgrade
from services.runtime.embedded import EmbeddedPostgres
from services.runtime.embedded.cluster import CannotStart
from services.runtime.log.open_log import open_log
from services.runtime.migrate import migrate
from services.runtime.postgres import connect
from services.runtime.secret import confirm_secret
from services.runtime.settings import Settings

PORT_WAIT_S = 10.0
"""How long the children of an `up` that was killed may hold its port."""
PATIENCE_S = 10.0
"""How long a start may take before it is explained."""
LOG_PATIENCE_S = 10.0
"""How long a log that does not answer keeps a start back."""
WEB_GRACE_S, PROJECTOR_GRACE_S = 10.0, 8.0
_SILENT = "no web process answers; it waits for the log or for Postgres"
Prepared = Callable[[Settings, str], Awaitable[None]]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs: where it answers, and its database."""

    settings: Settings
    address: str
    dsn: str

    async def ready(self, waiting: Callable[[str], None]) -> None:
        """Wait until every partition is owned and folded to the end seen at the start; `waiting` is told now and then why it is not ready yet.

        Raises WrongLog and Halted where the log, that may not have answered at the start, turns out not to be ours, or to refuse us.
        """
        loop = asyncio.get_running_loop()
        tell_at = loop.time() + PATIENCE_S
        async with httpx.AsyncClient(base_url=self.address, timeout=5, trust_env=False) as client:
            while (reason := await _unready(client)) is not None:
                if loop.time() > tell_at:
                    waiting(reason)
                    if reason == _SILENT:
                        await _check_log(self.settings, self.dsn)
                    tell_at = loop.time() + PATIENCE_S
                await asyncio.sleep(0.05)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Give the address of the database: the one named, else the embedded one, which is kept alive meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server, keeper = EmbeddedPostgres(settings.data_dir), None
    try:
        dsn = await server.start()
        keeper = asyncio.create_task(_keep_postgres(server), name="keep postgres")
        yield dsn
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await server.stop()


@asynccontextmanager
async def running_system(
    settings: Settings, shown: Shown, prepared: Prepared | None = None, *, left_behind: bool = False,
) -> AsyncIterator[System]:
    """Run everything. `prepared` is called with the settings in force and the migrated database, before any process starts.

    What an earlier version of Testamur folded is folded anew first, which is `shown`. `left_behind`: an `up` was killed here, so its children may hold the port
    a moment longer. Raises Refused, WrongLog or Halted, with a sentence, when it cannot be done.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(await listen(settings, PORT_WAIT_S if left_behind else 0))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        dsn = await stack.enter_async_context(database(settings))
        await migrate(dsn)
        await confirm_secret(settings, dsn)
        await _check_log(settings, dsn)
        if prepared is not None:
            await prepared(settings, dsn)
        environment = environment_of(settings.model_copy(update={"database_url": SecretStr(dsn)}))
        owners = settings.data_dir / "projector.owner"
        await _free_leases_left_behind(dsn, owners)
        await fold_anew_if_older(settings, dsn, shown)
        projector = Child(
            "projector", environment=environment, spawned=lambda owner: data_dir.write_whole(owners, str(owner)), died=lambda owner: _free_leases(dsn, owner))
        stack.push_async_callback(projector.stop, PROJECTOR_GRACE_S)
        webs = [Child("web", environment=environment, fds=[listener.fileno()]) for _ in range(settings.workers or max(1, (os.cpu_count() or 1) // 2))]
        stack.push_async_callback(_stop_all, webs)
        for child in (projector, *webs):
            child.start()
        yield System(settings, f"http://{_reachable(settings.host)}:{settings.port}", dsn)
        listener.close()


async def _check_log(settings: Settings, dsn: str) -> None:
    """Open the log once, so that a log that is not ours, or that refuses us, is told in one sentence here and not by each process for ever.

    A log that does not answer is waited for by those who need it. Raises WrongLog and Halted.
    """
    with contextlib.suppress(LogUnavailable, TimeoutError):
        async with asyncio.timeout(LOG_PATIENCE_S):
            log = await open_log(settings, dsn)
            await log.close()


async def fold_anew_if_older(settings: Settings, dsn: str, shown: Shown) -> None:
    """Fold anew what other code folded into the migrated database. Raises Refused when that cannot be done."""
    try:
        await upgrade(settings, dsn, shown)
    except ReplayRefused as refusal:
        raise data_dir.Refused(str(refusal)) from refusal


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child reads these settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TESTAMUR_")}
    given = {name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in settings if value is not None}
    return {**inherited, **{f"TESTAMUR_{name.upper()}": value for name, value in given.items()}}


async def _stop_all(children: list[Child]) -> None:
    await asyncio.gather(*(child.stop(WEB_GRACE_S) for child in children))


async def listen(settings: Settings, patience_s: float = 0) -> socket.socket:
    """Return a socket that listens on the address of the settings. Raises Refused when that is taken for longer than our patience."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    try:
        family, kind, protocol, _, address = (await loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM))[0]
    except OSError as error:
        raise data_dir.Refused(f"{settings.host} is no address of this machine ({error.strerror}); choose another with --host.") from error
    while True:
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if loop.time() >= deadline:
                raise data_dir.Refused(f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}); choose another with --port.") from error
            await asyncio.sleep(0.1)
        else:
            listener.settimeout(0)
            return listener


async def _keep_postgres(server: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(0.5)
        if server.pid is None:
            _log.warning("the embedded Postgres ended, it is started again")
            try:
                await server.start()
            except (OSError, CannotStart, asyncpg.PostgresError) as error:
                _log.error("the embedded Postgres did not start, another try follows", error=str(error))


async def _free_leases_left_behind(dsn: str, owners: Path) -> None:
    """Free the leases of a projector whose `up` was killed: this directory is ours now, so it is dead or about to die."""
    if owners.exists() and (owner := owners.read_text().strip()):
        await _free_leases(dsn, UUID(owner))


async def _free_leases(dsn: str, owner: UUID) -> None:
    """Let another worker take over at once; without it, it has to wait for the leases to run out."""
    try:
        connection = await connect(dsn, application_name="testamur up")
    except (OSError, asyncpg.PostgresError) as error:
        _log.warning("leases of a dead worker could not be freed; they run out by themselves", owner=str(owner), error=str(error))
        return
    try:
        await free_leases(connection, owner)
    finally:
        await connection.close(timeout=5)


async def _unready(client: httpx.AsyncClient) -> str | None:
    """Return why the system is not ready; None when it is."""
    try:
        answer = await client.get("/healthz/ready")
    except httpx.TransportError:
        return _SILENT
    return None if answer.status_code == httpx.codes.OK else str(answer.json().get("detail"))


def _reachable(host: str) -> str:
    """Return the host under which this machine itself reaches what listens on `host`."""
    every = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - these are compared with, not listened on
    return every.get(host, f"[{host}]" if ":" in host else host)
