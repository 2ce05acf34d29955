"""`testamur status`: how much there is, how far it is folded, and what stands still."""
import asyncio
import json
from typing import Any

import typer

from services.api.status import status as status_of
from services.commands.options import DataDir, Json, settings_of_a_store
from services.runtime.log.open_log import open_log
from services.runtime.migrate import migrate
from services.runtime.postgres import open_pool
from services.runtime.settings import Settings
from services.supervisor import database


def status(as_json: Json = False, data_dir: DataDir = None) -> None:
    """Say how much is stored, how far it is folded, and what stands still."""
    answer = asyncio.run(_status(settings_of_a_store(data_dir=data_dir)))
    typer.echo(json.dumps(answer) if as_json else _as_text(answer))


async def _status(settings: Settings) -> dict[str, Any]:
    async with database(settings) as dsn:
        await migrate(dsn)
        async with await open_pool(dsn, max=2) as pool:
            log = await open_log(settings, dsn)
            try:
                return await status_of(pool, log)
            finally:
                await log.close()


def _as_text(answer: dict[str, Any]) -> str:
    waiting = answer["decisions"]
    lines = [
        f"statements          {answer['statements']:,}",
        f"learners            {answer['learners']:,}",
        f"consistent through  {answer['consistent_through'] or 'nothing yet'}",
        f"dead letters        {answer['dead_letters']:,}",
        f"conflicts           {answer['conflicts']:,}",
        f"in quarantine       {answer['quarantined']:,}",
        f"to be decided       {waiting['waiting']:,}, the first for {waiting['behind_s']:.1f} s; {waiting['under_way']:,} under way",
    ]
    lines += [f"projection          {each['name']} {each['version']}: {each['lag']:,} records behind" for each in answer["projections"]]
    for each in answer["partitions"]:
        lines.append(f"partition {each['partition']:<9} ends at {each['end']:,}" + (f", HALTED: {each['halted']}" if each["halted"] else ""))
    return "\n".join(lines)
