"""Programmes for tests of the api: rules as text, published, and learners who meet them."""
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.integration.api_service import Tenant
from tests.servers.in_process import statement

ADL = "http://adlnet.gov/expapi/verbs/"
YAML = {"Content-Type": "application/yaml"}
PATIENCE_S = 20.0
ADA = {"mbox": "mailto:ada@example.org", "name": "Ada Lovelace"}
BOB = {"mbox": "mailto:bob@example.org", "name": "Bob"}

RULE = """
programme: https://lrs.example.org/programmes/{slug}
version: {version}
title: "{title}"
award: {{type: Certificate, description: For tests}}
requires:
  all:
    - {{label: passed algebra, statement: {{verb: passed, activity: https://courses.example.org/algebra, score_gte: {score}}}}}
    - label: one elective
      any:
        - {{label: logic, statement: {{verb: passed, activity: https://courses.example.org/logic}}}}
        - {{label: geometry, statement: {{verb: passed, activity: https://courses.example.org/geometry}}}}
{more}
"""


def rule(slug: str = "maths", version: int = 1, *, score: float = 0.5, title: str = "Mathematics", more: str = "") -> str:
    """Return a programme as YAML; `more` are lines of its own."""
    return RULE.format(slug=slug, version=version, score=score, title=title, more=more)


def passed(course: str, agent: dict[str, Any] = ADA, score: float = 0.9, **members: Any) -> dict[str, Any]:
    """Return a statement that somebody passed a course."""
    return statement(
        actor=agent, verb={"id": ADL + "passed"}, object={"id": f"https://courses.example.org/{course}"},
        result={"success": True, "score": {"scaled": score}}, **members)


async def post(tenant: Tenant, text: str, path: str = "/v1/programmes", client: httpx.AsyncClient | None = None) -> httpx.Response:
    """Send a programme as YAML."""
    return await (client or tenant.client).post(path, content=text.encode(), headers=YAML)


async def publish(tenant: Tenant, text: str) -> str:
    """Publish a programme and return the position."""
    answer = await post(tenant, text)
    assert answer.status_code == 201, answer.text
    return answer.headers["LRS-Position"]


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Return the first answer that is true, asking for a while."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await ask()):  # noqa: ASYNC110 - the state of a server has no event to wait for
            await asyncio.sleep(0.05)  # noqa: TID251 - deciders work beside the api: this is the poll with a deadline
    return found


async def credentials(tenant: Tenant, agent: dict[str, Any] = ADA, slug: str = "maths") -> list[dict[str, Any]]:
    """Return the learner's credentials of a programme."""
    found = (await tenant.get(f"/v1/learners/{await tenant.learner(agent)}/credentials"))["credentials"]
    return [each for each in found if each["programme"].endswith(f"/{slug}")]


async def awarded(tenant: Tenant, agent: dict[str, Any] = ADA, slug: str = "maths", state: str = "issued") -> dict[str, Any]:
    """Return the learner's credential of a programme once it is in a state."""

    async def there() -> dict[str, Any] | None:
        return next((each for each in await credentials(tenant, agent, slug) if each["state"] == state), None)

    found: dict[str, Any] = await until(there)
    return found


async def graduate(tenant: Tenant, agent: dict[str, Any] = ADA, slug: str = "maths") -> dict[str, Any]:
    """Have somebody meet the rule, which is published, and return the credential that is given."""
    position = await tenant.post(passed("algebra", agent), passed("logic", agent))
    await tenant.learner(agent, position)
    return await awarded(tenant, agent, slug)


async def void(tenant: Tenant, id_: str) -> str:
    """Void a statement; return the id of what voids it."""
    voiding = str(uuid4())
    await tenant.post(statement(id=voiding, verb={"id": ADL + "voided"}, object={"objectType": "StatementRef", "id": id_}))
    return voiding
