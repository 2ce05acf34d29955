"""GET /xapi/statements with related_agents, related_activities and StatementRefs: what matches, what never widens, and pages that hold still."""
import asyncio
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.integration.api_service import STATEMENTS, Tenant, api_service, served
from tests.servers.in_process import statement

ADA, BOB, EVE = ({"mbox": f"mailto:{name}@example.org"} for name in ("ada", "bob", "eve"))
CROWD = {"objectType": "Group", "member": [ADA, EVE]}
TEAM = {"objectType": "Group", "account": {"homePage": "https://teams.example.org", "name": "red"}, "member": [EVE]}
BOOK, SHELF = {"id": "http://example.org/book"}, {"id": "http://example.org/shelf"}
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}
READ = {"id": "http://example.org/verbs/read"}


service = served(api_service, partitions=3)


def ref(target: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a statement whose object is another statement."""
    return statement(**{"actor": BOB, "object": {"objectType": "StatementRef", "id": target["id"]}, **more})


def void(target: dict[str, Any], **more: Any) -> dict[str, Any]:
    return ref(target, verb=VOIDED, **more)


def within(**more: Any) -> dict[str, Any]:
    """Return a statement about a SubStatement."""
    return statement(actor=BOB, object={"objectType": "SubStatement", "actor": BOB, "verb": READ, "object": SHELF, **more})


def agent(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


RELATED_AGENTS = {
    "instructor": statement(actor=BOB, context={"instructor": ADA}),
    "member of an instructor": statement(actor=BOB, context={"instructor": CROWD}),
    "member of a team": statement(actor=BOB, context={"team": CROWD}),
    "context agent": statement(actor=BOB, context={"contextAgents": [{"objectType": "contextAgent", "agent": ADA}]}),
    "member of a context group": statement(actor=BOB, context={"contextGroups": [{"objectType": "contextGroup", "group": CROWD}]}),
    "actor of a SubStatement": within(actor=ADA),
    "member of the actor of a SubStatement": within(actor=CROWD),
    "object of a SubStatement": within(object={"objectType": "Agent", **ADA}),
    "member of the object of a SubStatement": within(object=CROWD),
    "instructor of a SubStatement": within(context={"instructor": ADA}),
    "team of a SubStatement": within(context={"team": CROWD}),
    "context agent of a SubStatement": within(context={"contextAgents": [{"objectType": "contextAgent", "agent": ADA}]}),
}
RELATED_ACTIVITIES = {
    **{kind: statement(actor=BOB, context={"contextActivities": {kind: [SHELF, BOOK]}}) for kind in ("parent", "grouping", "category", "other")},
    "one without brackets": statement(actor=BOB, context={"contextActivities": {"parent": BOOK}}),
    "object of a SubStatement": within(object=BOOK),
    "context of a SubStatement": within(context={"contextActivities": {"grouping": [BOOK]}}),
}


async def test_related_agents_looks_at_every_agent_of_a_statement_and_agent_alone_does_not(tenant: Tenant) -> None:
    plain = [statement(actor=ADA), statement(actor=CROWD), statement(actor=BOB, object={"objectType": "Agent", **ADA})]
    others = [statement(actor=BOB), statement(actor=BOB, context={"team": TEAM})]
    related = [{**each, "id": str(uuid4())} for each in RELATED_AGENTS.values()]
    await tenant.post(*others, *plain, *related)
    newest_first = [each["id"] for each in (*plain, *related)][::-1]

    assert await tenant.ids(agent=agent(ADA), related_agents="true") == newest_first
    assert await tenant.ids(agent=agent(ADA), related_agents="true", limit=2, ascending="true") == newest_first[::-1]
    assert await tenant.ids(agent=agent(ADA), related_agents="false") == [each["id"] for each in plain][::-1]
    assert await tenant.ids(agent=agent(ADA)) == [each["id"] for each in plain][::-1]
    assert await tenant.ids(agent=agent({**TEAM, "member": []}), related_agents="true") == [others[1]["id"]]
    assert await tenant.ids(agent=agent(TEAM)) == []


@pytest.mark.parametrize("place", RELATED_AGENTS)
async def test_an_agent_is_related_by_each_place_alone(tenant: Tenant, place: str) -> None:
    one = {**RELATED_AGENTS[place], "id": str(uuid4())}
    await tenant.post(one, statement(actor=BOB))
    assert await tenant.ids(agent=agent(ADA), related_agents="true", verb=one["verb"]["id"]) == [one["id"]]
    assert await tenant.ids(agent=agent(ADA)) == []


async def test_the_authority_is_a_related_agent_a_group_s_members_too(tenant: Tenant) -> None:
    key: dict[str, Any] = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": "tool"}}
    oauth: dict[str, Any] = {"objectType": "Group", "member": [EVE, {"account": {"homePage": "https://lrs.example.org", "name": "consumer"}}]}
    sent = [statement(actor=BOB), statement(actor=BOB)]
    for one, authority in zip(sent, (key, oauth), strict=True):
        credential = await tenant.service.web.key("lrs:admin", tenant=tenant.name, name=str(uuid4()), authority=authority)
        await tenant.post(one, client=tenant.service.web.client(credential))
    assert await tenant.ids(agent=agent(key), related_agents="true") == [sent[0]["id"]]
    assert await tenant.ids(agent=agent(EVE), related_agents="true") == [sent[1]["id"]]
    assert await tenant.ids(agent=agent(key)) == []


async def test_related_activities_looks_at_every_activity_of_a_statement_and_activity_alone_does_not(tenant: Tenant) -> None:
    about, related = statement(actor=BOB, object=BOOK), [{**each, "id": str(uuid4())} for each in RELATED_ACTIVITIES.values()]
    await tenant.post(about, statement(actor=BOB), *related)
    found = [each["id"] for each in (about, *related)][::-1]

    assert await tenant.ids(activity=BOOK["id"], related_activities="true") == found
    assert await tenant.ids(activity=BOOK["id"], related_activities="true", limit=3) == found
    assert await tenant.ids(activity=BOOK["id"]) == [about["id"]]
    assert await tenant.ids(activity=BOOK["id"], related_activities="true", agent=agent(ADA)) == []


async def test_related_without_what_it_is_about_changes_nothing(tenant: Tenant) -> None:
    await tenant.post(statement(), statement(actor=BOB, verb=READ))
    assert len(await tenant.ids(related_agents="true", related_activities="true")) == 2
    assert len(await tenant.ids(related_agents="true", related_activities="true", verb=READ["id"])) == 1


async def test_filters_that_are_related_combine_with_each_other_and_with_all_others(tenant: Tenant) -> None:
    registration = str(uuid4())
    context = {"instructor": ADA, "contextActivities": {"parent": [BOOK]}, "registration": registration}
    whole = statement(actor=EVE, verb=READ, context=context)
    without = [
        statement(actor=EVE, verb=READ, context={**context, "instructor": BOB}), statement(actor=EVE, context=context),
        statement(actor=EVE, verb=READ, context={**context, "contextActivities": {"parent": [SHELF]}}),
        statement(actor=EVE, verb=READ, context={**context, "registration": str(uuid4())})]
    await tenant.post(*without, whole)
    asked = {
        "agent": agent(ADA), "related_agents": "true", "activity": BOOK["id"], "related_activities": "true", "verb": READ["id"], "registration": registration}
    assert await tenant.ids(**asked) == [whole["id"]]
    assert await tenant.ids(**asked | {"agent": agent(EVE)}) == [whole["id"], without[0]["id"]]
    for name in ("verb", "registration"):
        assert len(await tenant.ids(**{key: value for key, value in asked.items() if key != name})) == 2


async def test_who_refers_to_a_statement_that_matches_matches_though_the_target_is_voided(tenant: Tenant) -> None:
    target = statement(actor=ADA, verb=READ)
    voiding, referring = void(target), ref(target, verb=READ)
    for each in (target, statement(actor=BOB), voiding, referring):
        await tenant.post(each)
    stored = {each["id"]: each["stored"] for each in (await tenant.get(STATEMENTS))["statements"]}

    both = [referring["id"], voiding["id"]]
    assert await tenant.ids(verb=READ["id"]) == both
    assert [each["id"] for each in (await tenant.get(STATEMENTS, verb=READ["id"], limit=1))["statements"]] == [referring["id"]]
    assert await tenant.ids(verb=READ["id"], since=stored[voiding["id"]]) == [referring["id"]]
    assert await tenant.ids(verb=READ["id"], until=stored[voiding["id"]]) == [voiding["id"]]
    assert await tenant.ids(verb=READ["id"], ascending="true", limit=1) == both[::-1]
    assert await tenant.ids(agent=agent(ADA)) == both
    assert await tenant.ids(agent=agent(ADA), verb=VOIDED["id"]) == []  # one statement of a chain has to match all filters
    assert await tenant.ids(verb=VOIDED["id"]) == [voiding["id"]]


async def test_every_filter_follows_references(tenant: Tenant) -> None:
    registration = str(uuid4())
    target = statement(actor=ADA, verb=READ, object=SHELF, context={
        "instructor": EVE, "registration": registration, "contextActivities": {"parent": [BOOK]}})
    referring = ref(target)
    await tenant.post(referring)
    await tenant.post(target)
    found = [target["id"], referring["id"]]
    for asked in (
        {"agent": agent(ADA)}, {"verb": READ["id"]}, {"activity": SHELF["id"]}, {"registration": registration}, {"agent": agent(EVE), "related_agents": "true"},
        {"activity": BOOK["id"], "related_activities": "true"}, {"activity": SHELF["id"], "related_activities": "true"},
        {"agent": agent(EVE), "related_agents": "true", "activity": BOOK["id"], "related_activities": "true", "verb": READ["id"], "registration": registration},
    ):
        assert await tenant.ids(**asked) == found, asked
    assert await tenant.ids(agent=agent(EVE)) == await tenant.ids(activity=BOOK["id"]) == []


async def test_one_statement_of_a_chain_has_to_match_all_filters(tenant: Tenant) -> None:
    far = statement(actor=ADA)
    near = ref(far, verb=READ)
    own = ref(near, actor=EVE, verb={"id": "http://example.org/verbs/noted"})
    await tenant.post(far, near, own)
    assert await tenant.ids(agent=agent(ADA)) == await tenant.ids(agent=agent(ADA), verb=far["verb"]["id"]) == [own["id"], near["id"], far["id"]]
    assert await tenant.ids(verb=READ["id"]) == [own["id"], near["id"]]
    assert await tenant.ids(agent=agent(ADA), verb=READ["id"]) == []
    assert await tenant.ids(agent=agent(BOB), verb=READ["id"]) == [own["id"], near["id"]]


@pytest.mark.parametrize("order", [1, -1])
async def test_references_are_followed_sixteen_times_whatever_arrives_first(tenant: Tenant, order: int) -> None:
    chain = [statement(actor=ADA, verb=READ)]
    for number in range(18):
        chain.append(ref(chain[-1], actor={"mbox": f"mailto:someone{number}@example.org"}))
    for each in chain[::order]:
        await tenant.post(each)
    assert set(await tenant.ids(verb=READ["id"])) == {each["id"] for each in chain[:17]}


async def test_statements_that_refer_to_each_other_or_themselves_are_found_once(tenant: Tenant) -> None:
    one, other = statement(), statement(actor=BOB, verb=READ)
    one["object"], other["object"] = ({"objectType": "StatementRef", "id": each["id"]} for each in (other, one))
    self_made = statement(verb=READ)
    self_made["object"] = {"objectType": "StatementRef", "id": self_made["id"]}
    await tenant.post(one, other, self_made)
    assert await tenant.ids(verb=READ["id"]) == [self_made["id"], other["id"], one["id"]]


async def test_nothing_widens_what_read_mine_shows(tenant: Tenant) -> None:
    theirs = statement(actor=ADA, verb=READ, context={"instructor": EVE, "contextActivities": {"parent": [BOOK]}})
    secret = statement(actor=ADA, verb=READ)
    await tenant.post(theirs, secret, void(secret), ref(theirs))
    own = await tenant.with_scopes("statements/write", "statements/read/mine")
    mine, probe, voiding = statement(actor=EVE, verb=READ), ref(theirs), void(theirs)
    await tenant.post(mine, probe, voiding, client=own)

    async def listed(**params: Any) -> list[str]:
        answer = await own.get(STATEMENTS, params=params)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["statements"]]

    assert await listed() == [voiding["id"], probe["id"], mine["id"]]
    assert await listed(verb=READ["id"]) == [mine["id"]]  # what refers to theirs would tell its verb
    assert await listed(agent=agent(ADA), related_agents="true") == []
    assert await listed(agent=agent(EVE), related_agents="true") == [mine["id"]]
    assert await listed(activity=BOOK["id"], related_activities="true") == []
    for id_ in (theirs["id"], secret["id"]):
        for name in ("statementId", "voidedStatementId"):
            assert (await own.get(STATEMENTS, params={name: id_})).status_code == 404, (name, id_)
    more = (await tenant.get(STATEMENTS, limit=1))["more"]
    assert (await own.get(more)).status_code == 400
    assert (await tenant.ids(verb=READ["id"]))[-1] == theirs["id"]  # a void by another authority is not in force


async def test_head_answers_every_filter_as_get_does(tenant: Tenant) -> None:
    target = statement(actor=ADA, context={"contextActivities": {"parent": [BOOK]}})
    await tenant.post(target, ref(target))
    for params in ({"agent": agent(ADA), "related_agents": "true"}, {"activity": BOOK["id"], "related_activities": "true", "limit": "1"}):
        got, head = await tenant.client.get(STATEMENTS, params=params), await tenant.client.head(STATEMENTS, params=params)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert head.headers["Content-Length"] == str(len(got.content))


@pytest.mark.parametrize("ascending", ["true", "false"])
async def test_paging_to_the_end_while_sixteen_write_loses_and_doubles_nothing(tenant: Tenant, ascending: str) -> None:
    first = [statement(actor=BOB, context={"instructor": ADA}) for _ in range(40)]
    first += [ref(each, actor={"mbox": f"mailto:{number}@example.org"}) for number, each in enumerate(first[:20])]
    await tenant.post(*first)
    stop = asyncio.Event()

    async def write(number: int) -> None:
        while not stop.is_set():
            one = statement(actor={"mbox": f"mailto:writer{number}@example.org"}, context={"instructor": ADA})
            await tenant.post(one, ref(one), void(one))

    writers = asyncio.gather(*(write(number) for number in range(16)))
    answer = await tenant.client.get(STATEMENTS, params={"agent": agent(ADA), "related_agents": "true", "limit": "7", "ascending": ascending})
    through, pages = answer.headers["X-Experience-API-Consistent-Through"], [answer.json()]
    while pages[-1]["more"]:
        answer = await tenant.client.get(pages[-1]["more"])
        assert answer.headers["X-Experience-API-Consistent-Through"] == through
        pages.append(answer.json())
    stop.set()
    await writers
    seen = [each["id"] for page in pages for each in page["statements"]]
    stored = [each["stored"] for page in pages for each in page["statements"]]
    assert len(seen) == len(set(seen))
    assert {each["id"] for each in first} <= set(seen)
    assert stored == sorted(stored, reverse=ascending == "false")
    again = await tenant.ids(agent=agent(ADA), related_agents="true", until=through, ascending=ascending)
    assert [id_ for id_ in seen if id_ in set(again)] == again  # but for what was voided since
