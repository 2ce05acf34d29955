"""kill -9 of any process at any moment loses nothing, doubles nothing, and leaves projections that a replay agrees with."""
import asyncio
import os
import random
import signal
from collections.abc import Callable

import pytest

from tests.servers.load import History, Writer
from tests.servers.reading import check
from tests.servers.system import Role, System
from tests.servers.transcripts import assert_transcripts_equal_the_reference

ROUNDS = 50 if os.environ.get("TESTAMUR_SOAK") else 3
SEED = int(os.environ.get("TESTAMUR_SEED", "1"))
VICTIMS: dict[str, tuple[Role, ...]] = {"ingest": ("web",), "projector": ("projector",), "both": ("web", "projector"), "postgres": ("postgres",)}


async def _write_while_killing(system: System, victims: tuple[Role, ...]) -> History:
    """Four writers go on while the victims are killed, again and again, at random moments; all recover each time."""
    history, going, chance = History(), True, random.Random(SEED)
    connections = [system.connection() for _ in range(4)]
    writers = [asyncio.create_task(Writer(c, history, seed=SEED * 100 + n).run(lambda: going)) for n, c in enumerate(connections)]
    for _ in range(ROUNDS):
        await asyncio.sleep(chance.uniform(0.3, 1.5))  # noqa: TID251 - the random moment of the fault
        for victim in victims:
            system.signal(victim, signal.SIGKILL)
        await asyncio.to_thread(system.wait_ready, 30)
    going = False
    await asyncio.gather(*writers)
    assert len(history.acked) > 50 * ROUNDS, history.answers
    return history


@pytest.mark.timeout(1800 if os.environ.get("TESTAMUR_SOAK") else 300)
@pytest.mark.parametrize("log", ["postgres", "kafka"])
@pytest.mark.parametrize("victim", VICTIMS)
async def test_killed_at_random_moments_nothing_acknowledged_is_lost(make_system: Callable[..., System], log: str, victim: str) -> None:
    system = make_system(log)
    system.start()

    history = await _write_while_killing(system, VICTIMS[victim])

    await assert_whole(system, history)
    assert system.stop() == 0, system.tail()


async def assert_whole(system: System, history: History) -> None:
    """Everything promised of a quiet system that has a history."""
    connection = system.connection()
    there = await check(connection, history)
    await assert_transcripts_equal_the_reference(connection, there)
    for name in ("statements", "learners"):
        replayed = await asyncio.to_thread(system.command, "replay", name)
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    await check(connection, history)
    await assert_transcripts_equal_the_reference(connection, there)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("log", ["postgres", "kafka"])
async def test_a_frozen_projector_that_wakes_after_a_takeover_writes_nothing(make_system: Callable[..., System], log: str) -> None:
    system = make_system(log)
    system.start()
    history, going = History(), True
    writers = [asyncio.create_task(Writer(system.connection(), history, seed=n).run(lambda: going)) for n in range(4)]
    await asyncio.sleep(1)  # noqa: TID251 - some load first
    frozen = system.signal("projector", signal.SIGSTOP)
    second = await asyncio.create_subprocess_exec(*system.argv("projector"), env=system.environment)
    try:
        await asyncio.to_thread(system.wait_ready, 40)
        acked_before = len(history.acked)
        await asyncio.sleep(1)  # noqa: TID251 - load folded by the second worker
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(2)  # noqa: TID251 - time for the woken one to do harm
        going = False
        await asyncio.gather(*writers)
        assert len(history.acked) > acked_before
        await assert_whole(system, history)
    finally:
        second.terminate()
        assert await asyncio.wait_for(second.wait(), 30) == 0
    assert system.stop() == 0, system.tail()
