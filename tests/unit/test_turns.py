"""How hard folds are pressed, by a clock of the test's own."""
from services.projector.turns import Turns


class Folds:
    """Folds that work and rest when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = Turns(lambda: self.now)

    def run(self, seconds: float, rest: float, *, waiting: int = 0, times: int = 1) -> float:
        """Work for so long, after which so much waits, and then do nothing, so many times; return the pressure there is then."""
        for _ in range(times):
            with self.turns.folding():
                self.now += seconds
            self.turns.left(waiting)
            self.now += rest
        return self.turns.pressure


def test_folds_that_have_nothing_to_do_or_find_little_after_each_run_are_not_pressed() -> None:
    folds = Folds()

    assert folds.turns.pressure == 0
    assert folds.run(0.03, 0.01, waiting=100, times=1000) == 0
    assert folds.run(0.03, 0.0, waiting=100, times=1000) == 0


def test_folds_that_hardly_ever_rest_and_find_much_after_each_run_are_pressed_until_that_is_over() -> None:
    folds = Folds()

    assert 0.2 < folds.run(0.09, 0.01, waiting=220, times=1000) < 0.5
    assert folds.run(0.09, 0.01, waiting=400, times=1000) == 1
    folds.now += 1
    assert folds.turns.pressure == 0


def test_folds_that_rest_a_good_part_of_the_time_are_not_pressed_whatever_they_find() -> None:
    assert Folds().run(0.06, 0.04, waiting=400, times=1000) == 0


def test_a_moment_in_which_a_run_takes_long_is_no_pressure_and_some_seconds_of_it_are() -> None:
    folds = Folds()
    folds.run(0.02, 0.01, waiting=60, times=1000)

    assert folds.run(0.5, 0.0, waiting=5000) < 0.1
    assert folds.run(0.2, 0.0, waiting=5000, times=20) == 1


def test_one_look_after_a_long_time_says_no_more_than_one_after_a_short_one() -> None:
    folds = Folds()
    folds.run(0.02, 0.01, waiting=60, times=1000)
    folds.now += 3600
    with folds.turns.folding():
        folds.now += 10
        folds.turns.left(400)

        assert folds.turns.pressure < 0.1


def test_where_nothing_was_told_of_what_waits_for_some_seconds_the_time_at_work_counts_alone() -> None:
    folds = Folds()
    with folds.turns.folding():
        folds.now += 10
        assert folds.turns.pressure == 1, "who makes statements visible, and nothing follows here"
        folds.turns.left(0)
        assert folds.turns.pressure == 0
        folds.now += 10
        assert folds.turns.pressure == 1


def test_runs_of_several_projections_at_once_count_once() -> None:
    folds = Folds()
    for _ in range(100):
        with folds.turns.folding():
            folds.run(0.05, 0.0, waiting=400)
        folds.now += 0.05

    assert folds.turns.pressure == 0
