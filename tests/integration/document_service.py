"""The three document resources for tests: an api on a database of its own (documents need no projector), and PUT and GET as the tests say them."""
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.web import create_app
from tests.integration.api_service import Service, Tenant
from tests.servers.in_process import settings_for, web_process
from tests.servers.postgres import PostgresServer

ADA = '{"mbox":"mailto:ada@example.org"}'
ALGEBRA = "https://courses.example.org/algebra"
NEW = {"If-None-Match": "*"}
JSON, BYTES = "application/json", "application/octet-stream"
READS, WRITES = ("GET", "HEAD"), ("PUT", "POST", "DELETE")


@dataclass(frozen=True)
class Resource:
    """One of the three, and the parameters of a place in it."""

    path: str
    context: tuple[tuple[str, str], ...]
    id: str
    scope: str

    def params(self, name: str | None = "one", **more: str) -> dict[str, str]:
        """Return the query of a document, or of the list it is in."""
        return {**dict(self.context), **({} if name is None else {self.id: name}), **more}

    def __str__(self) -> str:
        return self.path.removeprefix("/xapi/")


STATE = Resource("/xapi/activities/state", (("activityId", ALGEBRA), ("agent", ADA)), "stateId", "state")
ACTIVITY_PROFILE = Resource("/xapi/activities/profile", (("activityId", ALGEBRA),), "profileId", "profile")
AGENT_PROFILE = Resource("/xapi/agents/profile", (("agent", ADA),), "profileId", "profile")
RESOURCES = (STATE, ACTIVITY_PROFILE, AGENT_PROFILE)


@asynccontextmanager
async def document_service(postgres: PostgresServer, folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """Run an api on a database of its own."""
    dsn = postgres.create(migrated=True)
    try:
        async with web_process(settings_for(folder, **settings), dsn) as web:
            web.app = create_app(web.state)
            yield Service(web)
    finally:
        postgres.drop(dsn)


def tag_of(content: bytes) -> str:
    """Return the ETag of a content."""
    return f'"{hashlib.sha1(content).hexdigest()}"'


async def put(tenant: Tenant, resource: Resource, content: bytes, name: str = "one", content_type: str = BYTES, **params: str) -> httpx.Response:
    """Let a document be this, whatever was there."""
    where = resource.params(name, **params)
    await tenant.client.delete(resource.path, params=where)
    answer = await tenant.client.put(resource.path, params=where, content=content, headers=[
        (b"If-None-Match", b"*"), (b"Content-Type", content_type.encode("latin-1"))])
    assert answer.status_code == 204, answer.text
    return answer


async def get(tenant: Tenant, resource: Resource, name: str | None = "one", status: int = 200, **params: str) -> httpx.Response:
    """Return the answer of a GET, which must have this status."""
    answer = await tenant.client.get(resource.path, params=resource.params(name, **params))
    assert answer.status_code == status, answer.text
    return answer
