"""Who and what a document belongs to: two spellings of one agent are one, and a state belongs to a registration or to none (xAPI Communication 2.3)."""
from hashlib import sha1
from uuid import UUID, uuid4

import orjson
import pytest

from tests.integration.api_service import Tenant, served
from tests.integration.document_service import AGENT_PROFILE, STATE, Resource, document_service, get, put

service = served(document_service)


ACCOUNT = '{"account":{"homePage":"https://x.org","name":"ada"}}'


@pytest.mark.parametrize("resource", [STATE, AGENT_PROFILE], ids=str)
@pytest.mark.parametrize(("written", "read"), [
    ('{"mbox":"mailto:ada@example.org"}', ' { "objectType" : "Agent", "name": "Ada", "mbox": "mailto:ada@EXAMPLE.org" } '),
    ('{"mbox":"mailto:ada@example.org"}', orjson.dumps({"mbox_sha1sum": sha1(b"mailto:ada@example.org").hexdigest().upper()}).decode()),
    (ACCOUNT, '{"account":{"name":"\\u0061da","homePage":"https://x.org"},"name":"Ada","extra":{}}'),
    ('{"openid":"https://ada.example.org/"}', '{"openid":"https:\\/\\/ada.example.org\\/","objectType":"Agent"}'),
])
async def test_two_spellings_of_one_agent_find_the_same_document(tenant: Tenant, resource: Resource, written: str, read: str) -> None:
    await put(tenant, resource, b"x", agent=written)
    assert (await get(tenant, resource, agent=read)).content == b"x"
    assert (await get(tenant, resource, None, agent=read)).json() == ["one"]
    await tenant.client.delete(resource.path, params=resource.params(agent=read))
    await get(tenant, resource, agent=written, status=404)


@pytest.mark.parametrize("resource", [STATE, AGENT_PROFILE], ids=str)
async def test_other_agents_have_documents_of_their_own(tenant: Tenant, resource: Resource) -> None:
    agents = [
        ACCOUNT, ACCOUNT.replace("ada", "Ada"), ACCOUNT.replace("x.org", "y.org"), '{"openid":"https://x.org"}', '{"mbox":"mailto:Ada@x.org"}',
        '{"mbox":"mailto:ada@x.org"}', '{"mbox":"mailto:unknown@example.com"}', ACCOUNT.replace("ada", "anonymous"), ACCOUNT.replace("ada", "Anonymous"),
    ]
    for number, agent in enumerate(agents):
        await put(tenant, resource, b"%d" % number, agent=agent)
    assert [(await get(tenant, resource, agent=agent)).content for agent in agents] == [b"%d" % number for number in range(len(agents))]


async def test_a_state_of_a_registration_is_another_than_that_of_none(tenant: Tenant) -> None:
    one, nil = str(uuid4()), str(UUID(int=0))
    await put(tenant, STATE, b"none")
    await put(tenant, STATE, b"of one", registration=one)
    await put(tenant, STATE, b"of nil", registration=nil)
    assert (await get(tenant, STATE)).content == b"none"
    assert (await get(tenant, STATE, registration=one.upper())).content == b"of one"
    assert (await get(tenant, STATE, registration=nil)).content == b"of nil"
    await tenant.client.delete(STATE.path, params=STATE.params())
    await get(tenant, STATE, status=404)
    assert (await get(tenant, STATE, registration=one)).content == b"of one"


async def test_a_list_is_of_all_registrations_unless_it_names_one(tenant: Tenant) -> None:
    one, other = str(uuid4()), str(uuid4())
    for name, registration in (("a", None), ("b", one), ("a", one), ("c", other)):
        await put(tenant, STATE, b"x", name, **({"registration": registration} if registration else {}))
    assert (await get(tenant, STATE, None)).json() == ["a", "b", "c"]
    assert (await get(tenant, STATE, None, registration=one)).json() == ["a", "b"]
    assert (await get(tenant, STATE, None, registration=str(uuid4()))).json() == []


async def test_without_an_id_all_states_of_activity_and_agent_are_removed_or_those_of_the_registration_named(tenant: Tenant) -> None:
    one, other = str(uuid4()), str(uuid4())
    bo, geometry = '{"mbox":"mailto:bo@example.org"}', "https://courses.example.org/geometry"
    for registration in ({}, {"registration": one}, {"registration": other}):
        await put(tenant, STATE, b"x", **registration)
    await put(tenant, STATE, b"x", agent=bo)
    await put(tenant, STATE, b"x", activityId=geometry)

    answer = await tenant.client.delete(STATE.path, params=STATE.params(None, registration=one))
    assert (answer.status_code, answer.headers["LRS-Outcome"]) == (204, "stored")
    await get(tenant, STATE, status=404, registration=one)
    assert (await get(tenant, STATE, registration=other)).content == b"x"
    refused = await tenant.client.delete(STATE.path, params=STATE.params(None), headers={"If-Match": '"1234"'})
    assert (refused.status_code, "stateId" in refused.json()["detail"]) == (400, True)

    assert (await tenant.client.delete(STATE.path, params=STATE.params(None))).status_code == 204
    assert (await get(tenant, STATE, None)).json() == []
    await get(tenant, STATE, status=404, registration=other)
    assert (await get(tenant, STATE, None, agent=bo)).json() == ["one"]
    assert (await get(tenant, STATE, None, activityId=geometry)).json() == ["one"]


async def test_an_empty_id_removes_nothing(tenant: Tenant) -> None:
    await put(tenant, STATE, b"x")
    assert (await tenant.client.delete(STATE.path, params=STATE.params(""))).status_code == 400
    assert (await get(tenant, STATE)).content == b"x"


async def test_a_profile_that_asks_for_a_registration_is_refused(tenant: Tenant) -> None:
    await get(tenant, AGENT_PROFILE, None, 400, registration=str(uuid4()))
