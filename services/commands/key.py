"""`testamur key`: API keys made, listed and revoked."""
import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from services.commands.options import DataDir, Json, settings_from
from services.core.scopes import DEFAULT, OURS, XAPI
from services.data_dir import Refused, running
from services.runtime import api_keys
from services.runtime.migrate import migrate
from services.runtime.postgres import open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.supervisor import database

app = typer.Typer(help="API keys.", no_args_is_help=True)
_SCOPES = f"What it may do; may be given several times: {', '.join(sorted(XAPI))}; {', '.join(sorted(OURS))}. Without it: {', '.join(DEFAULT)}."


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is called; also the account name of its authority.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose statements it reaches; a tenant comes to be with its first key.")] = api_keys.DEFAULT_TENANT,
    scope: Annotated[list[str] | None, typer.Option("--scope", help=_SCOPES, show_default=False)] = None,
    authority: Annotated[str | None, typer.Option("--authority", help="The xAPI agent that vouches for what it sends, as JSON.", show_default=False)] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Make an API key; its secret is shown this once."""
    settings = settings_from(data_dir=data_dir)
    made = asyncio.run(_create(settings, name=name, tenant=tenant, scopes=scope or [], authority=_agent(authority)))
    if as_json:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"key     {made['key']}\nsecret  {made['secret']}   (shown this once)\ntenant  {made['tenant']}\nscopes  {' '.join(made['scopes'])}")


@app.command("list")
def list_(as_json: Json = False, data_dir: DataDir = None) -> None:
    """List all keys, oldest first."""
    rows = asyncio.run(_list(settings_from(data_dir=data_dir)))
    if as_json:
        typer.echo(json.dumps(rows, default=lambda moment: moment.isoformat().replace("+00:00", "Z")))
        return
    key = Column("key", no_wrap=True, min_width=max((len(row["key"]) for row in rows), default=0))
    table = Table(key, "name", "tenant", "scopes", "made", "revoked", box=None)
    for row in rows:
        table.add_row(row["key"], row["name"], row["tenant"], " ".join(row["scopes"]), _minute(row["created_at"]), _minute(row["revoked_at"]))
    Console().print(table)


@app.command()
def revoke(key: Annotated[str, typer.Argument(help="The key, as `key list` shows it.")], data_dir: DataDir = None) -> None:
    """Take a key out of force, on every node within 5 s."""
    if not asyncio.run(_revoke(settings_from(data_dir=data_dir), key)):
        raise Refused(f"No key {key} is in force.")
    typer.echo(f"{key} is revoked.")


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"


def _agent(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        agent = json.loads(text)
    except ValueError as error:
        raise Refused(f"--authority is not JSON: {error}.") from error
    if not isinstance(agent, dict):
        raise Refused("--authority is not a JSON object.")
    return agent


async def _create(settings: Settings, *, name: str, tenant: str, scopes: list[str], authority: dict[str, Any] | None) -> api_keys.NewKey:
    there = running(settings.data_dir)
    url = settings.public_url or (there.address if there else public_url(settings))
    async with database(settings) as dsn:
        await migrate(dsn)
        await confirm_secret(settings, dsn)
        async with await open_pool(dsn, max=1) as pool:
            return await api_keys.create_key(pool, resolve_secret(settings), name=name, tenant=tenant, scopes=scopes, authority=authority, public_url=url)


async def _list(settings: Settings) -> list[api_keys.KeyListed]:
    async with database(settings) as dsn:
        await migrate(dsn)
        async with await open_pool(dsn, max=1) as pool:
            return await api_keys.list_keys(pool)


async def _revoke(settings: Settings, key: str) -> bool:
    async with database(settings) as dsn:
        await migrate(dsn)
        async with await open_pool(dsn, max=1) as pool:
            return await api_keys.revoke_key(pool, key)
