"""The leanest HTTP client there is: one request at a time on one kept connection, no streams, no timers. Load must not be what is measured."""
import asyncio
import base64
from typing import Self, cast

from tests.servers.system import KEY, SECRET


class Wire(asyncio.Protocol):
    """One connection. Only answers with a Content-Length are understood, which is how writes are answered."""

    def __init__(self, port: int, key: str = KEY, secret: str = SECRET) -> None:
        """Connects when first used."""
        self._port = port
        token = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._head = (f"POST /xapi/statements HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Basic {token}\r\nX-Experience-API-Version: 1.0.3\r\n"
                      "Content-Type: application/json\r\n").encode()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._data = b""

    async def post(self, body: bytes, extra: bytes = b"") -> tuple[int, bytes]:
        """Post a body with further header lines; return the status and the whole answer, head and body. Raises OSError when the connection is lost."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        assert self._transport is not None
        self._answer = loop.create_future()
        self._transport.write(b"%bContent-Length: %d\r\n%b\r\n%b" % (self._head, len(body), extra, body))
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        """Give the answer once it is whole."""
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = data.lower().find(b"content-length:", 0, end)
        if len(data) >= end + 4 + (int(data[at + 15:data.index(b"\r\n", at)]) if at >= 0 else 0):
            self._data = b""
            if self._answer is not None and not self._answer.done():
                self._answer.set_result((int(data[9:12]), data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
