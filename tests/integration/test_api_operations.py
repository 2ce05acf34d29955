"""What operators ask: health, readiness, metrics, status and the description of the API."""
import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
import structlog
from fastapi import FastAPI

from services.api.errors import install
from services.api.status import status
from services.web import create_app
from tests.integration.api_service import STATEMENTS, Service, api_service, served
from tests.servers.in_process import running_projector, settings_for, statement, web_process

GOLDEN = Path(__file__).parents[2] / "schemas" / "openapi" / "v1.json"


service = served(api_service, partitions=2)


def from_outside(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("203.0.113.7", 4711)), base_url="http://lrs.example.org")


async def test_the_system_is_ready_once_every_partition_is_held_and_folded(database: str, tmp_path: Path) -> None:
    async with web_process(settings_for(tmp_path, partitions=2), database) as web:
        web.app = create_app(web.state)
        client = web.client(None)
        assert (await client.get("/healthz/live")).status_code == 200
        before = await client.get("/healthz/ready")
        assert (before.status_code, before.headers["Content-Type"]) == (503, "application/problem+json")
        assert "no worker holds partition 1" in before.json()["detail"]
        async with running_projector(web.state):
            assert (await client.get("/healthz/ready")).json() == {"status": "ready"}
        assert (await client.get("/healthz/ready")).status_code == 503


async def test_readiness_and_status_name_a_partition_that_stands_still(service: Service) -> None:
    pool = service.web.state.pool
    await pool.execute("update projection_cursor set halted = 'a gap' where name = 'learners' and partition = 1")
    try:
        answer = await service.web.client(None).get("/healthz/ready")
        said = await status(pool, service.web.state.log)
    finally:
        await pool.execute("update projection_cursor set halted = null")
    assert answer.status_code == 503
    assert "partition 1 stands still: a gap" in answer.json()["detail"]
    assert [each["halted"] for each in said["partitions"]] == [None, "learners: a gap"]


async def test_status_has_the_shape_of_the_contract(service: Service) -> None:
    tenant = await service.tenant()
    before = await status(service.web.state.pool, service.web.state.log)
    position = await tenant.post(statement(), statement(actor={"mbox": "mailto:someone@example.org"}))
    await tenant.get("/v1/learners", position=position)

    said = await status(service.web.state.pool, service.web.state.log)

    assert said.keys() == {"statements", "learners", "consistent_through", "partitions", "projections", "dead_letters", "conflicts", "quarantined", "decisions"}
    assert (said["statements"] - before["statements"], said["learners"] - before["learners"]) == (2, 2)
    assert [each.keys() for each in said["partitions"]] == [{"partition", "end", "halted"}] * 2
    assert [(each["name"], each["version"]) for each in said["projections"]] == [("learners", 1), ("statements", 1)]
    assert all(each["lag"] >= 0 for each in said["projections"])
    assert (said["dead_letters"], said["conflicts"]) == (0, 0)
    assert said["consistent_through"].endswith("Z")


async def test_metrics_are_for_this_machine_and_for_administrators(service: Service) -> None:
    tenant = await service.tenant()
    await tenant.post(statement())
    await tenant.get(STATEMENTS)
    own = await service.web.client(None).get("/metrics")
    assert own.status_code == 200
    assert re.search(r'testamur_http_requests_total\{method="GET",route="/xapi/statements",status="200"\} \d', own.text)
    assert re.search(r'testamur_projection_lag_records\{partition="1",projection="learners"\} \d', own.text)
    assert "testamur_store_up 1.0" in own.text
    async with from_outside(service.web.app) as outside:
        assert (await outside.get("/metrics")).status_code == 401
        assert (await outside.get("/metrics", auth=await service.web.key("lrs:read"))).status_code == 403
        assert (await outside.get("/metrics", auth=await service.web.key("lrs:admin"))).status_code == 200
        assert (await outside.get("/healthz/ready")).status_code == 200
    assert (await service.web.client(None).get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})).status_code == 401


