"""What rules promise at the edges of calendars, windows, orders and renewals, and what an outcome says of them."""
import time
from typing import Any

import pytest

from services.core.rules.calendar import FIRST, LAST, add, span, subtract
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import Evidence, Fact
from services.core.rules.windows import cycle_end
from tests.unit.rules.given import DAY, award, day, fact, outcome, programme, rule

A, B, C = (f"{{statement: {{activity: https://courses.example.org/{name}}}}}" for name in "abc")


@pytest.mark.parametrize(("start", "length", "end"), [
    ("2024-02-29", "P1Y", "2025-02-28"), ("2023-01-31", "P1M", "2023-02-28"), ("2024-01-31", "P1M", "2024-02-29"),
    ("2023-01-31T23:59:59", "P1M", "2023-02-28T23:59:59"),
    ("2023-12-31", "P2M", "2024-02-29"), ("2023-01-01", "P1W", "2023-01-08"), ("2023-01-01", "PT36H", "2023-01-02T12:00"),
    ("2023-01-31", "P1M1D", "2023-03-01"),
    ("1960-02-29", "P100Y", "2060-02-29"),
])
def test_a_month_or_year_ends_on_the_last_day_of_a_month_that_lacks_the_day(start: str, length: str, end: str) -> None:
    found = span(length)
    assert found is not None

    assert add(day(start), found) == day(end)


def test_instants_stay_within_the_years_1_and_9999() -> None:
    century = span("P100Y")
    assert century is not None

    assert add(LAST - 1, century) == LAST
    assert subtract(FIRST + 1, century) == FIRST
    assert subtract(day("2024-03-31"), span("P1M") or century) == day("2024-02-29")


def test_cycles_are_counted_from_their_anchor() -> None:
    month = span("P1M")
    assert month is not None

    ends = [cycle_end(day("2023-01-31"), month, day(when)) for when in ("2023-01-31", "2023-02-27", "2023-02-28", "2023-03-30", "2023-03-31", "2022-12-31")]
    assert ends == [day(end) for end in ("2023-02-28", "2023-02-28", "2023-03-31", "2023-03-31", "2023-04-30", "2023-01-31")]


def test_a_window_lets_go_at_its_end_and_29_february_lapses_on_28() -> None:
    yearly = rule("{statement: {activity: https://courses.example.org/a, window: {last: P1Y}}}")
    known = fact(1, "a", "2024-02-29")

    assert outcome(yearly, known, on="2025-02-27T23:59").lapse == day("2025-02-28")
    assert not outcome(yearly, known, on="2025-02-28").met


def test_a_fixed_cycle_counts_what_is_in_it() -> None:
    cycle = rule("{statement: {activity: https://courses.example.org/a, count: 2, window: {cycle: P1Y, anchor: 2020-07-01}}}")
    known = [fact(1, "a", "2023-06-30"), fact(2, "a", "2023-07-01"), fact(3, "a", "2024-06-30")]

    assert not outcome(cycle, *known, on="2024-06-29").met
    assert (outcome(cycle, *known, on="2024-06-30").lapse, outcome(cycle, *known, on="2024-07-01").met) == (day("2024-07-01"), False)


def test_within_takes_the_choice_that_serves_best() -> None:
    both = rule(f"{{all: [{A}, {B}], within: P1M}}")

    assert not outcome(both, fact(1, "a", "2023-01-01"), fact(2, "b", "2023-02-02"), on="2024-01-01").met
    assert outcome(both, fact(1, "a", "2023-01-01"), fact(2, "b", "2023-02-02"), fact(3, "a", "2023-03-01"), on="2024-01-01").since == day("2023-03-01")


def test_within_takes_the_earlier_of_two_days_whose_month_ends_later() -> None:
    both = rule(f"{{all: [{A}, {B}], within: P1M}}")
    known = [fact(1, "a", "2023-01-30T23:00"), fact(2, "b", "2023-02-28T12:00")]

    assert outcome(both, *known, on="2024-01-01").met
    later = outcome(both, *known, fact(3, "a", "2023-01-31T01:00"), on="2024-01-01")
    assert [each.seq >> 8 for each in later.inputs] == [1, 2]


def test_a_sequence_within_a_time_may_begin_again() -> None:
    ordered = rule(f"{{all: [{A}, {B}, {C}], sequence: true, within: P10D}}")
    known = [fact(1, "a", "2023-01-01"), fact(2, "b", "2023-01-05"), fact(3, "c", "2023-01-20"), fact(4, "a", "2023-01-12"), fact(5, "b", "2023-01-14")]

    assert [each.seq >> 8 for each in outcome(ordered, *known, on="2024-01-01").inputs] == [4, 5, 3]
    assert not outcome(ordered, *known[:4], on="2024-01-01").met


