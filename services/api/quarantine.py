"""/v1/quarantine: the invalid statements that were set aside, listed, shown with their text and faults, and removed. Ingest takes those that are sent on."""
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api import Quarantine, Quarantined
from services.api import parameters
from services.api.context import Api, add_read, answers, documented, json_answer, no_content, read_params
from services.api.paging import PAGING, page_asked
from services.api.parameters import BOOLEAN, Parameter
from services.api.pieces import Pieces
from services.core import syntax
from services.core.errors import NotFound
from services.core.timeline import rfc3339

PATH = "/v1/quarantine"
PARAMETERS = (Parameter("redriven", "Those that were sent on, instead of those that wait.", BOOLEAN), *PAGING)
_SQL = Pieces(Path(__file__).with_suffix(".sql"))


class QuarantineReads:
    """Answers what was set aside; whoever asks may manage the tenant."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and the cursors."""
        self._api = api

    async def list(self, request: Request) -> Response:
        """Give a page, oldest first."""
        caller = await self._api.caller(request, "lrs:manage")
        params = read_params(request, PARAMETERS)
        redriven, page = parameters.boolean(params, "redriven"), page_asked(self._api.cursors, caller, PATH, params)
        after = page.after
        sql = _SQL.compose("page", which=("sent_on" if redriven else "waiting",), after_row=("after_row",) if after else ())
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({
            "tenant": caller.tenant_id, "limit": page.wanted, "received": after and int(after[0]), "id": after and UUID(str(after[1]))}))
        shown, following = page.cut(rows, lambda row: (row["received"], str(row["id"])))
        return json_answer({"quarantine": [_shown(row) for row in shown], "next": following})

    async def show(self, request: Request) -> Response:
        """Give one, with its bytes as they were sent."""
        row = await self._one(request, "one")
        return json_answer({**_shown(row), "raw": row["raw"].decode()})

    async def remove(self, request: Request) -> Response:
        """Remove one for good. Sent again it is set aside again."""
        await self._one(request, "remove")
        return no_content({"LRS-Outcome": "stored"})

    async def _one(self, request: Request, name: str) -> asyncpg.Record:
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        text, sql = request.path_params["id"], _SQL.compose(name)
        if syntax.is_uuid(text):
            row: asyncpg.Record | None = await self._api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "id": UUID(text)}))
            if row is not None:
                return row
        raise NotFound("Nothing with this id is in quarantine.")


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": str(row["id"]), "statement": str(row["statement_id"]), "received": rfc3339(row["received"]), "key": row["credential"], "version": row["xapi"],
        "faults": orjson.Fragment(row["faults"]), "redriven": None if row["redriven"] is None else rfc3339(row["redriven"]), "redriven_by": row["redriven_by"],
    }


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, quarantine = APIRouter(tags=["quarantine"]), QuarantineReads(api)
    add_read(
        routes, PATH, quarantine.list, summary="Invalid statements that were set aside", operation_id="getQuarantine", parameters=PARAMETERS,
        responses=answers(Quarantine, "A page of them."))
    add_read(
        routes, PATH + "/{id}", quarantine.show, summary="One of them, with its text", operation_id="getQuarantined",
        responses=answers(Quarantined, "The statement and its faults."))
    routes.add_api_route(
        PATH + "/{id}", quarantine.remove, methods=["DELETE"], status_code=204, summary="Remove one of them", operation_id="deleteQuarantined",
        response_class=Response, openapi_extra=documented(path=("id",)), responses=answers())
    return routes