async def test_the_description_of_the_api_is_as_agreed(service: Service) -> None:
    described = (await service.web.client(None).get("/docs/openapi.json")).json()
    text = orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    assert GOLDEN.read_bytes() == text, f"the API changed: if it should, write what /docs/openapi.json says to {GOLDEN}, indented and with sorted keys"


async def test_every_reference_of_the_description_leads_somewhere(service: Service) -> None:
    text = (await service.web.client(None).get("/docs/openapi.json")).text
    components = orjson.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text))
    assert references
    assert references <= components.keys()


async def test_the_description_has_the_writes_of_statements_and_the_headers_that_xapi_asks_for(service: Service) -> None:
    described = (await service.web.client(None).get("/docs/openapi.json")).json()
    writes = described["paths"][STATEMENTS]
    assert {"get", "put", "post"} <= writes.keys()
    assert writes["post"]["requestBody"]["content"].keys() == {"application/json", "multipart/mixed"}
    assert described["components"]["schemas"]["XapiStatement"]["required"] == ["actor", "verb", "object"]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            named = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert ("X-Experience-API-Version" in named) == (path.startswith("/xapi/") and path != "/xapi/about")
            assert len(named) == len(set(named))


async def test_the_page_of_the_api_names_every_path_and_fetches_nothing(service: Service) -> None:
    client = service.web.client(None)
    page, described = await client.get("/docs"), (await client.get("/docs/openapi.json")).json()
    assert page.headers["Content-Type"].startswith("text/html")
    assert all(path.replace("{", "{") in page.text for path in described["paths"])
    assert not re.search(r"<script|<link|<img|src=|url\(|@import", page.text)
    assert {address for address in re.findall(r'href="([^"]+)"', page.text) if not address.startswith("#")} == {"/docs/openapi.json"}
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")


async def test_the_page_of_the_api_tells_what_bodies_hold_and_every_link_on_it_leads_somewhere(service: Service) -> None:
    client = service.web.client(None)
    text, described = (await client.get("/docs")).text, (await client.get("/docs/openapi.json")).json()
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))
    sections = {section.partition('"')[0]: section for section in text.split('<section id="')[1:]}
    operations = [operation for methods in described["paths"].values() for operation in methods.values()]
    assert sections.keys() == {operation["operationId"] for operation in operations} | described["components"]["schemas"].keys()
    bodies = {operation["operationId"]: operation["requestBody"]["content"]["application/json"]["schema"]
              for operation in operations if "application/json" in operation.get("requestBody", {}).get("content", {})}
    assert len(bodies) > 5
    for name, body in bodies.items():
        members = {*body.get("properties", {}), *body.get("required", ())}
        assert members or body.keys() & {"$ref", "oneOf"}
        for member in members:
            assert f"<code>{member}</code>" in sections[name]


async def test_the_bare_address_leads_to_the_page_of_the_api(service: Service) -> None:
    answer = await service.web.client(None).get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/docs")


async def test_what_breaks_inside_is_logged_once(service: Service) -> None:
    app = FastAPI()

    async def broken(name: str) -> None:
        raise KeyError if name == "ours" else asyncpg.UndefinedTableError("no such table")

    app.add_api_route("/{name}", broken)
    install(app, service.web.state)
    server = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lrs.example.org")  # which, like ours, is given what is raised again
    with structlog.testing.capture_logs() as logged:
        with pytest.raises(KeyError):
            await server.get("/ours")
        assert logged == []
        assert (await server.get("/theirs")).status_code == 500
    assert [each["event"] for each in logged] == ["request failed"]
    await server.aclose()


async def test_what_breaks_inside_is_a_500_that_tells_nothing(service: Service) -> None:
    tenant = await service.tenant()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.web.app, raise_app_exceptions=False), base_url="http://lrs.example.org", auth=tenant.client.auth,
    ) as client:
        await service.web.state.pool.execute("alter view testamur.entry rename to entry_away")
        try:
            position = await tenant.post(statement())
            id_ = await tenant.learner({"mbox": "mailto:ada@example.org"}, position)
            answer = await client.get(f"/v1/learners/{id_}/transcript")
        finally:
            await service.web.state.pool.execute("alter view testamur.entry_away rename to entry")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert "entry" not in answer.text
