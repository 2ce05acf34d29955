"""Identity links through HTTP: two agents are one learner until the link is taken back, and then are as if they had never been."""
import asyncio
from uuid import uuid4

import httpx
import pytest

from schemas.api import Link
from tests.integration.api_service import STATEMENTS, Tenant, api_service, served
from tests.servers.in_process import statement

LINKS = "/v1/identity/links"
MAIL = {"mbox": "mailto:zoe@example.org", "name": "Zoë"}
ACCOUNT = {"account": {"homePage": "https://lms.example.org", "name": "zl77"}}
NOBODY = {"account": {"homePage": "https://lms.example.org", "name": "anonymous"}}


service = served(api_service, partitions=2)


async def link(tenant: Tenant, *agents: object, **headers: str) -> httpx.Response:
    return await tenant.client.post(LINKS, json={"agents": agents, "reason": "the registrar says so"}, headers=headers)


async def test_a_link_joins_two_learners_and_taking_it_back_parts_them(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=MAIL), statement(actor=ACCOUNT, object={"id": "https://courses.example.org/logic"}))
    mail, account = await tenant.learner(MAIL, position), await tenant.learner(ACCOUNT)
    assert mail != account

    made = await link(tenant, MAIL, ACCOUNT)

    assert (made.status_code, made.headers["LRS-Outcome"]) == (201, "stored"), made.text
    shown = Link.model_validate(made.json())
    assert (shown.reason, shown.at is not None, len(shown.agents)) == ("the registrar says so", True, 2)
    one, other = await tenant.get(f"/v1/learners/{mail}"), await tenant.get(f"/v1/learners/{account}")
    assert one == other
    assert one["id"] in (mail, account)
    assert [each["id"] for each in one["links"]] == [str(shown.id)]
    assert len(one["agents"]) == 2
    assert len((await tenant.get("/v1/learners"))["learners"]) == 1
    assert len((await tenant.get(f"/v1/learners/{mail}/transcript"))["entries"]) == 2

    gone = await tenant.client.delete(f"{LINKS}/{shown.id}")

    assert (gone.status_code, gone.content) == (204, b"")
    assert "LRS-Position" in gone.headers
    assert (await tenant.get(f"/v1/learners/{mail}"))["links"] == []
    assert len((await tenant.get(f"/v1/learners/{mail}/transcript"))["entries"]) == 1
    assert (await tenant.client.delete(f"{LINKS}/{shown.id}")).status_code == 204


async def test_agents_nobody_has_seen_are_welcome(tenant: Tenant) -> None:
    made = await link(tenant, MAIL, ACCOUNT)
    assert made.status_code == 201
    id_ = await tenant.learner(MAIL)
    assert await tenant.learner(ACCOUNT) == id_
    assert (await tenant.get(f"/v1/learners/{id_}/transcript"))["entries"] == []

    position = await tenant.post(statement(actor=ACCOUNT))

    assert len((await tenant.get(f"/v1/learners/{id_}/transcript", position=position))["entries"]) == 1


async def test_known_at_still_knows_a_link_that_was_taken_back(tenant: Tenant) -> None:
    await tenant.post(statement(actor=MAIL), statement(actor=ACCOUNT, object={"id": "https://courses.example.org/logic"}))
    before = (await tenant.client.get(STATEMENTS)).headers["X-Experience-API-Consistent-Through"]
    made = (await link(tenant, MAIL, ACCOUNT)).json()
    id_ = await tenant.learner(MAIL)
    await tenant.client.delete(f"{LINKS}/{made['id']}")

    now = await tenant.get(f"/v1/learners/{id_}/transcript")
    then = await tenant.get(f"/v1/learners/{id_}/transcript", known_at=made["at"])
    earlier = await tenant.get(f"/v1/learners/{id_}/transcript", known_at=before)

    assert (len(now["entries"]), len(then["entries"]), len(earlier["entries"])) == (1, 2, 1)
    assert len((await tenant.get(f"/v1/learners/{id_}/evidence", known_at=made["at"]))["evidence"]) == 2


