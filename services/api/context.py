"""What every route of the api does first and last: know the caller, read the parameters, wait for a position asked for, answer JSON."""
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from schemas.api import Problem
from services.api.cursor import Cursors
from services.api.parameters import Parameter
from services.core.errors import NotYetVisible, Unavailable
from services.core.timeline import rfc3339
from services.runtime import http
from services.runtime.callers.auth import Caller
from services.runtime.log import Position
from services.runtime.position import decode_position, encode_position
from services.runtime.state import State
from services.runtime.tenant_rows import RowsOf

MIN_POSITION = "lrs-min-position"
LEARNERS_THROUGH = "LRS-Consistent-Through"
_NAMED = re.compile(r"\{(\w+)\}")


class Api:
    """The state of the process as the routes use it."""

    def __init__(self, state: State) -> None:
        """`state` is shared with ingest where both run in one process."""
        self.state = state
        self.cursors = Cursors(state.hashes)
        self.learners_through = 0
        """The greatest `LRS-Consistent-Through` given so far."""

    def rows(self, tenant_id: int) -> RowsOf:
        """Return the rows of the tenant who asks: nothing else of the store can be reached from a route."""
        return self.state.rows.of(tenant_id)

    async def caller(self, request: Request, *scopes: str) -> Caller:
        """Return who calls. Raises Unauthenticated, or Forbidden when none of `scopes` is granted."""
        caller = await self.state.keys.authenticate(http.headers_of(request.scope).get(b"authorization"))
        caller.require(*scopes)
        return caller

    async def until_visible(self, request: Request) -> None:
        """Wait until Consistent-Through has passed the position a client asks for. Raises NotYetVisible."""
        token = request.headers.get(MIN_POSITION)
        if token is not None:
            marks = decode_position(self.state.hashes, self.state.log.log_id, token)
            if not await self.state.visibility.until_visible(marks, http.wait_s(request.headers.get("prefer"))):
                raise NotYetVisible("What was asked for with LRS-Min-Position is not visible yet; repeat the request a little later.")

    async def until_folded(self, request: Request) -> None:
        """Wait until the learners projection has folded the position a client asks for. Raises NotYetVisible."""
        token = request.headers.get(MIN_POSITION)
        if token is not None:
            marks = decode_position(self.state.hashes, self.state.log.log_id, token)
            if not await self.state.visibility.until_folded("learners", marks, http.wait_s(request.headers.get("prefer"))):
                raise NotYetVisible("What was asked for with LRS-Min-Position is not folded yet; repeat the request a little later.")

    def check_folded(self, floor: int, through: int | None) -> int:
        """Return what the learners projection had folded, just read, if it may be given: not below `floor`, what had been given when the request came."""
        if through is None or through < floor:
            raise Unavailable("The store is behind what this server has already answered; repeat the request a little later.")
        self.learners_through = max(self.learners_through, through)
        return through

    async def written(self, request: Request, positions: Sequence[Position]) -> dict[str, str]:
        """Return the headers of a write that is in the log, once the learners projection has folded it or its time (2 s) is over."""
        prefer = request.headers.get("prefer")
        headers = {"LRS-Position": encode_position(self.state.hashes, self.state.log.log_id, positions), "LRS-Outcome": "stored"}
        if http.prefers_async(prefer):
            return headers | {"Preference-Applied": "respond-async"}
        await self.state.visibility.until_folded("learners", list(positions), http.wait_s(prefer))
        return headers


_PLANNED = "select set_config('plan_cache_mode', 'force_custom_plan', true)"
IN_ORDER = _PLANNED + "".join(
    f", set_config('enable_{way}', 'off', true)" for way in ("hashjoin", "mergejoin", "material", "sort", "bitmapscan", "seqscan"))


async def fetch_planned(rows: RowsOf, text: str, args: Sequence[object], *, in_order: bool = False) -> list[asyncpg.Record]:
    """Return the rows of a query that is planned for these very arguments: for queries whose best plan depends on how common a value is.

    `in_order` leaves the planner the choice of the index that leads, and no other: for pages whose every index gives their order, where it may think that
    few rows match and gather them all.
    """
    async with rows.acquire() as connection, connection.transaction():
        await connection.execute(IN_ORDER if in_order else _PLANNED)
        return await connection.fetch(text, *args)


def read_params(request: Request, known: Iterable[Parameter]) -> dict[str, str]:
    """Return the query parameters. Raises BadRequest for one that is unknown here, repeated or not UTF-8."""
    return http.parse_query(request.scope["query_string"], {parameter.name for parameter in known})


def json_answer(body: Any, *, through: int | None = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; `through` is what the learners projection had folded when it was read."""
    return bytes_answer(orjson.dumps(body), through=through, status=status, headers=headers)


def bytes_answer(body: bytes, *, through: int | None = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer whose body is JSON already."""
    given = {"Cache-Control": "no-store", **(headers or {})}
    if through is not None:
        given[LEARNERS_THROUGH] = rfc3339(through)
    return Response(body, status, given, media_type=http.JSON_TYPE)


def no_content(headers: Mapping[str, str]) -> Response:
    """Return a 204."""
    return Response(None, 204, dict(headers))


def check_through(state: State, floor: int, through: int | None) -> int:
    """Return a Consistent-Through just read, if it may be given: not below `floor`, what had been given when the request came. Raises Unavailable."""
    if through is None or through < floor:
        raise Unavailable("The store is behind what this server has already answered; repeat the request a little later.")
    state.visibility.give(max(through, state.visibility.through))
    return through


def answers(model: type[BaseModel] | None = None, says: str = "", *, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's answers: the model of a good one, and problems."""
    good: dict[int | str, dict[str, Any]] = {status: {"model": model, "description": says}} if model else {}
    return {**good, "default": {"model": Problem, "description": "A problem."}}


def documented(parameters: Iterable[Parameter] = (), *, path: Iterable[str] = (), body: type[BaseModel] | None = None, needed: bool = True) -> dict[str, Any]:
    """Return the OpenAPI description of parameters in the query and in the path (UUIDs, but for a `slug`), and of a JSON body, `needed` or not."""
    uuid, text = {"type": "string", "format": "uuid"}, {"type": "string"}
    in_path = [{"name": name, "in": "path", "required": True, "schema": text if name == "slug" else uuid} for name in path]
    described: dict[str, Any] = {"parameters": [*in_path, *(parameter.openapi() for parameter in parameters)]}
    if body is not None:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)  # they are components: the answers have them too
        described["requestBody"] = {"required": needed, "content": {"application/json": {"schema": schema}}}
    return described


def add_read(  # noqa: PLR0913 - one argument for each thing that is said of a route
    routes: APIRouter, path: str, get: Callable[[Request], Awaitable[Response]], *, summary: str, operation_id: str,
    responses: dict[int | str, dict[str, Any]], parameters: Iterable[Parameter] = (),
) -> None:
    """Add the route of a GET; what its path names is a UUID, but for a `{slug}`."""
    routes.add_api_route(
        path, get, methods=["GET"], summary=summary, operation_id=operation_id, response_class=Response,
        openapi_extra=documented(parameters, path=_NAMED.findall(path)), responses=responses)
