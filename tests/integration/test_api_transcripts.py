"""Transcripts and evidence through HTTP: now, as of another day, and as it was known then; each says which statements are behind it."""
from typing import Any
from uuid import UUID

import pytest

from schemas.api import Evidence, Transcript
from tests.integration.api_service import COURSE_TYPE, STATEMENTS, THROUGH, Tenant, api_service, served
from tests.servers.in_process import statement

ADA = {"mbox": "mailto:ada@example.org"}
LOGIC, SETS = ("https://courses.example.org/" + name for name in ("logic", "sets"))


service = served(api_service)


def did(verb: str, course: str = LOGIC, score: float | None = None, **more: Any) -> dict[str, Any]:
    result = {"result": {"score": {"scaled": score}}} if score is not None else {}
    named = {"id": course, "definition": {"name": {"en": course.rpartition("/")[2]}, "type": COURSE_TYPE}}
    return statement(actor=ADA, verb={"id": f"http://adlnet.gov/expapi/verbs/{verb}"}, object=named, **result, **more)


def void(target: dict[str, Any]) -> dict[str, Any]:
    return statement(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}, object={"objectType": "StatementRef", "id": target["id"]})


async def transcript(tenant: Tenant, id_: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = await tenant.get(f"/v1/learners/{id_}/transcript", **params)
    Transcript.model_validate(found)
    return found


async def test_a_line_says_what_was_reached_and_which_statements_decide(tenant: Tenant) -> None:
    passed = did("passed", score=0.8)
    id_ = await tenant.learner(ADA, await tenant.post(did("registered"), passed, did("attempted", SETS)))

    found = await transcript(tenant, id_)

    assert (found["learner"], found["as_of"], found["known_at"], found["incomplete"], found["next"]) == (id_, None, None, False, None)
    by_course = {entry["activity"]["id"]: entry for entry in found["entries"]}
    assert by_course[LOGIC]["activity"] == {"id": LOGIC, "name": "logic", "type": COURSE_TYPE}
    assert (by_course[LOGIC]["status"], by_course[LOGIC]["statements"], by_course[LOGIC]["evidence"]) == ("passed", [passed["id"]], 2)
    assert by_course[SETS]["status"] == "attempted"
    assert (await transcript(tenant, id_, activity=SETS))["entries"] == [by_course[SETS]]
    assert (await transcript(tenant, id_, activity=SETS + "/none"))["entries"] == []


async def test_type_course_leaves_out_what_is_no_course(tenant: Tenant) -> None:
    video = statement(actor=ADA, object={"id": "https://courses.example.org/video"})
    id_ = await tenant.learner(ADA, await tenant.post(did("passed"), video))
    for params in ({}, {"known_at": "2099-01-01T00:00:00Z"}):
        assert len((await transcript(tenant, id_, **params))["entries"]) == 2
        assert [entry["activity"]["id"] for entry in (await transcript(tenant, id_, type="course", **params))["entries"]] == [LOGIC]
    assert (await tenant.client.get(f"/v1/learners/{id_}/transcript", params={"type": "video"})).status_code == 400


async def test_as_of_counts_what_had_happened_by_then(tenant: Tenant) -> None:
    id_ = await tenant.learner(ADA, await tenant.post(
        did("passed", score=0.9, timestamp="2026-03-01T00:00:00Z"), did("registered", timestamp="2026-01-01T00:00:00Z"),
        did("failed", score=0.2, timestamp="2026-02-01T00:00:00Z")))

    def said(found: dict[str, Any]) -> list[tuple[str, int]]:
        return [(entry["status"], entry["evidence"]) for entry in found["entries"]]

    assert said(await transcript(tenant, id_)) == [("passed", 3)]
    assert said(await transcript(tenant, id_, as_of="2026-02-15T00:00:00Z")) == [("failed", 2)]
    assert said(await transcript(tenant, id_, as_of="2026-02-01T00:00:00Z")) == [("failed", 2)]
    assert said(await transcript(tenant, id_, as_of="2026-01-02T00:00:00+01:00")) == [("registered", 1)]
    assert said(await transcript(tenant, id_, as_of="2025-12-31T23:59:59.999999Z")) == []


async def test_known_at_counts_what_was_stored_by_then_and_voids_only_from_then(tenant: Tenant) -> None:
    passed = did("passed", score=0.9)
    await tenant.post(did("completed"))
    early = (await tenant.client.get(STATEMENTS)).headers[THROUGH]
    await tenant.post(passed)
    middle = (await tenant.client.get(STATEMENTS)).headers[THROUGH]
    id_ = await tenant.learner(ADA, await tenant.post(void(passed)))

    assert [(await transcript(tenant, id_, known_at=at))["entries"][0]["status"] for at in (early, middle)] == ["completed", "passed"]
    now = await transcript(tenant, id_)
    assert now["entries"][0]["status"] == "completed"
    assert (await transcript(tenant, id_, known_at="2099-01-01T00:00:00Z"))["entries"] == now["entries"]
    echoed = await transcript(tenant, id_, known_at=middle, as_of="2026-05-01T00:00:00+02:00")
    assert (echoed["known_at"], echoed["as_of"]) == (middle, "2026-04-30T22:00:00.000000Z")


async def test_the_fold_of_all_evidence_says_what_the_folded_lines_say(tenant: Tenant) -> None:
    verbs = [("registered", None), ("attempted", 0.1), ("passed", 0.7), ("failed", 0.3), ("completed", None), ("withdrew", None)]
    sent = [
        did(verb, f"https://courses.example.org/{number % 3}", score, timestamp=f"2026-01-{number + 1:02}T00:00:00Z",
            context={"registration": str(UUID(int=number % 2))})
        for number, (verb, score) in enumerate(verbs * 4)
    ]
    id_ = await tenant.learner(ADA, await tenant.post(*sent, void(sent[2])))
    now = await transcript(tenant, id_)
    assert (await transcript(tenant, id_, as_of="2099-01-01T00:00:00Z", known_at="2099-01-01T00:00:00Z"))["entries"] == now["entries"]
    assert sum(entry["evidence"] for entry in now["entries"]) == len(sent) - 1


async def test_transcripts_page_to_the_end_in_the_order_things_began(tenant: Tenant) -> None:
    sent = [did("completed", f"https://courses.example.org/{number}", timestamp=f"2026-01-{number % 4 + 1:02}T00:00:00Z") for number in range(11)]
    id_ = await tenant.learner(ADA, await tenant.post(*sent))
    whole = (await transcript(tenant, id_))["entries"]
    assert [entry["first"] for entry in whole] == sorted(entry["first"] for entry in whole)
    for params in ({"limit": 4}, {"limit": 4, "as_of": "2099-01-01T00:00:00Z"}, {"limit": 4, "type": "course"}):
        seen, page = [], await transcript(tenant, id_, **params)
        while True:
            seen += page["entries"]
            if page["next"] is None:
                break
            page = await tenant.get(page["next"])
        assert seen == whole, params


async def test_evidence_shows_every_statement_and_whether_it_is_voided(tenant: Tenant) -> None:
    passed = did("passed", score=0.25, timestamp="2026-03-01T00:00:00Z", context={"registration": str(UUID(int=7))})
    passed["result"]["duration"] = "PT1H30M"
    registered, other = did("registered", timestamp="2026-01-01T00:00:00Z"), did("attempted", SETS, timestamp="2026-02-01T00:00:00Z")
    await tenant.post(passed, registered, other)
    before = (await tenant.client.get(STATEMENTS)).headers[THROUGH]
    id_ = await tenant.learner(ADA, await tenant.post(void(passed)))
    path = f"/v1/learners/{id_}/evidence"

    found = await tenant.get(path)

    Evidence.model_validate(found)
    assert [(each["statement"], each["voided"]) for each in found["evidence"]] == [(registered["id"], False), (other["id"], False), (passed["id"], True)]
    last = found["evidence"][2]
    assert (last["score"], last["duration"], last["verb"], last["time"]) == (0.25, "PT1H30M", passed["verb"]["id"], "2026-03-01T00:00:00.000000Z")
    assert last["authority"] == "https://lrs.example.org/test"
    assert [each["voided"] for each in (await tenant.get(path, known_at=before))["evidence"]] == [False, False, False]
    assert [each["statement"] for each in (await tenant.get(path, activity=SETS))["evidence"]] == [other["id"]]
    assert [each["statement"] for each in (await tenant.get(path, as_of="2026-01-15T00:00:00Z"))["evidence"]] == [registered["id"]]
    first = await tenant.get(path, limit=2)
    assert first["evidence"] + (await tenant.get(first["next"]))["evidence"] == found["evidence"]


async def test_next_is_good_for_its_own_learner_only(tenant: Tenant) -> None:
    bob = {"mbox": "mailto:bob@example.org"}
    position = await tenant.post(*(did("completed", f"https://courses.example.org/{number}") for number in range(3)), statement(actor=bob))
    ada, other = await tenant.learner(ADA, position), await tenant.learner(bob)
    following = (await transcript(tenant, ada, limit=1))["next"]
    assert following.startswith(f"/v1/learners/{ada}/transcript?")
    assert (await tenant.client.get(following.replace(ada, other))).status_code == 400
    assert (await tenant.client.get(following.replace("limit=1", "limit=2"))).status_code == 400


@pytest.mark.parametrize("edge", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.5-14:00"])
async def test_a_timestamp_that_has_no_year_in_utc_is_shown_as_the_nearest_that_has(tenant: Tenant, edge: str) -> None:
    id_ = await tenant.learner(ADA, await tenant.post(did("passed", timestamp=edge)))

    moments: tuple[dict[str, Any], ...] = ({}, {"as_of": edge}, {"known_at": edge})
    for moment in moments:
        await transcript(tenant, id_, **moment)
        Evidence.model_validate(await tenant.get(f"/v1/learners/{id_}/evidence", **moment))
    [entry] = (await transcript(tenant, id_))["entries"]
    assert (entry["first"] == "0001-01-01T00:00:00.000000Z") == edge.startswith("0001")
    assert (await transcript(tenant, id_, as_of=edge))["as_of"][:4] == edge[:4]
