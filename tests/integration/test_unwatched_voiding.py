"""Rules of voiding (xAPI Data 2.3.2) that the conformance suite never looks at: twice, in any order, on itself, and what is not voided at all."""
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api_service import STATEMENTS, Tenant, api_service, served
from tests.servers.in_process import statement

VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}
TUTOR = {"mbox": "mailto:tutor@example.org"}


service = served(api_service, partitions=2)
pytestmark = pytest.mark.usefixtures("version")


def void(target: str, **more: str) -> dict[str, Any]:
    """Return a statement of another actor (so of another partition, now and then) that voids one."""
    return statement(actor=TUTOR, verb=VOIDED, object={"objectType": "StatementRef", "id": target}, **more)


async def is_voided(tenant: Tenant, id_: str) -> bool:
    """Return whether a statement is voided, which each way to ask must say alike."""
    found = {name: await tenant.client.get(STATEMENTS, params={name: id_}) for name in ("statementId", "voidedStatementId")}
    statuses = [answer.status_code for answer in found.values()]
    assert sorted(statuses) == [200, 404], statuses
    assert next(answer for answer in found.values() if answer.status_code == 200).json()["id"].lower() == id_.lower()
    voided = statuses == [404, 200]
    assert (id_.lower() in [each.lower() for each in await tenant.ids()]) == (not voided)
    return voided


async def test_a_statement_voided_twice_is_voided_and_both_voids_stay(tenant: Tenant) -> None:
    target = statement()
    voids = [void(target["id"]), {**void(target["id"]), "actor": {"mbox": "mailto:second@example.org"}}]
    await tenant.post(target)
    for each in voids:
        await tenant.post(each)
        assert await is_voided(tenant, target["id"])
    assert await tenant.ids() == [each["id"] for each in voids[::-1]]


async def test_a_void_cannot_be_voided_and_its_target_stays_voided(tenant: Tenant) -> None:
    target = statement()
    await tenant.post(target)
    voiding = void(target["id"])
    await tenant.post(voiding)
    attempt = void(voiding["id"])
    answer = await tenant.client.post(STATEMENTS, json=attempt)
    assert answer.status_code in {200, 400}
    assert not await is_voided(tenant, voiding["id"])
    assert await is_voided(tenant, target["id"])
    assert set(await tenant.ids()) - {attempt["id"]} == {voiding["id"]}


async def test_what_is_voided_before_it_arrives_is_voided_when_it_does(tenant: Tenant) -> None:
    targets = [statement(), statement()]
    for each in targets:
        await tenant.post(void(each["id"]))
        for name in ("statementId", "voidedStatementId"):
            await tenant.get(STATEMENTS, 404, **{name: each["id"]})
    await tenant.post(targets[0])
    answer = await tenant.client.put(STATEMENTS, params={"statementId": targets[1]["id"]}, json=targets[1])
    assert answer.status_code == 204
    for each in targets:
        assert await is_voided(tenant, each["id"])


async def test_a_void_and_its_target_may_come_in_one_request_in_either_order(tenant: Tenant) -> None:
    one, two = statement(), statement()
    await tenant.post(one, void(one["id"]))
    await tenant.post(void(two["id"]), two)
    assert await is_voided(tenant, one["id"])
    assert await is_voided(tenant, two["id"])


async def test_a_voided_statement_sent_again_stays_voided_and_another_with_its_id_is_a_conflict(tenant: Tenant) -> None:
    target = statement()
    await tenant.post(target)
    await tenant.post(void(target["id"]))
    before = (await tenant.client.get(STATEMENTS, params={"voidedStatementId": target["id"]})).content
    assert (await tenant.client.post(STATEMENTS, json=target)).status_code == 200
    assert (await tenant.client.post(STATEMENTS, json={**target, "actor": TUTOR})).status_code == 409
    assert await is_voided(tenant, target["id"])
    assert (await tenant.client.get(STATEMENTS, params={"voidedStatementId": target["id"]})).content == before


async def test_a_void_names_its_target_in_letters_of_either_case_and_so_does_a_question(tenant: Tenant) -> None:
    target = statement(id=str(uuid4()).upper())
    await tenant.post(target)
    await tenant.post(void(target["id"].lower()))
    for spelt in (target["id"], target["id"].lower()):
        assert (await tenant.get(STATEMENTS, voidedStatementId=spelt))["id"].lower() == target["id"].lower()
        await tenant.get(STATEMENTS, 404, statementId=spelt)


async def test_what_is_not_voided_is_not_found_as_voided(tenant: Tenant) -> None:
    plain = statement()
    await tenant.post(plain)
    await tenant.post(statement(object={"objectType": "StatementRef", "id": plain["id"]}), statement(object={
        "objectType": "SubStatement", "actor": TUTOR, "verb": VOIDED, "object": {"objectType": "StatementRef", "id": plain["id"]}}))
    assert not await is_voided(tenant, plain["id"]), "neither a reference nor an intention voids"
    await tenant.get(STATEMENTS, 404, voidedStatementId=str(uuid4()))


async def test_a_void_of_itself_voids_nothing(tenant: Tenant) -> None:
    id_ = str(uuid4())
    answer = await tenant.client.post(STATEMENTS, json=void(id_, id=id_))
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert not await is_voided(tenant, id_)


@pytest.mark.parametrize("other", ["activity", "agent", "nothing"])
async def test_a_void_of_anything_but_a_statement_is_refused(tenant: Tenant, other: str) -> None:
    sent = statement(verb=VOIDED, object={"activity": {"id": "https://example.org/a"}, "agent": {"objectType": "Agent", **TUTOR},
                                          "nothing": {"objectType": "StatementRef", "id": "no id"}}[other])
    answer = await tenant.client.post(STATEMENTS, json=sent)
    assert (answer.status_code, answer.json()["pointer"].startswith("/object")) == (400, True)
