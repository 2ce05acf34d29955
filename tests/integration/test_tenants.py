"""No tenant sees, counts, probes or alters what another has: every route, asked by one tenant with another's ids and with ids that nobody has, says the same.

Two tenants hold the same statement ids, agents, activities, documents, attachments, links and courses; a third one asks.
"""
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from services.api.app import create_api
from tests.integration.api_service import Service, Tenant, api_service
from tests.integration.programmes import awarded, passed, publish, rule
from tests.integration.test_scopes import _routes
from tests.servers.in_process import statement
from tests.servers.postgres import PostgresServer

STATEMENTS, VOIDED = "/xapi/statements", {"id": "http://adlnet.gov/expapi/verbs/voided"}
LISTS = {"/v1/courses", "/v1/learners", "/v1/quarantine", "/v1/programmes", "/v1/issuers", "/v1/events"}
"""What is asked for without a name."""
OF_NOBODY = {"/", "/docs", "/docs/openapi.json", "/healthz/live", "/healthz/ready", "/metrics", "/xapi/about"}
"""Paths that have nothing of any tenant: pages, health, and the operators' figures."""


@dataclass(frozen=True)
class Names:
    """What something can be asked for by. As many as there are kinds of ids."""

    statement: str
    voided: str
    mail: str
    activity: str
    registration: str
    document: str
    content: str
    learner: str
    link: str
    set_aside: str
    slug: str
    credential: str

    @property
    def agent(self) -> dict[str, str]:
        return {"mbox": self.mail}

    @property
    def other(self) -> dict[str, str]:
        return {"mbox": self.mail.replace("mailto:", "mailto:x-")}

    @property
    def place(self) -> dict[str, str]:
        return {"activityId": self.activity, "agent": json.dumps(self.agent)}


def names(**known: str) -> Names:
    """Return names that nobody has ever used, but for those known."""
    made = {field.name: str(uuid4()) for field in fields(Names)}
    made |= {"mail": f"mailto:{uuid4()}@example.org", "activity": f"https://courses.example.org/{uuid4()}"}
    return Names(**(made | known))


async def fill(tenant: Tenant, it: Names) -> Names:
    """Give a tenant something of everything under these names; return them with the ids it was given."""
    client, sha2 = tenant.client, hashlib.sha256(it.content.encode()).hexdigest()
    attachment = {"usageType": "http://example.org/u", "display": {"en": "a"}, "contentType": "text/plain", "length": len(it.content), "sha2": sha2}
    course = {"id": it.activity, "definition": {"type": "http://adlnet.gov/expapi/activities/course", "name": {"en": "Algebra"}}}
    sent = statement(id=it.statement, actor={**it.agent, "name": "Ada"}, object=course, context={"registration": it.registration}, attachments=[attachment])
    body = (f"--b\r\nContent-Type: application/json\r\n\r\n{json.dumps(sent)}\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n"
            f"X-Experience-API-Hash: {sha2}\r\n\r\n{it.content}\r\n--b--\r\n")
    answer = await client.post(STATEMENTS, content=body.encode(), headers={"Content-Type": "multipart/mixed; boundary=b"})
    assert answer.status_code == 200, answer.text
    await tenant.post(statement(id=it.voided, actor=it.other, object=course))
    await tenant.post(statement(verb=VOIDED, object={"objectType": "StatementRef", "id": it.voided}))
    for path, params in (("state", it.place), ("profile", {"activityId": it.activity})):
        name = {"stateId" if path == "state" else "profileId": it.document}
        assert (await client.post(f"/xapi/activities/{path}", params={**params, **name}, json={"a": 1})).status_code == 204
    assert (await client.post("/xapi/agents/profile", params={"agent": json.dumps(it.agent), "profileId": it.document}, json={})).status_code == 204
    assert (await client.put("/v1/courses", json={"courses": [{"id": it.activity, "name": "Algebra"}]})).status_code == 204
    link = await client.post("/v1/identity/links", json={"agents": [it.agent, it.other], "reason": "one person"})
    assert link.status_code == 201, link.text
    pool = tenant.service.web.state.pool
    tenant_id = await pool.fetchval("select id from tenant where name = $1", tenant.name)
    await pool.execute(
        "insert into quarantined (tenant_id, id, statement_id, credential, authority, scopes, xapi, received, raw, sent, faults) "
        "values ($1, $2, $3, 'k', '{}', '{}', '2.0.0', 1, '{}', '{}', '[]')", tenant_id, it.set_aside, it.statement)
    learner = await tenant.learner(it.agent, link.headers["LRS-Position"])
    credential = await given(tenant, it)
    return names(**{field.name: getattr(it, field.name) for field in fields(Names)} | {
        "learner": learner, "link": link.json()["id"], "credential": credential["id"]})


