"""Lists of statements at some size: whatever is asked for, a page is read in the order of indexes, never by reading a whole table.

Single filters are planned once for no values in particular; what combines is planned with its values each time, so that the rarest leads.
All of it under row-level security, as in a web process.
"""
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from services.api import learners, statement_query
from services.api.context import IN_ORDER
from services.core.keys import key64
from services.core.statement_keys import Via
from services.core.timeline import greatest_seq, micros
from services.runtime.access import WEB
from tests.integration.api_service import Service, api_service, generic_plan, served

TENANT, STATEMENTS = 999, 50_000
VERB, RARE, ACTIVITY = "http://example.org/verb/1", "http://example.org/verb/rare", "http://example.org/activity/1"
COURSE, EVERY = "http://example.org/course/1", "http://example.org/every"
AGENT, TEACHER = '{"mbox":"mailto:1@example.org"}', '{"mbox":"mailto:teacher1@example.org"}'
TABLES = ("statement", "statement_agent", "related_activity", "statement_via")

LISTS = {
    "all": ({}, "statement_seq"),
    "ascending": ({"ascending": "true"}, "statement_seq"),
    "verb": ({"verb": VERB}, "statement_verb"),
    "activity": ({"activity": ACTIVITY}, "statement_activity"),
    "registration": ({"registration": str(UUID(int=1))}, "statement_registration"),
    "agent": ({"agent": AGENT}, "statement_actor"),
    "verb since until": ({"verb": VERB, "since": "2025-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}, "statement_verb"),
}
PLANNED = {
    "related agent": ({"agent": TEACHER, "related_agents": "true"}, "statement_agent_pkey"),
    "related activity": ({"activity": COURSE, "related_activities": "true"}, "related_activity_pkey"),
    "related activity of every statement": ({"activity": EVERY, "related_activities": "true"}, "related_activity_pkey"),
    "related course and a rare verb": ({"activity": COURSE, "related_activities": "true", "verb": RARE}, "statement_verb"),
    "related course and agent": ({"activity": COURSE, "related_activities": "true", "agent": AGENT}, "statement_actor"),
    "related course and related agent": (
        {"activity": COURSE, "related_activities": "true", "agent": TEACHER, "related_agents": "true"}, "related_activity_pkey"),
    "agent and verb": ({"agent": AGENT, "verb": VERB}, "statement_actor"),
}


service = served(api_service)


def _place(number: int) -> int:
    return greatest_seq(micros(datetime(2026, 1, 1, tzinfo=UTC))) + number * 256


def _rows() -> dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Return columns and rows of each table."""
    numbers = range(STATEMENTS)
    verb_of = {number: key64(RARE if number % 5000 == 7 else f"http://example.org/verb/{number % 10}") for number in numbers}
    return {
        "statement": (("tenant_id", "id", "seq", "actor", "verb", "activity", "registration", "authority", "flags", "raw"), [
            (TENANT, UUID(int=number), _place(number), key64(f"mbox:mailto:{number % 500}@example.org"), verb_of[number],
             key64(f"http://example.org/activity/{number % 100}"), UUID(int=number % 5000), 1, 0, b"{}") for number in numbers]),
        "statement_agent": (("agent", "seq", "tenant_id", "related"), [
            (key64(f"mbox:mailto:teacher{number % 20}@example.org"), _place(number), TENANT, number % 10 > 0) for number in numbers]),
        "related_activity": (("activity", "seq", "tenant_id"), [
            (key64(iri), _place(number), TENANT) for number in numbers for iri in (f"http://example.org/course/{number % 50}", EVERY)]),
        "statement_via": (("key", "seq", "whole", "tenant_id", "kind", "hops"), [
            (verb_of[number - 10], _place(number), _place(number - 10), TENANT, int(Via.VERB), 1) for number in range(10, STATEMENTS, 10)]),
    }


@pytest_asyncio.fixture(scope="module")
async def many(service: Service) -> Service:
    """Fifty thousand statements of another tenant, written straight into the tables, with statistics."""
    async with service.web.state.pool.acquire() as connection:
        await connection.execute("set search_path to statements_1, testamur")
        for table, (columns, rows) in _rows().items():
            await connection.copy_records_to_table(table, records=rows, columns=columns, timeout=60)
            await connection.execute(f"analyze {table}")
        await connection.execute("set search_path to testamur")
    return service


def _query(params: dict[str, str], authority: int | None = None) -> tuple[str, list[object]]:
    wanted = statement_query.parse({"limit": "100", **params})
    assert isinstance(wanted, statement_query.Listing)
    return statement_query.page_sql(wanted, TENANT, authority=authority, through=None, after=None)


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for each in plan.get("Plans", ()) for node in _nodes(each))]


@pytest.mark.parametrize("name", LISTS)
async def test_lists_read_a_page_in_the_order_of_one_index_whatever_the_parameters(many: Service, name: str) -> None:
    params, index = LISTS[name]
    async with many.web.state.rows.of(TENANT).acquire() as connection, connection.transaction():
        assert await connection.fetchval("select current_user") == WEB
        plan = await generic_plan(connection, *_query(params))
    assert index in plan, plan
    assert not [table for table in TABLES if f"Seq Scan on {table}" in plan], plan
    assert "Bitmap" not in plan, plan


async def test_a_search_is_led_by_the_index_of_trigrams_under_row_level_security(many: Service) -> None:
    rows = [(TENANT, UUID(int=n), str(n), "{}", False, UUID(int=n), False, f"learner {n:05}", [n % 997, n % 991, 7]) for n in range(20_000)]
    async with many.web.state.pool.acquire() as owner:
        columns = ("tenant_id", "key", "identity", "agent", "has_mbox", "learner", "linked", "folded", "grams")
        await owner.copy_records_to_table("ifi", schema_name="learners_1", records=rows, columns=columns)
        await owner.execute("analyze learners_1.ifi")
    sql = learners.SQL.compose("page", who=("searched",), grams=("grams",))
    values = {"tenant": TENANT, "after": learners.NOBODY, "limit": 101, "patterns": ["%00123%"], "grams": [7, 123]}
    async with many.web.state.rows.of(TENANT).acquire() as connection, connection.transaction():
        [[plan]] = await connection.fetch(f"explain (format json) {sql.text}", *sql.args(values))
    assert "ifi_grams" in {node.get("Index Name") for node in _nodes(orjson.loads(plan)[0]["Plan"])}, plan


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("name", [*LISTS, *PLANNED])
async def test_what_is_planned_with_its_values_is_led_by_the_rarest_and_reads_little(many: Service, name: str, mine: bool) -> None:
    params, index = {**LISTS, **PLANNED}[name]
    text, args = _query(params, authority=1 if mine else None)
    async with many.web.state.rows.of(TENANT).acquire() as connection, connection.transaction():
        await connection.execute(IN_ORDER)
        [[plan]] = await connection.fetch(f"explain (analyze, timing off, format json) {text}", *args)
    nodes = _nodes(orjson.loads(plan)[0]["Plan"])
    assert index in {node.get("Index Name") for node in nodes}, plan
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES], plan
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes if "Relation Name" in node or "Index Name" in node)
    compared = sum(node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"] for node in nodes)  # a join that compares instead of looking up
    assert read + compared < STATEMENTS / 10, plan


async def test_events_are_planned_each_time_for_a_plan_of_an_empty_ledger_compares_all_there_is_of_a_grown_one(service: Service) -> None:
    tenant = await service.tenant()
    for _ in range(8):
        await tenant.get("/v1/events", type="credential.expired")
    async with service.web.state.rows.of(TENANT).acquire() as connection:
        [plans] = await connection.fetch(
            "select sum(custom_plans) as own, sum(generic_plans) as shared from pg_prepared_statements where statement like '%scanned' || ' as (%'")
    assert (plans["own"], plans["shared"]) == (8, 0)
