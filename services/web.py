"""One port for everything: writes of statements (/xapi/statements, and from the quarantine) go to ingest, the rest to the API.

Behind a gateway, which divides them, a process has one of the two.

Browser tools of other origins may call /xapi (CORS), old ones in the alternate request syntax. No answer ever allows credentials of a browser
(cookies); a preflight needs no key.
"""
import asyncio
import contextlib
from typing import cast

from services.alternate import is_alternate, stands_for
from services.core.errors import LrsError, Outcome, Unavailable
from services.runtime.http import App, Disconnected, RawHeaders, Receive, Scope, Send, headers_of, respond
from services.runtime.paths import single_slashes, writes_statements
from services.runtime.refusal import refused
from services.runtime.state import State

_METHODS = b"GET, HEAD, POST, PUT, DELETE"
_ALLOWED = (
    b"Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, LRS-Min-Position, Prefer, "
    b"X-Experience-API-Hash, X-Experience-API-Version"
)
_EXPOSED = (
    b"Content-Length, ETag, Last-Modified, LRS-Consistent-Through, LRS-Outcome, LRS-Position, LRS-Quarantined, Link, Preference-Applied, "
    b"Retry-After, WWW-Authenticate, X-Experience-API-Consistent-Through, X-Experience-API-Hash, X-Experience-API-Version"
)
_PREFLIGHT_S = b"7200"


class CutShort(Unavailable):
    """The server stopped before the request was done, which may have had its effect or not. Repeat it unchanged."""

    outcome: Outcome = "unknown"


def create_app(state: State) -> App:
    """Return the application of a web process on an open state."""
    from services.api.app import create_api  # noqa: PLC0415 - a process for one of the two loads nothing of the other
    from services.ingest.app import create_ingest  # noqa: PLC0415 - as above

    return _Web(state, create_ingest(state), cast("App", create_api(state)))


def create_writes(state: State) -> App:
    """Return the application of a process for writes of statements alone."""
    from services.ingest.app import create_ingest  # noqa: PLC0415 - as above

    ingest = create_ingest(state)
    return _Web(state, ingest, ingest)


def create_reads(state: State) -> App:
    """Return the application of a process for everything else."""
    from services.api.app import create_api  # noqa: PLC0415 - as above

    api = cast("App", create_api(state))
    return _Web(state, api, api)


class _Web:
    """The division between ingest and API, and CORS and the alternate syntax in front of both."""

    def __init__(self, state: State, ingest: App, api: App) -> None:
        self._state, self._ingest, self._api = state, ingest, api
        self._origins = frozenset(origin.strip().rstrip("/").lower().encode() for origin in state.settings.cors_origins.split(",") if origin.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection event of ASGI."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            if not self._state.visibility.draining:
                raise
            with contextlib.suppress(RuntimeError):  # its answer had begun
                await self._refuse(send, headers_of(scope), CutShort())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = single_slashes(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")}
        if path.startswith("/xapi"):
            headers = headers_of(scope)
            origin = headers.get(b"origin")
            if origin is not None:
                if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                    await respond(send, 204, self._preflight(origin))
                    return
                send = self._shared(send, origin)
            if is_alternate(scope):
                try:
                    scope, receive = await stands_for(scope, receive, self._state.settings.max_body_bytes, self._state.keys.recognise)
                except Disconnected:
                    return
                except LrsError as error:
                    await self._refuse(send, headers, error)
                    return
        app = self._ingest if writes_statements(scope["method"], path) else self._api
        await app(scope, receive, send)

    async def _refuse(self, send: Send, headers: dict[bytes, bytes], error: LrsError) -> None:
        """Answer a form that stands for no request, or that is of nobody known."""
        status, answer, content = refused(self._state, headers, error)
        await respond(send, status, [*answer, (b"connection", b"close")], content)

    def _allowed(self, origin: bytes) -> RawHeaders:
        if b"*" in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        if origin.lower() in self._origins:
            return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        return [(b"vary", b"Origin")]

    def _preflight(self, origin: bytes) -> RawHeaders:
        return [
            *self._allowed(origin), (b"access-control-allow-methods", _METHODS), (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", _PREFLIGHT_S),
        ]

    def _shared(self, send: Send, origin: bytes) -> Send:
        extra = [*self._allowed(origin), (b"access-control-expose-headers", _EXPOSED)]

        async def send_shared(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *extra]}  # type: ignore[misc]
            await send(message)

        return send_shared
