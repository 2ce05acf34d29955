"""`testamur log copy`: the log carried from Postgres to Kafka, when one machine is outgrown."""
import asyncio
import re
from typing import Annotated

import typer

from services.commands.options import DataDir, settings_of_a_store
from services.commands.progress import shown
from services.core.errors import Halted
from services.core.timeline import MAX_PARTITIONS
from services.data_dir import Refused
from services.runtime.migrate import migrate
from services.runtime.settings import Settings
from services.supervisor import database

app = typer.Typer(help="The log.", no_args_is_help=True)
_TO = re.compile(r"kafka:(?P<brokers>[^/\s,]+:\d{1,5}(?:,[^/\s,]+:\d{1,5})*)(?:/(?P<topic>[A-Za-z0-9._-]{1,249}))?")


@app.callback()
def _only() -> None:
    """The log."""


@app.command()
def copy(
    to: Annotated[str, typer.Option("--to", metavar="kafka:HOST:PORT,…[/TOPIC]", help="Brokers, and an empty topic or a new one [TESTAMUR_KAFKA_TOPIC].")],
    partitions: Annotated[int | None, typer.Option(
        "--partitions", min=1, max=MAX_PARTITIONS, show_default=False, help="Partitions of a new topic, for good [TESTAMUR_PARTITIONS, 12].")] = None,
    data_dir: DataDir = None,
) -> None:
    """Carry the log from Postgres to Kafka, compare every record, and hand it over. It may begin while Testamur runs, and ends only when it is stopped.

    Killed or refused, it goes on where it was. Ends with 1, and a sentence, until the log is handed over.
    """
    found = _TO.fullmatch(to)
    if found is None:
        raise typer.BadParameter("it is kafka: with brokers, and a topic if need be, as kafka:broker1:9092,broker2:9092/testamur.log.v1", param_hint="--to")
    settings = settings_of_a_store(data_dir=data_dir, kafka=found["brokers"], kafka_topic=found["topic"])
    asyncio.run(_copy(settings, partitions))


async def _copy(settings: Settings, partitions: int | None) -> None:
    from services.runtime.log.copying.copy import copy_log  # noqa: PLC0415 - as above
    from services.runtime.log.copying.source import CopyRefused  # noqa: PLC0415 - as above
    from services.runtime.log.kafka_topic import TopicError  # noqa: PLC0415 - a machine without Kafka need not load its client

    async with database(settings) as dsn:
        await migrate(dsn)
        try:
            with shown("log") as tell:
                done = await copy_log(settings, dsn, partitions, tell)
        except (CopyRefused, TopicError, Halted) as refusal:
            raise Refused(str(refusal)) from refusal
    typer.echo(f"{done.statements:,} statements in {done.records:,} records are in the topic {done.topic}, each compared with its original.")
    typer.echo(f"From now on start every node with TESTAMUR_KAFKA={settings.kafka} and TESTAMUR_KAFKA_TOPIC={done.topic}.")
