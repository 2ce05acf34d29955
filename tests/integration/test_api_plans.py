"""Lists of statements at some size: whatever the parameters, a page is read in the order of one index, also by the plan made for no values in particular."""
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import pytest_asyncio

from services.api import statement_query
from services.core.keys import key64
from services.core.timeline import greatest_seq, micros
from tests.integration.api_service import Service, api_service, generic_plan
from tests.servers.postgres import PostgresServer

LISTS = {
    "all": ({}, "statement_seq"),
    "ascending": ({"ascending": "true"}, "statement_seq"),
    "verb": ({"verb": "http://example.org/verb/1"}, "statement_verb"),
    "activity": ({"activity": "http://example.org/activity/1"}, "statement_activity"),
    "registration": ({"registration": str(UUID(int=1))}, "statement_registration"),
    "agent": ({"agent": '{"mbox":"mailto:1@example.org"}'}, "statement_actor"),
    "verb since until": ({"verb": "http://example.org/verb/1", "since": "2025-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}, "statement_verb"),
}


@pytest_asyncio.fixture(scope="module")
async def service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with api_service(postgres, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def many(service: Service) -> Service:
    """Fifty thousand statements of another tenant, written straight into the table, with statistics."""
    first = greatest_seq(micros(datetime(2026, 1, 1, tzinfo=UTC)))
    rows = [
        (999, UUID(int=number), first + number * 256, key64(f"mbox:mailto:{number % 500}@example.org"), key64(f"http://example.org/verb/{number % 10}"),
         key64(f"http://example.org/activity/{number % 100}"), UUID(int=number % 5000), 1, 0, b"{}")
        for number in range(50_000)
    ]
    async with service.web.state.pool.acquire() as connection:
        await connection.execute("set search_path to statements_1, testamur")
        await connection.copy_records_to_table("statement", records=rows, columns=(
            "tenant_id", "id", "seq", "actor", "verb", "activity", "registration", "authority", "flags", "raw"), timeout=60)
        await connection.execute("analyze statement")
        await connection.execute("set search_path to testamur")
    return service


@pytest.mark.parametrize("name", LISTS)
async def test_lists_read_a_page_in_the_order_of_one_index_whatever_the_parameters(many: Service, name: str) -> None:
    params, index = LISTS[name]
    wanted = statement_query.parse(params)
    assert isinstance(wanted, statement_query.Listing)
    text, args = statement_query.page_sql(wanted, 999, authority=None, through=None, after=None)
    async with many.web.state.pool.acquire() as connection, connection.transaction():
        plan = await generic_plan(connection, text, args)
    assert index in plan, plan
    assert "Seq Scan on statement" not in plan, plan
    assert "Bitmap" not in plan, plan
