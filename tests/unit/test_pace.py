"""The pace of sweeps: pages that are judged in a short time, and a part of the time for each sweep, whatever else there is to decide."""
from uuid import UUID

import pytest

from services.core.keys import KeyedHash
from services.projector.decider import batch
from services.projector.decider.deciding import Deciding
from services.projector.decider.pace import ENOUGH_UNDER_WAY, MOST, PAGE_S, Pace, Portion, keep
from services.runtime.evaluation.load import Members


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_sweep_begins_with_one_learner_and_wakes_more_while_they_are_judged_in_time() -> None:
    pace, pages = Pace(), []
    for _ in range(9):
        pages.append(pace.page)
        pace.judged(pace.page, PAGE_S / 2)
    assert pages == [1, 2, 4, 8, 16, 32, 64, MOST, MOST]


def test_what_took_too_long_is_woken_in_pages_that_do_not_and_never_in_none() -> None:
    pace = Pace()
    for _ in range(9):
        pace.judged(MOST, PAGE_S / 2)
    pace.judged(80, PAGE_S * 2)
    assert pace.page == 40
    pace.judged(200, PAGE_S * 2)
    assert pace.page == 40, "more than a page in that time is no reason for a larger one"
    pace.judged(1, PAGE_S * 50)
    assert pace.page == 1
    pace.judged(0, PAGE_S * 50)
    assert pace.page == 1


def test_fewer_than_a_page_tell_nothing_of_what_more_would_take() -> None:
    pace = Pace()
    pace.judged(1, 0)
    pace.judged(2, 0)
    pace.judged(3, 0)
    assert pace.page == 4


def test_a_sweep_goes_on_at_once_when_there_is_nobody_else_and_in_its_part_of_the_time_when_there_is() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.may_wake(others=True, under_way=0, pressed=False)
    pace.woke(1)
    pace.judged(1, 0.1)
    assert pace.may_wake(others=False, under_way=0, pressed=False)
    assert not pace.may_wake(others=True, under_way=0, pressed=False)
    clock.now += 0.3
    assert not pace.may_wake(others=True, under_way=0, pressed=False)
    clock.now += 0.2
    assert pace.may_wake(others=True, under_way=0, pressed=False)


def test_while_many_decisions_are_on_their_way_a_sweep_goes_on_slowly_but_never_stops() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.woke(1)
    for others in (True, False):
        assert not pace.may_wake(others=others, under_way=ENOUGH_UNDER_WAY + 1, pressed=False)
    clock.now += 3
    for others in (True, False):
        assert pace.may_wake(others=others, under_way=ENOUGH_UNDER_WAY + 1, pressed=False)


def test_a_sweep_rests_for_what_it_owes_while_folds_are_pressed_and_is_forgiven_once_they_are_not() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.owe(0.5)
    pace.owe(0.5)
    assert not pace.may_wake(others=False, under_way=0, pressed=True)
    clock.now += 0.9
    assert not pace.may_wake(others=False, under_way=0, pressed=True)
    clock.now += 0.2
    assert pace.may_wake(others=False, under_way=0, pressed=True)

    pace.owe(60)
    assert pace.may_wake(others=False, under_way=0, pressed=False)
    assert pace.may_wake(others=False, under_way=0, pressed=True)


class Beside:
    """Batches of a sweep whose learners take long to judge, beside others who are woken before each batch and take next to nothing."""

    def __init__(self) -> None:
        """Nobody was woken yet."""
        self.clock, self.waiting, self.swept_s, self.waits = Clock(), 0, 0.0, list[float]()
        self._began = self._last = self.clock.now
        self._pace = Pace(self.clock)
        self._deciding = Deciding(KeyedHash(b"tests"), 1, "", paces={1: self._pace})

    @property
    def share(self) -> float:
        """The part of the time that the sweep had."""
        return self.swept_s / (self.clock.now - self._began)

    def batch(self) -> None:
        """Judge those of the sweep for a second at most, at 0.05 s each, and if there is time left 30 others in 0.03 s; then let the sweep go on."""
        swept = min(self.waiting, 20)
        others = 30 if swept < 20 else 0
        seconds = swept * 0.05 + others * 0.001
        self.waiting -= swept
        self.swept_s += swept * 0.05
        self.clock.now += seconds
        if others:
            self.waits.append(self.clock.now - self._last)
            self._last = self.clock.now
        judged = [Members((UUID(int=n),), ("",)) for n in range(swept + others)]
        batch._measure(self._deciding, 1, judged, {one.learner for one in judged[:swept]}, seconds)
        if self._pace.may_wake(others=True, under_way=0, pressed=False):
            self.waiting += self._pace.page
            self._pace.woke(self._pace.page)


def test_a_sweep_that_takes_long_has_its_part_of_the_time_beside_others_who_take_next_to_nothing() -> None:
    beside = Beside()
    for _ in range(400):
        beside.batch()
    assert beside.share == pytest.approx(1 / 5, abs=0.05)
    assert max(beside.waits) < 2 * PAGE_S


def test_each_tenant_that_sweeps_keeps_its_own_pace_and_no_other_does() -> None:
    paces: dict[int, Pace] = {}
    keep(paces, [1, 2])
    first = paces[1]
    keep(paces, [1, 3])
    assert paces.keys() == {1, 3}
    assert paces[1] is first


def test_rest_that_a_sweep_owes_outlives_it_so_that_many_short_ones_rest_as_a_long_one_does() -> None:
    clock = Clock()
    paces = {1: Pace(clock)}
    paces[1].owe(3)
    keep(paces, [])
    keep(paces, [1])
    assert not paces[1].may_wake(others=False, under_way=0, pressed=True)
    clock.now += 3
    keep(paces, [])
    assert not paces


def test_a_sweep_that_has_ended_keeps_its_pace_until_its_last_page_is_judged_by_whomever() -> None:
    clock = Clock()
    paces = {1: Pace(clock), 2: Pace(clock), 3: Pace(clock)}
    for tenant_id in (1, 2):
        paces[tenant_id].woke(1)
    keep(paces, [])
    assert paces.keys() == {1, 2}
    paces[1].judged(1, 0.1)
    keep(paces, [])
    assert paces.keys() == {2}
    clock.now += 3
    keep(paces, [])
    assert not paces


def test_a_portion_is_what_is_judged_in_its_time_and_grows_again_by_and_by() -> None:
    portion = Portion(200, 200, 0.5)
    portion.judged(20, 1.0)
    assert portion.size == 10
    sizes = []
    for _ in range(6):
        portion.judged(portion.size, 0.1)
        sizes.append(portion.size)
    assert sizes == [20, 40, 80, 160, 200, 200]


def test_after_a_portion_that_could_not_be_judged_at_all_half_as_many_are_taken_and_never_none() -> None:
    portion, sizes = Portion(5, 200, 0.5), list[int]()
    for _ in range(4):
        portion.failed()
        sizes.append(portion.size)
    assert sizes == [2, 1, 1, 1]