async def given(tenant: Tenant, it: Names) -> Any:
    """Give a tenant an issuer and a programme of the same slug, and the learner its credential."""
    issuer = {"name": "Example University", "url": "https://university.example.org"}
    assert (await tenant.client.put(f"/v1/issuers/{it.slug}", json=issuer)).status_code == 204
    await publish(tenant, rule(it.slug, more=f"issuer: {it.slug}"))
    await tenant.post(passed("algebra", it.agent), passed("logic", it.agent))
    return await awarded(tenant, it.agent, it.slug)


Ask = Callable[[httpx.AsyncClient, Names], Awaitable[httpx.Response]]


def get(path: str, **params: Callable[[Names], str]) -> Ask:
    return lambda client, it: client.get(_filled(path, it), params={name: value(it) for name, value in params.items()})


def _filled(path: str, it: Names) -> str:
    which = "link" if "links" in path else "set_aside" if "quarantine" in path else "credential" if path.startswith("/v1/credentials") else "learner"
    return path.replace("{id}", str(getattr(it, which))).replace("{slug}", it.slug)


def ask(method: str, path: str, body: Any = None, params: Callable[[Names], dict[str, str]] = lambda _: {}) -> Ask:
    return lambda client, it: client.request(method, _filled(path, it), params=params(it), json=body(it) if body else None)


def _state(it: Names) -> dict[str, str]:
    return {**it.place, "stateId": it.document}


def _activity_profile(it: Names) -> dict[str, str]:
    return {"activityId": it.activity, "profileId": it.document}


def _agent_profile(it: Names) -> dict[str, str]:
    return {"agent": json.dumps(it.agent), "profileId": it.document}


def version_of(it: Names, version: int) -> dict[str, Any]:
    """Return a version of the programme with the slug, as JSON."""
    courses = [{"statement": {"verb": "passed", "activity": f"https://courses.example.org/{course}"}} for course in ("algebra", "rhetoric")]
    return {
        "programme": f"https://lrs.example.org/programmes/{it.slug}", "version": version, "title": "Hijacked", "award": {"type": "Badge"},
        "requires": {"all": courses}}


