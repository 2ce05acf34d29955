"""Three real brokers under 32 writers: whatever happens to them, nothing acknowledged is lost and everything goes on by itself."""
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.servers.kafka import KafkaServers
from tests.servers.load import History, Writer
from tests.servers.reading import check
from tests.servers.system import System

PAUSE_S = 20.0 if os.environ.get("TESTAMUR_SOAK") else 5.0
DEADLINE_S = 13.0
"""The log's deadline of 10 s, the wait for visibility of 2 s, and a second of slack on a busy machine."""


async def _kill_one(brokers: KafkaServers) -> None:
    brokers.kill9(0)
    await asyncio.sleep(PAUSE_S)  # noqa: TID251 - the length of the fault
    await asyncio.to_thread(brokers.restart, 0)


async def _freeze_one(brokers: KafkaServers) -> None:
    brokers.stop(1)
    await asyncio.sleep(PAUSE_S)  # noqa: TID251 - the length of the fault
    brokers.cont(1)


async def _two_down(brokers: KafkaServers) -> None:
    brokers.kill9(0)
    brokers.kill9(1)
    await asyncio.sleep(PAUSE_S)  # noqa: TID251 - the length of the fault
    await asyncio.gather(asyncio.to_thread(brokers.restart, 0), asyncio.to_thread(brokers.restart, 1))


async def _all_down(brokers: KafkaServers) -> None:
    for n in range(3):
        brokers.kill9(n)
    await asyncio.sleep(PAUSE_S)  # noqa: TID251 - the length of the fault
    await asyncio.gather(*(asyncio.to_thread(brokers.restart, n) for n in range(3)))


async def _rolling(brokers: KafkaServers) -> None:
    for n in range(3):
        brokers.terminate(n)
        await asyncio.to_thread(brokers.restart, n)
        await asyncio.sleep(2)  # noqa: TID251 - between two of a rolling restart


FAULTS: dict[str, Callable[[KafkaServers], Awaitable[None]]] = {
    "kill -9 of one": _kill_one, "SIGSTOP of one": _freeze_one, "two down": _two_down, "all down": _all_down, "a rolling restart": _rolling}


@pytest.fixture
def three_broker_system(kafka_cluster: KafkaServers, tmp_path: Path) -> System:
    """`testamur up` on three brokers, a topic of its own."""
    return System(tmp_path / "data", kafka=kafka_cluster.bootstrap, settings={"TESTAMUR_KAFKA_TOPIC": f"testamur.{tmp_path.name.lower()}"})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_acknowledged_is_lost_and_writes_go_on_by_themselves(three_broker_system: System, kafka_cluster: KafkaServers, fault: str) -> None:
    system = three_broker_system
    system.start()
    try:
        history, going = History(), True
        writers = [asyncio.create_task(Writer(system.connection(timeout_s=30), history, seed=n, batch=2).run(lambda: going)) for n in range(32)]
        await asyncio.sleep(2)  # noqa: TID251 - load before the fault
        await FAULTS[fault](kafka_cluster)
        await _acks_again(history)
        going = False
        await asyncio.gather(*writers)

        assert history.longest_s < DEADLINE_S, history.answers
        await asyncio.to_thread(system.wait_ready, 60)
        await check(system.connection(timeout_s=30), history)
        assert system.stop() == 0, system.tail()
    finally:
        system.destroy()


async def _acks_again(history: History, within_s: float = 60) -> None:
    """Wait until 200 more statements are acknowledged."""
    before, deadline = len(history.acked), time.monotonic() + within_s
    while len(history.acked) < before + 200:
        assert time.monotonic() < deadline, f"writes did not go on: {history.answers}"
        await asyncio.sleep(0.1)  # noqa: TID251 - a poll with a deadline


@pytest.mark.timeout(300)
async def test_up_ends_within_thirty_seconds_of_sigterm_while_no_broker_answers(three_broker_system: System, kafka_cluster: KafkaServers) -> None:
    system = three_broker_system
    system.start()
    history, going = History(), True
    writers = [asyncio.create_task(Writer(system.connection(timeout_s=30), history, seed=n, batch=2).run(lambda: going)) for n in range(32)]
    try:
        await asyncio.sleep(1)  # noqa: TID251 - load before the fault
        for n in range(3):
            kafka_cluster.kill9(n)
        await asyncio.sleep(1)  # noqa: TID251 - requests in flight
        begun = time.monotonic()
        code = await asyncio.to_thread(system.stop, 35)
        assert code == 0, system.tail()
        assert time.monotonic() - begun < 30
    finally:
        going = False
        await asyncio.gather(*writers, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(kafka_cluster.restart, n) for n in range(3)))
        system.destroy()
