"""GET /v1/learners/{id}/transcript: folded lines as they stand, or the same fold over the evidence of another moment."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api import Transcript
from services.api import learners, parameters
from services.api.context import Api, add_read, answers, json_answer, read_params
from services.api.moments import PARAMETERS as MOMENT
from services.api.moments import Moment, learner_at, moment_of
from services.api.paging import PAGING, page_asked
from services.api.parameters import IRI, Parameter
from services.api.pieces import Pieces
from services.core import transcript
from services.core.errors import BadRequest
from services.core.evidence import display
from services.core.keys import key128
from services.core.transcript import Line, finish, unpack_line
from services.core.vocabulary import COURSE_TYPES
from services.runtime.callers.auth import Caller

PATH = "/v1/learners/{id}/transcript"
PARAMETERS = (
    *MOMENT,
    Parameter("type", "`course`: only courses.", (("type", "string"), ("const", "course"))),
    Parameter("activity", "Only the line about this activity.", IRI),
    *PAGING,
)
SQL = Pieces(Path(__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))
_TYPES = sorted(COURSE_TYPES)
Place = tuple[int, UUID]


class TranscriptReads:
    """Answers what a learner has done."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and the cursors."""
        self._api = api

    async def get(self, request: Request) -> Response:
        """Give a page of a transcript."""
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, PARAMETERS)
        key = learners.learner_id(request.path_params["id"])
        if params.get("type", "course") != "course":
            raise BadRequest("`type` is course, or left out.")
        parameters.iri(params, "activity")
        moment, page = moment_of(params), page_asked(self._api.cursors, caller, request.scope["path"], params)
        after = None if page.after is None else (int(page.after[0]), UUID(str(page.after[1])))
        await self._api.until_folded(request)
        read = self._now if moment.is_now else self._then
        learner, incomplete, through, entries = await read(caller, key, moment, params, after, page.wanted)
        shown, following = page.cut(entries, lambda entry: (entry[0][0], str(entry[0][1])))
        return json_answer({
            "learner": str(learner), **moment.members(), "incomplete": incomplete, "entries": [entry for _, entry in shown], "next": following,
        }, through=through)

    async def _now(
        self, caller: Caller, key: UUID, moment: Moment, params: Mapping[str, str], after: Place | None, limit: int,  # noqa: ARG002 - as _then
    ) -> tuple[UUID, bool, int, list[tuple[Place, dict[str, Any]]]]:
        floor = self._api.learners_through
        sql = SQL.compose("transcript", after=("after",) if after else (), of_activity=_of_activity(params), courses=("courses",) if "type" in params else ())
        first, last = after or (0, key)
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({
            "tenant": caller.tenant_id, "key": key, "first": first, "last": last, "activity": _activity_key(params), "types": _TYPES, "limit": limit,
        }))
        through = self._api.check_folded(floor, rows[0]["through"])
        entries = [((row["first_at"], row["activity"]), _entry(unpack_line(row["line"]), row)) for row in rows if row["activity"] is not None]
        if not entries:
            await learners.find(self._api, caller, key)
        return rows[0]["learner"], rows[0]["incomplete"], through, sorted(entries, key=_place)

    async def _then(
        self, caller: Caller, key: UUID, moment: Moment, params: Mapping[str, str], after: Place | None, limit: int,
    ) -> tuple[UUID, bool, int, list[tuple[Place, dict[str, Any]]]]:
        who = await learner_at(self._api, caller, key, moment)
        values = {
            "tenant": caller.tenant_id, "keys": who.keys, "known": moment.greatest_known, "as_of": moment.greatest_at, "activity": _activity_key(params),
        }
        sql = SQL.compose("rows_then", assured=moment.assured, of_activity=_of_activity(params))
        lines = transcript.transcript(await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args(values)))
        if "type" in params:
            described = await self._described(caller, values, list(lines))
            lines = {activity: line for activity, line in lines.items() if described[activity]["type"] in COURSE_TYPES or described[activity]["course"]}
        places = sorted((line.first, activity) for activity, line in lines.items() if after is None or (line.first, activity) > after)[:limit]
        described = await self._described(caller, values, [activity for _, activity in places])
        return who.id, who.incomplete, who.through, [(place, _entry(lines[place[1]], described[place[1]])) for place in places]

    async def _described(self, caller: Caller, values: Mapping[str, object], activities: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
        sql = SQL.compose("described_then")
        return {row["key"]: row for row in await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({**values, "activities": activities}))}


def _activity_key(params: Mapping[str, str]) -> UUID | None:
    return key128(params["activity"]) if "activity" in params else None


def _of_activity(params: Mapping[str, str]) -> tuple[str, ...]:
    return ("of_activity",) if "activity" in params else ()


def _entry(line: Line, row: asyncpg.Record) -> dict[str, Any]:
    """Return an entry: the line finished with the course's description, which also names the activity if it has a name."""
    course = None if row["course"] is None else orjson.loads(row["course"])
    name = None if course is None else course.get("name")
    name = display(name) if isinstance(name, dict) else name
    return {"activity": {"id": row["iri"], "name": name or row["name"], "type": row["type"]}, **finish(line, course)}


def _place(entry: tuple[Place, dict[str, Any]]) -> Place:
    return entry[0]


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["learners"])
    add_read(
        routes, PATH, TranscriptReads(api).get, summary="A transcript", operation_id="getTranscript", parameters=PARAMETERS,
        responses=answers(Transcript, "A page of lines."))
    return routes
