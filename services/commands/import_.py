"""`testamur import`: files into the system of the data directory, running or not, or into a server elsewhere."""
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import SecretStr

from services.commands import progress
from services.commands.options import DataDir, makes_a_store, say_made, settings_from
from services.core.keys import KeyedHash
from services.data_dir import hold, wait_until_announced
from services.importer.display import shown
from services.importer.run import import_file
from services.importer.server import Server, refusal_of
from services.runtime.api_keys import ensure_bootstrap
from services.runtime.postgres import open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.supervisor import database, running_system

OWN_KEY = "import"
COURSES_AT_ONCE = 500


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="NDJSON or JSON arrays, gzipped or not.", exists=True, dir_okay=False, readable=True)],
    courses: Annotated[bool, typer.Option("--courses", help="The files are course descriptions, as PUT /v1/courses takes them.")] = False,
    to: Annotated[str | None, typer.Option("--to", metavar="URL", help="Another server than that of the data directory.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option("--key", help="The API key to use.", show_default=False)] = None,
    secret: Annotated[str | None, typer.Option("--secret", help="Its secret.", show_default=False)] = None,
    data_dir: DataDir = None,
) -> None:
    """Import statements; a killed import goes on where it was. Ends with 1 if lines were refused, which are listed."""
    if (key is None) != (secret is None) or (to and not key):
        raise typer.BadParameter("--to needs --key and --secret, and these two go together.")
    settings = settings_from(data_dir=data_dir)
    refused = asyncio.run(_import(settings, files, (to, key, secret), courses=courses))
    if refused:
        raise typer.Exit(1)


async def _import(settings: Settings, files: list[Path], target: tuple[str | None, str | None, str | None], *, courses: bool) -> int:
    refused, is_new = 0, target[0] is None and makes_a_store(settings)
    async with _server(settings, *target) as server:
        if is_new:
            say_made(settings)
        for file in files:
            refused += await (_import_courses(server, file) if courses else _import_statements(server, file, settings.data_dir, target[0] or "here"))
    return refused


async def _import_statements(server: Server, file: Path, data_dir: Path, destination: str) -> int:
    with shown(file.name, file.stat().st_size) as report:
        done = await import_file(server, file, data_dir, report, destination=destination)
    for refusal in done.refusals:
        typer.echo(f"{file}:{refusal}")
    kept = done.lines - len(done.refusals)
    typer.echo(f"{file}: {kept} {'line' if kept == 1 else 'lines'} stored or there already, {len(done.refusals)} refused")
    return len(done.refusals)


async def _import_courses(server: Server, file: Path) -> int:
    for body in _in_parts(file.read_bytes()):
        answer = await server.request("PUT", "/v1/courses", content=body)
        if not answer.is_success:
            typer.echo(f"{file}: {refusal_of(answer)}")
            return 1
    typer.echo(f"{file}: courses stored")
    return 0


def _in_parts(body: bytes) -> Iterator[bytes]:
    """Yield bodies that the server takes, for a file may describe more courses than one request; what cannot be read is the server's to refuse."""
    try:
        courses = orjson.loads(body)["courses"]
        several = [courses[first:first + COURSES_AT_ONCE] for first in range(0, len(courses), COURSES_AT_ONCE)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        several = []
    if len(several) < 2:
        yield body
        return
    for part in several:
        yield orjson.dumps({"courses": part})


@asynccontextmanager
async def _server(settings: Settings, to: str | None, key: str | None, secret: str | None) -> AsyncIterator[Server]:
    """Give the server named, or the one of the data directory, which runs for as long as this takes if it does not run already."""
    async with AsyncExitStack() as stack:
        there = None
        if to is None:
            there = await wait_until_announced(settings.data_dir)
            to = there.address if there else await stack.enter_async_context(_own_system(settings))
        if key is None or secret is None:
            key, secret = await _ensure_key(settings, settings.public_url or (there.address if there else public_url(settings)))
        yield await stack.enter_async_context(Server(to.rstrip("/"), key, secret))


@asynccontextmanager
async def _own_system(settings: Settings) -> AsyncIterator[str]:
    """Run the system on a free port, under the address it always has."""
    hidden = settings.model_copy(update={"host": "127.0.0.1", "port": 0, "public_url": public_url(settings)})
    with hold(settings.data_dir) as left_behind:
        async with running_system(hidden, progress.shown, left_behind=left_behind) as system:
            await system.ready(lambda reason: typer.echo(f"Not ready yet: {reason}", err=True))
            yield system.address


async def _ensure_key(settings: Settings, url: str) -> tuple[str, str]:
    """Return the administrator's key where it is given, else one of this command, whose secret follows from the installation's; it is in force."""
    if settings.bootstrap_key is None or settings.bootstrap_secret is None:
        secret = SecretStr(KeyedHash(resolve_secret(settings)).mac("import key", b"").hex())
        settings = settings.model_copy(update={"bootstrap_key": OWN_KEY, "bootstrap_secret": secret})
    assert settings.bootstrap_key is not None
    assert settings.bootstrap_secret is not None
    async with database(settings) as dsn, await open_pool(dsn, max=1) as pool:
        await confirm_secret(settings, dsn)
        await ensure_bootstrap(settings, pool, resolve_secret(settings), public_url=url)
    return settings.bootstrap_key, settings.bootstrap_secret.get_secret_value()
