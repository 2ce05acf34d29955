"""Six programmes of the field, and what each of them is there to catch."""
import random
from typing import Any

from services.core.rules.course import structure
from services.core.rules.facts import Award, Fact
from tests.unit.rules.given import ASSERTED, NONE, VERIFIED, award, day, fact, outcome, programme

WELDING = "https://case.example.org/items/welding"
FIRST, SECOND, THIRD = (f"https://lrs.example.org/achievements/{name}" for name in ("first", "second", "third"))
SAFETY = "https://courses.example.org/safety"
R1, R2 = "3f1a1d2e-6f0b-4a57-9a51-000000000001", "3f1a1d2e-6f0b-4a57-9a51-000000000002"
UNITS = structure({"id": SAFETY, "cmi5": {"children": [
    {"id": SAFETY + "/fire", "type": "au", "moveOn": "CompletedAndPassed", "masteryScore": 0.8},
    {"id": SAFETY + "/machines", "type": "block", "children": [{"id": SAFETY + "/saw", "type": "au", "moveOn": "CompletedOrPassed"}]},
]}})


def peer(number: int, name: str, when: str) -> Fact:
    return fact(number, "capstone/report", when, verb="assessed", level=NONE, authority=f"mbox:mailto:{name}@example.org")


def specialist() -> list[Fact]:
    return [
        fact(1, "toolbox", "2023-01-10"), fact(2, "programming", "2023-02-10"), fact(3, "regression", "2023-03-10"), fact(4, "products", "2023-04-10"),
        peer(5, "a", "2023-05-01"), peer(6, "b", "2023-05-02"), peer(7, "c", "2023-05-03"), fact(8, "capstone", "2023-05-10", scaled=.7, artifacts=1),
    ]


def lacking(*facts: Fact) -> tuple[str, ...]:
    return outcome(programme("specialization"), *facts, on="2024-01-01").unmet


