"""What a clause lacks: how much of how much there is, what would meet it, and what came too early."""
import pytest

from services.core.rules.facts import Award, Fact
from services.core.rules.outcome import Amount, Explained, Outcome
from services.core.rules.tree import Programme
from tests.unit.rules.given import ASSERTED, NONE, award, fact, outcome, programme, rule
from tests.unit.rules.test_programmes import R1, SAFETY, UNITS

ON = "2024-01-01"
OPEN = ("museum", "https://museum.example.org")


def courses_in_order(more: str = "sequence: true, ") -> Programme:
    steps = ", ".join(f"{{label: {name}, statement: {{activity: https://courses.example.org/{name}}}}}" for name in "abc")
    return rule(f"{{{more}all: [{steps}]}}")


def lacks(found: Outcome) -> str | None:
    return found.worded.lacks


def test_a_sum_says_how_much_there_is_how_much_is_wanted_and_how_much_more() -> None:
    hours = [fact(number, f"a{number}", "2023-01-01", hours=amount) for number, amount in enumerate((12_000_000, 2_500_000), 1)]
    wanted = rule("{sum: {of: https://w3id.org/testamur/ext/pd-hours, at_least: 25, cap_each: 10}}")

    found = outcome(wanted, *hours, on=ON).worded

    assert (found.amount, found.lacks) == (Amount(12.5, 25, "hours"), "12.5 hours more; 12.5 of 25 so far")
    assert found.asks.startswith("25 hours of professional development in all")


def test_a_duration_is_in_hours_and_another_measure_in_its_own_unit() -> None:
    spent = fact(1, "a", "2023-01-01", duration=5_400_000_000)

    assert outcome(rule("{sum: {of: duration, at_least: 2}}"), spent, on=ON).tree.amount == Amount(1.5, 2, "hours")
    points = outcome(rule("{sum: {of: https://e.example.org/points, at_least: 3}}"), on=ON)
    assert points.worded.lacks == "3 of https://e.example.org/points more; 0 of 3 so far"


def test_of_a_sum_all_that_counts_is_told_though_less_would_do_and_of_anything_else_no_more_than_is_wanted() -> None:
    hours = [fact(number, f"a{number}", "2023-01-01", hours=10_000_000) for number in range(3)]

    assert outcome(rule("{sum: {of: https://w3id.org/testamur/ext/pd-hours, at_least: 12}}"), *hours, on=ON).tree.amount == Amount(30, 12, "hours")
    assert outcome(rule("{statement: {verb: passed, count: 2}}"), *hours, on=ON).tree.amount == Amount(2, 2, "statements")


def test_what_has_left_its_window_does_not_count() -> None:
    wanted = rule("{sum: {of: https://w3id.org/testamur/ext/pd-hours, at_least: 12, window: {last: P1Y}}}")

    assert outcome(wanted, fact(1, "a", "2022-01-01", hours=12_000_000), on=ON).tree.amount == Amount(0, 12, "hours")


def test_different_values_are_counted_not_statements() -> None:
    wanted = rule("{statement: {verb: passed, count: 3, distinct: authority}}")
    twice = [fact(number, "a", "2023-01-01", authority="mbox:mailto:a@example.org") for number in (1, 2)]

    found = outcome(wanted, *twice, on=ON).worded

    assert (found.amount, found.lacks) == (Amount(1, 3, "different authorities"), "2 more, of other authorities than mailto:a@example.org; 1 of 3 so far")


def test_one_of_several_and_some_of_several_name_what_there_is_to_choose_from() -> None:
    some = ", ".join(f"{{label: {name}, statement: {{activity: https://courses.example.org/{name}}}}}" for name in "abcd")

    assert lacks(outcome(rule(f"{{any: [{some}]}}"), on=ON)) == "one of these: a; b; c; d"
    assert lacks(outcome(rule(f"{{at_least: {{n: 3, of: [{some}]}}}}"), fact(1, "b", "2023-01-01"), on=ON)) == "2 more of these: a; c; d"
    assert lacks(outcome(rule(f"{{all: [{some}]}}"), fact(1, "b", "2023-01-01"), on=ON)) == "a; c; d"
    assert lacks(outcome(rule(f"{{any: [{some}]}}"), fact(1, "b", "2023-01-01"), on=ON)) is None


