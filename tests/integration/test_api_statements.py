"""GET /xapi/statements: what a list holds and in which order, what one key may see, and what X-Experience-API-Consistent-Through promises."""
import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import orjson
import pytest

from services.web import create_app
from tests.integration.api_service import STATEMENTS, THROUGH, Tenant, api_service, served
from tests.integration.folding import fold_statements
from tests.integration.projecting import record
from tests.integration.projecting import statement as plain
from tests.servers.in_process import settings_for, statement, web_process

ADA, BOB, EVE = ({"mbox": f"mailto:{name}@example.org"} for name in ("ada", "bob", "eve"))
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}


service = served(api_service, partitions=2)


def void(target: str, **more: Any) -> dict[str, Any]:
    return statement(verb=VOIDED, object={"objectType": "StatementRef", "id": target}, **more)


def agent(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


async def test_a_list_is_newest_first_unless_ascending_and_pages_to_its_end(tenant: Tenant) -> None:
    sent = []
    for _ in range(7):
        sent.append(statement())
        await tenant.post(sent[-1])
    ids = [each["id"] for each in sent]

    assert await tenant.ids() == ids[::-1]
    assert await tenant.ids(ascending="true", limit=2) == ids
    assert await tenant.ids(limit=3) == ids[::-1]
    assert [each["id"] for each in (await tenant.get(STATEMENTS, limit=1))["statements"]] == ids[-1:]


async def test_statements_come_back_as_the_sender_s_bytes_with_what_the_lrs_sets(tenant: Tenant) -> None:
    raw = b'{"id":"%s", "actor":{"mbox":"mailto:ada@example.org"},"verb":{"id":"http://example.org/v"},"object":{"id":"http://example.org/a"},"result":{"score":{"scaled":0.50}}}'
    raw %= str(uuid4()).encode()
    answer = await tenant.client.post(STATEMENTS, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200

    one = await tenant.client.get(STATEMENTS, params={"statementId": answer.json()[0]})
    page = await tenant.client.get(STATEMENTS)

    assert one.content.startswith(raw[:-1])
    assert one.content in page.content
    found = one.json()
    assert found.keys() >= {"stored", "timestamp", "authority", "version"}
    assert found["timestamp"] == found["stored"]
    assert found["authority"]["account"]["homePage"] == "https://lrs.example.org"
    assert one.headers["Last-Modified"].endswith("GMT")
    assert one.headers["Content-Type"] == page.headers["Content-Type"] == "application/json"


async def test_each_filter_gives_what_matches_it_and_filters_combine(tenant: Tenant) -> None:
    registration = str(uuid4())
    verb, activity = "http://example.org/verbs/read", "http://example.org/book"
    plain = statement(actor=BOB)
    by_verb = statement(actor=BOB, verb={"id": verb})
    by_activity = statement(actor=BOB, object={"id": activity})
    by_registration = statement(actor=BOB, context={"registration": registration})
    both = statement(actor=BOB, verb={"id": verb}, object={"id": activity})
    for each in (plain, by_verb, by_activity, by_registration, both):
        await tenant.post(each)

    assert await tenant.ids(verb=verb) == [both["id"], by_verb["id"]]
    assert await tenant.ids(activity=activity, ascending="true") == [by_activity["id"], both["id"]]
    assert await tenant.ids(registration=registration.upper()) == [by_registration["id"]]
    assert await tenant.ids(verb=verb, activity=activity) == [both["id"]]
    assert await tenant.ids(verb=verb, activity="http://example.org/other") == []
    assert await tenant.ids(verb=verb + "#") == []


async def test_the_agent_filter_finds_actors_objects_and_members_of_groups_once_each(tenant: Tenant) -> None:
    group = {"objectType": "Group", "member": [ADA, EVE]}
    as_actor = statement(actor=ADA)
    as_object = statement(actor=BOB, object={"objectType": "Agent", **ADA})
    as_member = statement(actor=group)
    as_both = statement(actor=ADA, object={"objectType": "Agent", **ADA})
    in_object = statement(actor=BOB, object=group)
    others = statement(actor=BOB, context={"instructor": ADA})
    for each in (as_actor, as_object, as_member, as_both, in_object, others):
        await tenant.post(each)
    found = [in_object["id"], as_both["id"], as_member["id"], as_object["id"], as_actor["id"]]

    assert await tenant.ids(agent=agent(ADA)) == found
    assert await tenant.ids(agent=agent(ADA), limit=2) == found
    assert await tenant.ids(agent=agent({**ADA, "objectType": "Agent", "name": "whoever"}), limit=1, ascending="true") == found[::-1]
    assert await tenant.ids(agent=agent(EVE)) == [in_object["id"], as_member["id"]]
    assert await tenant.ids(agent=agent(BOB), verb="http://example.org/none") == []


async def test_since_is_exclusive_and_until_inclusive_to_the_microsecond(tenant: Tenant) -> None:
    for _ in range(3):
        await tenant.post(statement())
    first, second, third = (await tenant.get(STATEMENTS, ascending="true"))["statements"]

    assert await tenant.ids(since=second["stored"]) == [third["id"]]
    assert await tenant.ids(until=second["stored"]) == [second["id"], first["id"]]
    assert await tenant.ids(since=first["stored"], until=second["stored"], ascending="true") == [second["id"]]
    assert await tenant.ids(since="0001-01-01T00:00:00Z", until="9999-12-31T00:00:00Z") == [third["id"], second["id"], first["id"]]


async def test_a_voided_statement_is_gone_by_id_and_in_lists_but_there_as_voided(tenant: Tenant) -> None:
    target = statement()
    await tenant.post(target)
    voiding = void(target["id"])
    await tenant.post(voiding)

    assert (await tenant.client.get(STATEMENTS, params={"statementId": target["id"]})).status_code == 404
    assert (await tenant.get(STATEMENTS, voidedStatementId=target["id"]))["id"] == target["id"]
    assert await tenant.ids() == [voiding["id"]]
    assert (await tenant.client.get(STATEMENTS, params={"voidedStatementId": voiding["id"]})).status_code == 404


async def test_a_more_chain_keeps_the_consistent_through_of_its_first_page(tenant: Tenant) -> None:
    sent = [statement() for _ in range(4)]
    await tenant.post(*sent)
    first = await tenant.client.get(STATEMENTS, params={"limit": 2})

    await tenant.post(statement(), void(sent[0]["id"]))
    second = await tenant.client.get(first.json()["more"])

    assert second.headers[THROUGH] == first.headers[THROUGH]
    assert [each["id"] for each in second.json()["statements"]] == [sent[1]["id"], sent[0]["id"]]
    assert second.json()["more"] == ""


async def test_every_answer_carries_consistent_through_and_the_version(tenant: Tenant) -> None:
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 200), ({"statementId": str(uuid4())}, 404), ({"LIMIT": "1"}, 400), ({"limit": "x"}, 400), ({"agent": "{"}, 400),
    ]
    for params, status in asked:
        answer = await tenant.client.get(STATEMENTS, params=params)
        assert (answer.status_code, answer.headers["X-Experience-API-Version"]) == (status, "2.0.0"), params
        assert answer.headers[THROUGH].endswith("Z"), params
    stranger = tenant.service.web.client(("nobody", "wrong"))
    refused = await stranger.get(STATEMENTS)
    assert (refused.status_code, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert THROUGH in refused.headers


async def test_polling_with_the_last_header_misses_nothing_while_others_write(tenant: Tenant) -> None:
    sent: list[str] = []

    async def write(writer: int) -> None:
        for _ in range(15):
            batch = [statement(actor={"mbox": f"mailto:writer{writer}@example.org"}) for _ in range(3)]
            await tenant.post(*batch)
            sent.extend(each["id"] for each in batch)

    writers = asyncio.gather(*(write(number) for number in range(4)))
    seen, since = [], "2020-01-01T00:00:00Z"
    while True:
        finished = writers.done()
        answer = await tenant.client.get(STATEMENTS, params={"since": since, "ascending": "true"})
        page = answer.json()
        seen += [each["id"] for each in page["statements"]]
        while page["more"]:
            page = await tenant.get(page["more"])
            seen += [each["id"] for each in page["statements"]]
        assert answer.headers[THROUGH] >= since
        since = answer.headers[THROUGH]
        if finished:
            break
    await writers
    assert sorted(seen) == sorted(sent)


@pytest.mark.parametrize(("params", "says"), [
    ({"foo": "bar"}, "unknown"), ({"StatementId": "x"}, "unknown"), ({"statementId": "nope"}, "UUID"),
    ({"statementId": str(UUID(int=1)), "voidedStatementId": str(UUID(int=1))}, "not both"), ({"statementId": str(UUID(int=1)), "limit": "1"}, "limit"),
    ({"agent": "true"}, "agent"), ({"agent": "{}"}, "exactly one"), ({"agent": '{"mbox":"ada"}'}, "mbox"), ({"verb": "no iri"}, "IRI"),
    ({"registration": "1"}, "UUID"), ({"since": "yesterday"}, "instant"), ({"ascending": "yes"}, "true or false"),
    ({"format": "id"}, "exact, ids and canonical"), ({"attachments": "1"}, "true or false"), ({"related_agents": "1"}, "true or false"),
    ({"related_activities": "TRUE"}, "true or false"), ({"more": "AAAA"}, "place to go on"), ({"limit": "-1"}, "whole number"),
])
async def test_what_cannot_be_understood_is_a_400_that_says_why(tenant: Tenant, params: dict[str, str], says: str) -> None:
    answer = await tenant.client.get(STATEMENTS, params=params)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert says in answer.json()["detail"]


async def test_limits_above_500_and_false_said_aloud_are_fine(tenant: Tenant) -> None:
    await tenant.post(statement())
    page = await tenant.get(STATEMENTS, limit=100_000, related_agents="false", related_activities="false", attachments="false", format="exact")
    assert len(page["statements"]) == 1
    assert await tenant.get(STATEMENTS, limit="9" * 30) == page


async def test_read_mine_shows_what_its_authority_vouches_for_and_nothing_else(tenant: Tenant) -> None:
    theirs, mine = statement(), [statement() for _ in range(3)]
    await tenant.post(theirs)
    own = await tenant.with_scopes("statements/write", "statements/read/mine")
    await tenant.post(*mine, client=own)

    page = await own.get(STATEMENTS, params={"limit": 2})
    rest = await own.get(page.json()["more"])
    assert [each["id"] for each in page.json()["statements"] + rest.json()["statements"]] == [each["id"] for each in mine[::-1]]
    assert (await own.get(STATEMENTS, params={"statementId": theirs["id"]})).status_code == 404
    assert (await own.get(STATEMENTS, params={"statementId": mine[0]["id"]})).status_code == 200
    assert len(await tenant.ids()) == 4


async def test_a_more_url_is_good_for_its_own_key_and_question_only(tenant: Tenant) -> None:
    await tenant.post(*(statement() for _ in range(3)))
    more = (await tenant.get(STATEMENTS, limit=1))["more"]
    other = await tenant.with_scopes("statements/read")
    elsewhere = await tenant.service.tenant()
    token = parse_qs(urlsplit(more).query)["more"][0]

    assert more.startswith(STATEMENTS + "?")
    assert (await tenant.client.get(more)).status_code == 200
    assert (await other.get(more)).status_code == 400
    assert (await elsewhere.client.get(more)).status_code == 400
    assert (await tenant.client.get(STATEMENTS, params={"limit": 2, "more": token})).status_code == 400
    assert (await tenant.client.get(STATEMENTS, params={"limit": 1, "more": "AAAAAA" + token[6:]})).status_code == 400


async def test_keys_without_a_reading_scope_are_forbidden_and_tenants_see_nothing_of_each_other(tenant: Tenant) -> None:
    sent = statement()
    await tenant.post(sent)
    writer = await tenant.with_scopes("statements/write", "lrs:read")
    assert (await writer.get(STATEMENTS)).status_code == 403
    other = await tenant.service.tenant()
    assert await other.ids() == []
    assert (await other.client.get(STATEMENTS, params={"statementId": sent["id"]})).status_code == 404


async def test_head_answers_as_get_without_a_body(tenant: Tenant) -> None:
    await tenant.post(statement())
    got, head = await tenant.client.get(STATEMENTS), await tenant.client.head(STATEMENTS)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.content))
    assert THROUGH in head.headers


