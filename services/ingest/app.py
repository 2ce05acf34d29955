"""PUT and POST of /xapi/statements as a raw ASGI application: what comes in is refused with a problem or written; every answer says which.

It speaks ASGI itself because a framework costs more than everything done here for a single statement.
"""
import asyncio
import contextlib
import time
from functools import lru_cache, partial
from uuid import UUID

import msgspec
import orjson
import structlog

from services.core.errors import BadRequest, Conflict, LrsError, NotFound, Unauthenticated
from services.core.multipart import boundary_of
from services.ingest.multipart import Arriving, trust_store, uploaded
from services.ingest.operations import PATHS, operators_answer
from services.ingest.quarantine import names, told
from services.ingest.quarantine_redrive import PATH as REDRIVE
from services.ingest.quarantine_redrive import Redrive, is_redrive
from services.ingest.statements import AsideId, Batch, NewId, batch_of, keyed_ids
from services.ingest.write import VISIBLE_S, Keep, LostRace, Writer
from services.runtime import telemetry
from services.runtime.auth import Caller
from services.runtime.http import (
    App,
    Disconnected,
    RawHeaders,
    Receive,
    Scope,
    Send,
    answered_version,
    headers_of,
    parse_query,
    prefers_async,
    prefers_strict,
    problem,
    problem_headers,
    raw_headers,
    read_body,
    respond,
    xapi_version,
)
from services.runtime.position import encode_position
from services.runtime.state import State

PATH = "/xapi/statements"
BODY_S = 30.0
DRAIN_S = 1.0
_MAX_IDEMPOTENCY_KEY = 255
_METHODS = frozenset({"PUT", "POST"})
_SHORT_BYTES = 64 << 10
_log = structlog.get_logger(__name__)


class WrongMethod(LrsError):
    """This address takes PUT and POST only."""

    status = 405
    type = "method-not-allowed"


class Failed(LrsError):
    """Something went wrong in Testamur itself; whether the statements are stored is not known. Repeat the request unchanged."""

    outcome = "unknown"


class _Request(msgspec.Struct, eq=False):
    """What the head of an admitted request says; `single` is the id of a PUT."""

    method: str
    caller: Caller
    version: str
    single: str | None
    new_id: NewId
    at_once: bool
    boundary: bytes | None
    """Of a body in multipart/mixed."""
    aside_id: AsideId | None
    """None: one invalid statement refuses the request."""


_Answer = tuple[int, RawHeaders, bytes]


def create_ingest(state: State, *, visible_s: float = VISIBLE_S, body_s: float = BODY_S) -> App:
    """Return the application. `visible_s` bounds the wait for visibility, `body_s` the arrival of a body."""
    return _Ingest(state, visible_s, body_s)


