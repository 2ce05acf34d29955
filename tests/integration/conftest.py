"""Fixtures of several modules: a tenant of each test's own where the module has a `service` (tests/integration/api_service.py: `served`), and ingest alone."""
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.api_service import VERSIONS, Service, Tenant
from tests.integration.document_service import RESOURCES, Resource
from tests.servers.in_process import Web, running_projector, settings_for, web_process


@pytest_asyncio.fixture
async def tenant(service: Service) -> Tenant:
    """A tenant that holds nothing yet."""
    return await service.tenant()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, tenant: Tenant) -> str:
    """The version of xAPI that the tenant's client speaks: a test that asks for it runs in each."""
    spoken: str = request.param
    tenant.client.headers["X-Experience-API-Version"] = spoken
    return spoken


@pytest.fixture(params=RESOURCES, ids=str)
def resource(request: pytest.FixtureRequest) -> Resource:
    """One of the three resources of documents: a test that asks for it runs on each."""
    one: Resource = request.param
    return one


@pytest_asyncio.fixture
async def web(database: str, tmp_path: Path) -> AsyncIterator[Web]:
    """A web process without a projector; its wait for visibility is long, so that a test that passes did not pass by its end."""
    async with web_process(settings_for(tmp_path, max_body_bytes=1 << 16, max_statements=20), database, visible_s=20.0, body_s=1.0) as running:
        yield running


@pytest_asyncio.fixture
async def folded(web: Web) -> AsyncIterator[Web]:
    """The same with a projector at work."""
    async with running_projector(web.state):
        yield web
