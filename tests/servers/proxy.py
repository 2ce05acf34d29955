"""A small reverse proxy, as people put in front of a server: it ends TLS, takes a path off or leaves it, and says so in headers."""
import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

_HEAD = 64 << 10


@dataclass
class Proxy:
    """Where it listens and what it does: `strip` is taken off the path, `add` is added to the headers (after what it strips of them)."""

    upstream: int
    strip: str = ""
    add: Mapping[str, str] = field(default_factory=dict)
    port: int = 0

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *headers = head.rstrip("\r\n").split("\r\n")
            method, path, version = line.split(" ")
            added = {name.lower() for name in self.add} | {"connection"}
            kept = [header for header in headers if header.partition(":")[0].lower() not in added]
            told = [f"{name}: {value}" for name, value in {**self.add, "Connection": "close"}.items()]
            length = next((int(header.partition(":")[2]) for header in headers if header.lower().startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            back, forth = await asyncio.open_connection("127.0.0.1", self.upstream)
            forth.write("\r\n".join([f"{method} {path.removeprefix(self.strip) or '/'} {version}", *kept, *told, "", ""]).encode("latin-1") + body)
            while part := await back.read(_HEAD):
                writer.write(part)
                await writer.drain()
            forth.close()
        writer.close()


@contextlib.asynccontextmanager
async def proxying(upstream: int, *, strip: str = "", add: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy on a port of its own while the body runs."""
    proxy = Proxy(upstream, strip, add or {})
    server = await asyncio.start_server(proxy._relay, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()
