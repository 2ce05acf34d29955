"""Rules of writing that the conformance suite never looks at: what is stored never changes, what the LRS sets, and what stands when writers meet."""
import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.core.timeline import rfc3339
from tests.factories import actor
from tests.integration.api_service import STATEMENTS, Tenant, api_service, served
from tests.servers.in_process import statement

LONG_AGO = "2001-02-03T04:05:06.789Z"


service = served(api_service, partitions=2)
pytestmark = pytest.mark.usefixtures("version")


async def read(tenant: Tenant, id_: str) -> bytes:
    """Return a statement as it is answered."""
    answer = await tenant.client.get(STATEMENTS, params={"statementId": id_})
    assert answer.status_code == 200, answer.text
    return answer.content


async def send(tenant: Tenant, method: str, sent: dict[str, Any]) -> httpx.Response:
    return await tenant.client.request(method, STATEMENTS, params={"statementId": sent["id"]} if method == "PUT" else None, json=sent)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("change", [
    {"verb": {"id": "http://example.org/verbs/other"}}, {"actor": actor("eve")}, {"object": {"id": "https://example.org/other"}},
    {"result": {"success": True}}, {"context": {"platform": "other"}}, {"timestamp": LONG_AGO},
])
async def test_a_stored_statement_is_not_changed_by_another_with_its_id(tenant: Tenant, method: str, change: dict[str, Any]) -> None:
    sent = statement(timestamp="2026-05-01T12:00:00Z")
    await tenant.post(sent)
    before = await read(tenant, sent["id"])
    answer = await send(tenant, method, {**sent, **change})
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (409, "rejected")
    assert await read(tenant, sent["id"]) == before
    assert await tenant.ids() == [sent["id"]]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("change", [
    {}, {"stored": LONG_AGO}, {"authority": actor("eve")}, {"version": "1.0.2"}, {"timestamp": "2026-05-01T14:00:00.000+02:00"},
])
async def test_a_stored_statement_is_not_changed_by_an_equal_one_and_its_sender_is_told_that_it_stands(
    tenant: Tenant, method: str, change: dict[str, Any],
) -> None:
    sent = statement(timestamp="2026-05-01T12:00:00Z")
    await tenant.post(sent)
    before = await read(tenant, sent["id"])
    answer = await send(tenant, method, {**sent, **change})
    assert answer.status_code == (200 if method == "POST" else 204), answer.text
    assert await read(tenant, sent["id"]) == before
    again = await send(tenant, method, {**sent, "id": sent["id"].upper()})
    assert answer.status_code == again.status_code, again.text
    assert await tenant.ids() == [sent["id"]]


async def test_a_put_whose_body_has_another_id_is_refused_and_neither_is_stored(tenant: Tenant) -> None:
    one, two = str(uuid4()), str(uuid4())
    answer = await tenant.client.put(STATEMENTS, params={"statementId": one}, json=statement(id=two))
    assert (answer.status_code, answer.json()["pointer"]) == (400, "/id")
    for id_ in (one, two):
        await tenant.get(STATEMENTS, 404, statementId=id_)
    same = await tenant.client.put(STATEMENTS, params={"statementId": one}, json=statement(id=one.upper()))
    assert same.status_code == 204, same.text
    assert (await tenant.get(STATEMENTS, statementId=one))["id"].lower() == one


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_timestamp_is_stored_where_none_was_sent_and_stored_is_never_the_sender_s(tenant: Tenant, method: str) -> None:
    sent = statement(stored=LONG_AGO)
    assert (await send(tenant, method, sent)).is_success
    found = await tenant.get(STATEMENTS, statementId=sent["id"])
    assert found["timestamp"] == found["stored"] > "2026"
    timed = statement(timestamp=LONG_AGO)
    assert (await send(tenant, method, timed)).is_success
    assert (await tenant.get(STATEMENTS, statementId=timed["id"]))["timestamp"] == LONG_AGO


@pytest.mark.parametrize("authority", [actor("eve"), {"objectType": "Group", "member": [actor("eve"), actor("tool")]}])
async def test_an_authority_in_a_statement_is_replaced_by_that_of_the_key(tenant: Tenant, authority: dict[str, Any]) -> None:
    sent = statement(authority=authority)
    client = await tenant.with_scopes("all", name="tool of mine")
    await tenant.post(sent, client=client)
    found = (await tenant.get(STATEMENTS, statementId=sent["id"]))["authority"]
    assert found == {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": "tool of mine"}}


async def test_stored_rises_from_statement_to_statement_and_always_shows_its_fraction(tenant: Tenant) -> None:
    for _ in range(3):
        await tenant.post(*(statement() for _ in range(5)))
    listed = [each["stored"] for each in (await tenant.get(STATEMENTS, ascending="true"))["statements"]]
    assert listed == sorted(set(listed))
    assert len(listed) == 15
    assert all(len(each.partition(".")[2].removesuffix("Z")) >= 3 for each in listed)
    assert len(rfc3339(0).partition(".")[2].removesuffix("Z")) >= 3, "zeros are not dropped"


async def test_whole_batches_are_refused_when_any_part_of_them_is_bad_wherever_it_is(tenant: Tenant) -> None:
    stored = statement()
    await tenant.post(stored)
    for place in range(3):
        for bad, status in ((statement(verb={"id": "no iri"}), 400), ({**stored, "actor": actor("eve")}, 409)):
            batch = [statement() for _ in range(2)]
            batch.insert(place, bad)
            answer = await tenant.client.post(STATEMENTS, json=batch)
            assert (answer.status_code, answer.json()["pointer"].split("/")[1]) == (status, str(place))
    assert await tenant.ids() == [stored["id"]]


async def test_sixteen_writers_of_one_id_leave_one_content_and_only_its_senders_are_told_that_it_stands(tenant: Tenant) -> None:
    contested = str(uuid4())
    sent = [statement(id=contested, verb={"id": f"http://example.org/verbs/{number % 4}"}) for number in range(16)]
    answers = await asyncio.gather(*(send(tenant, ("POST", "PUT")[number % 2], each) for number, each in enumerate(sent)))
    stands = (await tenant.get(STATEMENTS, statementId=contested))["verb"]
    for each, answer in zip(sent, answers, strict=True):
        assert answer.is_success == (each["verb"] == stands), answer.text
        assert answer.is_success or answer.status_code == 409
    assert await tenant.ids() == [contested]
