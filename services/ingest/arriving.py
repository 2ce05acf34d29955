"""A body as it arrives, and the answer to a request whose body was not read to its end: then the connection is closed, unless little is left."""
import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from services.core.errors import BadRequest, TooLarge
from services.runtime.http import Disconnected, RawHeaders, Receive, Send, TooSlow, respond

DRAIN_S = 1.0
_SHORT_BYTES = 64 << 10


class Arriving:
    """What is received of a body; `ended` once that was all of it."""

    def __init__(self, receive: Receive, limit: int) -> None:
        """`limit` is how many bytes it may have, if it is not read in pieces, which may have another."""
        self._receive, self._limit = receive, limit
        self.ended = False

    async def __call__(self) -> dict[str, Any]:
        """Receive the next message."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message

    async def pieces(self, declared: bytes | None, limit: int, pause_s: float) -> AsyncIterator[bytes]:
        """Give the body as it comes, each piece within `pause_s` of the one before. Raises TooLarge, TooSlow, BadRequest or Disconnected."""
        self._limit = limit
        if declared is not None and not declared.isdigit():
            raise BadRequest("Content-Length is not a number.")
        size = int(declared[:20]) if declared else 0
        if size > limit:
            raise _too_large(limit)
        size = 0
        while not self.ended:
            try:
                async with asyncio.timeout(pause_s):
                    message = await self()
            except TimeoutError as error:
                raise TooSlow from error
            if message["type"] == "http.disconnect":
                raise Disconnected
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            yield piece

    def answer(self, send: Send, headers: dict[bytes, bytes], status: int, answer: RawHeaders, content: bytes) -> Awaitable[None]:
        """Answer the request of these headers. Of a long body that did not end a little is read on, so that the answer gets through."""
        return (respond if self.ended or _is_short(headers) else self._answer_early)(send, status, answer, content)

    async def _answer_early(self, send: Send, status: int, answer: RawHeaders, content: bytes) -> None:
        answer += [(b"content-length", b"%d" % len(content)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": content, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                left = self._limit
                while left > 0 and not self.ended:
                    left -= len((await self()).get("body", b""))
        await send({"type": "http.response.body", "body": b""})


def _is_short(headers: dict[bytes, bytes]) -> bool:
    """Return whether what is left of an unread body is not worth closing the connection for."""
    if b"transfer-encoding" in headers:
        return False
    declared = headers.get(b"content-length", b"0")
    return declared.isdigit() and len(declared) < 10 and int(declared) <= _SHORT_BYTES


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body may have at most {limit} bytes.")