LEARNER = "/v1/learners/{id}"
DOCUMENTS = {"/xapi/activities/state": _state, "/xapi/activities/profile": _activity_profile, "/xapi/agents/profile": _agent_profile}
READS: dict[tuple[str, str, str], Ask] = {
    ("GET", STATEMENTS, "all"): get(STATEMENTS),
    ("GET", STATEMENTS, "attachments"): get(STATEMENTS, attachments=lambda _: "true"),
    ("GET", STATEMENTS, "id"): get(STATEMENTS, statementId=lambda it: it.statement),
    ("GET", STATEMENTS, "id, attachments"): get(STATEMENTS, statementId=lambda it: it.statement, attachments=lambda _: "true"),
    ("GET", STATEMENTS, "voided"): get(STATEMENTS, voidedStatementId=lambda it: it.voided),
    ("GET", STATEMENTS, "agent"): get(STATEMENTS, agent=lambda it: json.dumps(it.agent)),
    ("GET", STATEMENTS, "related"): get(STATEMENTS, agent=lambda it: json.dumps(it.agent), related_agents=lambda _: "true"),
    ("GET", STATEMENTS, "activity"): get(STATEMENTS, activity=lambda it: it.activity, related_activities=lambda _: "true", format=lambda _: "canonical"),
    ("GET", STATEMENTS, "registration"): get(STATEMENTS, registration=lambda it: it.registration),
    ("GET", "/xapi/activities", ""): get("/xapi/activities", activityId=lambda it: it.activity),
    ("GET", "/xapi/agents", ""): get("/xapi/agents", agent=lambda it: json.dumps(it.agent)),
    ("GET", "/v1/courses", ""): get("/v1/courses"),
    ("GET", "/v1/learners", ""): get("/v1/learners"),
    ("GET", "/v1/learners", "agent"): get("/v1/learners", agent=lambda it: json.dumps(it.agent)),
    ("GET", "/v1/learners", "q"): get("/v1/learners", q=lambda it: it.mail[7:20]),
    ("GET", LEARNER, ""): get(LEARNER),
    ("GET", f"{LEARNER}/transcript", ""): get(f"{LEARNER}/transcript"),
    ("GET", f"{LEARNER}/transcript", "then"): get(f"{LEARNER}/transcript", known_at=lambda _: "2099-01-01T00:00:00Z"),
    ("GET", f"{LEARNER}/transcript", "activity"): get(f"{LEARNER}/transcript", activity=lambda it: it.activity),
    ("GET", f"{LEARNER}/evidence", ""): get(f"{LEARNER}/evidence"),
    ("GET", f"{LEARNER}/credentials", ""): get(f"{LEARNER}/credentials"),
    ("GET", f"{LEARNER}/programmes", ""): get(f"{LEARNER}/programmes"),
    ("GET", f"{LEARNER}/programmes/{{slug}}/explain", ""): get(f"{LEARNER}/programmes/{{slug}}/explain"),
    **{("GET", path, ""): get(path) for path in ("/v1/programmes", "/v1/programmes/{slug}", "/v1/issuers", "/v1/issuers/{slug}")},
    ("GET", "/v1/credentials/{id}", ""): get("/v1/credentials/{id}"),
    ("GET", "/v1/events", ""): get("/v1/events"),
    ("POST", "/v1/programmes/preview", ""): ask("POST", "/v1/programmes/preview", lambda it: version_of(it, 2)),
    ("GET", "/v1/quarantine", ""): get("/v1/quarantine"),
    ("GET", "/v1/quarantine/{id}", ""): get("/v1/quarantine/{id}"),
    **{("GET", path, "ids"): ask("GET", path, params=lambda it, of=of: {k: v for k, v in of(it).items() if k not in {"stateId", "profileId"}})  # type: ignore[misc]
       for path, of in DOCUMENTS.items()},
    **{(method, path, "id"): ask(method, path, params=of) for path, of in DOCUMENTS.items() for method in ("GET", "HEAD")},
    ("HEAD", STATEMENTS, "id"): ask("HEAD", STATEMENTS, params=lambda it: {"statementId": it.statement}),
}
WRITES: dict[tuple[str, str, str], Ask] = {
    **{("DELETE", path, "id"): ask("DELETE", path, params=of) for path, of in DOCUMENTS.items()},
    ("DELETE", "/xapi/activities/state", "all"): ask("DELETE", "/xapi/activities/state", params=lambda it: it.place),
    ("DELETE", "/v1/identity/links/{id}", ""): ask("DELETE", "/v1/identity/links/{id}"),
    ("DELETE", "/v1/quarantine/{id}", ""): ask("DELETE", "/v1/quarantine/{id}"),
    ("POST", "/v1/programmes/{slug}/retire", ""): ask("POST", "/v1/programmes/{slug}/retire"),
    ("POST", "/v1/credentials/{id}/revoke", ""): ask("POST", "/v1/credentials/{id}/revoke", lambda _: {"reason": "mine"}),
    ("PUT", "/v1/credentials/{id}/visibility", ""): ask("PUT", "/v1/credentials/{id}/visibility", lambda _: {"public": True}),
    ("PUT", "/v1/issuers/{slug}", ""): ask("PUT", "/v1/issuers/{slug}", lambda _: {"name": "Hijacked", "url": "https://eve.example.org"}),
    ("POST", "/v1/programmes", ""): ask("POST", "/v1/programmes", lambda it: version_of(it, 7)),
    ("POST", "/v1/quarantine/{id}/redrive", ""): ask("POST", "/v1/quarantine/{id}/redrive", lambda _: statement()),
    ("POST", STATEMENTS, "void"): ask("POST", STATEMENTS, lambda it: statement(verb=VOIDED, object={"objectType": "StatementRef", "id": it.statement})),
    ("PUT", STATEMENTS, "id"): ask("PUT", STATEMENTS, lambda it: statement(id=it.statement, actor={"mbox": "mailto:eve@example.org"}),
                                   params=lambda it: {"statementId": it.statement}),
    ("POST", STATEMENTS, "id"): ask("POST", STATEMENTS, lambda it: statement(id=it.voided, actor={"mbox": "mailto:eve@example.org"})),
    ("POST", STATEMENTS, "attachment"): ask("POST", STATEMENTS, lambda it: statement(attachments=[{
        "usageType": "http://example.org/u", "display": {"en": "a"}, "contentType": "text/plain", "length": len(it.content),
        "sha2": hashlib.sha256(it.content.encode()).hexdigest()}])),
    ("PUT", "/v1/courses", ""): ask("PUT", "/v1/courses", lambda it: {"courses": [{"id": it.activity, "name": "Hijacked"}]}),
    ("POST", "/v1/identity/links", ""): ask(
        "POST", "/v1/identity/links", lambda it: {"agents": [it.agent, {"mbox": "mailto:eve@example.org"}], "reason": "mine"}),
    **{(method, path, "id"): ask(method, path, lambda _: {"b": 2}, of) for path, of in DOCUMENTS.items() for method in ("POST", "PUT")},
}
"""In this order: what removes comes before what makes, whose rows are the asking tenant's own from then on."""


