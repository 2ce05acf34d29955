"""A cmi5 course: its structure read from cmi5.xml, each unit by its own moveOn and mastery score, all of it in one registration."""
from typing import Any
from uuid import uuid4

from tests.servers.campus import Campus, account, course, said, slug_of

COURSE = "https://courses.example.org/cmi5/safety"
STRUCTURE = """<?xml version="1.0" encoding="utf-8"?>
<courseStructure xmlns="https://w3id.org/xapi/profiles/cmi5/v1/CourseStructure.xsd">
  <course id="https://courses.example.org/cmi5/safety">
    <title><langstring lang="en-US">Safety induction</langstring></title>
    <description><langstring lang="en-US">Before the first day in the workshop</langstring></description>
  </course>
  <au id="https://courses.example.org/cmi5/safety/fire" moveOn="CompletedAndPassed" masteryScore="0.8">
    <title><langstring lang="en-US">Fire</langstring></title>
    <description><langstring lang="en-US">What to do when it burns</langstring></description>
    <url>fire/index.html</url>
  </au>
  <block id="https://courses.example.org/cmi5/safety/machines">
    <title><langstring lang="en-US">Machines</langstring></title>
    <description><langstring lang="en-US">What cuts, and what presses</langstring></description>
    <au id="https://courses.example.org/cmi5/safety/saw" moveOn="Passed">
      <title><langstring lang="en-US">Saw</langstring></title>
      <description><langstring lang="en-US">The saw</langstring></description>
      <url>saw/index.html</url>
    </au>
    <au id="https://courses.example.org/cmi5/safety/press" moveOn="CompletedOrPassed">
      <title><langstring lang="en-US">Press</langstring></title>
      <description><langstring lang="en-US">The press</langstring></description>
      <url>press/index.html</url>
    </au>
  </block>
  <au id="https://courses.example.org/cmi5/safety/welcome">
    <title><langstring lang="en-US">Welcome</langstring></title>
    <description><langstring lang="en-US">A greeting, to be read or not</langstring></description>
    <url>welcome/index.html</url>
  </au>
</courseStructure>
"""
INDUCTION = """
programme: https://courses.example.org/programmes/safety-induction
version: 1
title: Safety induction
award: {type: CertificateOfCompletion}
requires: {label: every unit of the induction, cmi5: {course: https://courses.example.org/cmi5/safety}}
validity: {for: P1Y}
"""


def of_session(who: dict[str, Any], verb: str, unit: str, registration: str, **members: Any) -> dict[str, Any]:
    """Return a cmi5-defined statement of a session."""
    category = [{"id": f"https://w3id.org/xapi/cmi5/context/categories/{name}"} for name in ("cmi5", "moveon")]
    context = {
        "registration": registration, "contextActivities": {"category": category, "grouping": [{"id": f"{COURSE}/{unit}"}]},
        "extensions": {"https://w3id.org/xapi/cmi5/context/extensions/sessionid": f"{registration}-{unit}"}}
    return said(who, verb, {"objectType": "Activity", "id": f"{COURSE}/{unit}"}, context=context, **members)


def test_a_cmi5_course_is_done_when_each_unit_is_by_its_own_terms_in_one_registration(campus: Campus) -> None:
    anna, first, second = account("https://lms.example.org", "anna"), str(uuid4()), str(uuid4())
    ended = campus.run("import", "--courses", campus.written("cmi5.xml", STRUCTURE))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    campus.publish_by_command(INDUCTION)

    campus.send(
        of_session(anna, "completed", "fire", first, result={"completion": True, "duration": "PT5M"}),
        of_session(anna, "passed", "fire", first, result={"success": True, "score": {"scaled": 0.7}}),
        of_session(anna, "passed", "saw", first, result={"success": True}),
        of_session(anna, "completed", "press", first, result={"completion": True}),
        of_session(anna, "passed", "fire", second, result={"success": True, "score": {"scaled": 0.9}}),
        said(anna, "https://w3id.org/xapi/adl/verbs/satisfied", course(COURSE, "https://w3id.org/xapi/cmi5/activitytype/course"),
             context={"registration": first, "contextActivities": {"category": [{"id": "https://w3id.org/xapi/cmi5/context/categories/cmi5"}]}}))
    why_not = campus.explain(anna, "safety-induction")
    assert not why_not["tree"]["met"], "0.7 is below the mastery score, and 0.9 is of another registration, whatever the LMS says"
    assert 0 < why_not["tree"]["progress"] < 1
    differing = {(each["registration"], each["activity"], each["recomputed"]) for each in why_not["differences"]}
    assert differing == {(first, COURSE, False), (first, f"{COURSE}/machines", True)}, "the LMS says too much of the course, and nothing of a block"
    assert campus.credentials(anna, "safety-induction") == []

    [waived] = campus.send(of_session(
        anna, "https://w3id.org/xapi/adl/verbs/waived", "fire", first, result={
            "success": True, "completion": True, "extensions": {"https://w3id.org/xapi/cmi5/result/extensions/reason": "Tested Out"}}))
    certificate = campus.awarded(anna, "safety-induction")
    assert certificate["valid_until"][:4] == str(int(certificate["awarded_at"][:4]) + 1)
    met = campus.explain(anna, "safety-induction")
    assert waived in str(met["tree"])
    assert [(each["activity"], each["recomputed"]) for each in met["differences"]] == [(f"{COURSE}/machines", True)]
    [event] = campus.told_of(certificate["id"], 1)
    assert (event["type"], slug_of(event["data"]["programme"])) == ("credential.issued", "safety-induction")


def test_a_cmi5_xml_that_is_none_is_refused_with_what_is_wrong(campus: Campus) -> None:
    file = campus.written("broken.xml", STRUCTURE.replace('moveOn="Passed"', 'moveOn="Whenever"'))

    ended = campus.run("import", "--courses", file)

    assert ended.returncode == 1
    assert ended.stdout.startswith(f"{file}: The unit https://courses.example.org/cmi5/safety/saw has the moveOn Whenever")
