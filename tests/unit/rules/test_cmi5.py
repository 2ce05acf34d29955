"""cmi5 courses: their structure is read from strangers' XML with care, and the platform's word is compared with what the units say."""
from typing import Any

import pytest

from services.core.errors import BadRequest
from services.core.rules.cmi5 import differences
from services.core.rules.cmi5_file import course_of
from services.core.rules.course import structure
from services.core.rules.facts import Fact
from services.core.rules.match import Known
from tests.unit.rules.given import fact, outcome, programme

SAFETY = "https://courses.example.org/safety"
CMI5 = "https://w3id.org/xapi/cmi5/context/categories/cmi5"
R1, R2 = "3f1a1d2e-6f0b-4a57-9a51-000000000001", "3f1a1d2e-6f0b-4a57-9a51-000000000002"
HEAD = '<courseStructure xmlns="https://w3id.org/xapi/profiles/cmi5/v1/CourseStructure.xsd"><course id="https://courses.example.org/safety">'
TITLE = '<title><langstring lang="de">Sicherheit</langstring><langstring lang="en-GB">Safety</langstring></title></course>'
NESTED = '<block id="x:b">' * 40 + "</block>" * 40
FILE = f"""<?xml version="1.0"?>{HEAD}{TITLE}
<au id="{SAFETY}/fire" moveOn="CompletedAndPassed" masteryScore="0.8" launchMethod="OwnWindow"><url>x</url></au>
<block id="{SAFETY}/machines"><title><langstring lang="en">Machines</langstring></title>
  <au id="{SAFETY}/saw" moveOn="Passed"/><block id="{SAFETY}/inner"><au id="{SAFETY}/press"/></block></block></courseStructure>"""


def of(*units: dict[str, Any]) -> Any:
    return structure({"id": SAFETY, "cmi5": {"children": list(units)}})


def unit(name: str, move_on: str, **more: Any) -> dict[str, Any]:
    return {"id": f"{SAFETY}/{name}", "type": "au", "moveOn": move_on, **more}


def said(number: int, activity: str, verb: str, registration: str | None = R1, **more: Any) -> Fact:
    return fact(number, activity if "://" in activity else f"{SAFETY}/{activity}", f"2023-01-{number:02}", verb=verb, registration=registration, **more)


def met(course: Any, *facts: Fact) -> bool:
    return outcome(programme("units"), *facts, on="2023-06-01", courses={SAFETY: course}).met


def test_a_file_becomes_the_description_of_its_course() -> None:
    found = course_of(FILE.encode())

    assert found == {"id": SAFETY, "name": "Safety", "cmi5": {"children": [
        {"id": f"{SAFETY}/fire", "type": "au", "moveOn": "CompletedAndPassed", "masteryScore": 0.8},
        {"id": f"{SAFETY}/machines", "type": "block", "name": "Machines", "children": [
            {"id": f"{SAFETY}/saw", "type": "au", "moveOn": "Passed"},
            {"id": f"{SAFETY}/inner", "type": "block", "children": [{"id": f"{SAFETY}/press", "type": "au", "moveOn": "NotApplicable"}]}]}]}}
    read = structure(found)
    assert read is not None
    assert [each.move_on for each in read.units] == ["CompletedAndPassed", "Passed", "NotApplicable"]
    assert read.blocks == {f"{SAFETY}/machines": (1, 2), f"{SAFETY}/inner": (2,)}


@pytest.mark.parametrize(("xml", "sentence"), [
    (b"", "is not XML"), (b"<a>" * 50_000, "is not XML"), (b"{}", "is not XML"), (b'<?xml version="1.0" encoding="no-such"?><a/>', "is not XML"),
    (b"<a/>", "must be a courseStructure"), (b" " * (1 << 21), "bytes; at most 1024 KiB"),
    (b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>', "document type or entities"),
    (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type or entities"),
    (f"{HEAD}{TITLE}</courseStructure>".encode(), "no assignable unit"),
    (FILE.replace("CompletedAndPassed", "Sometimes").encode(), "has the moveOn Sometimes"), (FILE.replace("0.8", "80").encode(), "from 0 to 1"),
    (FILE.replace("0.8", "nan").encode(), "from 0 to 1"), (FILE.replace(f"{SAFETY}/saw", "saw").encode(), "no absolute IRI"),
    (f"{HEAD}{TITLE}{NESTED}</courseStructure>".encode(), "nests blocks more than 16 deep"),
])
def test_a_file_that_is_no_course_structure_is_refused_in_a_sentence(xml: bytes, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        course_of(xml)


@pytest.mark.parametrize("described", [
    {}, {"cmi5": None}, {"cmi5": {}}, {"cmi5": {"children": {}}}, {"cmi5": {"children": []}},
    {"cmi5": {"children": [1]}}, {"cmi5": {"children": [{"type": "au"}]}},
    {"cmi5": {"children": [unit("a", "Sometimes")]}}, {"cmi5": {"children": [unit("a", "Passed", masteryScore="high")]}},
    {"cmi5": {"children": [{"id": "x:b", "type": "block"}]}},
])
def test_a_description_that_gives_no_structure_gives_none(described: dict[str, Any]) -> None:
    assert structure({"id": SAFETY, **described}) is None


@pytest.mark.parametrize(("move_on", "verbs", "satisfied"), [
    ("Passed", ["passed"], True), ("Passed", ["completed"], False), ("Completed", ["completed"], True), ("Completed", ["passed"], False),
    ("CompletedAndPassed", ["passed"], False), ("CompletedAndPassed", ["passed", "completed"], True), ("CompletedOrPassed", ["passed"], True),
    ("CompletedOrPassed", ["completed"], True), ("NotApplicable", ["initialized"], True), ("NotApplicable", [], False), ("Passed", ["satisfied"], False),
    ("Passed", ["waived"], True), ("CompletedAndPassed", ["waived"], True),
])
def test_a_unit_is_satisfied_by_its_move_on(move_on: str, verbs: list[str], satisfied: bool) -> None:
    assert met(of(unit("fire", move_on)), *[said(number, "fire", verb) for number, verb in enumerate(verbs, 1)]) is satisfied


def test_a_launch_of_a_unit_counts_by_its_publisher_id_if_it_speaks_cmi5() -> None:
    course = of(unit("fire", "Passed", publisher="https://publisher.example.org/fire"))
    launch: dict[str, Any] = {"under": ["https://publisher.example.org/fire"]}

    assert met(course, said(1, "https://lms.example.org/launch/1", "passed", category=[CMI5], **launch))
    assert not met(course, said(1, "https://lms.example.org/launch/1", "passed", **launch))
    assert not met(course, said(1, "fire", "passed", None))


def test_where_the_platform_and_the_units_differ_is_listed() -> None:
    course = structure(course_of(FILE.encode()))
    assert course is not None
    facts = [
        said(1, SAFETY, "satisfied"), said(2, "saw", "passed"), said(3, "machines", "satisfied"), said(4, "inner", "satisfied"),
        said(5, "saw", "passed", R2), said(6, "inner", "satisfied", R2),
    ]

    assert differences(course, Known(facts)) == [(R1, SAFETY, False), (R2, f"{SAFETY}/machines", True)]
