"""`testamur doctor`: what should hold between the log, the cursors and the tables, looked at without changing anything."""
import asyncio
import hashlib
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from services.commands.doctor_decisions import SAMPLE, evaluated_again
from services.commands.options import DataDir, settings_of_a_store
from services.core.errors import Halted
from services.core.keys import KeyedHash
from services.core.sequence import Sequence
from services.runtime.log import Log
from services.runtime.log.open_log import open_log
from services.runtime.migrate import migrate, require_current
from services.runtime.postgres import Statements, open_pool
from services.runtime.secret import confirm_secret, resolve_secret
from services.runtime.settings import Settings
from services.supervisor import database

SAMPLES, SAMPLE_RECORDS, READ_BYTES = 10, 50, 8 << 20
QUERY_S = 600.0
_sql = Statements(Path(__file__).with_suffix(".sql"))
Finding = tuple[bool, str]
"""Whether it is as it should be, and the sentence that says so."""


class Decisions(StrEnum):
    """Which decisions are evaluated again."""

    SAMPLE = "sample"
    ALL = "all"


def doctor(
    decisions: Annotated[Decisions, typer.Option("--decisions", help=f"Which decisions to evaluate again: {SAMPLE} of them, or all.")] = Decisions.SAMPLE,
    data_dir: DataDir = None,
) -> None:
    """Look for damage: in the log, between log and cursors, between the projections, and in what was decided. Ends with 1 if there is any."""
    sound = asyncio.run(_examine(settings_of_a_store(data_dir=data_dir), every=decisions is Decisions.ALL))
    if not sound:
        raise typer.Exit(1)


async def _examine(settings: Settings, *, every: bool) -> bool:
    sound, hashes = True, KeyedHash(resolve_secret(settings))
    async with database(settings) as dsn:
        await migrate(dsn)
        await require_current(dsn)
        await confirm_secret(settings, dsn)
        async with await open_pool(dsn, max=2, command_timeout_s=QUERY_S) as pool:
            log = await open_log(settings, dsn)
            try:
                async for good, sentence in _findings(pool, log):
                    typer.echo(("ok   " if good else "BAD  ") + sentence)
                    sound &= good
                async with pool.acquire() as connection:
                    async for good, sentence in evaluated_again(connection, hashes, every=every):
                        typer.echo(("ok   " if good else "BAD  ") + sentence)
                        sound &= good
            finally:
                await log.close()
    return sound


async def _findings(pool: "asyncpg.Pool[Any]", log: Log) -> AsyncIterator[Finding]:
    durable = await pool.fetchval(_sql.durable)
    yield durable, "Postgres writes through to the disk" if durable else "Postgres runs with fsync or full_page_writes off: a power failure may damage it"
    separated = await pool.fetchval(_sql.separated)
    yield separated, "Postgres keeps tenants apart too" if separated else (
        "Postgres does not keep tenants apart, only Testamur does: `testamur migrate` says what its user may not do")
    cursors = await pool.fetch(_sql.cursors)
    for partition in range(log.partitions):
        yield await _sampled(log, partition)
    for row in cursors:
        yield await _cursor(log, row)
    aside = await pool.fetch(_sql.dead_letters)
    for row in aside:
        yield False, f"{row['name']} set aside statement {row['idx']} of partition {row['partition']} offset {row['offset']}: {row['reason']}"
    if not aside:
        yield True, "nothing was set aside"
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        differing = await connection.fetchrow(_sql.disagreements)
        orphans = await connection.fetchval(_sql.orphans)
    assert differing is not None
    yield differing["count"] == 0, "statements and evidence agree" if not differing["count"] else (
        f"statements and evidence disagree about {differing['count']:,} statements, for example {differing['example']}: replay both projections")
    yield orphans == 0, "every transcript has its learner" if not orphans else f"{orphans:,} transcript entries have no learner: replay learners"


async def _sampled(log: Log, partition: int) -> Finding:
    """Read the beginning of a partition, its end, and places between: each record must be where it says and be readable."""
    end = (await log.end(partition)).next_offset
    starts = sorted({0, max(0, end - SAMPLE_RECORDS), *(end * place // SAMPLES for place in range(SAMPLES))})
    read = 0
    for start in starts:
        head = Sequence(partition, log.log_id, start, -(2**62))
        try:
            for record in await log.read(partition, start, max_records=SAMPLE_RECORDS, max_bytes=READ_BYTES, wait_s=0):
                head.place(record.offset, record.timestamp, record.value)
                read += 1
        except Halted as halted:
            return False, f"the log is damaged: {halted}"
    return (read > 0, f"partition {partition}: {end:,} records, {read:,} of them read from {len(starts)} places") if read else (
        False, f"partition {partition} is empty: not even its genesis record is there")


async def _cursor(log: Log, row: asyncpg.Record) -> Finding:
    """Compare a cursor with the log it stands on: its uuid, its end, and the record just before."""
    name, end = f"{row['name']} on partition {row['partition']}", (await log.end(row["partition"])).next_offset
    if row["halted"]:
        return False, f"{name} stands still: {row['halted']}"
    if row["log_id"] != log.log_id:
        return False, f"{name} belongs to another log, {row['log_id']}"
    if row["position"] > end:
        return False, f"{name} is at {row['position']:,}, beyond the end of the log at {end:,}: records were lost"
    if row["position"] and row["tail"] is not None:
        records = await log.read(row["partition"], row["position"] - 1, max_records=1, max_bytes=READ_BYTES, wait_s=0)
        if not records or hashlib.sha256(records[0].value).digest() != row["tail"]:
            return False, f"{name} has folded another record than the log holds before {row['position']:,}: the log was replaced"
    return True, f"{name} is {end - row['position']:,} records behind"
