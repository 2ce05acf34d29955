"""What is answered once a record is in the log, when what became of it cannot be read: that it is stored, and where."""
import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import orjson

from services.runtime.postgres import connect
from services.web import create_app
from tests.integration.api_service import Service, Tenant
from tests.integration.programmes import ADA, BOB, YAML, graduate, publish, rule
from tests.servers.in_process import running_projector, settings_for, until, web_process
from tests.servers.postgres import PostgresServer


@asynccontextmanager
async def away(tenant: Tenant, lock: "asyncpg.Connection[asyncpg.Record]", ends: list[int]) -> AsyncIterator[None]:
    """Keep everybody from the tables of the learners projection, from when the log is longer than `ends` until the body is over."""
    log = tenant.service.web.state.log

    async def longer() -> bool:
        return [(await log.end(partition)).next_offset for partition in range(log.partitions)] != ends

    await until(longer)
    async with lock.transaction():
        await lock.execute("lock table testamur.programme, testamur.decision, testamur.link in access exclusive mode")
        yield


async def answered(tenant: Tenant, lock: "asyncpg.Connection[asyncpg.Record]", asked: Awaitable[httpx.Response]) -> httpx.Response:
    """Return what is answered to a write after which nothing can be read."""
    log = tenant.service.web.state.log
    ends = [(await log.end(partition)).next_offset for partition in range(log.partitions)]
    answer = asyncio.ensure_future(asked)
    async with away(tenant, lock, ends):
        return await answer


async def test_what_is_in_the_log_is_answered_as_stored_although_nothing_can_be_read_afterwards(postgres: PostgresServer, tmp_path: Path) -> None:
    dsn = postgres.create(migrated=True)
    lock = await connect(dsn, command_timeout_s=60)
    try:
        async with web_process(settings_for(tmp_path, partitions=2), dsn) as web:
            web.app = create_app(web.state)
            tenant = await Service(web).tenant()
            async with running_projector(web.state):
                await publish(tenant, rule())
                held = await graduate(tenant)
            patient = {"Prefer": "wait=1"}  # nothing is folded any more: a write is in the log, and its answer waits

            published = await answered(tenant, lock, tenant.client.post("/v1/programmes", content=rule("other").encode(), headers={**YAML, **patient}))
            revoked = await answered(tenant, lock, tenant.client.post(f"/v1/credentials/{held['id']}/revoke", headers=patient))
            linked = await answered(tenant, lock, tenant.client.post("/v1/identity/links", json={"agents": [ADA, BOB]}, headers=patient))

            for answer, status in ((published, 201), (revoked, 200), (linked, 201)):
                assert (answer.status_code, answer.headers["LRS-Outcome"]) == (status, "stored"), answer.text
                assert answer.headers["LRS-Position"]
            assert published.json() == {"slug": "other", "version": 1}
            assert revoked.json() == held
            assert orjson.dumps(linked.json()["agents"][1]) == orjson.dumps({"objectType": "Agent", "mbox": BOB["mbox"]})
            async with running_projector(web.state):
                assert (await tenant.get("/v1/programmes/other", position=published.headers["LRS-Position"]))["state"] == "published"
                assert (await tenant.get(f"/v1/credentials/{held['id']}", position=revoked.headers["LRS-Position"]))["state"] == "revoked"
    finally:
        await lock.close()
        postgres.drop(dsn)
