"""PUT and POST of /xapi/statements as a raw ASGI application: what comes in is refused with a problem or written; every answer says which.

It speaks ASGI itself because a framework costs more than everything done here for a single statement.
"""
import contextlib
import time
from collections.abc import Awaitable
from functools import lru_cache, partial
from uuid import UUID

import msgspec
import orjson
import structlog

from services.core.errors import BadRequest, Conflict, LrsError, NotFound
from services.core.multipart import boundary_of
from services.ingest.arriving import Arriving
from services.ingest.multipart import trust_store, uploaded
from services.ingest.operations import PATHS, operators_answer
from services.ingest.quarantine import names, told
from services.ingest.quarantine_redrive import Redrive
from services.ingest.statements import Batch, Naming, NewId, batch_of, keyed_ids
from services.ingest.write import VISIBLE_S, Keep, LostRace, Writer
from services.runtime import telemetry
from services.runtime.callers.auth import Caller
from services.runtime.http import (
    App,
    Disconnected,
    RawHeaders,
    Receive,
    Scope,
    Send,
    headers_of,
    parse_query,
    prefers_async,
    prefers_strict,
    read_body,
    xapi_version,
)
from services.runtime.paths import REDRIVE, STATEMENTS, is_redrive
from services.runtime.position import encode_position
from services.runtime.refusal import Answer, refused
from services.runtime.state import State

BODY_S = 30.0
_MAX_IDEMPOTENCY_KEY = 255
_METHODS = frozenset({"PUT", "POST"})
_log = structlog.get_logger(__name__)


class WrongMethod(LrsError):
    """This address takes PUT and POST only."""

    status = 405
    type = "method-not-allowed"


class Failed(LrsError):
    """Something went wrong in Testamur itself; whether the statements are stored is not known. Repeat the request unchanged."""

    outcome = "unknown"


class _Request(msgspec.Struct, eq=False):
    """What the head of an admitted request says."""

    method: str
    caller: Caller
    version: str
    naming: Naming
    at_once: bool
    boundary: bytes | None
    """Of a body in multipart/mixed."""


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
            await self._handle(scope, Arriving(receive, self._state.settings.max_body_bytes), send)

    async def _handle(self, scope: Scope, arriving: Arriving, send: Send) -> None:
        started, method, path, headers = time.perf_counter(), scope["method"], scope["path"], headers_of(scope)
        route: str | None = STATEMENTS
        try:
            if path == STATEMENTS:
                status, answer, content = await self._take(scope, headers, arriving)
            elif method == "GET" and path in PATHS:
                route = None
                status, answer, content = await operators_answer(self._state, scope)
            elif is_redrive(method, path):
                route = REDRIVE
                status, answer, content = await self._send_on(scope, headers, arriving)
            else:
                raise NotFound
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender must learn that the outcome is unknown
            status, answer, content = await self._refuse(headers, error)
        await arriving.answer(send, headers, status, answer, content)
        if route is not None:
            telemetry.observe_http(route, method if method in _METHODS else "other", status, time.perf_counter() - started)

    async def _send_on(self, scope: Scope, headers: dict[bytes, bytes], arriving: Arriving) -> Answer:
        asked = await self._redrive.admit(scope, headers)
        return await self._redrive.answer(asked, await self._body(headers, arriving))

    async def _take(self, scope: Scope, headers: dict[bytes, bytes], arriving: Arriving) -> Answer:
        keys, shown = self._state.keys, headers.get(b"authorization")
        if scope["method"] not in _METHODS:
            raise WrongMethod
        request = self._admit(scope, headers, keys.admitted(shown) or await keys.authenticate(shown))
        if request.boundary is not None:
            return await self._write_with_attachments(request, request.boundary, arriving, headers.get(b"content-length"))
        return await self._write(request, self._batch_of(request, await self._body(headers, arriving)))

    def _body(self, headers: dict[bytes, bytes], arriving: Arriving) -> Awaitable[bytes]:
        return read_body(arriving, headers.get(b"content-length"), limit=self._state.settings.max_body_bytes, deadline_s=self._body_s)

    def _admit(self, scope: Scope, headers: dict[bytes, bytes], caller: Caller) -> _Request:
        """Return what the head of a request says. Raises LrsError for one that is refused whatever its body is."""
        state, method = self._state, scope["method"]
        version = xapi_version(_text(headers, b"x-experience-api-version"))
        state.keys.note_version(caller, version)
        caller.require("statements/write")
        single = _statement_id(scope["query_string"], method)
        boundary = _check_content(headers.get(b"content-type", b""), headers.get(b"content-encoding", b""))
        prefer = _text(headers, b"prefer")
        aside_id = names(state, caller, version) if caller.quarantine and not prefers_strict(prefer) else None
        return _Request(method, caller, version, Naming(self._new_id(caller, headers), single, aside_id), prefers_async(prefer), boundary)

    def _batch_of(self, request: _Request, body: bytes, sent: frozenset[str] = frozenset()) -> Batch:
        return batch_of(body, request.version, self._state.settings, request.naming, sent)

    async def _write_with_attachments(self, request: _Request, boundary: bytes, arriving: Arriving, declared: bytes | None) -> Answer:
        async with uploaded(arriving, boundary, declared, self._body_s, self._state, partial(self._batch_of, request)) as upload:
            await upload.check_signatures(
                request.version, self._trust, self._state.now(), self._state.settings.max_statement_bytes)
            return await self._write(request, upload.batch, partial(upload.keep, self._state.attachments, request.caller))

    async def _write(self, request: _Request, batch: Batch, keep: Keep | None = None) -> Answer:
        telemetry.INGEST_BATCH.add(len(batch.statements))
        written = await self._writer.write(request.caller, request.version, batch, wait=not request.at_once, keep=keep)
        if not written.visible and not request.at_once:
            with contextlib.suppress(LrsError):
                await self._state.visibility.fresh()
        none_stored = not batch.statements and 0 < len(batch.aside) == written.aside
        answer: RawHeaders = [
            (b"x-experience-api-version", request.version.encode()),
            (b"x-experience-api-consistent-through", self._state.visibility.header),
            (b"lrs-outcome", b"rejected" if none_stored else b"stored"),
            *told(written.aside),
        ]
        if written.marks:
            answer.append((b"lrs-position", encode_position(self._state.hashes, self._state.log.log_id, written.marks).encode()))
        if request.at_once:
            answer.append((b"preference-applied", b"respond-async"))
        if request.method == "PUT":
            return 204, answer, b""
        answer.append((b"content-type", b"application/json"))
        return 200, answer, orjson.dumps(batch.texts())

    async def _refuse(self, headers: dict[bytes, bytes], error: Exception) -> Answer:
        """Return the answer of an error. Those about the content of a request tell how far the store is by now."""
        state = self._state
        if not isinstance(error, LrsError):
            _log.error("a write failed", exc_info=error)
            error = Failed()
        telemetry.INGEST_REFUSED.add(1, error.type)
        if isinstance(error, BadRequest | Conflict):
            with contextlib.suppress(LrsError):
                await state.visibility.fresh()
        status, answer, content = refused(state, headers, error)
        if isinstance(error, LostRace):
            answer += [(b"lrs-position", encode_position(state.hashes, state.log.log_id, error.marks).encode()), *told(error.aside)]
        if isinstance(error, WrongMethod):
            answer.append((b"allow", b"PUT, POST"))
        return status, answer, content

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


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
