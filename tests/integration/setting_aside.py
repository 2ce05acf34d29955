"""A tenant with a key that sets invalid statements aside, and what it sends: statements of the shapes that Open edX's transformer gives."""
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import orjson

from schemas.api import Quarantine
from services.runtime.callers.api_keys import create_key
from tests.integration.api_service import STATEMENTS, Service, Tenant
from tests.servers.in_process import statement

PATH = "/v1/quarantine"
XBLOCK = "http://localhost:18000/xblock/block-v1:edX+DemoX+Demo_Course+type@problem+block@a0effb954cca4759994f1ac9e9434bf4"


@dataclass
class Sides:
    """A tenant, a client whose key sets invalid statements aside, and the name of that key."""

    tenant: Tenant
    tool: httpx.AsyncClient
    key: str

    @property
    def operator(self) -> httpx.AsyncClient:
        """Whoever looks after the tenant."""
        return self.tenant.client

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        """Post a body, or what becomes JSON."""
        return await self.tool.post(STATEMENTS, content=body if isinstance(body, bytes) else orjson.dumps(body), headers={
            "Content-Type": "application/json", **headers})

    async def listed(self, **params: Any) -> list[dict[str, Any]]:
        """Return what the operator sees, which is as the schema says."""
        answer = await self.operator.get(PATH, params=params)
        assert answer.status_code == 200, answer.text
        Quarantine.model_validate_json(answer.content)
        found: list[dict[str, Any]] = answer.json()["quarantine"]
        return found

    async def redrive(self, id_: str, corrected: Any = None) -> httpx.Response:
        """Send one on, corrected or as it was."""
        return await self.operator.post(f"{PATH}/{id_}/redrive", **({} if corrected is None else {"json": corrected}))

    async def stored(self, id_: str) -> Any:
        """Return the statement that is stored under an id, None if there is none."""
        answer = await self.operator.get(STATEMENTS, params={"statementId": id_})
        return answer.json() if answer.status_code == 200 else None


async def sides_of(service: Service, *scopes: str) -> Sides:
    """Return a new tenant, whose tool has these scopes."""
    tenant = await service.tenant()
    state = service.web.state
    authority = {"objectType": "Agent", "account": {"homePage": "https://lms.example.org", "name": "transformer"}}
    made = await create_key(
        state.pool, state.secret, name="transformer", tenant=tenant.name, scopes=scopes or ("statements/write",), public_url=state.public_url,
        quarantine=True, authority=authority)
    return Sides(tenant, service.web.client((made["key"], made["secret"]), version="1.0.3"), made["key"])


def transformed(**changes: Any) -> dict[str, Any]:
    """Return a statement of the shape that Open edX's transformer gives to an answer of a problem."""
    return {
        "id": str(uuid4()), "version": "1.0.3", "result": {"success": True, "response": "a chair"},
        "actor": {"objectType": "Agent", "account": {"name": "32e08e30", "homePage": "http://localhost:18000"}},
        "verb": {"id": "https://w3id.org/xapi/acrossx/verbs/evaluated", "display": {"en": "evaluated"}},
        "object": {"id": f"{XBLOCK}_3_1", "objectType": "Activity", "definition": {"type": "http://adlnet.gov/expapi/activities/cmi.interaction",
                                                                                  "description": {"en-US": ""}, "interactionType": "choice"}},
        "timestamp": "2023-11-03T16:31:50.023274+00:00", **changes,
    }


def troubles() -> dict[str, dict[str, Any]]:
    """Return one statement for each fault of the transformer, by the pointer to it."""
    group = {"id": XBLOCK, "objectType": "GroupActivity"}
    exam = {"id": "438AD672-DE2C-4F0B-8876-35444E7DD746", "objectType": "Activity"}
    return {
        "/context/contextActivities/parent/0/objectType": transformed(context={"contextActivities": {"parent": [group]}}),
        "/object/objectType": transformed(object=group),
        "/object": transformed(object={"objectType": "Activity"}),
        "/result/score": transformed(result={"score": {"min": 0, "max": 0, "raw": 0}}),
        "/context/contextActivities/grouping/0/id": transformed(context={"contextActivities": {"grouping": [exam]}}),
    }


def bad(**changes: Any) -> dict[str, Any]:
    """Return a statement that is not valid."""
    return statement(verb={"id": "no IRI"}, **changes)
