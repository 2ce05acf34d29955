"""`testamur migrate`: the schema brought to this version."""
import asyncio

import typer

from services.commands.options import DataDir, settings_from
from services.runtime.migrate import migrate as bring_up_to_date
from services.runtime.migrate import migrations
from services.runtime.settings import Settings
from services.supervisor import database


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version's schema; `up` does so by itself."""
    asyncio.run(_migrate(settings_from(data_dir=data_dir)))
    typer.echo(f"The schema is at version {max(migrations())}.")


async def _migrate(settings: Settings) -> None:
    async with database(settings) as dsn:
        await bring_up_to_date(dsn)
