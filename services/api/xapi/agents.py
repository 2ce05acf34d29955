"""GET /xapi/agents: a Person, all that is known of an agent and of those linked to it (xAPI Communication 2.4).

What was asked comes first in each list, as it was sent; an agent nobody knows is a Person all the same.
"""
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from services.api import learners, parameters
from services.api.context import Api, add_read, json_answer, read_params
from services.api.parameters import JSON_TEXT, Parameter
from services.api.pieces import Pieces
from services.api.xapi.resource import an_object, asked_by
from services.core import actor
from services.core.errors import BadRequest
from services.runtime import http
from services.runtime.callers.auth import Caller

PATH = "/xapi/agents"
PARAMETERS = (Parameter("agent", "JSON of the agent.", JSON_TEXT, required=True),)
SCOPES = ("statements/read", "statements/read/mine", "state", "profile")
"""Any of these may ask. Only who may read all statements learns more than was in the question: names and links come from statements of others."""

_MEMBERS = ("name", "mbox", "mbox_sha1sum", "openid", "account")
_sql = Pieces(Path(__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))


class AgentReads:
    """Answers who agents are."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and what has been seen."""
        self._api = api

    async def get(self, request: Request) -> Response:
        """Give the Person that an agent is."""
        caller, version = await asked_by(self._api, request, *SCOPES)
        asked, ifi = _asked(read_params(request, PARAMETERS).get("agent"))
        await self._api.until_folded(request)
        known = await self._known(caller, ifi)
        return json_answer(_person([asked, *known]), headers={http.VERSION_HEADER: version})

    async def _known(self, caller: Caller, ifi: str) -> list[dict[str, Any]]:
        """Return the agents that are one learner with this IFI: none for a placeholder, which stands for many people."""
        identity = actor.identity(ifi)
        if identity is None or not caller.may("statements/read"):
            return []
        floor = self._api.learners_through
        sql = _sql.compose("person")
        rows = await self._api.rows(caller.tenant_id).fetch(
            sql.text, *sql.args({"tenant": caller.tenant_id, "key": self._api.state.hashes.ifi(caller.tenant, identity)}))
        self._api.check_folded(floor, rows[0]["through"])
        return [{**orjson.loads(row["agent"]), "name": row["name"]} for row in rows if row["agent"] is not None]


def _asked(value: str | None) -> tuple[dict[str, Any], str]:
    """Return the agent of a request and its canonical IFI. Raises BadRequest."""
    if value is None:
        raise BadRequest("`agent` is missing.")
    agent = parameters.json_value("agent", value)
    ifi = parameters.ifi_of(agent, "`agent`")
    if agent.get("objectType") == "Group":
        raise BadRequest("`agent` is a Group; only an Agent can be a Person.")
    if not isinstance(agent.get("name", ""), str):
        raise BadRequest("`agent` has a name that is not a string.")
    return agent, ifi


def _person(agents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return agents as one Person; a value that only differs as its canonical text does not is given once."""
    lists: dict[str, dict[str, Any]] = {member: {} for member in _MEMBERS}
    for agent in agents:
        for member, found in lists.items():
            value = agent.get(member)
            if value is not None:
                found.setdefault(f"name:{value}" if member == "name" else str(actor.ifi({member: value})), value)
    return {"objectType": "Person", **{member: list(found.values()) for member, found in lists.items() if found}}


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["xAPI"])
    add_read(
        routes, PATH, AgentReads(api).get, summary="The person behind an agent", operation_id="getPerson", parameters=PARAMETERS,
        responses=an_object("A Person."))
    return routes
