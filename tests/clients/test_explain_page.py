"""The page that explains an award to people, as Chromium lays it out."""
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.clients.conftest import LookAt
from tests.factories import statement
from tests.servers.in_process import until
from tests.servers.system import System

RULE = """programme: https://example.org/programmes/latin
version: 1
title: Latin for beginners
award: {type: Certificate}
requires: {statement: {verb: passed, activity: https://example.org/courses/latin}}
on: {input_voided: revoke}
"""


@pytest.fixture
def key(lrs: System) -> tuple[str, str]:
    """The key of a tenant of a test's own."""
    return lrs.create_key(f"pages-{uuid4()}")


async def states(client: httpx.AsyncClient) -> list[Any]:
    """Return what became of credentials so far."""
    return [event["data"]["state"] for event in (await client.get("/v1/events")).json()["events"]]


def become(client: httpx.AsyncClient, expected: list[str]) -> Callable[[], Any]:
    async def met() -> bool:
        return await states(client) == expected

    return met


@pytest.mark.parametrize("width", [1200, 700])
async def test_no_word_is_broken_in_the_tables(look_at: LookAt, lrs: System, key: tuple[str, str], width: int) -> None:
    async with httpx.AsyncClient(base_url=lrs.url, auth=key, headers={"X-Experience-API-Version": "1.0.3"}, timeout=15) as client:
        (await client.post("/v1/programmes", content=RULE, headers={"Content-Type": "application/yaml"})).raise_for_status()
        passed = statement(id=str(uuid4()), verb="passed", object="courses/latin")
        void = statement(verb="voided", object={"objectType": "StatementRef", "id": passed["id"]})
        (await client.post("/xapi/statements", json=passed)).raise_for_status()
        await until(become(client, ["published", "issued"]))
        (await client.post("/xapi/statements", json=void)).raise_for_status()
        await until(become(client, ["published", "issued", "revoked"]))
        (await client.post("/xapi/statements", json=passed | {"id": str(uuid4())})).raise_for_status()
        await until(become(client, ["published", "issued", "revoked", "issued"]))
        [learner] = (await client.get("/v1/learners")).json()["learners"]

    seen = look_at(f"{lrs.url}/v1/learners/{learner['id']}/programmes/latin/explain", width, f"Basic {b64encode(':'.join(key).encode()).decode()}")

    assert {"revoked", "statement", "identities", "Stored"} <= set(seen["words"])
    assert seen["broken"] == []
