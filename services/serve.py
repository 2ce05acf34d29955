"""Run one service in this process until SIGTERM or SIGINT, then drain within the deadline.

Used by the children of `testamur up` and by `testamur ingest`, `testamur api` and `testamur projector`.
"""
import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
import uvicorn
import uvloop

from services.projector.main import run_projector
from services.runtime.bounded_head import BoundedHead
from services.runtime.forwarded import Front
from services.runtime.log.open_log import open_log
from services.runtime.settings import Settings
from services.runtime.state import State, open_state
from services.runtime.telemetry import settle_garbage_collector

DRAIN_S = 8
"""How long requests in flight may take to end after SIGTERM."""
_log = structlog.get_logger()
CreateApp = Callable[[State], Any]


class Stop(asyncio.Event):
    """Set by SIGTERM and SIGINT. Until the service has `begun` there is nothing to drain, and a signal ends it where it stands."""

    begun = False


def until_signalled(service: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Run `service` on a fast event loop until a signal tells it to stop and it has drained."""
    uvloop.run(_until_signalled(service))


async def web(settings: Settings, dsn: str, listener: socket.socket, create_app: CreateApp, stop: Stop) -> None:
    """Serve HTTP on a listening socket until `stop` is set and the requests in flight are answered."""
    async with open_state(settings, dsn) as state:
        config = uvicorn.Config(
            Front(create_app(state), settings), loop="none", http=BoundedHead, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, backlog=2048, timeout_keep_alive=75, timeout_graceful_shutdown=DRAIN_S)
        server = _Server(config)
        settle_garbage_collector()
        stop.begun = True
        serving, stopping = asyncio.create_task(server.serve(sockets=[listener])), asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        state.visibility.drain()
        stopping.cancel()
        await serving


async def projector(settings: Settings, dsn: str, owner: UUID, stop: Stop) -> None:
    """Fold the log until `stop` is set; `owner` names this worker's leases."""
    log = await open_log(settings, dsn)
    try:
        settle_garbage_collector()
        stop.begun = True
        await run_projector(settings, dsn, log, owner, stop, lambda: _log.info("every partition is owned and folded"))
    finally:
        await log.close()


class _Server(uvicorn.Server):
    """A server that leaves the signals to us: uvicorn would raise them again before what it used is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _until_signalled(service: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    stop, loop = Stop(), asyncio.get_running_loop()
    task = asyncio.create_task(service(stop))

    def told() -> None:
        stop.set()
        if not stop.begun:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
