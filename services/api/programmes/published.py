"""Programmes as published: GET /v1/programmes and GET /v1/programmes/{slug}, and what publishing needs to know of them."""
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api_programmes import Programme, Programmes
from services.api import learners
from services.api.context import Api, add_read, answers, json_answer, read_params
from services.api.paging import PAGING, page_asked
from services.api.parameters import Parameter
from services.api.pieces import Pieces
from services.core.errors import BadRequest, NotFound
from services.core.rules.language import parse
from services.core.rules.narrative import narrative
from services.core.timeline import rfc3339, stored_of
from services.runtime.callers.auth import Caller

PATH = "/v1/programmes"
VERSION = Parameter("version", "Which version; without it the one in force, or the last where none is yet.", (("type", "integer"), ("minimum", 1)))
SQL = Pieces(Path(__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))
_NUMBER = re.compile(r"[0-9]{1,9}")


async def versions(api: Api, caller: Caller, slug: str) -> tuple[int, list[asyncpg.Record]]:
    """Return all versions of a programme, oldest first, and what was folded then. Raises NotFound."""
    floor = api.learners_through
    sql = SQL.compose("versions")
    rows = await api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "slug": slug.replace("\0", "")}))
    through = api.check_folded(floor, rows[0]["through"])
    if rows[0]["iri"] is None:
        raise NotFound("No programme has this slug.")
    return through, rows


def current(rows: Sequence[asyncpg.Record]) -> asyncpg.Record:
    """Return the version in force among all of a programme, the last one where none is yet."""
    return next((row for row in reversed(rows) if row["in_force"]), rows[-1])


class ProgrammeReads:
    """Shows programmes."""

    def __init__(self, api: Api) -> None:
        """`api` gives the rows."""
        self._api = api

    async def list(self, request: Request) -> Response:
        """Give programmes in the order of their slugs."""
        caller = await self._api.caller(request, "lrs:read")
        page = page_asked(self._api.cursors, caller, PATH, read_params(request, PAGING))
        await self._api.until_folded(request)
        floor = self._api.learners_through
        sql = SQL.compose("programmes")
        after = str(page.after[0]) if page.after else ""
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "after": after, "limit": page.wanted}))
        through = self._api.check_folded(floor, rows[0]["through"])
        shown, following = page.cut([row for row in rows if row["slug"] is not None], lambda row: (row["slug"],))
        return json_answer({"programmes": [_listed(row, row) for row in shown], "next": following}, through=through)

    async def one(self, request: Request) -> Response:
        """Give one version of a programme whole, and which versions there are."""
        caller = await self._api.caller(request, "lrs:read")
        wanted = read_params(request, (VERSION,)).get("version")
        if wanted is not None and not _NUMBER.fullmatch(wanted):
            raise BadRequest("`version` is not a whole number.")
        await self._api.until_folded(request)
        through, rows = await versions(self._api, caller, request.path_params["slug"])
        judging = current(rows)
        row = judging if wanted is None else next((row for row in rows if row["version"] == int(wanted)), None)
        if row is None:
            raise NotFound("This programme has no such version.")
        return json_answer(_whole(row, judging, rows), through=through)


def _whole(row: asyncpg.Record, judging: asyncpg.Record, rows: Sequence[asyncpg.Record]) -> dict[str, Any]:
    body = orjson.loads(row["body"])
    return {
        **_listed({**row, "achievement": body.get("achievement")}, judging), "achievement": body.get("achievement"), "issuer": body["issuer"],
        "rule": body["programme"], "sha256": row["rule"], "source": body["source"], "narrative": narrative(parse(orjson.dumps(body["programme"]))),
        "versions": [{
            "version": each["version"], "state": _state(each, judging), "at": rfc3339(stored_of(each["seq"])),
            "effective": rfc3339(stored_of(each["seq"]) if each["effective"] is None else each["effective"]),
        } for each in rows],
    }


def _listed(row: Any, judging: Any) -> dict[str, Any]:
    return {
        "slug": row["slug"], "programme": row["iri"], "title": row["title"], "version": row["version"], "state": _state(row, judging),
        "award": row["achievement"] is not None,
    }


def _state(row: Any, judging: Any) -> str:
    """Return what a version is, beside the one that judges."""
    if row["retired"] is not None:
        return "retired"
    if not row["in_force"]:
        return "scheduled"
    return "published" if row["seq"] == judging["seq"] else "superseded"


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, reads = APIRouter(tags=["programmes"]), ProgrammeReads(api)
    add_read(
        routes, PATH, reads.list, summary="Programmes", operation_id="getProgrammes", parameters=PAGING, responses=answers(Programmes, "A page of programmes."))
    add_read(
        routes, PATH + "/{slug}", reads.one, summary="A programme", operation_id="getProgramme", parameters=(VERSION,),
        responses=answers(Programme, "One version of it, whole."))
    return routes
