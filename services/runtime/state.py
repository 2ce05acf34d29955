"""What a web process holds while it runs: opened in one place, passed down, closed in reverse order."""
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from services.core.keys import KeyedHash
from services.core.timeline import EPOCH
from services.runtime.access import as_web
from services.runtime.attachments.open_attachments import open_attachments
from services.runtime.attachments.store import Attachments
from services.runtime.callers.auth import Keys
from services.runtime.callers.bearer import BearerTokens
from services.runtime.failpoint import FAILPOINTS
from services.runtime.log import Log
from services.runtime.log.open_log import open_log
from services.runtime.postgres import Pool, open_pool
from services.runtime.random_ids import random_ids
from services.runtime.secret import resolve_secret
from services.runtime.settings import Settings
from services.runtime.telemetry import watch_event_loop
from services.runtime.tenant_rows import TenantRows, open_tenant_rows
from services.runtime.visibility import Visibility

Clock = Callable[[], int]
"""Gives the current instant."""

_CLOSE_S = 3.0
_SYSTEM_POOL_MAX = 4
_EPOCH_NS = int(EPOCH.timestamp()) * 1_000_000_000


def clock() -> int:
    """Return the current instant by this machine's clock."""
    return (time.time_ns() - _EPOCH_NS) // 1000


def public_url(settings: Settings) -> str:
    """Return the address people and tools use, without a slash at its end."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


@dataclass(frozen=True)
class State:
    """The connections and secrets of one web process. Whoever borrows a connection of `pool` leaves its session as it was: nothing resets it.

    `pool` is for what belongs to no tenant or to all: keys, rates, cursors, figures. What a request asks for it gets from `rows`.
    """

    settings: Settings
    dsn: str = field(repr=False)
    pool: Pool
    rows: TenantRows
    log: Log
    keys: Keys
    visibility: Visibility
    hashes: KeyedHash
    secret: bytes = field(repr=False)
    attachments: Attachments
    now: Clock = clock
    new_id: Callable[[], UUID] = field(default_factory=random_ids)

    @property
    def public_url(self) -> str:
        """The address people and tools use, without a slash at its end."""
        return public_url(self.settings)


@asynccontextmanager
async def open_state(settings: Settings, dsn: str, *, pool_max: int = 10) -> AsyncIterator[State]:
    """Open everything a web process needs on a migrated database; close it in the end, the log within 3 s."""
    secret = resolve_secret(settings)
    FAILPOINTS.arm(settings.failpoints)
    pool = await open_pool(dsn, min=1, max=_SYSTEM_POOL_MAX, application_name="testamur-web", reset=False)
    try:
        rows = await open_tenant_rows(await as_web(dsn), max=pool_max)
    except BaseException:
        pool.terminate()
        raise
    try:
        log = await open_log(settings, dsn)
        try:
            async with Visibility(dsn) as visibility, watch_event_loop():
                keys = Keys(pool, secret, BearerTokens(settings, pool) if settings.issuers else None)
                yield State(settings, dsn, pool, rows, log, keys, visibility, KeyedHash(secret), secret, open_attachments(settings))
        finally:
            await log.close()
    finally:
        await asyncio.gather(_close_pool(rows), _close_pool(pool))


async def _close_pool(pool: "Pool | TenantRows") -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
