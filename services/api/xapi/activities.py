"""GET /xapi/activities: what the statements of all who may define say about an activity, as one definition (xAPI Communication 2.5; docs/adr/0008)."""
from collections.abc import Collection
from itertools import islice
from pathlib import Path

import orjson
from fastapi import APIRouter, Request, Response

from services.api import parameters
from services.api.context import Api, add_read, bytes_answer, check_through, read_params
from services.api.parameters import IRI, Parameter
from services.api.pieces import Pieces
from services.api.xapi.resource import an_object, asked_by
from services.core.definitions import merged
from services.core.errors import BadRequest
from services.core.json_members import joined
from services.core.keys import key128
from services.runtime import http

PATH = "/xapi/activities"
PARAMETERS = (Parameter("activityId", "The id of the activity.", IRI, required=True),)
SCOPES = ("statements/read", "statements/read/mine", "define", "state", "profile")
"""Any of these reads definitions: they are about things, not about people (xAPI Communication 4.2 names no scope of their own)."""

_AT_ONCE = 128
_MOST_BYTES_EACH = 128 << 10
_MOST_BYTES = 16 << 20
SQL = Pieces(Path(__file__).with_suffix(".sql"))


class ActivityReads:
    """Answers what activities are."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and what has been seen."""
        self._api = api

    async def get(self, request: Request) -> Response:
        """Give an activity with its definition; one that nobody defined with its id alone."""
        caller, version = await asked_by(self._api, request, *SCOPES)
        iri = parameters.iri(read_params(request, PARAMETERS), "activityId")
        if iri is None:
            raise BadRequest("`activityId` is missing.")
        await self._api.until_visible(request)
        floor = self._api.state.visibility.through
        sql = SQL.compose("activity")
        rows = await self._api.rows(caller.tenant_id).fetch(
            sql.text, *sql.args({"tenant": caller.tenant_id, "activities": [key128(iri)], "most_bytes": _MOST_BYTES_EACH}))
        check_through(self._api.state, floor, rows[0]["now"])
        found = {"objectType": b'"Activity"', "id": orjson.dumps(iri)}
        if texts := [row["definition"] for row in rows if row["definition"] is not None]:
            found["definition"] = joined(merged(texts))
        return bytes_answer(joined(found), headers={http.VERSION_HEADER: version})


async def definitions_of(api: Api, tenant_id: int, iris: Collection[str]) -> dict[str, list[bytes]]:
    """Return what defines each of these activities, the earliest first, if anything does.

    Of a page whose definitions come to more than some 16 MiB the activities beyond are left out, and keep what they were sent with.
    """
    sql = SQL.compose("definitions")
    by_key = {key128(iri): iri for iri in sorted(iris)}
    found: dict[str, list[bytes]] = {}
    size, keys = 0, iter(by_key)
    while (chunk := list(islice(keys, _AT_ONCE))) and size < _MOST_BYTES:
        for activity, text in await api.rows(tenant_id).fetch(sql.text, *sql.args({"tenant": tenant_id, "activities": chunk, "most_bytes": _MOST_BYTES_EACH})):
            found.setdefault(by_key[activity], []).append(text)
            size += len(text)
    return found


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["xAPI"])
    add_read(
        routes, PATH, ActivityReads(api).get, summary="What an activity is", operation_id="getActivity", parameters=PARAMETERS,
        responses=an_object("An Activity."))
    return routes