def test_two_badges_of_one_issuer_are_one_part() -> None:
    wanted = rule("{at_least: {n: 2, distinct: issuer, of: [{label: A, credential: {achievement: 'x:a'}}, {label: B, credential: {achievement: 'x:b'}}]}}")
    both = [award(number, f"x:{name}", "2023-01-01", issuers=OPEN) for number, name in ((1, "a"), (2, "b"))]

    found = outcome(wanted, *both, on=ON).worded

    assert [child.met for child in found.of] == [True, True]
    assert (found.amount, found.progress, found.lacks) == (
        Amount(1, 2, "parts of different issuers"), .5, "2 of these, of 2 different issuers; 1 so far: A; B")


def marks(found: Explained) -> list[tuple[bool, bool]]:
    return [(child.met, child.again) for child in found.of]


def test_a_step_taken_before_those_that_come_before_it_has_to_come_again() -> None:
    found = outcome(courses_in_order(), fact(1, "a", "2023-01-01"), fact(2, "c", "2023-02-01"), on=ON).worded

    assert marks(found) == [(True, False), (False, False), (True, True)]
    assert (found.amount, found.progress, found.lacks) == (Amount(1, 3, "parts"), 1 / 3, "b; c, once more, in this order")


def test_steps_all_taken_in_the_wrong_order_come_again_from_the_first_that_is_too_early() -> None:
    steps = [fact(1, "b", "2023-01-01"), fact(2, "a", "2023-02-01"), fact(3, "c", "2023-03-01")]

    found = outcome(courses_in_order(), *steps, on=ON).worded

    assert marks(found) == [(True, False), (True, True), (True, True)]
    assert found.lacks == "b, once more; c, once more, in this order"
    assert marks(outcome(courses_in_order(), *steps, fact(4, "b", "2023-04-01"), fact(5, "c", "2023-05-01"), on=ON).tree) == [(True, False)] * 3


@pytest.mark.parametrize("order", ["", "sequence: true, "])
def test_parts_that_lie_too_far_apart_are_told_to_be_so(order: str) -> None:
    parts = [fact(1, "a", "2021-01-01"), fact(2, "b", "2022-01-01"), fact(3, "c", "2023-01-01")]
    wanted = courses_in_order(order + "within: P1Y, ")

    found = outcome(wanted, *parts, on=ON).worded

    assert (found.met, found.progress) == (False, .99)
    assert found.lacks == "the same within 1 year: its parts are met, but too far apart"
    as_wanted = ", in this order" if order else ""
    assert lacks(outcome(wanted, parts[0], on=ON)) == f"b; c{as_wanted}; all within 1 year, so what is met may have to come again"


def test_a_cmi5_course_names_the_units_that_are_open_in_the_registration_that_has_come_furthest() -> None:
    assert UNITS is not None
    taken = fact(1, SAFETY + "/saw", "2023-01-01", registration=R1)

    found = outcome(programme("units"), taken, on=ON, courses={SAFETY: UNITS}).worded

    assert found.amount == Amount(1, 2, "units")
    assert found.lacks == f"{SAFETY}/fire (to be completed and passed), in the registration {R1}; or all its units in another registration"


def test_what_has_a_label_says_what_it_asks_for_too() -> None:
    found = outcome(rule("{label: the course, statement: {verb: passed, activity: https://courses.example.org/a}}"), on=ON).worded

    assert (found.label, found.asks, found.lacks) == ("the course", "passed https://courses.example.org/a", "passed https://courses.example.org/a")


def test_what_is_near_and_does_not_count_is_told_with_the_reason() -> None:
    wanted = rule("{statement: {verb: passed, activity: https://courses.example.org/a, score_gte: 0.7, identity: verified, until: 2023-06-01}}")
    near = [
        fact(1, "a", "2023-01-01", scaled=.5), fact(2, "a", "2023-02-01", scaled=.8, level=ASSERTED), fact(3, "a", "2023-07-01", scaled=.9),
        fact(4, "a", "2023-03-01", verb="completed"), fact(5, "b", "2023-01-01", scaled=.9),
    ]

    found = outcome(wanted, *near, on=ON).worded

    assert found.passed_over == ("1 too late", "1 with a score below 0.7", "1 with the learner's identity only asserted")
    assert found.lacks is not None
    assert found.lacks.endswith("; its time is over: nothing new counts, only what happened before 2023-06-01 and is not on record yet")
    assert outcome(wanted, fact(1, "a", "2023-01-01", scaled=.9), *near, on=ON).worded.passed_over == ()


def test_what_a_window_has_left_behind_is_told() -> None:
    wanted = rule("{statement: {verb: passed, count: 2, window: {last: P1Y}}}")

    found = outcome(wanted, fact(1, "a", "2021-01-01"), fact(2, "a", "2023-06-01"), on=ON).worded

    assert (found.passed_over, found.lacks) == (("1 too long ago",), "1 more statement; 1 of 2 so far")


