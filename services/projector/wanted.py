"""Hearing that a partition holds something which the others have yet to pass, so that Consistent-Through follows in milliseconds."""
import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from services.runtime.postgres import connect, transient

CHANNEL = "testamur_wanted"
_HEARTBEAT_S = 5.0
_AGAIN_S = 1.0
_log = structlog.get_logger()


async def listen_for_wanted(dsn: str, want: Callable[[int], None]) -> None:
    """Call `want` with each instant that was asked for, until cancelled. What is missed while the connection is down, the tick of each second makes good."""
    while True:
        try:
            await _listen(dsn, want)
        except Exception as error:
            if not (transient(error) or isinstance(error, asyncpg.InterfaceError)):
                raise
            _log.warning("not listening", channel=CHANNEL, error=repr(error))
            await asyncio.sleep(_AGAIN_S)


async def _listen(dsn: str, want: Callable[[int], None]) -> None:
    conn = await connect(dsn, application_name="testamur projector listener")
    try:
        await conn.add_listener(CHANNEL, lambda _conn, _pid, _channel, payload: want(int(str(payload))))
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            await conn.execute("select")
    finally:
        conn.terminate()
