"""`testamur key`: API keys made, listed, rotated and revoked."""
import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from services.commands.options import DataDir, Json, makes_a_store, say_made, settings_from, settings_of_a_store
from services.core.scopes import DEFAULT, OURS, XAPI
from services.data_dir import Refused, running
from services.runtime.callers import api_keys
from services.runtime.migrate import migrate
from services.runtime.postgres import Pool, open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.runtime.state import public_url
from services.supervisor import database

app = typer.Typer(help="API keys.", no_args_is_help=True)
_SCOPES = f"What it may do; may be given several times: {', '.join(sorted(XAPI))}; {', '.join(sorted(OURS))}. Without it: {', '.join(DEFAULT)}."
_WIDE = 100_000
"""Columns where there is no terminal: nothing is cut there."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_Key = Annotated[str, typer.Argument(help="The key, as `key list` shows it.")]
_T = TypeVar("_T")


def _span(text: str) -> timedelta:
    """Return how long `90d`, `12h` or `30m` is."""
    number, unit = text[:-1], text[-1:]
    if text == "0":
        return timedelta(0)
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or len(number) > 6:
        raise typer.BadParameter("a span of time is a number of days, hours or minutes, as 90d, 12h or 30m.")
    return timedelta(**{_UNITS[unit]: int(number)})


@app.command()
def create(  # noqa: PLR0913, PLR0917 - one argument for each option
    name: Annotated[str, typer.Option("--name", help="What it is called; also the account name of its authority.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose statements it reaches; a tenant comes to be with its first key.")] = api_keys.DEFAULT_TENANT,
    scope: Annotated[list[str] | None, typer.Option("--scope", help=_SCOPES, show_default=False)] = None,
    authority: Annotated[str | None, typer.Option("--authority", help="The xAPI agent that vouches for what it sends, as JSON.", show_default=False)] = None,
    expires: Annotated[timedelta | None, typer.Option(
        "--expires", parser=_span, metavar="SPAN", help="How long it works, as 90d, 12h or 30m. Without it: until it is revoked.", show_default=False)] = None,
    rate: Annotated[float | None, typer.Option(
        "--rate", help="How many requests a second it may make, of all processes together; more are answered with 429. Without it: any number.",
        show_default=False)] = None,
    quarantine: Annotated[bool, typer.Option(
        "--quarantine", help="Set invalid statements that it sends aside instead of refusing their whole request.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Make an API key; its secret is shown this once."""
    settings = settings_from(data_dir=data_dir)
    there = running(settings.data_dir)
    url = settings.public_url or (there.address if there else public_url(settings))
    agent, secret = _agent(authority), resolve_secret(settings)
    is_new = makes_a_store(settings)
    made = _with_pool(settings, lambda pool: api_keys.create_key(
        pool, secret, name=name, tenant=tenant, scopes=scope or [], authority=agent, public_url=url, expires=expires, rate=rate, quarantine=quarantine))
    if is_new:
        say_made(settings)
    _show(made, as_json)


@app.command("list")
def list_(as_json: Json = False, data_dir: DataDir = None) -> None:
    """List all keys, oldest first."""
    rows = _with_pool(settings_of_a_store(data_dir=data_dir), api_keys.list_keys)
    if as_json:
        typer.echo(json.dumps(rows, default=lambda moment: moment.isoformat().replace("+00:00", "Z")))
        return
    key = Column("key", no_wrap=True, min_width=max((len(row["key"]) for row in rows), default=0))
    table = Table(key, "name", "tenant", "scopes", "rate", "made", "used", "expires", "revoked", box=None)
    for row in rows:
        table.add_row(
            row["key"], row["name"] + (" (quarantine)" if row["quarantine"] else ""), row["tenant"], " ".join(row["scopes"]),
            "" if row["rate"] is None else f"{row['rate']:g}/s",
            *(_minute(moment) for moment in (row["created_at"], row["last_used_at"], row["expires_at"], row["revoked_at"])))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


@app.command()
def rotate(
    key: _Key,
    grace: Annotated[timedelta, typer.Option("--grace", parser=_span, metavar="SPAN", help="How long the secret until now works on, as 7d, 12h or 0.")] = "24h",  # type: ignore[assignment]  # as typed
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Give a key a new secret, shown this once; the one until now works on for a while, so that nobody is locked out."""
    settings = settings_of_a_store(data_dir=data_dir)
    secret = resolve_secret(settings)
    made = _with_pool(settings, lambda pool: api_keys.rotate_key(pool, secret, key, grace=grace))
    if made is None:
        raise Refused(f"No key {key} is in force.")
    _show(made, as_json)


@app.command()
def quarantine(
    key: _Key,
    off: Annotated[bool, typer.Option("--off", help="Refuse the whole request again, as a key does by default.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Set invalid statements that a key sends aside instead of refusing their whole request, on every node within 5 s."""
    if not _with_pool(settings_of_a_store(data_dir=data_dir), lambda pool: api_keys.set_quarantine(pool, key, on=not off)):
        raise Refused(f"No key {key} is in force.")
    typer.echo(f"One invalid statement refuses a whole request of {key}." if off else f"Invalid statements that {key} sends are set aside: GET /v1/quarantine.")


@app.command()
def revoke(
    key: _Key,
    former: Annotated[bool, typer.Option("--former", help="Only the secret that the last `key rotate` replaced.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Take a key out of force, on every node within 5 s."""
    settings = settings_of_a_store(data_dir=data_dir)
    if former:
        if not _with_pool(settings, lambda pool: api_keys.revoke_former_secret(pool, key)):
            raise Refused(f"No former secret of a key {key} is in force.")
        typer.echo(f"The former secret of {key} is revoked.")
        return
    if not _with_pool(settings, lambda pool: api_keys.revoke_key(pool, key)):
        raise Refused(f"No key {key} is in force.")
    typer.echo(f"{key} is revoked.")


def _show(made: api_keys.NewKey, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"key     {made['key']}\nsecret  {made['secret']}   (shown this once)\ntenant  {made['tenant']}\nscopes  {' '.join(made['scopes'])}")


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


def _with_pool(settings: Settings, work: Callable[[Pool], Awaitable[_T]]) -> _T:
    """Return what `work` gives on a migrated database of this installation."""

    async def with_pool() -> _T:
        async with database(settings) as dsn:
            await migrate(dsn)
            await confirm_secret(settings, dsn)
            async with await open_pool(dsn, max=1) as pool:
                return await work(pool)

    return asyncio.run(with_pool())
