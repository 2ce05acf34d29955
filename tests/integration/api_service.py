"""Everything of `testamur up` in the test's own event loop: ingest, the api and a projector on one database; a tenant of its own for each test."""
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from services.web import create_app
from tests.servers.in_process import Web, running_projector, settings_for, web_process
from tests.servers.postgres import PostgresServer

THROUGH = "X-Experience-API-Consistent-Through"
STATEMENTS = "/xapi/statements"
VERSIONS = ("1.0.3", "2.0.0")
COURSE_TYPE = "http://adlnet.gov/expapi/activities/course"


@dataclass
class Tenant:
    """One tenant, seen through its administrator's client."""

    service: "Service"
    name: str
    client: httpx.AsyncClient

    async def with_scopes(self, *scopes: str, name: str = "other") -> httpx.AsyncClient:
        """Return the client of another key, which vouches with an account of that name."""
        authority = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": name}}
        return self.service.web.client(await self.service.web.key(*scopes, tenant=self.name, name=name, authority=authority))

    async def post(self, *statements: dict[str, Any], client: httpx.AsyncClient | None = None) -> str:
        """Post statements, which are visible then, and return their position."""
        answer = await (client or self.client).post(STATEMENTS, json=list(statements))
        assert answer.status_code == 200, answer.text
        return answer.headers["LRS-Position"]

    async def get(self, path: str, status: int = 200, *, position: str | None = None, **params: Any) -> Any:
        """Get a path, folded up to a position, and return what it answers."""
        headers = {"LRS-Min-Position": position, "Prefer": "wait=10"} if position else {}
        answer = await self.client.get(path, params=params or None, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def learner(self, agent: dict[str, Any], position: str | None = None) -> str:
        """Return the id of the learner an agent is."""
        [found] = (await self.get("/v1/learners", agent=orjson.dumps(agent).decode(), position=position))["learners"]
        return str(found["id"])

    async def ids(self, **params: Any) -> list[str]:
        """Return the ids that a list of statements gives, in its order, all pages of it."""
        found, page = [], await self.get(STATEMENTS, **params)
        while True:
            found += [each["id"] for each in page["statements"]]
            if not page["more"]:
                return found
            page = await self.get(page["more"])


@dataclass
class Service:
    """The running service."""

    web: Web

    async def tenant(self) -> Tenant:
        """Return a tenant that holds nothing yet."""
        name = f"tenant-{uuid4()}"
        return Tenant(self, name, self.web.client(await self.web.key("lrs:admin", tenant=name)))


@asynccontextmanager
async def api_service(postgres: PostgresServer, folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """Run the service on a database of its own."""
    dsn = postgres.create(migrated=True)
    try:
        async with web_process(settings_for(folder, **settings), dsn) as web, running_projector(web.state):
            web.app = create_app(web.state)
            yield Service(web)
    finally:
        postgres.drop(dsn)


def served(run: Callable[..., AbstractAsyncContextManager[Service]], **settings: Any) -> Any:
    """Return the fixture `service` of a module of tests, which share it: what `run` runs, with these settings."""
    @pytest_asyncio.fixture(scope="module")
    async def service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
        async with run(postgres, tmp_path_factory.mktemp("service"), **settings) as running:
            yield running

    return service


async def generic_plan(connection: Any, text: str, args: Sequence[object]) -> str:
    """Return the plan that a prepared text gets when it has been used often, whatever its arguments. Call it in a transaction."""
    types = [parameter.name for parameter in (await connection.prepare(text)).get_parameters()]
    await connection.execute("set local plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare looked_at ({', '.join(types)}) as {text}")
    values = ["null" if value is None else f"'{value}'" for value in args]
    rows = await connection.fetch(f"explain (costs off) execute looked_at ({', '.join(values)})")
    await connection.execute("deallocate looked_at")
    return "\n".join(row[0] for row in rows)
