"""What every HTTP answer of ours has in common: version negotiation, problem JSON (RFC 9457), query strings, preferences and bounded bodies.

Nothing here knows a framework: the functions take and give bytes, texts and ASGI messages. Only this file turns an LrsError into an answer.
"""
import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from functools import lru_cache, partial
from types import coroutine
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from services.core.errors import BadRequest, LrsError, TooLarge

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

VERSION_HEADER = "X-Experience-API-Version"
THROUGH_HEADER = "X-Experience-API-Consistent-Through"
JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
PROBLEMS = "https://w3id.org/testamur/problems/"
DEFAULT_VERSION = "2.0.0"
MAX_WAIT_S = 10.0
MAX_QUERY_BYTES = 8 << 10
_VERSION = re.compile(r"(1\.0|2\.0)(?:\.\d{1,4})?")
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
_REQUIRED = f"Send the header {VERSION_HEADER}, as 1.0.3 or 2.0.0."


class TooSlow(LrsError):
    """The body of the request did not arrive in time."""

    status = 408
    type = "request-timeout"


class Disconnected(Exception):
    """The client went away before its request was complete: there is nobody to answer."""


@lru_cache(maxsize=64)
def xapi_version(value: str | None) -> str:
    """Return `1.0.3` for any 1.0.x and `2.0.0` for any 2.0.x (xAPI Communication 3.3). Raises BadRequest for none or another."""
    if value is None:
        raise BadRequest(_REQUIRED)
    found = _VERSION.fullmatch(value.strip())
    if found is None:
        raise BadRequest(f"This version of xAPI is not spoken here. {_REQUIRED}")
    return "1.0.3" if found[1] == "1.0" else "2.0.0"


def answered_version(value: str | None, last: str | None = None) -> str:
    """Return the version an answer names: that of the request, else the one its credential spoke `last`, else 2.0.0."""
    try:
        return xapi_version(value)
    except BadRequest:
        return last or DEFAULT_VERSION


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the request's headers by lower-case name; of a repeated one the last, but every Authorization, so that none of several is believed."""
    sent = scope["headers"]
    headers = dict(sent)
    if len(headers) != len(sent) and b"authorization" in headers:
        headers[b"authorization"] = b", ".join(value for name, value in sent if name == b"authorization")
    return headers


def parse_query(query: bytes, known: Iterable[str] | None = None) -> dict[str, str]:
    """Return the query string's parameters, decoded. Raises BadRequest for one repeated, not UTF-8, or (where `known` is given) unknown."""
    if not query:
        return {}
    if len(query) > MAX_QUERY_BYTES:
        raise BadRequest(f"The query string is longer than {MAX_QUERY_BYTES} bytes.")
    found: dict[str, str] = {}
    for pair in query.split(b"&"):
        if not pair:
            continue
        name, value = (_decoded(part) for part in (*pair.split(b"=", 1), b"")[:2])
        if name in found:
            raise BadRequest(f"The query parameter {name!r} is given twice.")
        if known is not None and name not in known:
            raise BadRequest(f"The query parameter {name!r} is unknown here. Names are case-sensitive.")
        found[name] = value
    return found


def _decoded(part: bytes) -> str:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The query string is not UTF-8.") from error


@lru_cache(maxsize=64)
def prefers_strict(prefer: str | None) -> bool:
    """Return whether the client asked for nothing to be put up with (RFC 7240 `handling=strict`)."""
    return prefer is not None and any(item.strip().lower() == "handling=strict" for item in prefer.split(","))


@lru_cache(maxsize=64)
def prefers_async(prefer: str | None) -> bool:
    """Return whether the client asked to be answered at durability (RFC 7240 `respond-async`)."""
    return prefer is not None and any(item.strip().lower() == "respond-async" for item in prefer.split(","))


def wait_s(prefer: str | None, default: float = 2.0) -> float:
    """Return how long the client prefers to wait (RFC 7240 `wait=N`), at most 10 s."""
    found = _WAIT.search(prefer) if prefer else None
    return min(float(found[1]), MAX_WAIT_S) if found else default


def problem(error: LrsError) -> bytes:
    """Return the problem JSON of an error: `type`, `title`, `status`, `detail`, `pointer` where it applies, and its own members."""
    body: dict[str, Any] = {"type": PROBLEMS + error.type, "title": error.type.replace("-", " ").capitalize(), "status": error.status, "detail": error.detail}
    if error.pointer is not None:
        body["pointer"] = error.pointer
    return orjson.dumps(body | error.members, default=str)


def problem_headers(error: LrsError) -> dict[str, str]:
    """Return the headers an error brings along."""
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.challenges:
        headers["WWW-Authenticate"] = ", ".join(error.challenges)
    return headers


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """Return headers as ASGI wants them. Characters no header can carry are replaced."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


async def respond(send: Send, status: int, headers: RawHeaders, body: bytes = b"") -> None:
    """Send a whole answer; `headers` is extended by the length."""
    if status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive, declared: bytes | None, *, limit: int, deadline_s: float) -> bytes:
    """Return the body, reading no more than `limit` bytes of it. Raises TooLarge, TooSlow, BadRequest or Disconnected."""
    if declared is not None and (not declared.isdigit() or int(declared[:20]) > limit):
        raise TooLarge(f"The body may have at most {limit} bytes.") if declared.isdigit() else BadRequest("Content-Length is not a number.")
    reading = _read(receive, limit)
    try:
        awaited = reading.send(None)
    except StopIteration as done:  # the body came with the head, as most do: a timer for nothing would cost more than the reading
        return done.value  # type: ignore[no-any-return]  # what _read returns
    try:
        async with asyncio.timeout(deadline_s):
            return await _rest(reading, awaited)
    except TimeoutError as error:
        raise TooSlow from error


@coroutine
def _rest(begun: Coroutine[Any, Any, bytes], awaited: Any) -> Generator[Any, Any, bytes]:
    """Go on with a coroutine that was begun by hand and awaits something."""
    while True:
        try:
            given = yield awaited
        except BaseException as error:  # noqa: BLE001 - a cancellation, which is the coroutine's to handle
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, given)
        try:
            awaited = step()
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what the coroutine returns


async def _read(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        only: bytes = message.get("body", b"")
        if len(only) > limit:
            raise TooLarge(f"The body may have at most {limit} bytes.")
        return only
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLarge(f"The body may have at most {limit} bytes.")
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
