"""The options that commands share, and the settings they make together with the environment."""
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from services.data_dir import Refused, prepare
from services.runtime.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the embedded Postgres and the secret are kept [TESTAMUR_DATA_DIR, ~/.testamur].", show_default=False)]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on [TESTAMUR_HOST, 127.0.0.1].", show_default=False)]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on, 0 for a free one [TESTAMUR_PORT, 8080].", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def settings_from(**flags: Any) -> Settings:
    """Return the settings: flags that were given win over the environment. Makes the data directory. Raises Refused."""
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(f"{_name(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise Refused(f"These settings cannot be used: {faults}.") from error
    settings = settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})
    prepare(settings.data_dir)
    return settings


def _name(location: tuple[int | str, ...]) -> str:
    return "TESTAMUR_" + str(location[0]).upper() if location else "settings"