async def test_a_version_is_demanded_but_by_about(tenant: Tenant) -> None:
    for version in (None, "0.9", "BAD", "3.0.0"):
        headers = {} if version is None else {"X-Experience-API-Version": version}
        answer = await tenant.service.web.client(None, version=None).get("/xapi/about", headers=headers)
        assert answer.status_code == 200
        assert {"1.0.3", "2.0.0"} <= set(answer.json()["version"])
    tenant.client.headers.pop("X-Experience-API-Version")
    assert (await tenant.client.get(STATEMENTS)).status_code == 400
    old = await tenant.client.get(STATEMENTS, headers={"X-Experience-API-Version": "1.0"})
    assert (old.status_code, old.headers["X-Experience-API-Version"]) == (200, "1.0.3")


async def test_what_is_at_no_path_is_a_problem(tenant: Tenant) -> None:
    for path in ("/xapi/nothing", "/v1/nothing"):
        answer = await tenant.client.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert (await tenant.client.delete(STATEMENTS)).status_code == 405


async def test_a_position_from_somewhere_else_is_refused_and_one_of_ours_is_waited_for(tenant: Tenant) -> None:
    sent = statement()
    answer = await tenant.client.post(STATEMENTS, json=sent, headers={"Prefer": "respond-async"})
    page = await tenant.client.get(STATEMENTS, headers={"LRS-Min-Position": answer.headers["LRS-Position"], "Prefer": "wait=10"})
    assert [each["id"] for each in page.json()["statements"]] == [sent["id"]]
    assert (await tenant.client.get(STATEMENTS, headers={"LRS-Min-Position": "AAAA"})).status_code == 400


async def test_the_words_of_an_authority_are_those_of_its_first_statement_also_where_a_later_one_was_read_before(database: str, tmp_path: Path) -> None:
    at = "insert into projection_cursor (name, version, partition, log_id, last_stored) values ('statements', 1, $1, gen_random_uuid(), $2)"
    move = "update projection_cursor set last_stored = $1 where name = 'statements'"
    key = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": "tool"}}
    early, late = uuid4(), uuid4()
    async with web_process(settings_for(tmp_path, partitions=2), database) as web:
        web.app = create_app(web.state)
        client = web.client(await web.key())
        pool = web.state.pool
        await pool.executemany(at, [(0, 1000), (1, 3000)])
        await fold_statements(database, [record(1, plain(late), authority={**key, "name": "The later name"}, stored=2000)])
        before = (await client.get(STATEMENTS, params={"statementId": str(late)})).json()["authority"]
        await fold_statements(database, [record(0, plain(early), authority={**key, "name": "The first name"}, stored=1500)])
        await pool.execute(move, 3000)
        listed = (await client.get(STATEMENTS)).json()["statements"]
    assert before["name"] == "The later name"
    assert [(each["id"], each["authority"]["name"]) for each in listed] == [(str(late), "The first name"), (str(early), "The first name")]
