"""Hearing what others wait for: that all partitions pass an instant, so that Consistent-Through follows in milliseconds; that a projection folds soon."""
import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from services.runtime.postgres import connect, transient

WANTED = "testamur_wanted"
AWAITED = "testamur_awaited"
_HEARTBEAT_S = 5.0
_AGAIN_S = 1.0
_log = structlog.get_logger()


async def listen_for_wanted(dsn: str, want: Callable[[int], None], hurry: Callable[[str], None]) -> None:
    """Call `want` with each instant and `hurry` with the name of each projection that was asked for, until cancelled.

    What is missed while the connection is down is made good by the tick of each second, and by the next run, which never waits for long.
    """
    while True:
        try:
            await _listen(dsn, want, hurry)
        except Exception as error:
            if not (transient(error) or isinstance(error, asyncpg.InterfaceError)):
                raise
            _log.warning("not listening", channels=[WANTED, AWAITED], error=repr(error))
            await asyncio.sleep(_AGAIN_S)


async def _listen(dsn: str, want: Callable[[int], None], hurry: Callable[[str], None]) -> None:
    conn = await connect(dsn, application_name="testamur projector listener")
    try:
        await conn.add_listener(WANTED, lambda _conn, _pid, _channel, payload: want(int(str(payload))))
        await conn.add_listener(AWAITED, lambda _conn, _pid, _channel, payload: hurry(str(payload)))
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            await conn.execute("select")
    finally:
        conn.terminate()