@dataclass
class World:
    """Two tenants who have the same, what it is called, and those who ask."""

    service: Service
    owners: list[Tenant]
    theirs: list[Names]


@pytest_asyncio.fixture(scope="module")
async def world(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with api_service(postgres, tmp_path_factory.mktemp("tenants")) as service:
        owners, same = [await service.tenant() for _ in range(2)], names()
        yield World(service, owners, [await fill(owner, same) for owner in owners])


async def said(answer: httpx.Response, it: Names) -> tuple[int, str, set[str]]:
    """Return what an answer tells: its status, its body without the names asked for and what always differs, and which headers it has."""
    text = answer.text
    for field in fields(Names):
        text = text.replace(getattr(it, field.name), field.name).replace(getattr(it, field.name).removeprefix("mailto:"), field.name)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{32,}", "~", text)
    return answer.status_code, text, set(answer.headers)


async def everything(tenant: Tenant, it: Names) -> list[Any]:
    """Return all that a tenant is told about what it has."""
    return [await said(await way(tenant.client, it), it) for way in READS.values()]


@pytest.mark.parametrize("way", READS, ids=" ".join)
async def test_a_read_with_the_ids_of_others_says_what_it_says_of_ids_that_nobody_has(world: World, way: tuple[str, str, str]) -> None:
    stranger = await world.service.tenant()
    nothing = names()
    for it in world.theirs:
        assert await said(await READS[way](stranger.client, it), it) == await said(await READS[way](stranger.client, nothing), nothing)


async def test_what_others_have_is_there_for_themselves(world: World) -> None:
    """Or the test above would hold of a store that answers nothing."""
    nothing = names()
    for owner, it in zip(world.owners, world.theirs, strict=True):
        for way, read in READS.items():
            mine, none = [await said(await read(owner.client, of), of) for of in (it, nothing)]
            assert mine[0] == 200, way
            assert way in {("GET", STATEMENTS, "all"), ("GET", STATEMENTS, "attachments")} or way[1:] in {
                (path, "") for path in LISTS} or mine != none, way


async def test_writes_with_the_ids_of_others_go_as_with_ids_nobody_has_and_change_nothing_of_theirs(world: World) -> None:
    before = [await everything(owner, it) for owner, it in zip(world.owners, world.theirs, strict=True)]
    for it in world.theirs:
        knowing, guessing, nothing = await world.service.tenant(), await world.service.tenant(), names()
        for way, write in WRITES.items():
            assert await said(await write(knowing.client, it), it) == await said(await write(guessing.client, nothing), nothing), way
    assert [await everything(owner, it) for owner, it in zip(world.owners, world.theirs, strict=True)] == before


def test_every_route_is_asked(world: World) -> None:
    there = {("POST", STATEMENTS), ("PUT", STATEMENTS), *_routes(create_api(world.service.web.state).routes)}
    asked = {way[:2] for way in (*READS, *WRITES)}
    assert {route for route in there if route[1] not in OF_NOBODY and route[0] != "HEAD"} - asked - {("POST", "/v1/quarantine/{id}/redrive")} == set()
    assert {route for route in asked if route[0] != "HEAD"} - there <= {("POST", "/v1/quarantine/{id}/redrive")}
