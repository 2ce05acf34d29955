"""Whatever goes wrong becomes problem JSON, with the headers its path owes: a version on all of /xapi, Consistent-Through on all of its statements."""
import contextlib

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.core.errors import BadRequest, LrsError, NotFound, Unauthenticated, Unavailable
from services.runtime import http
from services.runtime.postgres import transient
from services.runtime.state import State
from services.runtime.telemetry import AUTH_FAILURES

_log = structlog.get_logger(__name__)
STATEMENTS = "/xapi/statements"
_WRITES = ("POST", "PUT")
_FORESEEN = (LrsError, http.Disconnected, HTTPException, RequestValidationError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_AWAY = "The store cannot be read right now; repeat the request a little later."


class MethodNotAllowed(LrsError):
    """This path does not know this method."""

    status = 405
    type = "method-not-allowed"


def install(app: FastAPI, state: State) -> None:
    """Let `app` answer every error as a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = MethodNotAllowed(allowed=_methods(request)) if isinstance(error, HTTPException) and error.status_code == 405 else as_lrs_error(error)
        if problem is not error and not isinstance(error, HTTPException) and request.method not in ("GET", "HEAD"):
            problem.outcome = "unknown"  # it may have gone wrong after the record was appended
        if request.scope["path"].startswith(STATEMENTS) and problem.status in (400, 404):
            with contextlib.suppress(LrsError):  # what is refused for what it asks tells how far the store is now, not a second ago
                await state.visibility.fresh()
        return problem_answer(state, request, problem)

    for kind in (*_FORESEEN, Exception):
        app.add_exception_handler(kind, answer)


def _methods(request: Request) -> str:
    """Return the methods that the path of a request knows, whichever route and (for statements) whichever service takes them."""
    taken = [
        method for method in ("GET", "POST", "PUT", "DELETE") if (method in _WRITES and request.method not in _WRITES and request.scope["path"] == STATEMENTS)
        or any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return ", ".join(each for method in taken for each in (("GET", "HEAD") if method == "GET" else (method,)))


def as_lrs_error(error: Exception) -> LrsError:
    """Return the error as one of ours; what we did not foresee tells the client nothing, and is logged once."""
    if isinstance(error, LrsError):
        return error
    if isinstance(error, HTTPException):
        return NotFound("There is nothing at this path.") if error.status_code == 404 else BadRequest(str(error.detail))
    if isinstance(error, http.Disconnected):  # for the metrics: there is nobody to read it
        return BadRequest("The connection ended before the body was complete.")
    if isinstance(error, RequestValidationError):
        return BadRequest("The request cannot be understood.")
    if transient(error):
        _log.warning("postgres is away or slow", error=repr(error))
        return Unavailable(_AWAY)
    if isinstance(error, _FORESEEN):  # any other is raised again once it is answered, and the server logs it
        _log.error("request failed", exc_info=error)
    return LrsError()


def problem_answer(state: State, request: Request, error: LrsError) -> Response:
    """Return the answer for an error."""
    headers = http.problem_headers(error)
    content_type = headers.pop("Content-Type")
    path: str = request.scope["path"]
    if isinstance(error, Unauthenticated):
        AUTH_FAILURES.labels("wrong" if "authorization" in request.headers else "missing").inc()
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = str(error.members.get("allowed", ""))
    if path.startswith("/xapi"):
        spoken = state.keys.spoken_version(request.headers.get("authorization"))
        headers[http.VERSION_HEADER] = http.answered_version(request.headers.get(http.VERSION_HEADER), spoken)
    if path.startswith(STATEMENTS):
        headers[http.THROUGH_HEADER] = state.visibility.header.decode()
    if request.method not in ("GET", "HEAD"):
        headers["LRS-Outcome"] = error.outcome
    return Response(http.problem(error), error.status, headers, media_type=content_type)
