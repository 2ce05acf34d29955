"""POST /v1/programmes/preview: who would gain and who would lose, before a version is published; as JSON, as CSV, or as lines that tell how far it is."""
import asyncio
import csv
import io
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Send

from schemas.api_programmes import Previewed
from services.api.context import Api, answers, documented, json_answer, read_params
from services.api.parameters import Parameter
from services.api.programmes import publish, published
from services.api.programmes.judgements import Judgements
from services.api.programmes.sent import read, sent_as
from services.api.programmes.survey import Found, Survey
from services.core.errors import BadRequest, LrsError, Unavailable
from services.core.timeline import rfc3339
from services.runtime import http
from services.runtime.callers.auth import Caller

PATH = published.PATH + "/preview"
FORMAT = Parameter("format", "`json`, `csv` or `ndjson`, instead of `Accept`.", (("type", "string"), ("enum", ("json", "csv", "ndjson"))))
CSV, NDJSON = "text/csv", "application/x-ndjson"
MOST_LISTED = 10_000
"""How many of those who gain, and of those who lose, the answer as JSON lists."""
_FORMATS = {"json": http.JSON_TYPE, "csv": CSV, "ndjson": NDJSON}
_WHOLE_S, _STREAM_S = 60.0, 3600.0
_TAKEN_S = 30.0
"""How long a reader may leave what is sent to him untaken."""
_SLOW = "This takes longer than a request may: ask for it as application/x-ndjson or text/csv, which come bit by bit."
_log = structlog.get_logger()


class Busy(Unavailable):
    """Another preview of this tenant is being made here; repeat the request a little later."""

    retry_after_s = 5


class Previews:
    """Makes previews: one of a tenant at a time, and of several tenants one page at a time, each in its turn."""

    def __init__(self, api: Api, judgements: Judgements) -> None:
        """`judgements` is shared with explanations."""
        self._api, self._judgements = api, judgements
        self._turn = asyncio.Lock()
        self._tenants = set[int]()
        """Whose preview is being made: there are as many as an operator made tenants."""

    async def make(self, request: Request) -> Response:
        """Judge all learners by a version that is not published. Nothing is written.

        `gain`: who would be given an award and holds none. `lose`: who holds one and does not meet the new rule; `policy` says what becomes of those.
        """
        caller = await self._api.caller(request, "lrs:manage")
        kind = _kind(request, read_params(request, (FORMAT,)).get("format"))
        sent = await read(request)
        issuer = await publish.issuer_of(self._api, caller, sent.programme)
        await publish.check_cycles(self._api, caller, sent.programme, issuer)
        await self._api.until_folded(request)
        survey = Survey(self._api, self._judgements, caller, sent.programme, issuer)
        policy = sent.programme.on.rule_changed
        if kind == http.JSON_TYPE:
            return json_answer(_result([page async for page in self._pages(caller, survey, _WHOLE_S)], survey, policy))
        made = self._pages(caller, survey, _STREAM_S)
        pages = _after(await anext(made, None), made)  # what cannot be made is refused before anything is sent
        return _Lines(_table(pages) if kind == CSV else _progress(pages, survey, policy), made, kind)

    async def _pages(self, caller: Caller, survey: Survey, within_s: float) -> AsyncGenerator[Found, None]:
        """Give the pages of a survey. Raises Busy while another of the tenant is made, Unavailable once it has taken too long.

        Only while a page is judged does it keep others waiting, who come first then: nobody waits for the reader of another's answer.
        """
        if caller.tenant_id in self._tenants:
            raise Busy
        self._tenants.add(caller.tenant_id)
        try:
            end = time.monotonic() + within_s
            async with aclosing(survey.pages()) as pages:
                while (page := await self._next(pages)) is not None:
                    yield page
                    if time.monotonic() > end:
                        raise Unavailable(_SLOW)
        finally:
            self._tenants.discard(caller.tenant_id)

    async def _next(self, pages: AsyncIterator[Found]) -> Found | None:
        async with self._turn:
            return await anext(pages, None)


class _NotTakenError(Exception):
    """The reader has taken nothing for too long."""


class _Lines(StreamingResponse):
    """An answer that comes bit by bit; what it is made of ends with it. A reader who takes nothing is given up."""

    def __init__(self, lines: AsyncGenerator[bytes, None], made: AsyncGenerator[Found, None], kind: str) -> None:
        """`lines` are of what is `made`."""
        super().__init__(lines, media_type=kind, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._lines, self._made = lines, made

    async def stream_response(self, send: Send) -> None:
        """Send all, or as much as the reader takes: an answer that is given up breaks off, and its connection is closed."""
        async def sent(message: Any) -> None:
            try:
                async with asyncio.timeout(_TAKEN_S):
                    await send(message)
            except TimeoutError as error:
                raise _NotTakenError from error

        async with aclosing(self._made), aclosing(self._lines):
            try:
                await super().stream_response(sent)
            except _NotTakenError:
                _log.warning("the reader of a preview took nothing of it, it was given up", seconds=_TAKEN_S)


async def _after(first: Found | None, rest: AsyncIterator[Found]) -> AsyncIterator[Found]:
    """Give a page that was asked for already, and the others."""
    if first is not None:
        yield first
        async for page in rest:
            yield page


async def _progress(pages: AsyncIterator[Found], survey: Survey, policy: str) -> AsyncGenerator[bytes, None]:
    """Give a line after each page, how far it is, and in the end the result; what goes wrong meanwhile is the last line."""
    found: list[Found] = []
    try:
        async for page in pages:
            found.append(page)
            yield orjson.dumps({"progress": {"done": page.done, "of": page.of}}) + b"\n"
        yield orjson.dumps(_result(found, survey, policy, most=None)) + b"\n"
    except LrsError as error:
        yield http.problem(error) + b"\n"


async def _table(pages: AsyncIterator[Found]) -> AsyncGenerator[bytes, None]:
    """Give those who gain and those who lose as CSV."""
    yield _rows([("change", "learner", "name", "agents")])
    async for page in pages:
        yield _rows([
            (change, each["id"], _cell(each["name"] or ""), _cell(orjson.dumps(each["agents"]).decode()))
            for change, found in (("gain", page.gain), ("lose", page.lose)) for each in found])


def _rows(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _result(pages: list[Found], survey: Survey, policy: str, most: int | None = MOST_LISTED) -> dict[str, Any]:
    gain, lose = [each for page in pages for each in page.gain], [each for page in pages for each in page.lose]
    return {
        "gain": gain[:most], "lose": lose[:most], "same": sum(page.same for page in pages), "gaining": len(gain), "losing": len(lose), "policy": policy,
        "at": rfc3339(survey.at),
    }


def _kind(request: Request, named: str | None) -> str:
    """Return the media type that is asked for. Raises BadRequest."""
    if named is not None:
        if named not in _FORMATS:
            raise BadRequest(f"`format` is one of {', '.join(_FORMATS)}.")
        return _FORMATS[named]
    accept = request.headers.get("accept", "").lower()
    return NDJSON if NDJSON in accept else CSV if CSV in accept else http.JSON_TYPE


def router(api: Api, judgements: Judgements) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["programmes"])
    described = answers(Previewed, "Who would gain, who would lose, and how many stay as they are.")
    described[200]["content"] = {kind: {"schema": {"type": "string"}} for kind in (CSV, NDJSON)}
    routes.add_api_route(
        PATH, Previews(api, judgements).make, methods=["POST"], summary="Preview a version of a programme", operation_id="previewProgramme",
        response_class=Response, openapi_extra={**documented((FORMAT,)), **sent_as()}, responses=described)
    return routes
