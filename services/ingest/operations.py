"""What operators ask an ingest process that stands alone: /healthz/live, /healthz/ready, /metrics. Beside the API, the API answers these."""
import asyncio

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.core.errors import LrsError, Unavailable
from services.runtime.http import RawHeaders, Scope, headers_of
from services.runtime.state import State

_READY_S = 4.0
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_FORWARDED = (b"x-forwarded-for", b"forwarded")
_Answer = tuple[int, RawHeaders, bytes]
PATHS = frozenset({"/healthz/live", "/healthz/ready", "/metrics"})


async def operators_answer(state: State, scope: Scope) -> _Answer:
    """Return the answer for one of PATHS.

    Raises Unavailable while not ready; for metrics asked from another machine Unauthenticated or Forbidden without a key that carries lrs:admin.
    """
    if scope["path"] == "/healthz/live":
        return _json(b'{"status":"live"}')
    if scope["path"] == "/healthz/ready":
        await _check_log(state)
        return _json(b'{"status":"ready"}')
    headers, client = headers_of(scope), scope.get("client")
    if client is None or client[0] not in _LOOPBACK or any(name in headers for name in _FORWARDED):
        (await state.keys.authenticate(headers.get(b"authorization"))).require("lrs:admin")
    return 200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], generate_latest()


async def _check_log(state: State) -> None:
    """Raise Unavailable unless the log answers: writes need nothing else."""
    try:
        async with asyncio.timeout(_READY_S):
            await state.log.end(0)
    except (LrsError, OSError) as error:
        raise Unavailable("The log does not answer.") from error


def _json(body: bytes) -> _Answer:
    return 200, [(b"content-type", b"application/json"), (b"cache-control", b"no-store")], body
