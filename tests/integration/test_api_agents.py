"""GET /xapi/agents: the Person an agent is, by itself and with those it is linked to."""
import hashlib
from typing import Any

import orjson
import pytest

from tests.factories import actor
from tests.integration.api_service import Tenant, api_service, served
from tests.servers.in_process import statement

AGENTS, LINKS = "/xapi/agents", "/v1/identity/links"
MAIL, OPENID = "mailto:ada@example.org", "https://ada.example.org/"
SUM = hashlib.sha1(MAIL.encode(), usedforsecurity=False).hexdigest()
ACCOUNT = {"homePage": "https://moodle.example.org", "name": "7"}


service = served(api_service, partitions=2)


async def person(tenant: Tenant, agent: dict[str, Any], position: str | None = None) -> Any:
    return await tenant.get(AGENTS, position=position, agent=orjson.dumps(agent).decode())


async def link(tenant: Tenant, *agents: dict[str, Any]) -> tuple[str, str]:
    answer = await tenant.client.post(LINKS, json={"agents": agents, "reason": "test"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.headers["LRS-Position"]


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize(("member", "value"), [("mbox", MAIL), ("mbox_sha1sum", SUM), ("openid", OPENID), ("account", ACCOUNT)])
async def test_an_agent_nobody_knows_is_a_person_of_what_was_asked(tenant: Tenant, version: str, member: str, value: Any) -> None:
    tenant.client.headers["X-Experience-API-Version"] = version
    assert await person(tenant, {member: value}) == {"objectType": "Person", member: [value]}
    assert await person(tenant, {"objectType": "Agent", "name": "Ada", member: value}) == {"objectType": "Person", "name": ["Ada"], member: [value]}
    params = {"agent": orjson.dumps({member: value}).decode()}
    got, head = await tenant.client.get(AGENTS, params=params), await tenant.client.head(AGENTS, params=params)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(got.content)))
    assert got.headers["X-Experience-API-Version"] == version


async def test_names_are_those_of_the_statements_and_of_the_question(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=actor(mbox=MAIL, name="Ada Lovelace")))
    assert await person(tenant, {"mbox": MAIL}, position) == {"objectType": "Person", "name": ["Ada Lovelace"], "mbox": [MAIL]}
    assert (await person(tenant, {"mbox": MAIL, "name": "Countess"}))["name"] == ["Countess", "Ada Lovelace"]


async def test_a_mailbox_is_found_by_its_sum_and_given_as_it_was_asked(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=actor(mbox=MAIL)))
    assert await person(tenant, {"mbox_sha1sum": SUM.upper()}, position) == {"objectType": "Person", "mbox": [MAIL], "mbox_sha1sum": [SUM.upper()]}
    assert await person(tenant, {"mbox": "mailto:ada@EXAMPLE.org"}) == {"objectType": "Person", "mbox": ["mailto:ada@EXAMPLE.org"]}


async def test_those_linked_are_one_person_until_they_are_parted(tenant: Tenant) -> None:
    await tenant.post(statement(actor=actor(mbox=MAIL, name="Ada")), statement(actor=actor(account=ACCOUNT, name="A. L.")))
    first, _ = await link(tenant, {"mbox": MAIL}, {"account": ACCOUNT})
    _, position = await link(tenant, {"account": ACCOUNT}, {"openid": OPENID})
    whole = {"name": {"Ada", "A. L."}, "mbox": {MAIL}, "openid": {OPENID}}
    for agent in ({"mbox": MAIL}, {"account": ACCOUNT}, {"openid": OPENID}):
        found = await person(tenant, agent, position)
        assert {member: set(found[member]) for member in whole} == whole
        assert found["account"] == [ACCOUNT]
        assert found.keys() == {"objectType", "name", "mbox", "openid", "account"}
    assert (await person(tenant, {"account": ACCOUNT}))["name"][0] == "A. L."

    gone = await tenant.client.delete(f"{LINKS}/{first}")
    assert await person(tenant, {"mbox": MAIL}, gone.headers["LRS-Position"]) == {"objectType": "Person", "name": ["Ada"], "mbox": [MAIL]}


async def test_placeholders_are_nobody_and_never_merged(tenant: Tenant) -> None:
    unknown = {"mbox": "mailto:unknown@example.com"}
    position = await tenant.post(statement(actor={**unknown, "name": "First"}), statement(actor={**unknown, "name": "Second"}))
    assert await person(tenant, unknown, position) == {"objectType": "Person", "mbox": ["mailto:unknown@example.com"]}
    anonymous = {"account": {"homePage": "https://edx.example.org", "name": "anonymous"}}
    position = await tenant.post(statement(actor={**anonymous, "name": "Somebody"}))
    assert await person(tenant, anonymous, position) == {"objectType": "Person", "account": [anonymous["account"]]}


async def test_only_who_may_read_all_statements_learns_more_than_was_asked(tenant: Tenant) -> None:
    position = await tenant.post(statement(actor=actor(mbox=MAIL, name="Ada")))
    await person(tenant, {"mbox": MAIL}, position)
    params = {"agent": orjson.dumps({"mbox": MAIL}).decode()}
    bare, whole = {"objectType": "Person", "mbox": [MAIL]}, {"objectType": "Person", "name": ["Ada"], "mbox": [MAIL]}
    for scope, expected in {"statements/write": None, "define": None, "lrs:read": None, "statements/read/mine": bare, "state": bare, "profile": bare,
                            "statements/read": whole, "all/read": whole, "all": whole, "lrs:admin": whole}.items():
        answer = await (await tenant.with_scopes(scope)).get(AGENTS, params=params)
        assert (answer.status_code, answer.json() if expected else None) == (200 if expected else 403, expected), scope
    other = await tenant.service.tenant()
    assert await person(other, {"mbox": MAIL}) == bare


@pytest.mark.parametrize("agent", [
    None, "", "{", '{"mbox"=1}', "true", "[]", "{}", '"ada"', '{"mbox":"ada"}', '{"mbox":1}', '{"name":"Ada"}', '{"objectType":"agent","mbox":"mailto:a@b.c"}',
    '{"mbox":"mailto:a@b.c","openid":"https://a.b/"}', '{"account":{"name":"a"}}', '{"account":{"homePage":"x","name":"a"}}',
    '{"mbox":"mailto:a@b.c","name":7}', '{"objectType":"Group","mbox":"mailto:a@b.c"}', '{"objectType":"Group","member":[]}', "[" * 2000,
])
async def test_an_agent_that_is_none_is_a_400(tenant: Tenant, agent: str | None) -> None:
    answer = await tenant.client.get(AGENTS, params={} if agent is None else {"agent": agent})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert "agent" in answer.json()["detail"]


async def test_unknown_parameters_are_a_400_and_hostile_agents_are_answered(tenant: Tenant) -> None:
    params = {"agent": orjson.dumps({"mbox": MAIL}).decode()}
    assert (await tenant.client.get(AGENTS, params={**params, "Agent": "x"})).status_code == 400
    assert (await tenant.client.get(AGENTS, params={"agent": '{"account":{"homePage":"https://a.example","name":"\\u0000"}}'})).status_code == 400
    for name in ("", "\U0001f600" * 500):
        account = {"homePage": "https://a.example", "name": name}
        answer = await tenant.client.get(AGENTS, params={"agent": orjson.dumps({"account": account}).decode()})
        assert (answer.status_code, answer.json()["account"]) == (200, [account])
