"""`testamur migrate`: the schema brought to this version, and what an earlier one folded, folded anew."""
import typer
import uvloop

from services.commands.options import DataDir, settings_from
from services.commands.progress import shown
from services.runtime.migrate import migrate as bring_up_to_date
from services.runtime.migrate import migrations, outdated
from services.runtime.secret import confirm_secret
from services.runtime.settings import Settings
from services.supervisor import database, fold_anew_if_older


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version's schema, and fold anew what an earlier version folded; `up` does so by itself."""
    uvloop.run(_migrate(settings_from(data_dir=data_dir)))
    typer.echo(f"The schema is at version {max(migrations())}.")


async def _migrate(settings: Settings) -> None:
    async with database(settings) as dsn:
        await bring_up_to_date(dsn)
        if await outdated(dsn):
            await confirm_secret(settings, dsn)
        await fold_anew_if_older(settings, dsn, shown)
