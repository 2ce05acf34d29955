"""Servers that measurements run beside each other: a bare echo, ingest with the append left out, ingest on a durable log. One process each."""
import argparse
import asyncio
import dataclasses
import json
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn

from services.ingest.app import create_ingest
from services.runtime.backlog import Backlog
from services.runtime.bounded_head import BoundedHead
from services.runtime.callers.api_keys import create_key
from services.runtime.embedded import EmbeddedPostgres
from services.runtime.log import NewRecord, Position
from services.runtime.migrate import migrate
from services.runtime.settings import Settings
from services.runtime.state import open_state
from services.runtime.telemetry import settle_garbage_collector
from services.runtime.visibility import Visibility
from tests.bench.recipe import say

UNBOUNDED = 1 << 60


class NoLog:
    """A log that is durable at once, for what everything else costs."""

    partitions = 1

    def __init__(self) -> None:
        self.log_id = uuid4()

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Say that all is well."""
        return [Position(record.partition, 0) for record in records]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and send it back: what the server alone costs."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def application(kind: str) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    """Open the application of a kind; the second value is its key, and the process of its Postgres."""
    if kind == "echo":
        yield echo, {"key": "k", "secret": "s", "postgres": 0}
        return
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder)
        dsn = await postgres.start()
        stack.push_async_callback(postgres.stop)
        await migrate(dsn)
        state = await stack.enter_async_context(open_state(Settings(data_dir=folder, secret="bench"), dsn))
        key = await create_key(state.pool, state.secret, name="bench", tenant="default", scopes=("lrs:admin",), authority=None, public_url="http://127.0.0.1")
        if kind == "unwritten":
            state.visibility.backlog.fold(0, 1)  # what is "written" there is folded already: no backlog grows
            yield create_ingest(dataclasses.replace(state, log=NoLog())), {**key, "postgres": postgres.pid}  # type: ignore[arg-type]
        else:
            visibility = await stack.enter_async_context(Visibility(dsn, Backlog(max_records=UNBOUNDED, max_statements=UNBOUNDED, max_bytes=UNBOUNDED)))
            yield create_ingest(dataclasses.replace(state, visibility=visibility)), {**key, "postgres": postgres.pid}


class Server(uvicorn.Server):
    """A server that a signal ends without killing the process, which has a Postgres to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


async def serve(kind: str, port: int) -> None:
    """Serve until SIGTERM; print the key once it listens."""
    async with application(kind) as (app, key):
        server = Server(uvicorn.Config(  # as services/serve.py has it, for every side
            app, port=port, loop="none", http=BoundedHead, ws="none", lifespan="off", log_level="warning", access_log=False, server_header=False,
            proxy_headers=False, backlog=2048, timeout_keep_alive=75))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)  # noqa: FBT003 - setattr's value
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)  # noqa: TID251 - as above
        settle_garbage_collector()
        say(json.dumps({name: key[name] for name in ("key", "secret", "postgres")}))
        await task


def main() -> None:
    """Serve one kind on one port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("echo", "unwritten", "durable"))
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    import uvloop
    sys.exit(uvloop.run(serve(arguments.kind, arguments.port)))


if __name__ == "__main__":
    main()
