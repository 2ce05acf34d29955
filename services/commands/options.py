"""The options that commands share, and the settings they make together with the environment."""
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from services.data_dir import Refused, check_format, is_held, prepare
from services.runtime.embedded import EmbeddedPostgres
from services.runtime.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the embedded Postgres and the secret are kept [TESTAMUR_DATA_DIR, ~/.testamur].", show_default=False)]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on [TESTAMUR_HOST, 127.0.0.1].", show_default=False)]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on, 0 for a free one [TESTAMUR_PORT, 8080].", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def settings_from(**flags: Any) -> Settings:
    """Return the settings: flags that were given win over the environment. Makes the data directory. Raises Refused."""
    settings = _read(flags)
    prepare(settings.data_dir)
    return settings


def settings_of_a_store(**flags: Any) -> Settings:
    """Return the settings as `settings_from` does, for commands that need a store to be there. Raises Refused, and makes nothing, where there is none."""
    settings = _read(flags)
    if makes_a_store(settings):
        check_format(settings.data_dir)
        raise Refused(f"There is no Testamur in {settings.data_dir}: start one with `testamur up`, or name its folder with --data-dir.")
    prepare(settings.data_dir)
    return settings


def makes_a_store(settings: Settings) -> bool:
    """Return whether a command with these settings would make a new store: no database is named, and the directory holds none and no `up` is at it."""
    return settings.database_url is None and not EmbeddedPostgres(settings.data_dir).is_made and not is_held(settings.data_dir)


def say_made(settings: Settings) -> None:
    """Tell who may have meant another directory that this one was new."""
    typer.echo(f"A new Testamur was made in {settings.data_dir}.", err=True)


def _read(flags: dict[str, Any]) -> Settings:
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(f"{_name(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise Refused(f"These settings cannot be used: {faults}.") from error
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def _name(location: tuple[int | str, ...]) -> str:
    return "TESTAMUR_" + str(location[0]).upper() if location else "settings"
