"""Uvicorn's HTTP protocol, with a bound on all that is not a body: the parser keeps a head, or trailers, as long as the sender likes.

What is no HTTP is refused with a problem too.
"""
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.core.errors import BadRequest, LrsError
from services.runtime.http import problem, problem_headers

MAX_HEAD_BYTES = 64 << 10


class HeadTooLarge(LrsError):
    """The headers of the request are larger than this server accepts."""

    status = 431
    type = "head-too-large"


class BoundedHead(HttpToolsProtocol):
    """A connection that is closed once more than MAX_HEAD_BYTES have come, in parts that end neither a head nor a message and hold nothing of a body."""

    _moved = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came, and count it unless it led somewhere."""
        self._moved = False
        super().data_received(data)
        self._head_bytes = 0 if self._moved else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_refusal(HeadTooLarge(f"The headers of a request may have at most {MAX_HEAD_BYTES} bytes.")))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own sentence, which is in the log
        """Refuse what the parser cannot read: no HTTP, or an address or a header longer than it takes."""
        self.transport.write(_refusal(BadRequest("This cannot be read as a request of HTTP/1.1, or its address is too long.")))
        self.transport.close()

    def on_headers_complete(self) -> None:
        """Go on from head to body."""
        self._moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._moved = True
        super().on_message_complete()


def _refusal(error: LrsError) -> bytes:
    body = problem(error)
    headers = {**problem_headers(error), "Content-Length": str(len(body)), "Connection": "close", "LRS-Outcome": error.outcome}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n{head}\r\n".encode("latin-1") + body
