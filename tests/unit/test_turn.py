"""How much of the time deciding takes from folds, by a clock of the test's own: nothing here waits."""
from contextlib import ExitStack

import pytest

from services.projector.decider.turn import Turn
from services.projector.turns import Turns


class Times:
    """A clock that goes on when somebody works or rests, a Turn by it, and folds that are pressed or not."""

    def __init__(self, stack: ExitStack, *, pressed: bool) -> None:
        """Let folds be at work all the time, or never."""
        self.now, self.rests = 0.0, list[float]()
        turns = Turns(lambda: self.now)
        if pressed:
            stack.enter_context(turns.folding())
            self.now += 60
        self.turn = Turn(turns, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rests.append(seconds)

    async def piece(self, *parts: float) -> None:
        """Do a piece of work in parts that take so many seconds, giving way after each."""
        self.turn.begin()
        for seconds in parts:
            self.now += seconds
            await self.turn.give()
        await self.turn.end()


@pytest.mark.parametrize("parts", [[0.001], [0.02], [0.008] * 40, [0.3] * 3])
async def test_while_folds_are_pressed_small_pieces_and_large_ones_take_a_sixteenth_of_the_time(parts: list[float]) -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        began = times.now
        for _ in range(50):
            await times.piece(*parts)

    assert 50 * sum(parts) / (times.now - began) == pytest.approx(1 / 16)


async def test_while_folds_are_not_pressed_nobody_rests() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=False)
        for parts in ([0.001], [0.02] * 10, [0.5]):
            await times.piece(*parts)

    assert set(times.rests) <= {0}


async def test_a_transaction_never_rests_for_so_long_that_it_looks_frozen() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        await times.piece(0.5, 0.5)

    assert sum(times.rests) == pytest.approx(15)
    assert max(times.rests) == 0.25


async def test_a_piece_rests_for_a_second_at_most_on_its_way_and_pays_the_rest_once_it_is_over() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        for _ in range(2):
            times.rests.clear()
            times.turn.begin()
            for _ in range(20):
                times.now += 0.1
                await times.turn.give()
            assert sum(times.rests) == pytest.approx(1)
            await times.turn.end()
            assert sum(times.rests) == pytest.approx(30)


async def test_a_small_piece_is_not_held_up_on_its_way_but_rests_after_it() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        await times.piece(0.02, 0.02)

    assert times.rests[:2] == [0, 0]
    assert sum(times.rests) == pytest.approx(0.6)


async def test_rest_that_is_owed_is_forgiven_once_folds_are_at_leisure() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        times.turn.begin()
        times.now += 0.3
        await times.turn.give()
        stack.close()
        times.now += 60
        await times.turn.end()

    assert times.rests == [0.25]


async def test_a_process_that_was_frozen_owes_no_rest_for_that_and_one_that_is_to_stop_none_at_all() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        await times.piece(1000.0)
        assert sum(times.rests) == pytest.approx(15)

        times.rests.clear()
        times.turn.stop()
        await times.piece(0.5, 0.5)

    assert set(times.rests) <= {0}


async def test_a_part_that_hurries_is_not_held_up_on_its_way_and_whoever_it_was_for_rests_for_it() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        times.turn.begin()
        times.turn.begin_part(hurries=True)
        for _ in range(10):
            times.now += 0.1
            await times.turn.give()
        assert set(times.rests) == {0}
        assert times.turn.hand_over(0.75) == pytest.approx(0.75 * 15)
        times.rests.clear()
        await times.turn.end()
        assert sum(times.rests) == pytest.approx(0.25 * 15)


async def test_only_rest_for_the_part_is_handed_over_and_the_next_part_does_not_hurry() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=True)
        times.turn.begin()
        times.now += 0.3
        times.turn.begin_part(hurries=True)
        times.now += 0.1
        assert times.turn.hand_over(1) == pytest.approx(0.1 * 15)

        times.turn.begin_part(hurries=False)
        times.now += 0.1
        await times.turn.give()
        assert times.rests == [0.25]
        await times.turn.end()
        assert sum(times.rests) == pytest.approx(0.4 * 15)


async def test_while_folds_are_not_pressed_nothing_is_owed_that_could_be_handed_over() -> None:
    with ExitStack() as stack:
        times = Times(stack, pressed=False)
        times.turn.begin()
        times.turn.begin_part(hurries=True)
        times.now += 0.3
        assert times.turn.hand_over(1) == 0