def test_a_specialization_is_met_since_its_last_step_which_tips_it() -> None:
    found = outcome(programme("specialization"), *specialist(), on="2024-01-01")

    assert (found.met, found.since, found.valid_until, found.next_change_at) == (True, day("2023-05-10"), None, None)
    assert [each.seq >> 8 for each in found.inputs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.tipping is not None
    assert found.tipping.seq >> 8 == 8


def test_a_step_whose_author_is_not_known_does_not_count() -> None:
    assert lacking(*specialist()[1:], fact(1, "toolbox", "2023-01-10", level=ASSERTED)) == ("Toolbox",)


def test_one_peer_three_times_is_one_peer() -> None:
    assert lacking(*[each for each in specialist() if each.seq >> 8 not in (6, 7)], peer(6, "a", "2023-05-02"), peer(7, "a", "2023-05-03")) == ("peers",)


def test_a_score_too_low_or_a_capstone_without_its_artifact_does_not_count() -> None:
    assert lacking(*specialist()[:-1], fact(8, "capstone", "2023-05-10", scaled=.69, artifacts=1)) == ("passed",)
    assert lacking(*specialist()[:-1], fact(8, "capstone", "2023-05-10", scaled=.7)) == ("passed",)


def test_one_elective_of_two_is_half_of_them() -> None:
    found = outcome(programme("specialization"), *specialist()[:3], on="2024-01-01")

    assert [(each.label, each.progress) for each in found.tree.of] == [("Toolbox", 1), ("Programming", 1), ("two electives", .5), ("capstone", 0)]
    assert found.progress == 2.5 / 4
    assert len(found.unmet) == 4


def test_a_voided_statement_is_no_fact() -> None:
    for left_out in range(8):
        facts = specialist()
        del facts[left_out]
        assert lacking(*facts)


def test_the_same_statement_again_changes_nothing() -> None:
    again = [*specialist(), fact(9, "toolbox", "2023-06-01"), fact(10, "capstone", "2023-07-01", scaled=.9, artifacts=1)]

    assert outcome(programme("specialization"), *again, on="2024-01-01") == outcome(programme("specialization"), *specialist(), on="2024-01-01")


def test_the_order_of_arrival_does_not_matter() -> None:
    expected, facts = outcome(programme("specialization"), *specialist(), on="2024-01-01"), specialist()
    for seed in range(20):
        random.Random(seed).shuffle(facts)
        assert outcome(programme("specialization"), *facts, on="2024-01-01") == expected


def test_what_is_true_later_was_not_true_before() -> None:
    assert not outcome(programme("specialization"), *specialist(), on="2023-05-09").met
    assert outcome(programme("specialization"), *specialist(), on="2023-05-09").next_change_at == day("2023-05-10")


def test_a_late_statement_of_an_early_time_moves_the_beginning() -> None:
    early = fact(9, "capstone", "2023-05-04", scaled=1, artifacts=1)

    assert outcome(programme("specialization"), *specialist(), early, on="2024-01-01").since == day("2023-05-04")


def test_certificates_in_order_are_a_sequence() -> None:
    found = outcome(programme("sequence"), award(1, FIRST, "2023-01-01"), award(2, SECOND, "2023-02-01"), award(3, THIRD, "2023-03-01"), on="2024-01-01")

    assert (found.met, found.since) == (True, day("2023-03-01"))
    assert [each.kind for each in found.inputs] == ["credential"] * 3


def test_certificates_out_of_order_are_none_and_those_have_to_come_again_that_came_too_early() -> None:
    found = outcome(programme("sequence"), award(1, FIRST, "2023-02-01"), award(2, SECOND, "2023-01-01"), award(3, THIRD, "2023-03-01"), on="2024-01-01")

    assert (found.met, found.unmet) == (False, ("all of these in this order",))
    assert (found.progress, [each.again for each in found.tree.of]) == (1 / 3, [False, True, True])


def test_a_sequence_takes_any_choice_that_rises() -> None:
    known = [award(1, FIRST, "2023-02-01"), award(2, SECOND, "2023-01-01"), award(3, SECOND, "2023-02-15"), award(4, THIRD, "2023-03-01")]

    assert [each.seq >> 8 for each in outcome(programme("sequence"), *known, on="2024-01-01").inputs] == [1, 3, 4]


def test_a_certificate_of_another_issuer_does_not_count() -> None:
    others = award(3, THIRD, "2023-03-01", issuers=("college",))

    assert not outcome(programme("sequence"), award(1, FIRST, "2023-01-01"), award(2, SECOND, "2023-02-01"), others, on="2024-01-01").met


def test_a_certificate_that_was_revoked_or_suspended_or_ended_does_not_count() -> None:
    rest = [award(1, FIRST, "2023-01-01"), award(2, SECOND, "2023-02-01")]
    for state in ({"revoked": True, "ended": "2023-06-01"}, {"suspended": True}, {"ended": "2023-06-01"}, {"valid_until": "2023-06-01"}):
        more: dict[str, Any] = dict(state)
        assert not outcome(programme("sequence"), *rest, award(3, THIRD, "2023-03-01", **more), on="2024-01-01").met


def hours(number: int, when: str, amount: int, activity: str | None = None, *, authority: str = "account:https://pd.example.org 1") -> Fact:
    return fact(number, activity or f"pd/{number}", when, verb="completed", level=NONE, authority=authority, hours=amount * 1_000_000,
                category=["https://lrs.example.org/profiles/pd"])


def certified() -> Award:
    return award(90, "https://state.example.org/achievements/assistant", "2010-01-01")


def test_hours_are_good_until_the_window_would_hold_too_few() -> None:
    found = outcome(programme("hours"), certified(), hours(1, "2020-01-01", 10), hours(2, "2021-01-01", 10), hours(3, "2022-01-01", 5), on="2023-01-01")

    assert (found.met, found.since, found.lapse, found.valid_until) == (True, day("2022-01-01"), day("2025-01-01"), day("2025-01-01"))
    assert found.next_change_at == day("2024-07-01")


def test_after_a_lapse_more_hours_begin_another_run() -> None:
    known: list[Fact | Award] = [certified(), hours(1, "2020-01-01", 10), hours(2, "2021-01-01", 10), hours(3, "2022-01-01", 5)]

    assert not outcome(programme("hours"), *known, on="2025-01-01").met
    regained = outcome(programme("hours"), *known, hours(4, "2025-03-01", 10), on="2025-06-01")
    assert (regained.met, regained.since, regained.lapse) == (True, day("2025-03-01"), day("2026-01-01"))


def test_a_drop_and_a_rise_in_one_instant_is_no_lapse() -> None:
    known: list[Fact | Award] = [certified(), hours(1, "2020-01-01", 10), hours(2, "2021-01-01", 10), hours(3, "2022-01-01", 5), hours(4, "2025-01-01", 10)]

    assert outcome(programme("hours"), *known, on="2025-06-01").since == day("2022-01-01")


def test_no_more_than_ten_hours_of_one_course_count_and_the_course_once() -> None:
    ten: list[Fact | Award] = [certified(), hours(1, "2020-01-01", 10), hours(2, "2021-01-01", 10)]

    assert not outcome(programme("hours"), certified(), hours(1, "2020-01-01", 40), on="2023-01-01").met
    assert not outcome(programme("hours"), *ten, hours(3, "2022-01-01", 10, "pd/1"), on="2023-01-01").met
    assert not outcome(programme("hours"), *ten, hours(3, "2022-01-01", 10, authority="account:https://pd.example.org 9"), on="2023-01-01").met
    assert outcome(programme("hours"), *ten, hours(3, "2022-01-01", 5), on="2023-01-01").met


def badge(number: int, issuer: str, when: str) -> Award:
    return award(number, f"https://x.example/badges/{number}", when, issuers=(issuer, f"https://{issuer}.example.org"),
                 alignments=("https://city.example.org/framework/science",))


def test_badges_of_three_organisations_in_the_summer() -> None:
    three = [badge(1, "museum", "2023-06-01"), badge(2, "library", "2023-07-01"), badge(3, "parks", "2023-08-31")]

    assert outcome(programme("summer"), *three, on="2024-01-01").since == day("2023-08-31")
    assert not outcome(programme("summer"), *three[:2], badge(3, "museum", "2023-08-31"), on="2024-01-01").met
    assert not outcome(programme("summer"), *three[:2], badge(3, "parks", "2023-09-01"), on="2024-01-01").met
    assert not outcome(programme("summer"), *three[:2], badge(3, "zoo", "2023-08-01"), on="2024-01-01").met


def assessor(number: int, name: str, **more: Any) -> Fact:
    return fact(number, "interview", "2023-03-01", verb="asserted", level=NONE, authority=f"account:https://assessors.example.org {name}", other=[WELDING],
                success=more.pop("success", True), **more)


def work(**more: Any) -> Fact:
    return fact(1, "bridge", "2023-02-01", verb="completed", level=NONE, type="https://lrs.example.org/types/artifact", under=[WELDING], artifacts=1, **more)


def test_two_assessors_vouch_for_a_piece_of_work_for_three_years() -> None:
    known = [work(), assessor(2, "a"), assessor(3, "b")]
    found = outcome(programme("assessed"), *known, on="2024-01-01")

    assert (found.met, found.valid_until, found.expired, found.next_change_at) == (True, day("2026-03-01"), False, day("2026-03-01"))
    assert outcome(programme("assessed"), *known, on="2026-03-01").expired


def test_one_assessor_or_one_without_accreditation_or_a_doubt_is_not_enough() -> None:
    for second in (assessor(3, "a"), assessor(3, "z"), assessor(3, "b", success=False)):
        assert outcome(programme("assessed"), work(), assessor(2, "a"), second, on="2024-01-01").unmet == ("two assessors",)


def test_the_next_award_counts_only_what_came_since_the_last_one_ended() -> None:
    known = [work(), assessor(2, "a"), assessor(3, "b")]

    assert not outcome(programme("assessed"), *known, on="2026-06-01", last_end="2026-03-01").met


def unit(number: int, name: str, verb: str, registration: str = R1, **more: Any) -> Fact:
    return fact(number, f"{SAFETY}/{name}", f"2023-01-{number:02}", verb=verb, level=VERIFIED, registration=registration, **more)


def completed(*facts: Fact) -> bool:
    assert UNITS is not None
    return outcome(programme("units"), *facts, on="2023-06-01", courses={SAFETY: UNITS}).met


def test_a_cmi5_course_is_completed_when_each_unit_is_by_its_own_rule() -> None:
    assert completed(unit(1, "fire", "completed"), unit(2, "fire", "passed", scaled=.8), unit(3, "saw", "completed"))
    assert not completed(unit(1, "fire", "completed"), unit(3, "saw", "completed"))
    assert not completed(unit(2, "fire", "passed"), unit(3, "saw", "passed"))


def test_two_registrations_do_not_add_up() -> None:
    assert not completed(unit(1, "fire", "completed"), unit(2, "fire", "passed"), unit(3, "saw", "completed", R2))
    assert completed(unit(1, "fire", "completed"), unit(2, "fire", "passed"), unit(3, "saw", "completed", R2), unit(4, "saw", "passed", R1.upper()))


def test_a_waived_unit_is_satisfied() -> None:
    assert completed(unit(1, "fire", "waived"), unit(3, "saw", "completed"))


def test_a_score_below_mastery_does_not_pass_and_the_launch_has_the_last_word_on_mastery() -> None:
    rest = [unit(1, "fire", "completed"), unit(3, "saw", "completed")]

    assert not completed(*rest, unit(2, "fire", "passed", scaled=.7))
    assert completed(*rest, unit(2, "fire", "passed", scaled=.7, mastery=.6))
    assert not completed(*rest, unit(2, "fire", "passed", scaled=.85, mastery=.9))
    assert completed(*rest, unit(2, "fire", "passed"))


def test_a_course_of_unknown_structure_is_never_completed() -> None:
    assert not outcome(programme("units"), unit(1, "fire", "passed"), on="2023-06-01").met
