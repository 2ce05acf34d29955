"""The pace of sweeps: pages that are judged in a short time, and a part of the time for each sweep, whatever else there is to decide."""
from services.projector.decider.pace import ENOUGH_UNDER_WAY, MOST, PAGE_S, Pace, Portion, keep


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
    assert pace.may_wake(others=True, under_way=0)
    pace.woke()
    pace.judged(1, 0.1)
    assert pace.may_wake(others=False, under_way=0)
    assert not pace.may_wake(others=True, under_way=0)
    clock.now += 0.3
    assert not pace.may_wake(others=True, under_way=0)
    clock.now += 0.2
    assert pace.may_wake(others=True, under_way=0)


def test_while_many_decisions_are_on_their_way_a_sweep_goes_on_slowly_but_never_stops() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.woke()
    for others in (True, False):
        assert not pace.may_wake(others=others, under_way=ENOUGH_UNDER_WAY + 1)
    clock.now += 3
    for others in (True, False):
        assert pace.may_wake(others=others, under_way=ENOUGH_UNDER_WAY + 1)


def test_each_tenant_that_sweeps_keeps_its_own_pace_and_no_other_does() -> None:
    paces: dict[int, Pace] = {}
    keep(paces, [1, 2])
    first = paces[1]
    keep(paces, [1, 3])
    assert paces.keys() == {1, 3}
    assert paces[1] is first


def test_a_portion_is_what_is_judged_in_its_time_and_grows_again_by_and_by() -> None:
    portion = Portion(200, 200, 0.5)
    portion.judged(20, 1.0)
    assert portion.size == 10
    sizes = []
    for _ in range(6):
        portion.judged(portion.size, 0.1)
        sizes.append(portion.size)
    assert sizes == [20, 40, 80, 160, 200, 200]
