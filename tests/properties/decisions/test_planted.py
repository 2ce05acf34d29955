"""Histories find what they are there to find: each of these faults, planted in the house, is noticed within a few histories."""
import inspect
from typing import Any

import pytest

from services.projector.decider import batch
from services.projector.projections import learners_wakes
from services.runtime.evaluation import load
from tests.properties.decisions.test_decisions import assert_whole, complete, one

MOST = 40
SEED = 8_000_000
PLANTED: dict[str, tuple[Any, str]] = {
    "a void wakes nobody": (learners_wakes, "_judged"),
    "a publication wakes nobody": (learners_wakes, "_sweep"),
    "a decision wakes nobody": (learners_wakes, "_decided"),
    "time wakes nobody": (batch._Batch, "_set_timers"),
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

    async def work() -> None:
        for number in range(MOST):
            try:
                await one(database, SEED + number, assert_whole)
            except AssertionError:
                return
        raise LookupError(f"{fault}: not noticed in {MOST} histories")

    complete(work())
