"""Rules of GET /xapi/statements that the conformance suite never looks at: questions that make no sense, exact bounds, other scripts, and pages to the end."""
import asyncio
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import orjson
import pytest

from tests.integration.api_service import STATEMENTS, THROUGH, Tenant, api_service, served
from tests.servers.in_process import statement
from tests.servers.multipart import parts_of

ADA = {"mbox": "mailto:ada@example.org"}
IDS = ("statementId", "voidedStatementId")


service = served(api_service, partitions=3)
pytestmark = pytest.mark.usefixtures("version")


async def status(tenant: Tenant, **params: Any) -> int:
    """Return how a question is answered; a refusal has a sentence, the version and Consistent-Through too."""
    answer = await tenant.client.get(STATEMENTS, params=params)
    assert answer.headers["X-Experience-API-Version"] == tenant.client.headers["X-Experience-API-Version"]
    assert answer.headers[THROUGH].endswith("Z")
    assert answer.is_success or answer.json()["detail"].endswith(".")
    return answer.status_code


@pytest.mark.parametrize("params", [
    *({name: wrong} for name in (*IDS, "registration") for wrong in ("", "x", "1", "M0000000-0000-4000-8000-000000000000", "{}")),
    *({name: wrong} for name in ("verb", "activity") for wrong in ("", "should fail", "example.org/no/scheme", "ab=c://should.fail.com")),
    *({"agent": wrong} for wrong in ("", "true", "[]", '"ada"', "{", '{"mbox"=1}', '{"name":"Ada"}', '{"mbox":"mailto:a@b.c","openid":"https://a.b/"}')),
    *({name: wrong} for name in ("since", "until") for wrong in ("", "yesterday", "2026-13-01T00:00:00Z", "2026-05-01T12:00:00-00:00", "1e9")),
    *({name: wrong} for name in ("ascending", "attachments", "related_agents", "related_activities") for wrong in ("", "yes", "1", "null")),
    {"limit": "-1"}, {"limit": "1.5"}, {"limit": ""}, {"format": ""}, {"format": "IDS"}, {"more": ""}, {"more": "x"},
], ids=str)
async def test_a_value_that_its_parameter_cannot_have_is_refused(tenant: Tenant, params: dict[str, str]) -> None:
    assert await status(tenant, **params) == 400


async def test_one_statement_is_asked_for_by_one_id_and_by_nothing_else(tenant: Tenant) -> None:
    sent = statement()
    await tenant.post(sent)
    other = {"agent": orjson.dumps(ADA).decode(), "verb": "http://example.org/v", "activity": "http://example.org/a", "registration": str(uuid4()),
             "related_activities": "true", "related_agents": "true", "since": "2020-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z", "limit": "1",
             "ascending": "true"}
    for name in IDS:
        for filter_, value in other.items():
            assert await status(tenant, **{name: sent["id"], filter_: value}) == 400, filter_
    assert await status(tenant, statementId=sent["id"], voidedStatementId=sent["id"]) == 400
    assert await status(tenant, statementId=sent["id"], voidedStatementId=str(uuid4())) == 400
    for good in ({}, {"format": "ids"}, {"format": "canonical", "attachments": "true"}, {"attachments": "false"}):
        assert await tenant_has(tenant, sent["id"], **good)


async def tenant_has(tenant: Tenant, id_: str, **params: str) -> bool:
    answer = await tenant.client.get(STATEMENTS, params={"statementId": id_, **params})
    return answer.status_code == 200 and id_ in answer.text


async def test_last_modified_is_stored_to_the_second(tenant: Tenant) -> None:
    sent = statement()
    await tenant.post(sent)
    answer = await tenant.client.get(STATEMENTS, params={"statementId": sent["id"]})
    assert parsedate_to_datetime(answer.headers["Last-Modified"]) == datetime.fromisoformat(answer.json()["stored"]).replace(microsecond=0)


async def test_bounds_are_exact_in_whatever_offset_and_with_whatever_fraction_they_are_written(tenant: Tenant) -> None:
    await tenant.post(*(statement() for _ in range(3)))
    listed = (await tenant.get(STATEMENTS, ascending="true"))["statements"]
    first, second, third = (each["id"] for each in listed)
    stored = datetime.fromisoformat(listed[1]["stored"])
    east = stored.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    for spelt in (listed[1]["stored"], east, stored.isoformat() if stored.microsecond else listed[1]["stored"], listed[1]["stored"].replace("Z", "000Z")):
        assert await tenant.ids(since=spelt) == [third], spelt
        assert await tenant.ids(until=spelt) == [second, first], spelt
    just_before = (stored - timedelta(microseconds=1)).isoformat(timespec="microseconds")
    assert await tenant.ids(since=just_before) == [third, second]
    assert await tenant.ids(until=just_before) == [first]
    assert await tenant.ids(since=listed[1]["stored"], until=listed[1]["stored"]) == []
    assert await tenant.ids(since=listed[2]["stored"], until=listed[0]["stored"]) == []


