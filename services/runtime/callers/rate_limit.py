"""Rate limits of API keys that have one: a bucket in Postgres, shared by all processes of an installation, drawn from in shares of a tenth of a second.

A refused request asks nobody, so a flood costs no queries. While Postgres is away each process allows the whole rate.
"""
import asyncio
import math
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from services.core.errors import TooManyRequests
from services.runtime.postgres import Pool, Statements, transient

SHARE_S = 0.1
"""How much of a second's rate a process draws at once."""
KEPT_S = 1.0
_QUERY_S = 0.5
_AWAY_S = 1.0
_MAX_WAIT_S = 5.0
_sql = Statements(Path(__file__).with_suffix(".sql"))


@dataclass(slots=True)
class _Share:
    """What a process may still let in for one key, until when, and when it is worth asking for more (both monotonic)."""

    left: int = 0
    kept_until: float = 0.0
    refill_at: float = 0.0
    drawing: asyncio.Task[None] | None = None


class RateLimits:
    """The shares of this process, one for each key with a rate that was used."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shares: dict[str, _Share] = {}
        self._away_until = 0.0

    async def take(self, key: str, rate: float) -> None:
        """Let one request of a key in that may make `rate` a second. Raises TooManyRequests, saying when to come again."""
        share = self._shares.setdefault(key, _Share())
        while True:
            now = time.monotonic()
            if share.left > 0 and now < share.kept_until:
                share.left -= 1
                return
            if now < share.refill_at:
                error = TooManyRequests(f"This API key may make {rate:g} requests a second, and there were more; repeat the request a little later.")
                error.retry_after_s = max(1, math.ceil(share.refill_at - now))
                raise error
            if share.drawing is None:
                share.drawing = asyncio.create_task(self._draw(key, share, rate), name="draw a share of a rate")
            await asyncio.shield(share.drawing)

    async def _draw(self, key: str, share: _Share, rate: float) -> None:
        """Fill the share, or put off the next draw to when there is something to be had."""
        wanted = max(1, math.ceil(rate * SHARE_S))
        try:
            granted, tokens = await self._ask(key, rate, wanted)
        finally:
            share.drawing = None
        now = time.monotonic()
        share.left, share.kept_until = granted, now + KEPT_S
        if tokens is None:
            share.refill_at = now + granted / rate
        elif granted == 0:
            share.refill_at = now + min(max(0.0, 1 - tokens) / rate, _MAX_WAIT_S)

    async def _ask(self, key: str, rate: float, wanted: int) -> tuple[int, float | None]:
        """Return how many requests the bucket gave and what is left in it; without Postgres what was wanted, and None."""
        if time.monotonic() < self._away_until:
            return wanted, None
        try:
            async with asyncio.timeout(_QUERY_S):
                row = await self._pool.fetchrow(_sql["draw"], key, rate, wanted)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if not transient(error):
                raise
            self._away_until = time.monotonic() + _AWAY_S
            return wanted, None
        assert row is not None, "an upsert returns its row"
        return row["granted"], row["tokens"]