async def test_an_idempotency_key_makes_one_link_however_often_it_is_sent(tenant: Tenant) -> None:
    first = await link(tenant, MAIL, ACCOUNT, **{"Idempotency-Key": "registrar-17"})
    again = await asyncio.gather(*(link(tenant, MAIL, ACCOUNT, **{"Idempotency-Key": "registrar-17"}) for _ in range(3)))
    assert {each.json()["id"] for each in (first, *again)} == {first.json()["id"]}
    id_ = await tenant.learner(MAIL)
    assert len((await tenant.get(f"/v1/learners/{id_}"))["links"]) == 1
    assert (await link(tenant, MAIL, {"openid": "https://zoe.example.org/"}, **{"Idempotency-Key": "registrar-17"})).status_code == 409


@pytest.mark.parametrize(("body", "pointer"), [
    ([], ""), ({"reason": "x"}, ""), ({"agents": [MAIL]}, "/agents"), ({"agents": [MAIL, MAIL, MAIL]}, "/agents"),
    ({"agents": [MAIL, ACCOUNT], "why": "x"}, "/why"), ({"agents": [MAIL, ACCOUNT], "reason": 7}, "/reason"),
    ({"agents": [MAIL, ACCOUNT], "reason": "\0"}, "/reason"), ({"agents": [MAIL, "zoe"]}, "/agents/1"), ({"agents": [MAIL, {"name": "zoe"}]}, "/agents/1"),
    ({"agents": [{"mbox": "zoe@example.org"}, MAIL]}, "/agents/0/mbox"), ({"agents": [MAIL, {"mbox": "mailto:unknown@example.com"}]}, "/agents/1"),
    ({"agents": [NOBODY, MAIL]}, "/agents/0"), ({"agents": [MAIL, {**MAIL, "name": "the same"}]}, "/agents/1"),
])
async def test_a_link_that_makes_no_sense_is_refused_with_a_pointer_and_not_written(tenant: Tenant, body: object, pointer: str) -> None:
    ends = [await tenant.service.web.state.log.end(partition) for partition in range(2)]
    answer = await tenant.client.post(LINKS, json=body)
    assert (answer.status_code, answer.json()["pointer"], answer.headers["LRS-Outcome"]) == (400, pointer, "rejected"), answer.text
    assert [(await tenant.service.web.state.log.end(partition)).next_offset for partition in range(2)] == [end.next_offset for end in ends]


async def test_linking_needs_lrs_link(tenant: Tenant) -> None:
    made = (await link(tenant, MAIL, ACCOUNT)).json()
    for scopes, status in ((("lrs:read", "all"), 403), (("lrs:link",), 204)):
        client = await tenant.with_scopes(*scopes)
        assert (await client.post(LINKS, json={"agents": [MAIL, ACCOUNT]})).status_code == (201 if status == 204 else 403)
        assert (await client.delete(f"{LINKS}/{made['id']}")).status_code == status


async def test_links_of_others_and_unknown_ones_are_404(tenant: Tenant) -> None:
    made = (await link(tenant, MAIL, ACCOUNT)).json()
    other = await tenant.service.tenant()
    for client, id_ in ((other.client, made["id"]), (tenant.client, uuid4()), (tenant.client, "x")):
        assert (await client.delete(f"{LINKS}/{id_}")).status_code == 404
    assert len((await tenant.get(f"/v1/learners/{await tenant.learner(MAIL)}"))["links"]) == 1


async def test_the_reason_of_a_link_has_at_most_4000_characters(tenant: Tenant) -> None:
    made = [await tenant.client.post(LINKS, json={"agents": [MAIL, ACCOUNT], "reason": "é" * length}) for length in (4000, 4001)]
    assert [answer.status_code for answer in made] == [201, 400]
    assert (made[1].json()["detail"], made[1].json()["pointer"]) == ("/reason may have at most 4000 characters.", "/reason")