async def test_no_limit_and_zero_give_as_many_as_there_may_be(tenant: Tenant) -> None:
    sent = [statement() for _ in range(12)]
    await tenant.post(*sent)
    for params in ({}, {"limit": 0}, {"limit": 500}, {"limit": 12}):
        page = (await tenant.client.get(STATEMENTS, params=params)).json()
        assert ([each["id"] for each in page["statements"]], page["more"]) == ([each["id"] for each in sent[::-1]], ""), params


async def test_more_is_an_address_on_this_server_that_keeps_the_question_the_format_and_the_attachments(tenant: Tenant) -> None:
    activity = {"id": "https://example.org/a", "definition": {"name": {"en": "A"}}}
    sent = [statement(object=activity) for _ in range(3)]
    await tenant.post(*sent, statement(actor={"mbox": "mailto:other@example.org"}))
    params = {"agent": orjson.dumps(ADA).decode(), "format": "ids", "attachments": "true", "ascending": "true", "limit": "2"}
    page, _ = parts_of(await tenant.client.get(STATEMENTS, params=params))
    address = urlsplit(urljoin("http://lrs.example.org/xapi/statements", page["more"]))
    assert (address.netloc, address.path, address.fragment) == ("lrs.example.org", STATEMENTS, "")
    rest, _ = parts_of(await tenant.client.get(page["more"]))
    assert [each["id"] for each in page["statements"] + rest["statements"]] == [each["id"] for each in sent]
    assert [each["object"] for each in rest["statements"]] == [{"id": activity["id"]}]
    assert rest["more"] == ""


@pytest.mark.parametrize(("iri", "name"), [
    ("https://例え.jp/コース/代数?q=あ&r=1#末", "李小龍"), ("https://example.org/prüfung%20eins", 'Zoë +&=#%20 "quoted"'), ("urn:x-λ:ж", "\U0001f393 عربى"),
    ("https://example.org/%7Eada", "a\tb\u2028c"),
])
async def test_names_and_addresses_of_every_script_are_found_as_they_were_sent_and_page(tenant: Tenant, iri: str, name: str) -> None:
    person = {"account": {"homePage": iri, "name": name}}
    sent = [statement(actor=person, verb={"id": iri}, object={"id": iri}, context={"contextActivities": {"other": [{"id": iri}]}}) for _ in range(2)]
    await tenant.post(*sent, statement(actor={"account": {"homePage": iri, "name": name + "x"}}, verb={"id": iri + "x"}, object={"id": iri + "x"}))
    ids = [each["id"] for each in sent[::-1]]
    for params in ({"verb": iri}, {"activity": iri}, {"activity": iri, "related_activities": "true"}, {"agent": orjson.dumps(person).decode()},
                   {"agent": orjson.dumps(person).decode(), "related_agents": "true"}):
        assert await tenant.ids(**params) == ids, params
        assert await tenant.ids(**params, limit=1) == ids, params
    found = await tenant.get(STATEMENTS, statementId=ids[0])
    assert (found["actor"], found["verb"]["id"], found["object"]["id"]) == (person, iri, iri)
    assert (await tenant.get("/xapi/activities", activityId=iri))["id"] == iri


async def test_what_is_asked_for_with_attachments_and_not_there_is_an_error_as_without(tenant: Tenant) -> None:
    for params in ({"statementId": str(uuid4()), "attachments": "true"}, {"voidedStatementId": str(uuid4()), "attachments": "true"}):
        answer = await tenant.client.get(STATEMENTS, params=params)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


async def test_every_page_of_every_chain_holds_still_while_sixteen_write(tenant: Tenant) -> None:
    """Chains begun at any moment, newest first and oldest first: each gives every statement stored before it began, once, in order."""
    told: list[str] = []
    writing = True

    async def write(number: int) -> None:
        while writing:
            batch = [statement(actor={"mbox": f"mailto:writer{number}@example.org"}) for _ in range(2)]
            await tenant.post(*batch)
            told.extend(each["id"] for each in batch)

    async def chain(**params: Any) -> None:
        before = set(told)
        pages, page = [], await tenant.get(STATEMENTS, limit=7, **params)
        while True:
            pages += page["statements"]
            if not page["more"]:
                break
            page = await tenant.get(page["more"])
        stored = [each["stored"] for each in pages]
        assert stored == sorted(stored, reverse="ascending" not in params)
        found = [each["id"] for each in pages]
        assert len(found) == len(set(found))
        assert before <= set(found)

    async with asyncio.TaskGroup() as writers:
        for number in range(16):
            writers.create_task(write(number))
        try:
            for _ in range(3):
                await asyncio.gather(chain(), chain(ascending="true"))
        finally:
            writing = False
    assert sorted(await tenant.ids(limit=50)) == sorted(told)
