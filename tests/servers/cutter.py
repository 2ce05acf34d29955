"""A proxy before Postgres that cuts a connection at a chosen moment: before a request gets through, or after it did and before its answer comes back."""
import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Cutter:
    """Passes bytes on. `cut("answer", marker)` cuts the next connection that sends `marker` before it hears of it, "request" before it is passed on."""

    def __init__(self, dsn: str) -> None:
        """`dsn` is that of a server on a Unix socket."""
        self._server_socket = str(Path(parse_qs(urlsplit(dsn).query)["host"][0]) / SOCKET)
        self.folder = Path(tempfile.mkdtemp(prefix="cutter-", dir="/tmp"))
        self.dsn = urlsplit(dsn)._replace(query=f"host={self.folder}&port=5432").geturl()
        self._what, self._marker = "", b""
        self.cuts = 0

    def cut(self, what: Literal["answer", "request"], marker: bytes) -> None:
        """Cut once."""
        self._what, self._marker = what, marker

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        doomed = asyncio.Event()

        async def there() -> None:
            while data := await reader.read(1 << 20):
                if self._marker and self._marker in data:
                    self._marker = b""
                    if self._what == "request":
                        return
                    doomed.set()
                server_writer.write(data)

        async def back() -> None:
            while data := await server_reader.read(1 << 20):
                if doomed.is_set():
                    return
                writer.write(data)

        ways = [asyncio.create_task(there()), asyncio.create_task(back())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.cuts += 1
        for way in ways:
            way.cancel()
        writer.close()
        server_writer.close()


@asynccontextmanager
async def cutter(dsn: str) -> AsyncIterator[Cutter]:
    """Have a proxy before the server of `dsn`; `dsn` of the proxy leads through it."""
    made = Cutter(dsn)
    server = await asyncio.start_unix_server(made.serve, made.folder / SOCKET)
    try:
        yield made
    finally:
        server.close()
        shutil.rmtree(made.folder)
