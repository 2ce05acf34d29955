"""PUT and GET of /v1/courses: what a course is called, what it is worth and how it is graded. Each description is a record of its own."""
from pathlib import Path
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response

from schemas.api import Courses, CoursesToDescribe
from services.api import learners, writes
from services.api.context import Api, add_read, answers, documented, json_answer, no_content, read_params
from services.api.paging import PAGING, page_asked
from services.api.pieces import Pieces
from services.core import syntax
from services.core.errors import BadRequest
from services.core.rules.course import MAX_DEPTH, MAX_UNITS, structure

PATH = "/v1/courses"
_SQL = Pieces(Path(__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))

_STRUCTURE = (
    f"The structure of a cmi5 course has 1 to {MAX_UNITS:,} units; blocks hold children and are at most {MAX_DEPTH} deep; what is not known is left out.")


class CourseDescriptions:
    """Describes courses and lists them."""

    def __init__(self, api: Api) -> None:
        """`api` gives the log and the pool."""
        self._api = api

    async def describe(self, request: Request) -> Response:
        """Describe courses; what is not named stays as it was."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        courses = (await writes.read_json(self._api, request, CoursesToDescribe))["courses"]
        named: set[str] = set()
        for number, course in enumerate(courses):
            pointer = f"/courses/{number}/id"
            if not syntax.is_iri(course["id"]):
                raise BadRequest("A course's id is the IRI of its activity.", pointer=pointer)
            if course["id"] in named:
                raise BadRequest("This course is described twice.", pointer=pointer)
            named.add(course["id"])
            if course.get("cmi5") is not None and structure(course) is None:
                raise BadRequest(_STRUCTURE, pointer=f"/courses/{number}/cmi5")
        if not courses:
            return no_content({"LRS-Outcome": "stored"})
        records = [writes.record(self._api, caller, course["id"], "course.described", {"course": course}) for course in courses]
        return no_content(await self._api.written(request, await writes.append(self._api, records)))

    async def list(self, request: Request) -> Response:
        """Give courses, each by its latest description."""
        caller = await self._api.caller(request, "lrs:read")
        page = page_asked(self._api.cursors, caller, PATH, read_params(request, PAGING))
        await self._api.until_folded(request)
        floor = self._api.learners_through
        sql = _SQL.compose("courses")
        after = UUID(str(page.after[0])) if page.after else learners.NOBODY
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "after": after, "limit": page.wanted}))
        through = self._api.check_folded(floor, rows[0]["through"])
        found = sorted((row for row in rows if row["activity"] is not None), key=lambda row: row["activity"])
        shown, following = page.cut(found, lambda row: (str(row["activity"]),))
        return json_answer({"courses": [orjson.Fragment(row["body"]) for row in shown], "next": following}, through=through)


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, courses = APIRouter(tags=["courses"]), CourseDescriptions(api)
    routes.add_api_route(
        PATH, courses.describe, methods=["PUT"], status_code=204, summary="Describe courses", operation_id="putCourses", response_class=Response,
        openapi_extra=documented(body=CoursesToDescribe), responses=answers())
    add_read(routes, PATH, courses.list, summary="Courses", operation_id="getCourses", parameters=PAGING, responses=answers(Courses, "A page of courses."))
    return routes
