"""Histories find what they are there to find: each of these faults, planted in the house, is noticed within a few histories."""
import inspect
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from services.projector.decider import batch, judging, sweeps
from services.projector.decider.deciding import Deciding
from services.projector.projections import learners_wakes
from services.runtime.evaluation import judge, load
from tests.properties.decisions.stood import NotDecidedError
from tests.properties.decisions.test_decisions import KEEP_UP, assert_whole, complete, one

MOST = 40
SEED = 8_000_000
TOO_LONG = 5_000_000
PLANTED: dict[str, tuple[Any, str]] = {
    "a void wakes nobody": (learners_wakes, "_judged"),
    "a publication wakes nobody": (learners_wakes, "_sweep"),
    "a decision wakes nobody": (learners_wakes, "_decided"),
    "time wakes nobody": (judging, "set_timers"),
    "what was revoked by hand counts on": (load, "_load_barred"),
}

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_noticed(database: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name = PLANTED[fault]

    async def nothing_later(*_args: Any, **_named: Any) -> None:
        """Do nothing."""

    def nothing(*_args: Any, **_named: Any) -> None:
        """Do nothing."""

    monkeypatch.setattr(where, name, nothing_later if inspect.iscoroutinefunction(getattr(where, name)) else nothing)
    _assert_noticed(database, AssertionError)


def test_a_decider_that_heeds_the_partition_most_ahead_is_noticed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def through(conn: batch.Connection, _fingerprint: str) -> int:
        return int(await conn.fetchval("select max(last_stored) from projection_cursor where name = 'learners'"))

    monkeypatch.setattr(batch, "through", through)
    _assert_noticed(database, AssertionError)


def test_a_decider_that_does_not_say_which_period_it_passed_over_is_noticed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    due_next = judge._Judge._next
    monkeypatch.setattr(judge._Judge, "_next", lambda judging, version, after: (after, due_next(judging, version, after)[1]))
    _assert_noticed(database, AssertionError)


def _dawdle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge nobody of whom a statement came lately: who passes, is voided and passes again is judged once, at the end."""
    take = batch._take

    async def take_the_quiet(conn: batch.Connection, deciding: Deciding, tenant_id: int, alone: Sequence[UUID]) -> tuple[list[load.Members], int]:
        members, now = await take(conn, deciding, tenant_id, alone)
        lately = {row["ifi"] for row in await conn.fetch("select ifi from evidence where ifi is not null and seq >> 8 between $1 and $2", now - TOO_LONG, now)}
        return [each for each in members if lately.isdisjoint(each.ifis)], now

    monkeypatch.setattr(batch, "_take", take_the_quiet)


def _void_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is more than a new statement judged late: a void that a statement follows comes to nothing."""
    add = learners_wakes.Queue.add

    def add_late(queue: learners_wakes.Queue, place: tuple[int, UUID, int, UUID], due: int, cause: UUID) -> None:
        add(queue, place, due + TOO_LONG, cause)

    monkeypatch.setattr(learners_wakes.Queue, "add", add_late)


def _ring_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ring timers late: one that a later statement makes moot is skipped."""
    async def through_before(conn: sweeps.Connection, fingerprint: str) -> int:
        return await batch.through(conn, fingerprint) - TOO_LONG

    monkeypatch.setattr(sweeps, "through", through_before)


def _sweep_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with sweeps late: one that reaches somebody of whom the rule says something else by then comes to nothing."""
    spread = sweeps.spread

    async def spread_late(conn: sweeps.Connection, fingerprint: str, tenant_id: int, most: int) -> int | None:
        through = await batch.through(conn, fingerprint)
        late = await conn.fetchval("select exists (select from sweep where due < $1)", through - TOO_LONG)
        return await spread(conn, fingerprint, tenant_id, most) if late else None

    monkeypatch.setattr(sweeps, "spread", spread_late)


@pytest.mark.parametrize("plant", [_dawdle, _void_late, _ring_late, _sweep_late])
def test_a_decider_that_is_right_too_late_is_noticed(database: str, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    _assert_noticed(database, NotDecidedError, likely=1)  # and by nothing else: at rest all is as it should be


def _assert_noticed(database: str, by: type[AssertionError], *, likely: float = KEEP_UP) -> None:
    async def work() -> None:
        for number in range(MOST):
            try:
                await one(database, SEED + number, assert_whole, likely=likely)
            except by:
                return
        raise LookupError(f"not noticed in {MOST} histories")

    complete(work())
