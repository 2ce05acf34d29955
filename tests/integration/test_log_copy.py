"""What `testamur log copy` does with topics and databases that are not as it wants them, and with being killed."""
import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.core import envelope
from services.core.errors import LogUnavailable
from services.runtime.log import Log, NewRecord, WrongLog
from services.runtime.log.copying.copy import Copied, copy_log
from services.runtime.log.copying.source import CopyRefused
from services.runtime.log.copying.target import open_target
from services.runtime.log.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log.postgres_log import open_postgres_log
from services.runtime.postgres import connect
from services.runtime.settings import Settings
from tests.contract.log_cases import place_all, record
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
PARTITIONS = 2
_USERS = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'testamur%'"


class Move:
    """A log in Postgres, the topic it goes to, and the copy."""

    def __init__(self, dsn: str, kafka: Kafka, tmp_path: Path) -> None:
        self.dsn, self.tmp_path, self.told = dsn, tmp_path, list[tuple[str, int, int]]()
        self.settings = Settings(
            data_dir=tmp_path, secret="a secret for tests", kafka=kafka.bootstrap, kafka_topic=f"copy-{uuid4()}", kafka_replication=kafka.replication)

    async def fill(self, n: int) -> None:
        """Append `n` records of one to three statements, and leave nobody connected."""
        log = await open_postgres_log(self.dsn, PARTITIONS)
        await log.append([record(i % PARTITIONS, *(f"{i}.{j}" for j in range(1 + i % 3))) for i in range(n)])
        await log.close()
        await self.until_unused()

    async def until_unused(self) -> None:
        """Wait until the server has seen that those who hung up are gone."""
        connection = await asyncpg.connect(self.dsn)
        try:
            async with asyncio.timeout(10):
                while await connection.fetchval(_USERS):  # noqa: ASYNC110 - the state of a server has no event to wait for
                    await asyncio.sleep(0.01)  # noqa: TID251 - a poll with a deadline
        finally:
            await connection.close()

    async def copy(self, partitions: int | None = PARTITIONS) -> Copied:
        """Copy it within this process."""
        return await copy_log(self.settings, self.dsn, partitions, lambda *told: self.told.append(told))

    def command(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Copy it by the command."""
        brokers, topic = self.settings.kafka, self.settings.kafka_topic
        return subprocess.run(
            [sys.executable, "-m", "services.cli", "log", "copy", "--to", f"kafka:{brokers}/{topic}", "--partitions", str(PARTITIONS + 1)],
            env={**os.environ, "TESTAMUR_DATA_DIR": str(self.tmp_path), "TESTAMUR_DATABASE_URL": self.dsn, "TESTAMUR_KAFKA_REPLICATION": "1", **environment},
            capture_output=True, text=True, timeout=90, check=False)

    async def open(self) -> KafkaLog:
        """Open the log in Kafka, as a node does."""
        return await open_kafka_log(self.settings, self.dsn)


@pytest.fixture
def move(database: str, kafka: Kafka, tmp_path: Path) -> Move:
    return Move(database, kafka, tmp_path)


async def said(log: Log) -> list[tuple[Any, ...]]:
    """Return place, instants and statements of every record but for ticks."""
    return [
        (placed.partition, placed.offset, placed.first, placed.last, placed.envelope.kind, [(one.id, bytes(one.raw)) for one in placed.envelope.statements])
        for partition in range(PARTITIONS) for placed in await place_all(log, partition) if placed.envelope.kind != "tick"]


async def said_in_postgres(move: Move) -> list[tuple[Any, ...]]:
    log = await open_postgres_log(move.dsn)
    try:
        return await said(log)
    finally:
        await log.close()
        await move.until_unused()


async def test_every_record_keeps_its_place_its_stored_and_its_bytes_and_new_ones_come_after_all(move: Move) -> None:
    await move.fill(1200)
    before = await said_in_postgres(move)

    done = await move.copy(partitions=4)

    log = await move.open()
    try:
        latest = max(row[3] for row in before)
        added = await log.append([record(partition, "new") for partition in range(4)])
        assert (log.partitions, done.partitions, done.statements) == (4, 4, sum(len(row[5]) for row in before))
        assert [row for row in await said(log) if row[:2] in {each[:2] for each in before}] == before
        assert all([(await place_all(log, position.partition))[position.offset].first > latest for position in added])
    finally:
        await log.close()
    assert {"copied", "compared"} <= {doing for doing, _, _ in move.told}


async def test_a_broker_whose_clock_is_behind_stores_nothing_before_what_postgres_has_promised(move: Move) -> None:
    await move.fill(3)
    year = 365 * 86_400_000_000
    connection = await connect(move.dsn)
    await connection.execute("update log_head set last_stored = last_stored + $1", year)
    promised = await connection.fetchval("select max(last_stored) from log_head")
    await connection.close()
    await move.until_unused()

    await move.copy(partitions=3)

    log = await move.open()
    try:
        for partition in range(3):
            [position] = await log.append([record(partition)])
            assert (await place_all(log, partition))[position.offset].first > promised
    finally:
        await log.close()


async def test_a_copy_killed_anywhere_goes_on_and_writes_no_record_twice(move: Move) -> None:
    await move.fill(1300)
    before = await said_in_postgres(move)

    killed = [(await asyncio.to_thread(move.command, TESTAMUR_FAILPOINTS=where)).returncode for where in (
        "log_copy.run=kill", "log_copy.run=kill@2", "log_copy.before_hand_over=kill")]
    await move.until_unused()
    done = await asyncio.to_thread(move.command)

    assert killed == [-9, -9, -9]
    assert done.returncode == 0, done.stderr
    log = await move.open()
    try:
        assert await said(log) == before
    finally:
        await log.close()


async def test_while_somebody_is_connected_it_copies_but_does_not_hand_over(move: Move) -> None:
    await move.fill(5)
    log = await open_postgres_log(move.dsn)
    await log.append([record(0, "live")])

    with pytest.raises(CopyRefused, match=r"testamur log.*Stop it"):
        await move.copy()
    await log.append([record(0, "later")])
    await log.close()
    await move.until_unused()
    before = await said_in_postgres(move)
    await move.copy()

    copied = await move.open()
    try:
        assert await said(copied) == before
    finally:
        await copied.close()


async def test_a_process_that_did_not_notice_can_append_nothing_any_more(move: Move) -> None:
    await move.fill(5)
    straggler = await open_postgres_log(move.dsn)  # not connected before its first use
    await move.copy()

    with pytest.raises(LogUnavailable, match="head row"):
        await straggler.append([record(0, "lost")])
    with pytest.raises(WrongLog, match="kept in Kafka"):
        await open_postgres_log(move.dsn)
    await straggler.close()


async def test_a_topic_with_foreign_records_is_refused_and_left_as_it_is(move: Move, postgres: Any) -> None:
    await move.fill(5)
    other = postgres.create(migrated=True)
    theirs = await open_kafka_log(move.settings.model_copy(update={"partitions": PARTITIONS}), other)
    try:
        ends = [await theirs.end(partition) for partition in range(PARTITIONS)]

        with pytest.raises(CopyRefused, match="something else than this log at offset 0 of partition 0"):
            await move.copy()

        assert [await theirs.end(partition) for partition in range(PARTITIONS)] == ends
    finally:
        await theirs.close()
        postgres.drop(other)


async def test_a_record_that_somebody_slipped_into_the_topic_is_found(move: Move) -> None:
    await move.fill(5)
    log = await open_postgres_log(move.dsn)
    await log.append([record(0, "live")])
    with pytest.raises(CopyRefused, match="Stop it"):
        await move.copy()
    await log.close()
    await move.until_unused()
    target = await open_target(move.settings, uuid4(), PARTITIONS, PARTITIONS)
    await target.log.append([NewRecord(0, b"x", envelope.encode("tick"))])
    await target.log.close()

    with pytest.raises(CopyRefused, match="partition 0"):
        await move.copy()


async def test_fewer_partitions_than_the_log_has_are_refused(move: Move) -> None:
    await move.fill(1)

    with pytest.raises(CopyRefused, match="has 2 partitions"):
        await move.copy(partitions=1)


@pytest.mark.parametrize("to", ["postgres://x", "kafka:", "kafka:host", "kafka:host:9092/", "kafka:host:9092/a/b", "kafka:host:9092,/topic"])
def test_a_target_that_makes_no_sense_is_refused_with_an_example(to: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["log", "copy", "--to", to, "--data-dir", str(tmp_path)])

    assert ended.exit_code == 2
    assert "kafka:broker1:9092" in ended.output
