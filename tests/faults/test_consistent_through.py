"""Consistent-Through is exact, and the checker that says so can see a lie."""
import asyncio
import json
import os
import sys
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.servers.http_client import Connection
from tests.servers.load import History, Writer
from tests.servers.reading import every_statement
from tests.servers.system import System

SECONDS = 60 if os.environ.get("TESTAMUR_SOAK") else 10


class Tenant(NamedTuple):
    """A tenant that holds nothing yet, and the key of its administrator."""

    system: System
    key: str
    secret: str

    def connection(self) -> Connection:
        """Return a connection of the administrator's."""
        return self.system.connection(key=self.key, secret=self.secret)


@pytest.fixture
def tenant(system: System) -> Tenant:
    """A tenant of one test's own."""
    return Tenant(system, *system.create_key(f"through-{uuid4()}"))


async def _checker(tenant: Tenant, order: str, header: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.consistent_through_checker", "--port", str(tenant.system.port), "--key", tenant.key, "--secret", tenant.secret,
        "--order", order, "--seconds", str(SECONDS), "--header", header, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), SECONDS + 60)
    assert process.returncode == 0
    verdict: dict[str, Any] = json.loads(output)
    return verdict


async def _watched(tenant: Tenant, header: str) -> tuple[History, list[dict[str, Any]]]:
    """Write batches of 50 from eight clients while two checkers poll, one in each order of listing."""
    history, checking = History(), True
    connections = [tenant.connection() for _ in range(8)]
    writers = [asyncio.create_task(Writer(c, history, seed=n, batch=50, void_share=0).run(lambda: checking)) for n, c in enumerate(connections)]
    verdicts = await asyncio.gather(_checker(tenant, "ascending", header), _checker(tenant, "descending", header))
    checking = False
    await asyncio.gather(*writers)
    return history, list(verdicts)


@pytest.mark.timeout(300)
async def test_no_statement_appears_at_or_before_a_header_already_given(tenant: Tenant) -> None:
    _, verdicts = await _watched(tenant, "given")

    assert [verdict["lies"] for verdict in verdicts] == [[], []]
    everything = await every_statement(tenant.connection())
    for verdict in verdicts:
        assert verdict["reads"] > 5
        before_last = {json.loads(raw)["id"] for _, raw in everything if json.loads(raw)["stored"] <= verdict["last"].replace("+00:00", "Z")}
        assert before_last <= set(verdict["seen"])


@pytest.mark.timeout(300)
async def test_the_checker_fails_when_the_header_is_set_to_now(tenant: Tenant) -> None:
    _, verdicts = await _watched(tenant, "now")

    assert sum(verdict["lie_count"] for verdict in verdicts) > 0


async def test_the_header_moves_at_least_every_two_seconds_when_nothing_happens(tenant: Tenant) -> None:
    connection, headers = tenant.connection(), []
    for _ in range(5):
        answer = await connection.request("GET", "/xapi/statements?limit=1")
        headers.append(answer.headers["x-experience-api-consistent-through"])
        await asyncio.sleep(2)  # noqa: TID251 - the promise is about time passing

    assert headers == sorted(set(headers))