def test_a_revoked_credential_is_told_and_so_is_one_of_another_time() -> None:
    wanted = rule("{credential: {achievement: 'x:a', since: 2023-01-01}}")

    found = outcome(wanted, award(1, "x:a", "2023-02-01", revoked=True), award(2, "x:a", "2022-02-01"), award(3, "x:b", "2023-02-01"), on=ON).worded

    assert found.passed_over == ("1 revoked", "1 too early")


def test_all_of_several_within_a_choice_stay_together() -> None:
    a, b, c = (f"{{label: {name}, statement: {{activity: https://courses.example.org/{name}}}}}" for name in "abc")

    assert lacks(outcome(rule(f"{{any: [{{all: [{a}, {b}]}}, {c}]}}"), fact(1, "a", "2023-01-01"), on=ON)) == "one of these: (b); c"


def test_an_expired_credential_and_a_pass_for_an_award_that_ended_are_told() -> None:
    held = rule("{credential: {achievement: 'x:a'}}")
    again = rule("{statement: {verb: passed}}", validity="{for: P1Y}")

    assert outcome(held, award(1, "x:a", "2022-01-01", valid_until="2023-01-01"), on=ON).worded.passed_over == ("1 expired",)
    assert outcome(again, fact(1, "a", "2022-01-01"), on=ON, last_end="2023-01-01").worded.passed_over == ("1 from before the last award ended",)


BARRED = "1 from before an award was revoked by hand"


def test_what_counts_no_more_since_an_award_was_revoked_by_hand_is_told_however_much_else_there_was() -> None:
    passed, held = rule("{statement: {verb: passed, activity: https://courses.example.org/a}}"), rule("{credential: {achievement: 'x:a'}}")
    others = [fact(number, "b", "2022-02-01") for number in range(5, 3000)]
    barred: list[Fact | Award] = [fact(1, "a", "2022-01-01"), *others, award(3, "x:a", "2022-01-01"), award(4, "x:b", "2022-01-01")]

    assert outcome(passed, on=ON, barred=barred).worded.passed_over == (BARRED,)
    assert outcome(held, on=ON, barred=barred).worded.passed_over == (BARRED,)


def test_a_cmi5_course_whose_completion_is_barred_says_so() -> None:
    assert UNITS is not None
    completed = [
        fact(1, SAFETY + "/fire", "2022-01-01", verb="completed", registration=R1), fact(2, SAFETY + "/fire", "2022-01-02", scaled=.9, registration=R1),
        fact(3, SAFETY + "/saw", "2022-01-03", registration=R1),
    ]

    assert outcome(programme("units"), on=ON, courses={SAFETY: UNITS}, barred=completed).worded.passed_over == (BARRED,)
    assert outcome(programme("units"), on=ON, courses={SAFETY: UNITS}, barred=completed[:2]).worded.passed_over == ()


def test_what_would_not_count_anyway_is_not_said_to_be_barred() -> None:
    passed, held = rule("{statement: {verb: passed, window: {last: P1Y}}}"), rule("{credential: {achievement: 'x:a'}}")
    ended = award(1, "x:a", "2022-01-01", valid_until="2023-01-01"), award(2, "x:a", "2022-01-01", revoked=True), award(3, "x:a", "2024-02-01")

    assert outcome(passed, on=ON, barred=[fact(1, "a", "2022-01-01")]).worded.passed_over == ()
    assert outcome(held, on=ON, barred=ended).worded.passed_over == ()


def test_a_credential_from_before_the_last_award_ended_is_told() -> None:
    again = rule("{credential: {achievement: 'x:a'}}", validity="{for: P1Y}")

    assert outcome(again, award(1, "x:a", "2022-01-01"), on=ON, last_end="2023-01-01").worded.passed_over == ("1 from before the last award ended",)


def test_one_that_fails_for_several_reasons_is_one() -> None:
    wanted = rule("{statement: {verb: passed, score_gte: 0.7, identity: verified}}")

    found = outcome(wanted, fact(1, "a", "2023-01-01", scaled=.5, level=NONE), on=ON).worded

    assert found.passed_over == ("1 with a score below 0.7, with the learner's identity not known",)


def test_what_is_not_met_lacks_something_however_little() -> None:
    nearly = fact(1, "a", "2023-01-01", duration=3_599_999_999)

    assert outcome(rule("{sum: {of: duration, at_least: 1}}"), nearly, on=ON).worded.lacks == "0.000001 hours more; 0.999999 of 1 so far"
