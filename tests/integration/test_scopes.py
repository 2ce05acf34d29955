"""Who may do what: every route with every scope, on statements of one's own and of others, against the verdicts of scope_table.txt."""
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from services.api.app import create_api
from services.core.scopes import KNOWN
from tests.integration.api_service import Service, api_service
from tests.servers.in_process import statement
from tests.servers.postgres import PostgresServer

TABLE = Path(__file__).with_name("scope_table.txt")
STATEMENTS = "/xapi/statements"
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}
ACTIVITY, AGENT = "https://courses.example.org/algebra", json.dumps({"mbox": "mailto:ada@example.org"})
DOCUMENT = {"activityId": ACTIVITY, "agent": AGENT}
NOBODY = "none"


@dataclass(frozen=True)
class Row:
    """A line of the table: a method and a path, in which way it is asked, about whose statement, and the verdict for each scope."""

    method: str
    path: str
    way: str
    whose: str
    verdicts: dict[str, str]

    def __str__(self) -> str:
        return " ".join(part for part in (self.method, self.path, self.way, self.whose) if part != "-")


def _table() -> tuple[list[str], list[Row]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    scopes = lines[0].split()[4:]
    cells = (line.split() for line in lines[1:])
    return scopes, [Row(method, path, way, whose, dict(zip(scopes, verdicts, strict=True))) for method, path, way, whose, *verdicts in cells]


SCOPES, ROWS = _table()


@dataclass
class Asked:
    """A client with one scope, and a statement it may or may not reach: `voided` and `target` are others of the same authority."""

    client: httpx.AsyncClient
    id: str
    voided: str
    target: str


@dataclass
class World:
    """A tenant with the same statements of two authorities: the one that all scopes' keys vouch with, and another."""

    service: Service
    keys: dict[str, httpx.AsyncClient]
    admin: httpx.AsyncClient
    own: dict[str, str]
    other: dict[str, str]
    writers: dict[str, httpx.AsyncClient]


@pytest_asyncio.fixture(scope="module")
async def world(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with api_service(postgres, tmp_path_factory.mktemp("scopes")) as service:
        tenant = await service.tenant()
        writers = {whose: await tenant.with_scopes("all", name=whose) for whose in ("own", "other")}
        keys = {scope: service.web.client(None) if scope == NOBODY else await tenant.with_scopes(scope, name="own") for scope in SCOPES}
        own, other = [await _written(writers[whose]) for whose in ("own", "other")]
        yield World(service, keys, tenant.client, own, other, writers)


async def _written(client: httpx.AsyncClient) -> dict[str, str]:
    """Write a statement, and one that is voided, and return their ids."""
    ids = {"id": str(uuid4()), "voided": str(uuid4())}
    void = statement(verb=VOIDED, object={"objectType": "StatementRef", "id": ids["voided"]})
    for sent in ([statement(id=ids["id"]), statement(id=ids["voided"])], [void]):
        answer = await client.post(STATEMENTS, json=sent)
        assert answer.status_code == 200, answer.text
    return ids


def _multipart(content: bytes) -> dict[str, Any]:
    body = b"--b\r\nContent-Type: application/json\r\n\r\n" + content + b"\r\n--b--\r\n"
    return {"content": body, "headers": {"Content-Type": "multipart/mixed; boundary=b"}}


def _form(method: str, **fields: str) -> dict[str, Any]:
    return {"params": {"method": method}, "data": {"X-Experience-API-Version": "1.0.3", **fields}, "headers": {"X-Experience-API-Version": "1.0.3"}}


async def _pages(client: httpx.AsyncClient) -> httpx.Response:
    """Return an answer that holds all pages of a list."""
    answer = await client.get(STATEMENTS, params={"limit": 1})
    found = []
    while answer.status_code == 200:
        found.append(answer.text)
        more = answer.json()["more"]
        if not more:
            return httpx.Response(200, text="".join(found))
        answer = await client.get(more)
    return answer


_WAYS: dict[tuple[str, str, str], Callable[[Asked], Awaitable[httpx.Response]]] = {
    ("POST", STATEMENTS, "-"): lambda it: it.client.post(STATEMENTS, json=statement()),
    ("POST", STATEMENTS, "multipart"): lambda it: it.client.post(STATEMENTS, **_multipart(json.dumps(statement()).encode())),
    ("POST", STATEMENTS, "void"): lambda it: it.client.post(STATEMENTS, json=statement(verb=VOIDED, object={"objectType": "StatementRef", "id": it.target})),
    ("POST", STATEMENTS, "method=GET"): lambda it: it.client.post(STATEMENTS, **_form("GET", statementId=it.id)),
    ("POST", STATEMENTS, "method=PUT"): lambda it: it.client.post(
        STATEMENTS, **_form("PUT", statementId=(i := str(uuid4())), content=json.dumps(statement(id=i)))),
    ("PUT", STATEMENTS, "-"): lambda it: it.client.put(STATEMENTS, params={"statementId": (i := str(uuid4()))}, json=statement(id=i)),
    ("GET", STATEMENTS, "id"): lambda it: it.client.get(STATEMENTS, params={"statementId": it.id}),
    ("GET", STATEMENTS, "id,attachments"): lambda it: it.client.get(STATEMENTS, params={"statementId": it.id, "attachments": "true"}),
    ("GET", STATEMENTS, "voided"): lambda it: it.client.get(STATEMENTS, params={"voidedStatementId": it.voided}),
    ("GET", STATEMENTS, "list"): lambda it: it.client.get(STATEMENTS),
    ("GET", STATEMENTS, "list,pages"): lambda it: _pages(it.client),
    ("GET", STATEMENTS, "list,related"): lambda it: it.client.get(STATEMENTS, params={"agent": AGENT, "related_agents": "true", "related_activities": "true"}),
    ("HEAD", STATEMENTS, "id"): lambda it: it.client.head(STATEMENTS, params={"statementId": it.id}),
    ("HEAD", STATEMENTS, "list"): lambda it: it.client.head(STATEMENTS),
    ("GET", "/xapi/agents", "-"): lambda it: it.client.get("/xapi/agents", params={"agent": AGENT}),
    ("GET", "/xapi/activities", "-"): lambda it: it.client.get("/xapi/activities", params={"activityId": ACTIVITY}),
    ("POST", "/xapi/activities/state", "method=PUT"): lambda it: it.client.post(
        "/xapi/activities/state", **_form("PUT", **DOCUMENT, stateId=str(uuid4()), content="{}")),
    ("POST", "/xapi/activities/state", "method=GET"): lambda it: it.client.post("/xapi/activities/state", **_form("GET", **DOCUMENT)),
    **{
        (method, path, "-"): lambda it, method=method, path=path, params=params: it.client.request(  # type: ignore[misc]
            method, path, params=params if method in {"GET", "HEAD"} else {**params, name_of(path): "x"}, json={} if method in {"PUT", "POST"} else None)
        for path, params in (
            ("/xapi/activities/state", DOCUMENT), ("/xapi/activities/profile", {"activityId": ACTIVITY}), ("/xapi/agents/profile", {"agent": AGENT}))
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE")
    },
}


def name_of(path: str) -> str:
    """Return the parameter that names a document."""
    return "stateId" if path.endswith("state") else "profileId"


async def _verdict(row: Row, it: Asked, admin: httpx.AsyncClient) -> str:
    """Return what became of a request: 401, `no`, `hides` (404, or a list without the statement), or `yes`."""
    ask = _WAYS.get((row.method, row.path, row.way))
    answer = await (ask(it) if ask else it.client.request(row.method, re.sub(r"\{\w+\}", str(UUID(int=7)), row.path), json={} if row.method != "GET" else None))
    assert answer.status_code < 500, answer.text
    assert ask is None or answer.status_code in {401, 403, 404} or answer.is_success or row.path.endswith(("state", "profile")), answer.text
    if answer.status_code in {401, 403}:
        assert row.method == "HEAD" or answer.json()["detail"]
        return {401: "401", 403: "no"}[answer.status_code]
    if row.way == "void":
        return "yes" if (await admin.get(STATEMENTS, params={"statementId": it.target})).status_code == 404 else "void"
    if ask and row.whose != "-" and (answer.status_code == 404 or ("list" in row.way and row.method == "GET" and it.id not in answer.text)):
        return "hides"
    return "yes"


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_route_gives_each_scope_what_the_table_says(world: World, row: Row) -> None:
    ids = world.other if row.whose == "other" else world.own
    found = {}
    for scope in SCOPES:
        target = str(uuid4())
        if row.way == "void":
            await world.writers[row.whose].post(STATEMENTS, json=statement(id=target))
        found[scope] = await _verdict(row, Asked(world.keys[scope], ids["id"], ids["voided"], target), world.admin)
    assert found == row.verdicts


def _routes(routes: list[Any]) -> Iterator[tuple[str, str]]:
    """Give method and path of every route, those of routers within routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        elif not hasattr(route, "methods"):
            raise AssertionError(f"{route!r} is of a kind that the table knows nothing of")
        else:
            yield from ((method, route.path) for method in route.methods)


def test_every_route_is_in_the_table_and_every_line_of_it_is_a_route(world: World) -> None:
    there = {("POST", STATEMENTS), ("PUT", STATEMENTS), ("POST", "/v1/quarantine/{id}/redrive"), *_routes(create_api(world.service.web.state).routes)}
    known = {(row.method, row.path) for row in ROWS if not row.way.startswith("method=")}
    assert known - {("HEAD", path) for _, path in known} == there - {("HEAD", path) for _, path in there}


def test_every_scope_is_in_the_table() -> None:
    assert set(SCOPES) == {NOBODY, *KNOWN}


async def test_an_empty_user_and_password_are_nobody(world: World) -> None:
    for header in ("Basic Og==", "Basic IDo=", "Basic IDog"):
        answer = await world.keys[NOBODY].get(STATEMENTS, headers={"Authorization": header})
        assert answer.status_code == 401, header


async def test_who_may_not_define_leaves_the_definition_of_an_activity_as_it_was(world: World) -> None:
    activity = f"https://courses.example.org/{uuid4()}"

    def about(name: str) -> dict[str, Any]:
        return statement(object={"id": activity, "definition": {"name": {"en": name}}})

    for scope, name in (("all", "Algebra"), ("statements/write", "Hijacked")):
        assert (await world.keys[scope].post(STATEMENTS, json=about(name))).status_code == 200
    answer = await world.keys["all"].get("/xapi/activities", params={"activityId": activity})
    assert answer.json()["definition"]["name"] == {"en": "Algebra"}


async def test_who_reads_only_his_own_learns_nothing_of_others_through_references(world: World) -> None:
    hidden, reference = str(uuid4()), str(uuid4())
    activity, mine = f"https://courses.example.org/{uuid4()}", world.keys["statements/read/mine"]
    await world.writers["other"].post(STATEMENTS, json=statement(id=hidden, object={"id": activity}))
    await world.writers["own"].post(STATEMENTS, json=statement(id=reference, object={"objectType": "StatementRef", "id": hidden}))
    for way in ({}, {"related_activities": "true"}):
        everything = await world.keys["statements/read"].get(STATEMENTS, params={"activity": activity, **way})
        assert {each["id"] for each in everything.json()["statements"]} == {hidden, reference}
        found = await mine.get(STATEMENTS, params={"activity": activity, **way})
        assert found.json()["statements"] == []
