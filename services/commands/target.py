"""The server that a command talks to: the system of the data directory, running or not, or one elsewhere."""
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, NamedTuple

import typer
from pydantic import SecretStr

from services.commands import progress
from services.commands.options import makes_a_store, say_made
from services.core.keys import KeyedHash
from services.data_dir import hold, wait_until_announced
from services.importer.server import Server
from services.runtime.callers.api_keys import ensure_bootstrap
from services.runtime.postgres import open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.supervisor import database, running_system

To = Annotated[str | None, typer.Option("--to", metavar="URL", help="Another server than that of the data directory.", show_default=False)]
Key = Annotated[str | None, typer.Option("--key", help="The API key to use.", show_default=False)]
Secret = Annotated[str | None, typer.Option("--secret", help="Its secret.", show_default=False)]
OWN_KEY = "import"
"""The name under which a command without a key of its own works; what it sent before, under this name, stays the same."""


class Target(NamedTuple):
    """Where to, and with which key; by default the system of the data directory, with a key of the command's own."""

    url: str | None
    key: str | None
    secret: str | None


def target_of(to: str | None, key: str | None, secret: str | None) -> Target:
    """Return what three options name. Raises BadParameter for a part that needs another."""
    if (key is None) != (secret is None) or (to and not key):
        raise typer.BadParameter("--to needs --key and --secret, and these two go together.")
    return Target(to, key, secret)


@asynccontextmanager
async def server_of(settings: Settings, target: Target) -> AsyncIterator[Server]:
    """Give the server named, or the one of the data directory, which runs for as long as this takes if it does not run already."""
    to, key, secret = target
    is_new = to is None and makes_a_store(settings)
    async with AsyncExitStack() as stack:
        there = None
        if to is None:
            there = await wait_until_announced(settings.data_dir)
            to = there.address if there else await stack.enter_async_context(_own_system(settings))
        if key is None or secret is None:
            key, secret = await _ensure_key(settings, settings.public_url or (there.address if there else public_url(settings)))
        server = await stack.enter_async_context(Server(to.rstrip("/"), key, secret))
        if is_new:
            say_made(settings)
        yield server


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
