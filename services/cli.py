"""The `testamur` command: what it does is in services/commands, one command a file.

Ends with 0 when it did what was asked, with 1 when that was refused or failed, which a sentence on standard error explains, with 2 for a wrong command line.
"""
import logging
import sys

import asyncpg
import typer

from services.commands import doctor, import_, key, log, migrate, programme, replay, service, status, up
from services.core.errors import Halted, LrsError
from services.data_dir import Refused
from services.runtime.embedded.cluster import CannotStart
from services.runtime.log import WrongLog
from services.runtime.migrate import NewerVersion, OlderProjections
from services.runtime.postgres import transient
from services.runtime.secret import SecretRefused
from services.runtime.telemetry import configure_logging

app = typer.Typer(
    name="testamur", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="An event-sourced learner record store. Settings are TESTAMUR_… environment variables; a flag wins over its variable.")
app.command()(up.up)
app.command("import")(import_.import_)
app.add_typer(programme.app, name="programme")
app.add_typer(key.app, name="key")
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(replay.replay)
app.command()(migrate.migrate)
app.add_typer(log.app, name="log")
app.command()(service.ingest)
app.command()(service.api)
app.command()(service.projector)


def main() -> None:
    """Run the command line of this process."""
    configure_logging("testamur", logging.WARNING)
    try:
        app()
    except (Refused, NewerVersion, OlderProjections, CannotStart, WrongLog, SecretRefused, LrsError, Halted) as refusal:
        sys.exit(f"testamur: {refusal}")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if not transient(error):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            sys.exit(f"testamur: {error.filename}: {error.strerror}.")
        sys.exit(f"testamur: the database cannot be reached or does not answer: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
