"""Course descriptions: put, listed, kept with members of their own, and at work in transcripts."""
from typing import Any

import pytest

from schemas.api import Courses
from tests.integration.api_service import Tenant, api_service, served
from tests.servers.in_process import statement

COURSES = "/v1/courses"
ALGEBRA = {"id": "https://courses.example.org/algebra", "name": "Algebra", "credits": 7.5, "scale": [{"grade": "A", "from": 0.9}, {"grade": "E", "from": 0.5}]}


service = served(api_service)


async def put(tenant: Tenant, *courses: dict[str, Any]) -> str:
    answer = await tenant.client.put(COURSES, json={"courses": courses})
    assert (answer.status_code, answer.content, answer.headers["LRS-Outcome"]) == (204, b"", "stored"), answer.text
    return answer.headers["LRS-Position"]


async def test_courses_are_listed_as_described_with_all_their_members(tenant: Tenant) -> None:
    parts = [{"id": "https://courses.example.org/part", "type": "exam", "weight": 0.5}]
    odd = {"id": "https://courses.example.org/ünï", "faculty": {"name": "Arts"}, "parts": parts}
    await put(tenant, ALGEBRA, odd)
    await put(tenant, {**ALGEBRA, "name": "Algebra I"})

    page = await tenant.get(COURSES)

    Courses.model_validate(page)
    assert sorted(page["courses"], key=lambda course: course["id"]) == [{**ALGEBRA, "name": "Algebra I"}, odd]


async def test_courses_page_to_the_end(tenant: Tenant) -> None:
    await put(tenant, *({"id": f"https://courses.example.org/{number}"} for number in range(7)))
    seen, page = [], await tenant.get(COURSES, limit=3)
    while True:
        seen += [course["id"] for course in page["courses"]]
        if page["next"] is None:
            break
        page = await tenant.get(page["next"])
    assert len(seen) == len(set(seen)) == 7


async def test_a_description_gives_grade_credits_and_name_whenever_it_comes(tenant: Tenant) -> None:
    agent = {"mbox": "mailto:ada@example.org"}
    passed = statement(actor=agent, verb={"id": "http://adlnet.gov/expapi/verbs/passed"}, result={"score": {"scaled": 0.6}, "success": True})
    id_ = await tenant.learner(agent, await tenant.post(passed))
    [before] = (await tenant.get(f"/v1/learners/{id_}/transcript"))["entries"]
    assert (before["grade"], before["credits"], before["activity"]["name"]) == (None, 0, None)
    assert (await tenant.get(f"/v1/learners/{id_}/transcript", type="course"))["entries"] == []

    await put(tenant, ALGEBRA)

    [after] = (await tenant.get(f"/v1/learners/{id_}/transcript", type="course"))["entries"]
    assert (after["grade"], after["credits"], after["activity"]["name"]) == ("E", 7.5, "Algebra")


UNIT = {"id": "https://courses.example.org/unit", "type": "au", "moveOn": "Passed", "masteryScore": 0.8, "launchMethod": "OwnWindow"}


async def test_the_structure_of_a_cmi5_course_is_kept_whole(tenant: Tenant) -> None:
    safety = {"id": "https://courses.example.org/safety", "cmi5": {"children": [{"id": "https://courses.example.org/b", "type": "block", "children": [UNIT]}]}}
    await put(tenant, safety)

    assert (await tenant.get(COURSES))["courses"] == [safety]


@pytest.mark.parametrize(("cmi5", "pointer"), [
    ([], "/courses/0/cmi5"), ({}, "/courses/0/cmi5"), ({"children": []}, "/courses/0/cmi5"), ({"children": [{**UNIT, "type": "unit"}]}, "/children/0/type"),
    ({"children": [{**UNIT, "moveOn": "Whenever"}]}, "/children/0/moveOn"), ({"children": [{**UNIT, "masteryScore": 80}]}, "/children/0/masteryScore"),
    ({"children": [{"id": "b", "type": "block"}]}, "/courses/0/cmi5"), ({"children": [{"type": "au"}]}, "/courses/0/cmi5/children/0"),
])
async def test_a_structure_that_is_none_is_refused_with_a_pointer(tenant: Tenant, cmi5: object, pointer: str) -> None:
    answer = await tenant.client.put(COURSES, json={"courses": [{"id": "https://courses.example.org/safety", "cmi5": cmi5}]})
    assert answer.status_code == 400, answer.text
    assert answer.json()["pointer"].endswith(pointer), answer.text


@pytest.mark.parametrize(("body", "pointer"), [
    ({}, ""), ({"courses": [{}]}, "/courses/0"), ({"courses": [{"id": "no iri"}]}, "/courses/0/id"),
    ({"courses": [ALGEBRA, ALGEBRA]}, "/courses/1/id"),
    ({"courses": [{**ALGEBRA, "credits": "many"}]}, "/courses/0/credits"), ({"courses": [{**ALGEBRA, "credits": -1}]}, "/courses/0/credits"),
    ({"courses": [{**ALGEBRA, "scale": [{"grade": "A"}]}]}, "/courses/0/scale/0"), ({"courses": [ALGEBRA], "more": 1}, "/more"),
])
async def test_what_is_no_description_is_refused_with_a_pointer(tenant: Tenant, body: object, pointer: str) -> None:
    answer = await tenant.client.put(COURSES, json=body)
    assert (answer.status_code, answer.json()["pointer"]) == (400, pointer), answer.text
    assert (await tenant.get(COURSES))["courses"] == []


@pytest.mark.parametrize(("body", "sentence", "pointer"), [
    ({}, 'The body lacks "courses".', ""),
    ({"courses": [{**ALGEBRA, "name": 5}]}, "/courses/0/name must be a string or an object, not a number.", "/courses/0/name"),
    ({"courses": [{**ALGEBRA, "name": {"en": 5}}]}, "/courses/0/name/en must be a string, not a number.", "/courses/0/name/en"),
    ({"courses": [{**ALGEBRA, "credits": -1}]}, "/courses/0/credits must be 0 or more.", "/courses/0/credits"),
    ({"courses": [7]}, "/courses/0 must be an object, not a number.", "/courses/0"),
    ({"courses": [ALGEBRA], "a/b": 1}, "/a~1b is not a property that belongs here.", "/a~1b"),
])
async def test_a_refusal_says_in_our_words_what_is_wrong_with_something_that_is_in_the_body(
    tenant: Tenant, body: object, sentence: str, pointer: str,
) -> None:
    answer = (await tenant.client.put(COURSES, json=body)).json()
    assert (answer["detail"], answer["pointer"]) == (sentence, pointer)


async def test_bodies_that_are_not_json_are_400_and_too_large_ones_413(tenant: Tenant) -> None:
    for body, status in ((b"{", 400), (b"\xff", 400), (b'{"courses":[{"id":"a:b","x":NaN}]}', 400), (b" " * (9 << 20), 413)):
        answer = await tenant.client.put(COURSES, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), body[:20]
    assert (await tenant.client.put(COURSES, content=b"{}", headers={"Content-Type": "text/plain"})).status_code == 400


async def test_describing_needs_lrs_manage(tenant: Tenant) -> None:
    assert (await (await tenant.with_scopes("lrs:read", "all")).put(COURSES, json={"courses": [ALGEBRA]})).status_code == 403
    assert (await (await tenant.with_scopes("lrs:manage")).put(COURSES, json={"courses": [ALGEBRA]})).status_code == 204
