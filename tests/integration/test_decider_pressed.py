"""Deciders while folds are pressed: a sweep rests for its pages, alone, and whatever else is judged is rested for by who judged it."""
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from services.core.rules.wake_keys import ANY
from services.projector.decider import batch, judging, pace
from services.projector.decider.batch import decide
from services.projector.decider.decider import Decider
from services.projector.decider.deciding import Deciding
from services.projector.decider.pace import Pace
from services.projector.decider.turn import Turn
from services.projector.turns import Turns
from services.runtime.evaluation.judge import judge_programme
from services.runtime.log.memory_log import MemoryLog
from tests.integration.deciding import FINGERPRINT, HASHES, decider_connection, did, fold_all, ifi_of, passes, programme, publish, ready
from tests.integration.projecting import append

EACH_S = 0.1
"""What judging takes, each time."""
REST = 15
"""While folds are pressed as hard as can be, for so many times as long there is to be rest."""
PEOPLE = [f"p{n}" for n in range(6)]


class Clock:
    """A clock that goes on when somebody is judged, and folds that are pressed by it as hard as can be."""

    def __init__(self, stack: ExitStack) -> None:
        """Folds are pressed until the stack ends."""
        self.now = 0.0
        self.turns = Turns(lambda: self.now)
        stack.enter_context(self.turns.folding())
        self.now += 60
        self.began = self.now

    @property
    def worked(self) -> float:
        """Seconds of judging so far."""
        return self.now - self.began


class Resting:
    """A Turn that only notes how long it rested."""

    def __init__(self, clock: Clock) -> None:
        """Nobody rested yet."""
        self.rested = 0.0
        self.turn = Turn(clock.turns, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.rested += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock of all paces and turns of a test."""
    with ExitStack() as stack:
        clock = Clock(stack)

        def judged(*arguments: Any) -> Any:
            clock.now += EACH_S
            return judge_programme(*arguments)

        monkeypatch.setattr(judging, "judge_programme", judged)
        monkeypatch.setattr(pace, "Pace", lambda: Pace(lambda: clock.now))
        yield clock


class Worker:
    """A decider that goes round when it is told to."""

    def __init__(self, log: MemoryLog, clock: Clock) -> None:
        """It has done nothing yet."""
        resting = Resting(clock)
        self._resting, self._decider = resting, Decider("", log, HASHES, clock.turns)
        self._decider._deciding = Deciding(HASHES, log.partitions, FINGERPRINT, resting.turn)

    @property
    def rested(self) -> float:
        """Seconds of rest so far."""
        return self._resting.rested

    async def round(self, conn: batch.Connection) -> None:
        """Go round once, and rest for it. Decisions are folded at once."""
        self._resting.turn.begin()
        await self._decider.round(conn)
        await self._resting.turn.end()
        await conn.execute("delete from under_way")


async def sweeping(database: str, log: MemoryLog, conn: batch.Connection) -> None:
    """Publish what concerns everybody, with nobody queued yet."""
    await append(log, publish(log, programme("guide", passes("knots"))))
    await fold_all(database, log)
    await conn.execute("delete from wake")


async def queued(conn: batch.Connection) -> int:
    """Return how many learners wait."""
    return int(await conn.fetchval("select count(distinct ifi) from wake"))


async def test_after_a_page_a_sweep_wakes_nobody_until_it_has_rested_for_it(database: str, clock: Clock) -> None:
    log = MemoryLog(1)
    async with ready(database, log, *(did(actor, "knots") for actor in PEOPLE)) as conn:
        await sweeping(database, log, conn)
        worker = Worker(log, clock)
        await worker.round(conn)
        assert await queued(conn) == 1
        for _ in range(5):
            await worker.round(conn)
            assert (await queued(conn), worker.rested) == (0, 0), "the page is judged, and the sweep rests"
        clock.now += clock.worked * REST
        await worker.round(conn)
        assert await queued(conn) == 2


async def test_a_page_that_another_decider_judges_is_rested_for_by_that_one(database: str, clock: Clock) -> None:
    log = MemoryLog(1)
    async with ready(database, log, *(did(actor, "knots") for actor in PEOPLE)) as conn, decider_connection(database) as other:
        await sweeping(database, log, conn)
        wakes, judges = Worker(log, clock), Worker(log, clock)
        await wakes.round(conn)
        assert await queued(conn) == 1
        await judges.round(other)
    assert clock.worked == pytest.approx(EACH_S)
    assert judges.rested == pytest.approx(EACH_S * REST)


async def test_what_timers_wake_beside_a_sweep_is_rested_for_by_the_decider(database: str, clock: Clock) -> None:
    log = MemoryLog(1)
    async with ready(database, log, *(did(actor, "knots") for actor in PEOPLE)) as conn:
        await sweeping(database, log, conn)
        resting = Resting(clock)
        mine = Deciding(HASHES, log.partitions, FINGERPRINT, resting.turn)
        mine.paces[1] = Pace(lambda: clock.now)
        await conn.execute(
            "insert into wake select 1, ifi, $2, '00000000-0000-0000-0000-000000000000', 1, null, null from unnest($1::uuid[]) as n (ifi)",
            [ifi_of(actor) for actor in PEOPLE], ANY)
        resting.turn.begin()
        await decide(conn, mine, 1, "default")
        await resting.turn.end()
    assert clock.worked > 0
    assert resting.rested == pytest.approx(clock.worked * REST)
    assert mine.paces[1].may_wake(others=False, under_way=0, pressed=True)
