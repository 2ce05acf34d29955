"""The pure fold says what the sample worlds' truth says, and finishes lines as the contract has them."""
from typing import Any
from uuid import UUID

import pytest

from services.core.actor import identity, ifi
from services.core.evidence import evidence_of
from services.core.identity import components, in_force
from services.core.transcript import Line, Row, finish, fold, grade, iso_duration, issuer
from tests import reference_fold
from tests.folding import members_of
from tests.worlds import World, truth_of, world

NOW = 40_000_000_000_000
WORLDS = [(1, 3000), (2, 3000), (3, 1500, "EEE"), (4, 1500, "CCC", "GGG"), (5, 1500, "AAA", "DDD")]
LINE = Line("passed", 1, .85, .85, .85, None, 0, 0, 0, 0, (), (), 1)
SCALE = [{"grade": "A", "from": .85}, {"grade": "C", "from": .55}, {"grade": "E", "from": .4}]


def reference_of(found: World) -> reference_fold.Transcripts:
    copies = [reference_fold.Copy(statement, NOW + number, NOW + number << 8, "anyone") for number, statement in enumerate(found.accepted)]
    links = [reference_fold.Link(str(number), number, (link["a"], link["b"])) for number, link in enumerate(found.links)]
    return reference_fold.fold(copies, links)


def folded(found: World) -> tuple[dict[str, str], dict[tuple[str, str], Line]]:
    """Return the learner of each identity, and the lines by learner and activity, by the functions under test."""
    identities = {text for link in found.links for end in "ab" if (text := identity(ifi(link[end]) or "")) is not None}
    voided = {statement["object"]["id"] for statement in found.accepted if statement["verb"]["id"].endswith("/voided")}
    rows: list[tuple[str, str, Row]] = []
    for number, statement in enumerate(found.accepted):
        evidence = evidence_of(statement, ifi=ifi(statement["actor"]), stored=NOW + number, authority="anyone", scopes=())
        if evidence is not None:
            identities.add(evidence.identity)
            if statement["id"] not in voided:
                rows.append((evidence.identity, evidence.activity, Row(UUID(statement["id"]), NOW + number << 8, evidence.at, None, evidence.facts)))
    ends = [(identity(ifi(link["a"]) or "") or "", identity(ifi(link["b"]) or "") or "") for link in found.links]
    learner_of = components({text: text for text in identities}, ends)
    grouped: dict[tuple[str, str], list[Row]] = {}
    for who, activity, row in rows:
        grouped.setdefault((learner_of[who], activity), []).append(row)
    return learner_of, {key: line for key, each in grouped.items() if (line := fold(each)) is not None}


@pytest.mark.parametrize("arguments", WORLDS)
def test_the_reference_fold_says_what_the_worlds_truth_says(arguments: tuple[Any, ...]) -> None:
    found = world(*arguments)
    reference = reference_of(found)
    person_of = {who: person for person in reference.people for who in person}
    agents = {person["person"]: person["identifiers"] for person in found.persons}
    courses = {course["id"]: course for course in found.courses}
    for result in found.results:
        who = reference_fold.identity(agents[result["person"]][result["platform"]])
        assert who is not None
        entry, course = reference.entries[person_of[who], result["course"]], courses[result["course"]]
        grades = [step for step in course["scale"] if entry["status"] == "passed" and step["from"] <= entry["passing"]]
        statuses, *expected = truth_of(result)

        assert entry["status"] in statuses
        assert [max(grades, key=lambda step: step["from"])["grade"] if grades else None, entry["best"], course["credits"] if grades else 0] == expected
    for person in found.persons:
        clusters: dict[reference_fold.Person, list[str]] = {}
        for platform, agent in person["identifiers"].items():
            clusters.setdefault(person_of[reference_fold.identity(agent) or ()], []).append(platform)

        assert sorted(map(sorted, clusters.values())) == sorted(map(sorted, person["clusters_if_hashed"]))