def test_one_statement_is_not_two_steps_of_a_sequence() -> None:
    twice = rule(f"{{all: [{A}, {A}], sequence: true}}")

    assert not outcome(twice, fact(1, "a", "2023-01-01"), on="2024-01-01").met
    assert outcome(twice, fact(1, "a", "2023-01-01"), fact(2, "a", "2023-01-01"), on="2024-01-01").met


def test_clauses_of_different_issuers_share_them_out() -> None:
    wanted = rule("{at_least: {n: 2, distinct: issuer, of: [{credential: {achievement: 'x:a'}}, {credential: {achievement: 'x:b'}}]}}")
    known = [award(1, "x:a", "2023-01-01", issuers=("m",)), award(2, "x:b", "2023-02-01", issuers=("m",))]

    assert not outcome(wanted, *known, on="2024-01-01").met
    assert outcome(wanted, *known, award(3, "x:a", "2023-03-01", issuers=("n",)), on="2024-01-01").since == day("2023-03-01")


def test_the_next_award_joins_on_to_the_last_or_begins_when_it_was_earned() -> None:
    renewed = rule(A, validity="{for: P1Y}", renewal="{open: P3M, grace: P1M}")

    def since(when: str) -> Any:
        return outcome(renewed, fact(1, "a", "2020-01-01"), fact(2, "a", when), on="2024-06-01", last_end="2024-01-01").since

    assert [since(when) for when in ("2023-09-30", "2023-10-01", "2023-12-31", "2024-02-01", "2024-02-02")] == [
        None, day("2024-01-01"), day("2024-01-01"), day("2024-01-01"), day("2024-02-02")]


def test_a_cycle_anchored_to_the_award_is_a_window_at_first_and_then_unbounded() -> None:
    renewed = rule(
        "{sum: {of: duration, at_least: 2, window: {cycle: P1Y, anchor: awarded}}}", validity="{for: P1Y}", renewal="{open: P1M}")
    known = [fact(1, "a", "2023-01-01", duration=3_600_000_000), fact(2, "b", "2024-06-01", duration=3_600_000_000)]

    assert not outcome(renewed, *known, on="2024-07-01").met
    assert outcome(renewed, *known, on="2024-07-01", last_end="2023-01-15").since == day("2024-06-01")


def test_durations_add_up_exactly() -> None:
    third = [fact(number, "a", f"2023-01-0{number}", duration=1_200_000_000) for number in (1, 2, 3)]

    assert outcome(rule("{sum: {of: duration, at_least: 1}}"), *third, on="2024-01-01").met


def test_the_inputs_of_a_sum_are_its_fewest_largest() -> None:
    hours = [fact(number, "a", f"2023-01-0{number}", hours=amount * 10**6) for number, amount in enumerate((1, 7, 2, 5), 1)]

    found = outcome(rule("{sum: {of: https://w3id.org/testamur/ext/pd-hours, at_least: 12}}"), *hours, on="2024-01-01")
    assert [each.seq >> 8 for each in found.inputs] == [2, 4]


def test_the_next_change_is_the_next_reminder_the_lapse_or_what_is_known_to_come() -> None:
    lapsing = rule("{statement: {activity: https://courses.example.org/a, window: {last: P1Y}}}", validity="{until: lapse}", renewal="{remind: [P6M, P1M]}")
    known = fact(1, "a", "2023-01-01")

    changes = [outcome(lapsing, known, on=on).next_change_at for on in ("2022-06-01", "2023-02-01", "2023-07-01", "2023-12-01", "2024-01-01")]
    assert changes == [day("2023-01-01"), day("2023-07-01"), day("2023-12-01"), day("2024-01-01"), None]


def test_a_rule_over_ten_thousand_facts_is_evaluated_in_a_moment() -> None:
    hours = programme("hours")
    activities = [f"pd/{number % 3000}" for number in range(10_000)]
    authority, category = "account:https://pd.example.org 1", ["https://lrs.example.org/profiles/pd"]
    one = fact(1, "a", "2003-01-01", authority=authority, category=category)
    facts = [fact(number + 1, name, "2003-01-01", authority=authority, category=category, hours=10**6)._replace(at=one.at + number * DAY // 2)
             for number, name in enumerate(activities)]
    known = [award(1, "https://state.example.org/achievements/assistant", "2003-01-01")]
    began = time.process_time()

    assert evaluate(hours, Evidence(facts, known), {}, day("2016-09-01")).met
    assert time.process_time() - began < 1


def test_a_sequence_over_windows_is_no_explosion() -> None:
    step = "{any: [{statement: {verb: passed, window: {last: P1Y}}}, {statement: {verb: failed}}]}"
    nested = "{all: [" + ", ".join([step] * 6) + "], sequence: true, within: P2Y}"
    facts: list[Fact] = [fact(number, f"c/{number}", "2020-01-01")._replace(at=day("2020-01-01") + number * DAY) for number in range(150)]
    began = time.process_time()

    assert outcome(rule(f"{{all: [{nested}, {nested}], sequence: true}}"), *facts, on="2020-11-01").met
    assert time.process_time() - began < 5
