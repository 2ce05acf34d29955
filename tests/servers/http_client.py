"""A lean keep-alive HTTP/1.1 client for load: one request at a time on one connection, as cheap as Python allows, so that the server is what is measured."""
import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, opened again when the server closed it. A request that gets no whole answer in time raises OSError or TimeoutError."""

    _open: ClassVar["set[Connection]"] = set()

    def __init__(self, host: str, port: int, *, key: str, secret: str, timeout_s: float = 15) -> None:
        """`key` and `secret` go out as Basic authentication with every request."""
        self._host, self._port, self._key, self._secret, self._timeout_s = host, port, key, secret, timeout_s
        token = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._common = f"Host: {host}:{port}\r\nAuthorization: Basic {token}\r\nX-Experience-API-Version: 1.0.3\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def another(self) -> "Connection":
        """Return another connection of the same user."""
        return Connection(self._host, self._port, key=self._key, secret=self._secret, timeout_s=self._timeout_s)

    async def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request and return the whole answer."""
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if method in ("POST", "PUT") else ""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 26)
                    self._open.add(self)
                self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._common}{extra}{length}\r\n".encode() + body)
                return await self._answer()
        except BaseException:
            self.close()
            raise

    async def _answer(self) -> Answer:
        assert self._reader is not None
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await (self._chunked() if headers.get("transfer-encoding") == "chunked" else self._reader.readexactly(int(headers.get("content-length", 0))))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the server closed the connection") from error
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split(" ", 2)[1]), headers, body)

    async def _chunked(self) -> bytes:
        assert self._reader is not None
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(parts)

    def close(self) -> None:
        """Forget the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
        self._open.discard(self)

    @classmethod
    def close_all(cls) -> None:
        """Close every connection that is open."""
        for each in list(cls._open):
            each.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