@pytest.mark.parametrize("arguments", WORLDS)
def test_the_fold_says_what_the_worlds_truth_and_the_reference_fold_say(arguments: tuple[Any, ...]) -> None:
    found = world(*arguments)
    learner_of, lines = folded(found)
    reference = reference_of(found)
    agents = {person["person"]: person["identifiers"] for person in found.persons}
    courses = {course["id"]: course for course in found.courses}
    for result in found.results:
        who = identity(ifi(agents[result["person"]][result["platform"]]) or "") or ""
        entry = finish(lines[learner_of[who], result["course"]], courses[result["course"]])
        statuses, *expected = truth_of(result)

        assert entry["status"] in statuses
        assert [entry["grade"], entry["score"]["best"], entry["credits"]] == expected

    assert len(reference.people) == len(set(learner_of.values()))
    of_reference = {tuple(members_of(line).items()).__repr__() for line in lines.values()}
    assert {tuple({name: entry[name] for name in Line.__struct_fields__}.items()).__repr__() for entry in reference.entries.values()} == of_reference


def test_a_line_is_finished_with_grade_and_credits_of_its_course_when_passed() -> None:
    entry = finish(LINE, {"credits": 7.5, "scale": SCALE})

    assert (entry["status"], entry["success"], entry["grade"], entry["credits"]) == ("passed", True, "A", 7.5)


def test_a_line_that_is_not_passed_has_neither_grade_nor_credits() -> None:
    entry = finish(Line("failed", 1, .9, .9, None, None, 0, 0, 0, 0, (), (), 1), {"credits": 7.5, "scale": SCALE})

    assert (entry["success"], entry["grade"], entry["credits"]) == (False, None, 0)


def test_a_course_nobody_described_gives_no_credits_and_no_grade() -> None:
    assert (finish(LINE, None)["grade"], finish(LINE, None)["credits"]) == (None, 0)


@pytest.mark.parametrize(("score", "expected"), [(.85, "A"), (.849, "C"), (.4, "E"), (.39, None), (None, None)])
def test_a_grade_is_that_of_the_greatest_threshold_reached(score: float | None, expected: str | None) -> None:
    assert grade(score, SCALE) == expected


@pytest.mark.parametrize(("micros_", "text"), [(0, "PT0S"), (1, "PT0.000001S"), (3_723_500_000, "PT1H2M3.5S"), (60_000_000, "PT1M"), (90_000_000_000, "PT25H")])
def test_durations_are_written_in_hours_minutes_and_seconds(micros_: int, text: str) -> None:
    assert iso_duration(micros_) == text


def test_issuers_are_named_as_rules_name_them() -> None:
    named = [issuer(text) for text in ("mbox:mailto:a@b.example", "account:https://x.example 7", "openid:https://o.example/1", "sha1:ab", 'group:["a"]')]

    assert named == ["mailto:a@b.example", "https://x.example/7", "https://o.example/1", "sha1:ab", 'group:["a"]']


def test_times_of_a_line_are_rfc3339_in_utc() -> None:
    assert finish(LINE, None)["first"] == "2020-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(("linked", "unlinked", "known_at", "expected"), [
    (5, None, None, True), (None, 5, None, False), (5, 9, None, False), (9, 5, None, False),
    (5, 9, 7, True), (5, 9, 9, False), (5, 9, 4, False), (9, 5, 9, False),
])
def test_a_link_holds_from_when_it_was_stored_until_it_was_taken_back(linked: int | None, unlinked: int | None, known_at: int | None, expected: bool) -> None:
    assert in_force(linked, unlinked, known_at) is expected


def test_learners_are_named_by_their_least_identity_in_any_order_of_links() -> None:
    identities = {1: "c", 2: "a", 3: "b", 4: "d"}
    links = [(1, 3), (3, 2)]

    assert components(identities, links) == components(identities, links[::-1]) == {1: 2, 2: 2, 3: 2, 4: 4}
