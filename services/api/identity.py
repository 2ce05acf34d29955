"""POST /v1/identity/links and DELETE /v1/identity/links/{id}: two agents are one learner, says a caller with lrs:link, until the link is taken back."""
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api import Link, LinkToMake
from services.api import learners, parameters, writes
from services.api.context import Api, answers, documented, json_answer, no_content, read_params
from services.core import actor, syntax
from services.core.errors import BadRequest, Conflict, NotFound
from services.runtime.callers.auth import Caller

PATH = "/v1/identity/links"


class Links:
    """Makes links and takes them back."""

    def __init__(self, api: Api) -> None:
        """`api` gives the log."""
        self._api = api

    async def make(self, request: Request) -> Response:
        """Link two agents; nobody needs to have seen them."""
        caller = await self._api.caller(request, "lrs:link")
        read_params(request, ())
        body = await writes.read_json(self._api, request, LinkToMake)
        first, second = (_agent(agent, number) for number, agent in enumerate(body["agents"]))
        if first == second:  # a mailbox and its own SHA-1 may well be linked: it says nothing new, and does no harm
            raise BadRequest("These two agents are the same already.", pointer="/agents/1")
        agents, reason = [actor.agent_of(first), actor.agent_of(second)], body.get("reason", "")
        link_id = writes.repeatable_id(self._api, request, caller, "link") or self._api.state.new_id()
        known = await self._find(caller, link_id) if "idempotency-key" in request.headers else None
        if known is not None:
            if orjson.loads(known["agents"]) != agents or known["reason"] != reason:
                raise Conflict("This Idempotency-Key was used for another link.")
            return json_answer(learners.link_members(known), status=201, headers={"LRS-Outcome": "stored"})
        says = {"id": str(link_id), "agents": agents, "reason": reason, "by": caller.authority}
        positions = await writes.append(self._api, [writes.record(self._api, caller, actor.identity(first) or first, "identity.linked", says)])
        headers = await self._api.written(request, positions)
        folded: asyncpg.Record | None = None
        async with writes.afterwards():
            folded = await self._find(caller, link_id)
        return json_answer({**says, "at": None} if folded is None else learners.link_members(folded), status=201, headers=headers)

    async def take_back(self, request: Request) -> Response:
        """Take a link back. Taking it back again changes nothing."""
        caller = await self._api.caller(request, "lrs:link")
        read_params(request, ())
        text = request.path_params["id"]
        found = await self._find(caller, UUID(text)) if syntax.is_uuid(text) else None
        if found is None:
            raise NotFound("No link has this id.")
        if found["unlinked"] is not None:
            return no_content({"LRS-Outcome": "stored"})
        first = actor.ifi(orjson.loads(found["agents"])[0]) or ""
        says = {"id": str(found["id"]), "by": caller.authority}
        positions = await writes.append(self._api, [writes.record(self._api, caller, actor.identity(first) or first, "identity.unlinked", says)])
        return no_content(await self._api.written(request, positions))

    async def _find(self, caller: Caller, link_id: UUID) -> asyncpg.Record | None:
        sql = learners.SQL.compose("link")
        row: asyncpg.Record | None = await self._api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "id": link_id}))
        return row


def _agent(agent: dict[str, Any], number: int) -> str:
    """Return the IFI of an agent that may be linked. Raises BadRequest."""
    pointer = f"/agents/{number}"
    ifi = parameters.ifi_of(agent, "This", pointer)
    if actor.identity(ifi) is None:
        raise BadRequest("This stands for many people, so it cannot be linked.", pointer=pointer)
    return ifi


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, links = APIRouter(tags=["identity"]), Links(api)
    routes.add_api_route(
        PATH, links.make, methods=["POST"], status_code=201, summary="Link two agents", operation_id="postLink", response_class=Response,
        openapi_extra=documented(body=LinkToMake), responses=answers(Link, "The link.", status=201))
    routes.add_api_route(
        PATH + "/{id}", links.take_back, methods=["DELETE"], status_code=204, summary="Take a link back", operation_id="deleteLink", response_class=Response,
        openapi_extra=documented(path=("id",)), responses=answers())
    return routes
