"""Programmes through HTTP: published, refused with what is wrong, listed, retired; and those who issue."""
import asyncio
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.api_programmes import Issuer, Issuers, Programme, Programmes
from tests.integration.api_service import Service, Tenant, api_service, served
from tests.integration.programmes import YAML, post, publish, rule

PROGRAMMES = "/v1/programmes"
UNIVERSITY = {"name": "Example University", "url": "https://university.example.org", "email": "registrar@university.example.org"}

service = served(api_service, partitions=2)


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def test_a_programme_in_yaml_is_published_and_shown_whole(tenant: Tenant) -> None:
    answer = await post(tenant, rule())

    assert (answer.status_code, answer.json()) == (201, {"slug": "maths", "version": 1}), answer.text
    assert (answer.headers["Location"], answer.headers["LRS-Outcome"]) == ("/v1/programmes/maths", "stored")
    shown = await tenant.get(answer.headers["Location"], position=answer.headers["LRS-Position"])
    Programme.model_validate(shown)
    assert (shown["programme"], shown["state"], shown["source"]) == ("https://lrs.example.org/programmes/maths", "published", rule())
    assert shown["rule"]["requires"]["all"][0]["label"] == "passed algebra"
    assert shown["achievement"] == "https://lrs.example.org/achievements/maths"
    assert shown["issuer"]["slug"] is None
    assert "one elective: any of these" in shown["narrative"]
    assert [(each["version"], each["state"]) for each in shown["versions"]] == [(1, "published")]


async def test_the_same_programme_in_json_has_the_same_rule(tenant: Tenant) -> None:
    await publish(tenant, rule())
    first = await tenant.get(f"{PROGRAMMES}/maths")
    other = await tenant.service.tenant()

    answer = await other.client.post(PROGRAMMES, json=first["rule"])

    assert answer.status_code == 201, answer.text
    assert (await other.get(f"{PROGRAMMES}/maths", position=answer.headers["LRS-Position"]))["sha256"] == first["sha256"]


async def test_programmes_are_listed_by_the_version_in_force_page_by_page(tenant: Tenant) -> None:
    for slug in ("c", "a", "b"):
        await publish(tenant, rule(slug))
    await publish(tenant, rule("b", 2))
    await publish(tenant, rule("b", 3, more="effective: 2999-01-01"))

    page = await tenant.get(PROGRAMMES, limit=2)
    rest = await tenant.get(page["next"])

    for each in (page, rest):
        Programmes.model_validate(each)
    assert [(each["slug"], each["version"], each["state"]) for each in (*page["programmes"], *rest["programmes"])] == [
        ("a", 1, "published"), ("b", 2, "published"), ("c", 1, "published")]
    assert rest["next"] is None
    whole = await tenant.get(f"{PROGRAMMES}/b")
    assert [(each["version"], each["state"]) for each in whole["versions"]] == [(1, "superseded"), (2, "published"), (3, "scheduled")]
    assert (await tenant.get(f"{PROGRAMMES}/b", version=3))["state"] == "scheduled"
    await tenant.get(f"{PROGRAMMES}/b", 404, version=4)
    await tenant.get(f"{PROGRAMMES}/b", 400, version="last")
    await tenant.get(f"{PROGRAMMES}/d", 404)


async def test_a_version_not_above_the_last_is_a_conflict(tenant: Tenant) -> None:
    await publish(tenant, rule(version=3))
    for version in (1, 3):
        answer = await post(tenant, rule(version=version, score=0.7))
        assert (answer.status_code, answer.headers["LRS-Outcome"]) == (409, "rejected")
        assert "3" in answer.json()["detail"]
    assert (await post(tenant, rule(version=4))).status_code == 201


async def test_a_publication_whose_answer_was_lost_can_be_repeated_with_its_key(tenant: Tenant) -> None:
    headers = {**YAML, "Idempotency-Key": "one"}
    first, again, other = [await tenant.client.post(PROGRAMMES, content=text.encode(), headers=headers) for text in (rule(), rule(), rule(title="Other"))]

    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert (again.json(), again.headers["Location"]) == (first.json(), first.headers["Location"])
    assert other.status_code == 409