class _Ingest:
    """The application: reads, asks the Writer, answers."""

    def __init__(self, state: State, visible_s: float, body_s: float) -> None:
        self._state, self._body_s = state, body_s
        self._writer = Writer(state, visible_s=visible_s)
        self._redrive = Redrive(state, self._writer)
        self._trust = trust_store(state.settings)
        self._random_id: NewId = lambda _: (state.new_id(), True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection event of ASGI."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = headers_of(scope)
        unread, route = True, PATH
        arriving: Arriving | None = None
        try:
            if scope["path"] in PATHS and scope["method"] == "GET":
                await respond(send, *await operators_answer(self._state, scope))
                return
            route = REDRIVE if scope["path"] != PATH and is_redrive(scope["path"], scope["method"]) else PATH
            request = await (self._admit(scope, headers) if route is PATH else self._redrive.admit(scope, headers))
            if isinstance(request, _Request) and request.boundary is not None:
                arriving = Arriving(receive, self._body_s)
                status, answer, content = await self._write_with_attachments(request, arriving, headers.get(b"content-length"))
            else:
                body = await read_body(receive, headers.get(b"content-length"), limit=self._state.settings.max_body_bytes, deadline_s=self._body_s)
                unread = False
                if isinstance(request, _Request):
                    status, answer, content = await self._write(request, self._batch_of(request, body))
                else:
                    status, answer, content = await self._redrive.answer(request, body)
        except Disconnected:
            return
        except LrsError as error:
            status, answer, content = await self._refuse(headers, error)
        except Exception:  # noqa: BLE001 - whatever it is, the sender must learn that the outcome is unknown
            _log.exception("a write failed")
            status, answer, content = await self._refuse(headers, Failed())
        if unread and not (arriving is not None and arriving.ended) and not _short(headers):
            settings = self._state.settings
            await _respond_and_close(receive, send, status, answer, content, settings.max_body_bytes if arriving is None else settings.max_multipart_bytes)
        else:
            await respond(send, status, answer, content)
        telemetry.observe_http(route, scope["method"] if scope["method"] in _METHODS else "other", status, time.perf_counter() - started)

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> _Request:
        """Return what the head of a request says. Raises LrsError for one that is refused whatever its body is."""
        state, method = self._state, scope["method"]
        if scope["path"] != PATH:
            raise NotFound
        if method not in _METHODS:
            raise WrongMethod
        caller = await state.keys.authenticate(headers.get(b"authorization"))
        version = xapi_version(_text(headers, b"x-experience-api-version"))
        state.keys.note_version(caller, version)
        caller.require("statements/write")
        single = _statement_id(scope["query_string"], method)
        boundary = _check_content(headers.get(b"content-type", b""), headers.get(b"content-encoding", b""))
        prefer = _text(headers, b"prefer")
        aside_id = names(state, caller, version) if caller.quarantine and not prefers_strict(prefer) else None
        return _Request(method, caller, version, single, self._new_id(caller, headers), prefers_async(prefer), boundary, aside_id)

    def _batch_of(self, request: _Request, body: bytes, sent: frozenset[str] = frozenset()) -> Batch:
        return batch_of(
            body, request.version, self._state.settings, request.new_id, single=request.single, sent=sent, aside_id=request.aside_id)

    async def _write_with_attachments(self, request: _Request, arriving: Arriving, declared: bytes | None) -> _Answer:
        assert request.boundary is not None
        async with uploaded(arriving, request.boundary, declared, self._state, partial(self._batch_of, request)) as upload:
            await upload.check_signatures(
                request.version, self._trust, self._state.now(), self._state.settings.max_statement_bytes)
            return await self._write(request, upload.batch, partial(upload.keep, self._state.attachments, request.caller))

    async def _write(self, request: _Request, batch: Batch, keep: Keep | None = None) -> _Answer:
        telemetry.INGEST_BATCH.add(len(batch.statements))
        written = await self._writer.write(request.caller, request.version, batch, wait=not request.at_once, keep=keep)
        if not written.visible and not request.at_once:
            with contextlib.suppress(LrsError):
                await self._state.visibility.fresh()
        answer = self._headers(request.version, "stored" if batch.statements or not batch.aside else "rejected")
        if batch.aside:
            answer += told(len(batch.aside))
        if written.marks:
            answer.append((b"lrs-position", encode_position(self._state.hashes, self._state.log.log_id, written.marks).encode()))
        if request.at_once:
            answer.append((b"preference-applied", b"respond-async"))
        if request.method == "PUT":
            return 204, answer, b""
        answer.append((b"content-type", b"application/json"))
        return 200, answer, orjson.dumps(batch.texts())

    async def _refuse(self, headers: dict[bytes, bytes], error: LrsError) -> _Answer:
        """Return the answer of an error. Those about the content of a request tell how far the store is by now."""
        state = self._state
        telemetry.INGEST_REFUSED.add(1, error.type)
        if isinstance(error, Unauthenticated):
            telemetry.AUTH_FAILURES.labels("missing" if b"authorization" not in headers else "wrong").inc()
        elif isinstance(error, BadRequest | Conflict):
            with contextlib.suppress(LrsError):
                await state.visibility.fresh()
        version = answered_version(_text(headers, b"x-experience-api-version"), state.keys.spoken_version(headers.get(b"authorization")))
        answer = self._headers(version, error.outcome)
        if isinstance(error, LostRace):
            answer += [(b"lrs-position", encode_position(state.hashes, state.log.log_id, error.marks).encode()), *told(error.aside)]
        if isinstance(error, WrongMethod):
            answer.append((b"allow", b"PUT, POST"))
        return error.status, answer + raw_headers(problem_headers(error)), problem(error)

    def _headers(self, version: str, outcome: str) -> RawHeaders:
        return [
            (b"x-experience-api-version", version.encode()),
            (b"x-experience-api-consistent-through", self._state.visibility.header),
            (b"lrs-outcome", outcome.encode()),
        ]

    def _new_id(self, caller: Caller, headers: dict[bytes, bytes]) -> NewId:
        key = headers.get(b"idempotency-key")
        if key is None:
            return self._random_id
        if not 0 < len(key) <= _MAX_IDEMPOTENCY_KEY:
            raise BadRequest(f"The Idempotency-Key has 1 to {_MAX_IDEMPOTENCY_KEY} characters.")
        return keyed_ids(self._state.hashes, caller.tenant, caller.key, key.decode("latin-1"))


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _short(headers: dict[bytes, bytes]) -> bool:
    """Return whether what is left of an unread body is not worth closing the connection for."""
    if b"transfer-encoding" in headers:
        return False
    declared = headers.get(b"content-length", b"0")
    return declared.isdigit() and len(declared) < 10 and int(declared) <= _SHORT_BYTES


def _statement_id(query: bytes, method: str) -> str | None:
    """Return the statementId of a PUT, None of a POST. Raises BadRequest for any other parameter, or a PUT without it."""
    if method == "POST":
        parse_query(query, ())
        return None
    single = parse_query(query, ("statementId",)).get("statementId")
    if single is None:
        raise BadRequest("A PUT of a statement needs the parameter statementId.")
    try:
        made = UUID(single)
    except ValueError as error:
        raise BadRequest("The parameter statementId is not a UUID.") from error
    if single.lower() != str(made):
        raise BadRequest("The parameter statementId is not a UUID in its usual form, with hyphens.")
    return single


@lru_cache(maxsize=64)
def _check_content(content_type: bytes, encoding: bytes) -> bytes | None:
    """Return the boundary of a multipart/mixed body, None of plain JSON. Raises BadRequest for any other."""
    media = content_type.split(b";", 1)[0].strip().lower()
    if media not in {b"application/json", b"multipart/mixed"}:
        raise BadRequest("Statements come as application/json, or with the content of attachments as multipart/mixed.")
    if encoding.strip().lower() not in {b"identity", b""}:
        raise BadRequest("A compressed body is not taken: send it without Content-Encoding.")
    return boundary_of(content_type) if media == b"multipart/mixed" else None


async def _respond_and_close(receive: Receive, send: Send, status: int, answer: RawHeaders, body: bytes, limit: int) -> None:
    """Answer a request whose body was not read, then read a little on so that the answer gets through, then close the connection."""
    answer += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": answer})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            left = limit
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    break
                left -= len(message.get("body", b""))
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
