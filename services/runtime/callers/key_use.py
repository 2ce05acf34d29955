"""When each API key was last used, to the hour: noted beside the request, never in its way."""
import asyncio
import time
from pathlib import Path

import asyncpg
import structlog

from services.runtime.postgres import Pool, Statements, transient

EVERY_S = 3600.0
_QUERY_S = 2.0
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger(__name__)


class KeyUse:
    """The uses that this process has seen; as many as there are keys in use."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._noted: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, key: str) -> None:
        """Note that a key is used now. What cannot be written is tried again with its next use."""
        now = time.monotonic()
        if now - self._noted.get(key, float("-inf")) < EVERY_S:
            return
        self._noted[key] = now
        task = asyncio.create_task(self._write(key), name="note the use of a key")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, key: str) -> None:
        try:
            async with asyncio.timeout(_QUERY_S):
                await self._pool.execute(_sql["note_use"], key)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self._noted.pop(key, None)
            if not transient(error):
                _log.exception("the use of a key was not noted")
