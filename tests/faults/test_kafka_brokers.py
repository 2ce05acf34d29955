"""A log on three real brokers under 32 writers while brokers die, freeze and restart: rows 10 to 13 of the fault matrix, at the level of the log.

Always: nothing acknowledged is lost or doubled, offsets have no gaps, every append answers within its deadline, and writes resume by themselves.
"""
import asyncio
import os
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from services.core.errors import LogUnavailable
from services.runtime.log.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log.kafka_producer import DEADLINE_S
from services.runtime.settings import Settings
from tests.faults.kafka_writers import Writers, record
from tests.servers.kafka import KafkaServers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
WARM = 20_000 if SOAK else 500
PAUSE_S = 0.0 if SOAK else 0.01
FROZEN_S = 20.0 if SOAK else 8.0
DOWN_S = 38.0 if SOAK else 4.0
SLACK_S = 2.0
"""How much later than its deadline an answer may come: this machine is busy."""
ON_THEIR_WAY = 64
"""Answers that the writers may still get from brokers that have just died."""
MANY_BACK_S = 60.0
"""Brokers that were killed together come back to work within this."""


@pytest_asyncio.fixture
async def log(kafka_cluster: KafkaServers, database: str) -> AsyncIterator[KafkaLog]:
    """A log of 12 partitions, three replicas each."""
    opened = await open_kafka_log(Settings(kafka=kafka_cluster.bootstrap, kafka_topic=f"log-{uuid4()}"), database)
    yield opened
    await opened.close()


async def _holds(writers: Writers, figures: pytest.FixtureRequest) -> None:
    text = f"{await writers.check()}, producers rebuilt {writers.log.producer.rebuilt}"  # type: ignore[attr-defined]
    figures.node.user_properties.append(("figures", text))
    print(f"\n{figures.node.name}: {text}")  # noqa: T201 - measurements are for whoever runs this with -s
    assert writers.slowest_s <= DEADLINE_S + SLACK_S


async def test_when_a_broker_is_killed_writes_go_on_within_seconds(log: KafkaLog, kafka_cluster: KafkaServers, request: pytest.FixtureRequest) -> None:
    async with Writers(log, pause_s=PAUSE_S) as writers:
        await writers.go_on(WARM)
        await asyncio.to_thread(kafka_cluster.kill9, 0)
        await writers.go_on(WARM)
        kafka_cluster.restart(0)
        await asyncio.to_thread(kafka_cluster.wait_ready)
        await writers.go_on(WARM)
    await _holds(writers, request)


async def test_when_a_broker_is_frozen_writes_go_on_and_it_rejoins(log: KafkaLog, kafka_cluster: KafkaServers, request: pytest.FixtureRequest) -> None:
    async with Writers(log, pause_s=PAUSE_S) as writers:
        await writers.go_on(WARM)
        thaw_at = time.monotonic() + FROZEN_S
        kafka_cluster.stop(1)
        await writers.go_on(WARM)
        await asyncio.sleep(thaw_at - time.monotonic())  # noqa: TID251 - the length of the fault
        kafka_cluster.cont(1)
        await asyncio.to_thread(kafka_cluster.wait_ready)
        await writers.go_on(WARM)
    await _holds(writers, request)


async def test_with_two_brokers_down_nothing_is_acknowledged_and_writes_resume_when_they_return(
    log: KafkaLog, kafka_cluster: KafkaServers, request: pytest.FixtureRequest,
) -> None:
    async with Writers(log, pause_s=PAUSE_S) as writers:
        await writers.go_on(WARM)
        for i in (1, 2):
            await asyncio.to_thread(kafka_cluster.kill9, i)
        before = len(writers.acked)
        await asyncio.sleep(DOWN_S)  # noqa: TID251 - the length of the fault
        assert len(writers.acked) - before <= ON_THEIR_WAY, "one replica alone acknowledged"
        for i in (1, 2):
            kafka_cluster.restart(i)
        await writers.go_on(WARM, within_s=MANY_BACK_S)
    await _holds(writers, request)


async def test_with_all_brokers_down_answers_and_closing_are_prompt_and_writes_resume_when_they_return(
    log: KafkaLog, kafka_cluster: KafkaServers, database: str, request: pytest.FixtureRequest,
) -> None:
    other = await open_kafka_log(Settings(kafka=kafka_cluster.bootstrap, kafka_topic=log.topic), database)
    async with Writers(log, pause_s=PAUSE_S) as writers:
        await writers.go_on(WARM)
        for i in range(3):
            await asyncio.to_thread(kafka_cluster.kill9, i)
        hanging = asyncio.create_task(other.append([record(0)]))
        waiting = asyncio.create_task(other.read(0, 10**6, max_records=1, max_bytes=1, wait_s=1.0))
        await asyncio.sleep(DOWN_S)  # noqa: TID251 - the length of the fault
        began = time.monotonic()
        await other.close()
        assert time.monotonic() - began <= 3.0
        for each in (hanging, waiting):
            with pytest.raises(LogUnavailable):
                await each
        assert time.monotonic() - began <= 3.0 + SLACK_S
        for i in range(3):
            kafka_cluster.restart(i)
        await writers.go_on(WARM, within_s=MANY_BACK_S)
    await _holds(writers, request)


async def test_a_rolling_restart_costs_no_write(log: KafkaLog, kafka_cluster: KafkaServers, request: pytest.FixtureRequest) -> None:
    async with Writers(log, pause_s=PAUSE_S) as writers:
        for i in range(3):
            await writers.go_on(WARM)
            await asyncio.to_thread(kafka_cluster.terminate, i)
            kafka_cluster.restart(i)
            await asyncio.to_thread(kafka_cluster.wait_ready)
        await writers.go_on(WARM)
    await _holds(writers, request)
    assert not writers.unknown
    assert not writers.rejected
