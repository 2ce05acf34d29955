"""The decider of one projector process: it looks around whenever the learners projection has folded, and each second; errors that pass are waited out."""
import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from services.core.errors import Unavailable
from services.core.keys import KeyedHash
from services.projector.decider import metrics, sweeps, under_way
from services.projector.decider.batch import Deciding, Replaced, decide
from services.runtime.log import Log
from services.runtime.migrate import fingerprint_of
from services.runtime.postgres import Statements, connect, transient, while_connected
from services.runtime.visibility import CHANNEL

Connection = asyncpg.Connection
IDLE_S = 1.0
APART_S = 0.02
"""Looks are so far apart at least, unless there was something to do."""
WORK_S = 60.0
"""How long one round of work may take in all; its commands have shorter deadlines."""
MOST_UNDER_WAY = 5_000
"""While more decisions are on their way into the log and through the fold, no more are made."""
IDLE_IN_TRANSACTION_S = 4.0
"""A decider frozen inside its transaction keeps others from its learners no longer than this."""
_STOP_S = 3.0
_COUNTED = 100_000
_COUNT_APART_S = 5.0
_BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
BY_KEYS = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""All is reached by index, whatever the statistics of tables say that were empty a moment ago."""
_sql = Statements(Path(__file__).with_name("queue.sql"))
_log = structlog.get_logger()


class Decider:
    """Decides until it is stopped. Any number of them may do so at once."""

    def __init__(self, dsn: str, log: Log, hashes: KeyedHash) -> None:
        """`hashes` are those of the fold, the same on all nodes."""
        self._dsn, self._appends = dsn, log
        self._deciding = Deciding(hashes, log.partitions, fingerprint_of("learners"))
        self._tenants: dict[int, str] = {}
        self._nudge = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._wanted = (0, 0.0)
        self._counted = 0.0

    async def keep(self, stop: asyncio.Event) -> None:
        """Decide until `stop`; end within 3 s of it."""
        work = asyncio.create_task(self._run(), name="decider")
        try:
            await stop.wait()
        finally:
            self._stopping = True
            self._nudge.set()
            await asyncio.wait({work}, timeout=_STOP_S)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._on_one_connection()
            except Exception as error:  # noqa: BLE001 - folds of this process go on whatever it is: it is reported and tried again
                self._failures += 1
                metrics.RETRIES.inc()
                if transient(error) or isinstance(error, Unavailable | asyncpg.InterfaceError):
                    _log.warning("deciding waits for what passes", error=repr(error), failures=self._failures)
                else:
                    _log.exception("deciding failed", failures=self._failures)
                await self._back_off(_BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1])

    async def _on_one_connection(self) -> None:
        """Decide until an error or the stop; the connection is never used after an error."""
        conn = await connect(
            self._dsn, application_name="testamur decider", idle_in_transaction_s=IDLE_IN_TRANSACTION_S,
            server_settings={"synchronous_commit": "off", "default_transaction_isolation": "read committed", **BY_KEYS})
        try:
            await conn.add_listener(CHANNEL, self._heard)
            async with while_connected(conn):
                while not self._stopping:
                    async with asyncio.timeout(WORK_S):
                        worked = await self.round(conn)
                    self._failures = 0
                    if not worked:
                        await self._rest()
        finally:
            conn.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Look around when the learners projection has folded; no name stands for any."""
        if payload in {"", "learners"}:
            self._nudge.set()

    async def round(self, conn: Connection) -> bool:
        """Do some of what there is to do; return whether anything was done."""
        self._nudge.clear()
        look = await conn.fetchrow(_sql.look, self._deciding.fingerprint, MOST_UNDER_WAY + 1)
        if look is None:
            return False
        await self._measure(conn, look["through"])
        await self._want(conn, look["wanted"])
        try:
            return await self._work(conn, look)
        except Replaced:
            return False

    async def _work(self, conn: Connection, look: Any) -> bool:
        if look["under_way"]:
            await under_way.settle(conn, look["through"])
            if late := await under_way.left_behind(conn, look["through"]):
                await under_way.append(conn, self._appends, late)
        worked = look["timers"] and await sweeps.ring(conn, self._deciding.fingerprint)
        if look["under_way"] > MOST_UNDER_WAY:
            return worked
        for tenant_id in look["woken"]:
            worked |= await self._decide(conn, tenant_id)
        for tenant_id in look["sweeping"]:  # what happens now goes before what concerns everybody
            if not worked and (tenant_id not in look["woken"] or not look["under_way"]):
                worked |= await sweeps.spread(conn, self._deciding.fingerprint, tenant_id)
        return bool(worked)

    async def _decide(self, conn: Connection, tenant_id: int) -> bool:
        began = time.monotonic()
        taken, decided = await decide(conn, self._deciding, tenant_id, await self._tenant(conn, tenant_id))
        if taken:
            metrics.BATCHES.observe(time.monotonic() - began)
        await under_way.append(conn, self._appends, decided)
        return taken > 0

    async def _tenant(self, conn: Connection, tenant_id: int) -> str:
        if tenant_id not in self._tenants:
            self._tenants = {row["id"]: row["name"] for row in await conn.fetch(_sql.tenants)}
        return self._tenants[tenant_id]

    async def _want(self, conn: Connection, instant: int | None) -> None:
        """Have all partitions pass what is waited for, and again while it is."""
        now = time.monotonic()
        if instant is not None and (instant != self._wanted[0] or now - self._wanted[1] > IDLE_S / 2):
            self._wanted = instant, now
            await conn.execute(_sql.want, str(instant))

    async def _measure(self, conn: Connection, through: int) -> None:
        now = time.monotonic()
        if now - self._counted >= _COUNT_APART_S:
            self._counted = now
            for row in await conn.fetch(_sql.length, _COUNTED):
                metrics.QUEUE.set(row["n"])
                metrics.OLDEST.set(0 if row["oldest"] is None else max(0.0, (through - row["oldest"]) / 1e6))

    async def _rest(self) -> None:
        """Wait until something was folded."""
        until = time.monotonic() + APART_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await self._nudge.wait()
        if not self._stopping and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _back_off(self, seconds: float) -> None:
        """Wait so long, whatever happens, unless it is to stop."""
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._nudge.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._nudge.wait()
