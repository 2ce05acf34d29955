"""The decider of one projector process: it looks around whenever the learners projection has folded, and each second; errors that pass are waited out."""
import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from services.core.errors import Unavailable
from services.core.keys import KeyedHash
from services.projector.decider import metrics, sweeps, under_way
from services.projector.decider.apart import Waiting
from services.projector.decider.batch import Replaced, decide
from services.projector.decider.deciding import Deciding
from services.projector.decider.pace import keep
from services.projector.decider.turn import Turn
from services.projector.turns import Turns
from services.runtime.log import Log
from services.runtime.migrate import fingerprint_of
from services.runtime.postgres import Statements, connect, transient, while_connected
from services.runtime.visibility import CHANNEL

Connection = asyncpg.Connection
IDLE_S = 1.0
APART_S = 0.02
"""Looks are so far apart at least, unless there was something to do."""
WORK_S = 60.0
"""How long one piece of a round may take; its commands have shorter deadlines."""
APART_WORK_S, APART_COMMAND_S, APART_IDLE_S = 900.0, 300.0, 120.0
"""How long judging one learner alone may take, each command of it, and each programme. Only who would put another version in use waits for it."""
MOST_UNDER_WAY = 500
"""While more decisions are on their way into the log and through the fold, no more are made."""
IDLE_IN_TRANSACTION_S = 4.0
"""A decider frozen inside its transaction keeps others from its learners no longer than this."""
_STOP_S = 3.0
_COUNTED = 100_000
_COUNT_APART_S = 5.0
_BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_TENANT_BACKOFF_S = (0.05, 0.25, 1.0, 5.0, 30.0)
_SESSION = {"synchronous_commit": "off", "default_transaction_isolation": "read committed"}
BY_KEYS = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""All is reached by index, whatever the statistics of tables say that were empty a moment ago."""
_sql = Statements(Path(__file__).with_name("queue.sql"))
_log = structlog.get_logger()


class Decider:
    """Decides until it is stopped. Any number of them may do so at once."""

    def __init__(self, dsn: str, log: Log, hashes: KeyedHash, turns: Turns | None = None) -> None:
        """`hashes` are those of the fold, the same on all nodes; `turns` tells of folds of this process, to which it gives way."""
        self._dsn, self._appends = dsn, log
        self._deciding = Deciding(hashes, log.partitions, fingerprint_of("learners"), Turn(turns), Turn(turns))
        self._tenants: dict[int, str] = {}
        self._at: int | None = None
        """The tenant that is worked on."""
        self._last = 0
        self._set_aside: dict[int, tuple[int, float]] = {}
        """Tenants for whom work failed: how often, and when they have their turn again."""
        self._nudge = asyncio.Event()
        self._set_apart = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._wanted = (0, 0.0)
        self._counted = 0.0

    async def keep(self, stop: asyncio.Event) -> None:
        """Decide until `stop`; end within 3 s of it."""
        work = {asyncio.create_task(self._run(), name="decider"), asyncio.create_task(self._run_apart(), name="decider apart")}
        try:
            await stop.wait()
        finally:
            self._stopping = True
            self._deciding.turn.stop()
            self._deciding.turn_apart.stop()
            self._nudge.set()
            self._set_apart.set()
            await asyncio.wait(work, timeout=_STOP_S)
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._on_one_connection()
            except Exception as error:  # noqa: BLE001 - folds of this process go on whatever it is: it is reported and tried again
                self._failures += 1
                self._report(error)
                await self._back_off(_BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1])

    def _report(self, error: Exception) -> None:
        """Say that work failed; let the tenant's turn come later, and have those alone judged whom the batch had in hand."""
        metrics.RETRIES.inc()
        tenant_id, self._at = self._at, None
        if tenant_id is not None:
            failures = self._set_aside.get(tenant_id, (0, 0.0))[0]
            self._set_aside[tenant_id] = failures + 1, time.monotonic() + _TENANT_BACKOFF_S[min(failures, len(_TENANT_BACKOFF_S) - 1)]
            self._deciding.apart.fail()
            self._deciding.portions[tenant_id].failed()
            self._set_apart.set()
        if transient(error) or isinstance(error, Unavailable | asyncpg.InterfaceError):
            _log.warning("deciding waits for what passes", error=repr(error), failures=self._failures, tenant=tenant_id)
        else:
            _log.exception("deciding failed", failures=self._failures, tenant=tenant_id)

    async def _run_apart(self) -> None:
        """Judge those alone who are set apart, one after the other, until it is stopped."""
        while not self._stopping:
            one = self._deciding.apart.next()
            if one is None:
                self._set_apart.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_S):
                        await self._set_apart.wait()
                continue
            self._deciding.turn_apart.begin()
            try:
                async with asyncio.timeout(APART_WORK_S):
                    await self._judge_apart(one)
            except Exception:  # noqa: BLE001 - whatever it is: it is reported, and this learner alone waits
                metrics.FAILED.inc()
                _log.exception("a learner cannot be judged", tenant=one.tenant_id, learner=str(one.ifis[0]), failures=one.failures + 1)
                self._deciding.apart.later(one)
            await self._deciding.turn_apart.end()

    async def _judge_apart(self, one: Waiting) -> None:
        conn = await connect(
            self._dsn, application_name="testamur decider", command_timeout_s=APART_COMMAND_S, idle_in_transaction_s=APART_IDLE_S,
            server_settings=_SESSION | BY_KEYS)
        try:
            async with while_connected(conn):
                _, decided = await decide(conn, self._deciding, one.tenant_id, await self._tenant(conn, one.tenant_id), one.ifis)
                self._deciding.apart.done(one)
                await under_way.append(conn, self._appends, decided)
        except Replaced:
            self._deciding.apart.done(one)
        finally:
            conn.terminate()

    async def _on_one_connection(self) -> None:
        """Decide until an error or the stop; the connection is never used after an error."""
        conn = await connect(
            self._dsn, application_name="testamur decider", idle_in_transaction_s=IDLE_IN_TRANSACTION_S,
            server_settings=_SESSION | BY_KEYS)
        try:
            await conn.add_listener(CHANNEL, self._heard)
            async with while_connected(conn):
                while not self._stopping:
                    self._deciding.turn.begin()
                    worked = await self.round(conn)
                    self._failures = 0
                    await self._deciding.turn.end()
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
        turns, paces = self._in_turn({*look["woken"], *look["sweeping"]}), self._deciding.paces
        keep(paces, look["sweeping"])
        for tenant_id in turns:
            if tenant_id in look["woken"]:
                worked |= await self._for(conn, tenant_id, self._decide(conn, tenant_id))
        pressed = self._deciding.turn.turns.pressure > 0
        for tenant_id in turns:  # one page of one sweep, whosever turn it is
            if tenant_id in paces and paces[tenant_id].may_wake(others=bool(worked), under_way=look["under_way"], pressed=pressed) and await self._for(
                conn, tenant_id, self._sweep(conn, tenant_id)):
                return True
        return bool(worked)

    def _in_turn(self, tenants: Iterable[int]) -> list[int]:
        """Return whose turn it is: first those after the one who was first the last time; not those for whom work failed just now."""
        now = time.monotonic()
        ready = sorted(tenant_id for tenant_id in tenants if self._set_aside.get(tenant_id, (0, 0.0))[1] <= now)
        ready = [one for one in ready if one > self._last] + [one for one in ready if one <= self._last]
        self._last = ready[0] if ready else 0
        return ready

    async def _for(self, conn: Connection, tenant_id: int, work: Coroutine[Any, Any, bool]) -> bool:
        """Do a piece of work for a tenant; return whether anything was done. Raises Replaced, and what broke the connection: other tenants need it."""
        self._at = tenant_id
        try:
            async with asyncio.timeout(WORK_S):
                worked = await work
        except Replaced:
            self._at = None
            raise
        except Exception as error:  # whatever it is: it is reported, and must not keep other tenants waiting
            if conn.is_closed() or conn.is_in_transaction():
                raise
            self._report(error)
            return False
        self._at = None
        self._set_aside.pop(tenant_id, None)
        if len(self._deciding.apart):
            self._set_apart.set()
        return worked

    async def _decide(self, conn: Connection, tenant_id: int) -> bool:
        began = time.monotonic()
        taken, decided = await decide(conn, self._deciding, tenant_id, await self._tenant(conn, tenant_id))
        if taken:
            metrics.BATCHES.observe(time.monotonic() - began)
        await under_way.append(conn, self._appends, decided)
        return taken > 0

    async def _sweep(self, conn: Connection, tenant_id: int) -> bool:
        pace = self._deciding.paces[tenant_id]
        began = time.monotonic()
        woken = await sweeps.spread(conn, self._deciding.fingerprint, tenant_id, pace.page)
        if woken is None:
            return False
        pace.woke(woken)
        if not woken:  # nobody will be judged for it, and there may be millions more whom it does not concern
            pace.judged(1, time.monotonic() - began)
        return True

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