async def test_of_versions_published_at_once_the_log_takes_one_and_the_others_are_told(tenant: Tenant) -> None:
    answers = await asyncio.gather(*(post(tenant, rule(score=score / 10)) for score in range(1, 6)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    [won] = [number for number, answer in enumerate(answers) if answer.status_code == 201]
    shown = await tenant.get(f"{PROGRAMMES}/maths")
    assert shown["source"] == rule(score=(won + 1) / 10)


async def test_another_programme_cannot_take_a_slug(tenant: Tenant) -> None:
    await publish(tenant, rule())
    answer = await post(tenant, rule().replace("https://lrs.example.org/programmes", "https://elsewhere.example.org/rules"))
    assert (answer.status_code, answer.json()["pointer"]) == (409, "/programme")


async def test_a_rule_that_is_refused_says_every_fault_with_pointer_and_line(tenant: Tenant) -> None:
    text = rule().replace("verb: passed, activity: https://courses.example.org/logic", "verbs: passed").replace("version: 1", "version: none")

    answer = await post(tenant, text)

    problem = answer.json()
    assert (answer.status_code, problem["type"].rpartition("/")[2], answer.headers["LRS-Outcome"]) == (400, "invalid-programme", "rejected"), answer.text
    faults = {fault["pointer"]: fault for fault in problem["faults"]}
    assert faults["/version"]["line"] == 3
    assert any(pointer.startswith("/requires/all/1/any/0/statement") for pointer in faults), faults
    assert problem["pointer"] in faults
    assert "line" in problem
    assert (await tenant.get(PROGRAMMES))["programmes"] == []


@pytest.mark.parametrize("text", [
    "", "- a", "programme: [", "\0", "programme: &a [*a]", rule().replace("https://lrs.example.org/programmes/maths", "no iri"),
    rule().replace("award:", "prize:"), "requires: {all: []}", rule().split("requires:")[0] + "requires: {all: []}",
    rule().split("requires:")[0] + "requires: {statement: {verb: passed, count: 0}}", "x: " * 3000,
])
async def test_whatever_is_no_programme_is_refused_with_a_sentence(tenant: Tenant, text: str) -> None:
    for path in (PROGRAMMES, f"{PROGRAMMES}/preview"):
        answer = await post(tenant, text, path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json"), answer.text
        assert answer.json()["detail"]


async def test_bodies_of_other_kinds_and_sizes_are_refused(tenant: Tenant) -> None:
    for content, headers, status in (
        (rule().encode(), {"Content-Type": "text/plain"}, 400), (b"\xff\xfe", YAML, 400), (b"{", {"Content-Type": "application/json"}, 400),
        (b"#" * (300 << 10), YAML, 413), (b"a: " + b"[" * 20_000, YAML, 400),
    ):
        answer = await tenant.client.post(PROGRAMMES, content=content, headers=headers)
        assert answer.status_code == status, (content[:20], answer.text)


def on_credential(slug: str, clause: str, version: int = 1, more: str = "") -> str:
    head = rule(slug, version, more=more)
    return head.split("requires:")[0] + f"requires: {{credential: {clause}}}\n"


async def test_rules_that_would_wait_for_each_other_are_refused_over_all_versions_ever_published(tenant: Tenant) -> None:
    own = await post(tenant, on_credential("loop", "{achievement: https://lrs.example.org/achievements/loop}"))
    assert (own.status_code, own.json()["type"].rpartition("/")[2]) == (400, "invalid-programme"), own.text
    await publish(tenant, on_credential("second", "{achievement: https://lrs.example.org/achievements/first}"))
    await publish(tenant, rule("second", 2))

    answer = await post(tenant, on_credential("first", "{achievement: https://lrs.example.org/achievements/second}"))

    assert answer.status_code == 400, answer.text
    assert "second" in answer.json()["detail"]
    previewed = await post(tenant, on_credential("first", "{achievement: https://lrs.example.org/achievements/second}"), f"{PROGRAMMES}/preview")
    assert previewed.status_code == 400


async def test_an_issuer_that_nobody_made_is_refused_and_one_that_is_there_is_kept_with_the_rule(tenant: Tenant) -> None:
    named = rule(more="issuer: university")
    refused = await post(tenant, named)
    assert (refused.status_code, refused.json()["pointer"]) == (400, "/issuer"), refused.text

    put = await tenant.client.put("/v1/issuers/university", json=UNIVERSITY)

    assert (put.status_code, put.headers["LRS-Outcome"]) == (204, "stored")
    await publish(tenant, named)
    shown = await tenant.get(f"{PROGRAMMES}/maths")
    did = f"did:web:lrs.example.org:tenants:{tenant.name}:issuers:university"
    assert shown["issuer"] == {
        "slug": "university", "name": "Example University", "url": "https://university.example.org", "did": did}


async def test_issuers_are_made_changed_and_listed(tenant: Tenant) -> None:
    for slug in ("b", "a", "c"):
        await tenant.client.put(f"/v1/issuers/{slug}", json=UNIVERSITY)
    await tenant.client.put("/v1/issuers/b", json={"name": "B", "url": "https://b.example.org", "image": "https://b.example.org/b.png"})

    page = await tenant.get("/v1/issuers", limit=2)
    rest = await tenant.get(page["next"])

    for each in (page, rest):
        Issuers.model_validate(each)
    assert [each["slug"] for each in (*page["issuers"], *rest["issuers"])] == ["a", "b", "c"]
    one = await tenant.get("/v1/issuers/b")
    Issuer.model_validate(one)
    assert one == {"slug": "b", "name": "B", "url": "https://b.example.org", "email": None, "image": "https://b.example.org/b.png",
                   "did": f"did:web:lrs.example.org:tenants:{tenant.name}:issuers:b"}
    await tenant.get("/v1/issuers/d", 404)


@pytest.mark.parametrize(("slug", "body", "pointer"), [
    ("a", {}, ""), ("a", {"name": "A"}, ""), ("a", {**UNIVERSITY, "url": "university"}, "/url"),
    ("a", {**UNIVERSITY, "image": "javascript:alert(1)"}, "/image"), ("a", {**UNIVERSITY, "name": ""}, "/name"),
    ("a", {**UNIVERSITY, "keys": []}, "/keys"), ("-a", UNIVERSITY, None), ("a%20b", UNIVERSITY, None),
    ("x" * 81, UNIVERSITY, None), ("%00", UNIVERSITY, None),
])
async def test_what_is_no_issuer_is_refused(tenant: Tenant, slug: str, body: dict[str, Any], pointer: str | None) -> None:
    answer = await tenant.client.put(f"/v1/issuers/{slug}", json=body)
    assert (answer.status_code, answer.json().get("pointer")) == (400, pointer), answer.text
    assert (await tenant.get("/v1/issuers"))["issuers"] == []


async def test_a_programme_is_retired_until_a_version_is_published_again(tenant: Tenant) -> None:
    await publish(tenant, rule())

    retired = await tenant.client.post(f"{PROGRAMMES}/maths/retire")

    assert (retired.status_code, retired.content, "LRS-Position" in retired.headers) == (204, b"", True)
    assert (await tenant.get(f"{PROGRAMMES}/maths"))["state"] == "retired"
    again = await tenant.client.post(f"{PROGRAMMES}/maths/retire")
    assert (again.status_code, "LRS-Position" in again.headers) == (204, False)
    await publish(tenant, rule(version=2))
    assert (await tenant.get(f"{PROGRAMMES}/maths"))["state"] == "published"
    assert (await tenant.client.post(f"{PROGRAMMES}/nothing/retire")).status_code == 404


async def test_publishing_needs_lrs_manage_and_reading_lrs_read(tenant: Tenant) -> None:
    reader, manager = await tenant.with_scopes("lrs:read", "all"), await tenant.with_scopes("lrs:manage")
    assert (await post(tenant, rule(), client=reader)).status_code == 403
    assert (await post(tenant, rule(), f"{PROGRAMMES}/preview", client=reader)).status_code == 403
    assert (await reader.put("/v1/issuers/a", json=UNIVERSITY)).status_code == 403
    assert (await post(tenant, rule(), client=manager)).status_code == 201
    assert (await manager.get(f"{PROGRAMMES}/maths")).status_code == 403
    assert (await reader.get(f"{PROGRAMMES}/maths")).status_code == 200
    assert (await reader.post(f"{PROGRAMMES}/maths/retire")).status_code == 403


async def test_an_answer_at_durability_is_a_201_too(tenant: Tenant) -> None:
    answer = await tenant.client.post(PROGRAMMES, content=rule().encode(), headers={**YAML, "Prefer": "respond-async"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (201, "respond-async")
    shown = await tenant.get(f"{PROGRAMMES}/maths", position=answer.headers["LRS-Position"])
    assert orjson.dumps(shown["version"]) == b"1"
