"""Who learners are: GET /v1/learners and /v1/learners/{id}. A learner is a set of IFIs; the id of any of them finds it."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api import Learner, Learners
from services.api import parameters
from services.api.context import Api, add_read, answers, fetch_planned, json_answer, read_params
from services.api.paging import PAGING, page_asked
from services.api.parameters import Parameter
from services.api.pieces import Pieces
from services.core import actor, search_text, syntax
from services.core.errors import BadRequest, NotFound
from services.core.timeline import rfc3339, stored_of
from services.runtime.callers.auth import Caller

PATH = "/v1/learners"
NOBODY = UUID(int=0)
PARAMETERS = (
    Parameter("agent", "JSON of an agent: the learner it is."),
    Parameter("q", "Part of a name or an identifier, without regard to case and accents; of several words, all are looked for."),
    *PAGING,
)
SQL = Pieces(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Found:
    """A learner as found by the id of a member."""

    id: UUID
    keys: list[UUID]
    agents: list[str]
    name: str | None
    incomplete: bool
    through: int


def learner_id(text: str) -> UUID:
    """Return a learner id of a path. Raises NotFound for what is none."""
    if not syntax.is_uuid(text):
        raise NotFound("No learner has this id.")
    return UUID(text)


async def find(api: Api, caller: Caller, key: UUID) -> Found:
    """Return the learner that has the member `key`. Raises NotFound."""
    floor = api.learners_through
    sql = SQL.compose("learner")
    row = await api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "key": key}))
    through = api.check_folded(floor, row and row["through"])
    if row is None or not row["listed"]:
        raise NotFound("No learner has this id.")
    return Found(row["learner"], row["keys"], row["agents"], row["name"], row["incomplete"], through)


class LearnerReads:
    """Answers who learners are."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and the cursors."""
        self._api = api

    async def list(self, request: Request) -> Response:
        """Give learners: all, the one that an agent is, or those a search finds."""
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, PARAMETERS)
        who, values = self._who(caller, params)
        page = page_asked(self._api.cursors, caller, PATH, params)
        await self._api.until_folded(request)
        floor = self._api.learners_through
        grams: tuple[str, ...] = ("grams",) if values.get("grams") else ()
        sql = SQL.compose("page", who=(who,), grams=grams)
        after = UUID(str(page.after[0])) if page.after else NOBODY
        args = sql.args({**values, "tenant": caller.tenant_id, "after": after, "limit": page.wanted})
        store = self._api.rows(caller.tenant_id)
        rows = await (fetch_planned(store, sql.text, args) if who == "searched" else store.fetch(sql.text, *args))
        through = self._api.check_folded(floor, rows[0]["through"])
        found = sorted((row for row in rows if row["learner"] is not None), key=lambda row: row["learner"])
        shown, following = page.cut(found, lambda row: (str(row["learner"]),))
        return json_answer({"learners": [_learner(row) for row in shown], "next": following}, through=through)

    def _who(self, caller: Caller, params: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the piece of SQL that finds whom the parameters ask for, and its parameters."""
        if "agent" in params and "q" in params:
            raise BadRequest("Give either `agent` or `q`, not both.")
        if (ifi := parameters.agent(params)) is not None:
            identity = actor.identity(ifi)
            return "of_agent", {"key": NOBODY if identity is None else self._api.state.hashes.ifi(caller.tenant, identity)}
        words = search_text.words(params.get("q", "").replace("\0", ""))
        if not words:
            return "everyone", {}
        grams = sorted({gram for word in words for gram in search_text.grams(word)})
        return "searched", {"patterns": [_pattern(word) for word in words], "grams": grams}

    async def one(self, request: Request) -> Response:
        """Give one learner: identifiers, name, and the links behind them."""
        caller = await self._api.caller(request, "lrs:read")
        read_params(request, ())
        key = learner_id(request.path_params["id"])
        await self._api.until_folded(request)
        found = await find(self._api, caller, key)
        sql = SQL.compose("links")
        links = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "keys": found.keys}))
        return json_answer({
            "id": str(found.id), "agents": [orjson.Fragment(agent) for agent in found.agents], "name": found.name,
            "links": [link_members(link) for link in links], "incomplete": found.incomplete,
        }, through=found.through)


def link_members(row: asyncpg.Record) -> dict[str, Any]:
    """Return a link as it is shown."""
    return {
        "id": str(row["id"]), "agents": orjson.Fragment(row["agents"]), "reason": row["reason"], "by": orjson.Fragment(row["by"]),
        "at": rfc3339(stored_of(row["linked"])),
    }


def _learner(row: asyncpg.Record) -> dict[str, Any]:
    return {"id": str(row["learner"]), "agents": [orjson.Fragment(agent) for agent in row["agents"]], "name": row["name"]}


def _pattern(word: str) -> str:
    return "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, reads = APIRouter(tags=["learners"]), LearnerReads(api)
    add_read(
        routes, PATH, reads.list, summary="Find learners", operation_id="getLearners", parameters=PARAMETERS,
        responses=answers(Learners, "A page of learners."))
    add_read(
        routes, PATH + "/{id}", reads.one, summary="A learner", operation_id="getLearner", responses=answers(Learner, "The learner, under its canonical id."))
    return routes
