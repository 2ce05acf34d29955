"""What operators ask: /healthz/live, /healthz/ready and /metrics.

Health needs no key. Metrics need none from this machine itself, unless a proxy passed the request on; else a key with lrs:admin.
"""
import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.api.context import Api, json_answer
from services.api.status import cursors_of, dead_letters_of, decisions_of, ends_of, lag_of, quarantined_of, unready
from services.core.errors import LrsError, Unavailable
from services.core.timeline import EPOCH, micros

_READY_S = 4.0
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


class NotReady(Unavailable):
    """The system is not ready yet."""

    type = "not-ready"


class Operations:
    """Answers operators."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and the log."""
        self._api = api
        self._ends: dict[int, int] = {}
        """The ends of the log when readiness was first asked for: what has to be folded before the first yes."""

    async def live(self, _: Request) -> Response:
        """Say that the event loop turns; nothing else is looked at."""
        return json_answer({"status": "live"})

    async def ready(self, _: Request) -> Response:
        """Say whether Postgres answers and every partition is held, moving, and folded to the end seen at the start."""
        async with asyncio.timeout(_READY_S):
            if not self._ends:
                self._ends = await ends_of(self._api.state.log)
            reasons = unready(self._ends, await cursors_of(self._api.state.pool))
        if reasons:
            raise NotReady("; ".join(reasons) + ".", reasons=reasons)
        return json_answer({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Give this process's figures and those of the store, for Prometheus."""
        local = request.client is not None and request.client.host in _LOOPBACK and not {"x-forwarded-for", "forwarded"} & set(request.headers.keys())
        if not local:
            await self._api.caller(request, "lrs:admin")
        store = CollectorRegistry()
        up = Gauge("testamur_store_up", "1 while the store and the log can be read.", registry=store)
        try:
            async with asyncio.timeout(_READY_S):
                await self._measure(store)
            up.set(1)
        except (LrsError, OSError, TimeoutError):
            up.set(0)
        return Response(generate_latest() + generate_latest(store), media_type=CONTENT_TYPE_LATEST)

    async def _measure(self, store: CollectorRegistry) -> None:
        """Add what only the database and the log know."""
        ends, cursors = await ends_of(self._api.state.log), await cursors_of(self._api.state.pool)
        lag = Gauge("testamur_projection_lag_records", "Records not folded yet.", ["projection", "partition"], registry=store)
        halted = Gauge("testamur_projection_stands_still", "1 while a partition is halted.", ["projection", "partition"], registry=store)
        end = Gauge("testamur_log_end_offset", "The offset of the next record.", ["partition"], registry=store)
        age = Gauge("testamur_consistent_through_age_seconds", "How long ago Consistent-Through was.", registry=store)
        aside = Gauge("testamur_dead_letters_current", "Statements set aside.", registry=store)
        quarantined = Gauge("testamur_quarantined_current", "Invalid statements that wait in quarantine.", registry=store)
        waiting = Gauge("testamur_evaluations_waiting_current", "Evaluations of learners that are due.", registry=store)
        behind = Gauge("testamur_evaluations_behind_seconds", "For how long the first of them has been due, in the log's time.", registry=store)
        for partition, offset in ends.items():
            end.labels(partition).set(offset)
        for row in cursors:
            if row["partition"] is not None:
                lag.labels(row["name"], row["partition"]).set(lag_of({row["partition"]: ends.get(row["partition"], 0)}, [row])[row["partition"]])
                halted.labels(row["name"], row["partition"]).set(1 if row["halted"] else 0)
                age.set(max(0.0, (self._api.state.now() - (row["through"] or micros(EPOCH))) / 1e6))
        aside.set(await dead_letters_of(self._api.state.pool))
        decisions = await decisions_of(self._api.state.pool)
        waiting.set(decisions["waiting"])
        behind.set(decisions["behind_s"])
        quarantined.set(await quarantined_of(self._api.state.pool))


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, operations = APIRouter(tags=["operations"]), Operations(api)
    for path, answer, summary, name in (
        ("/healthz/live", operations.live, "Is this process alive?", "getLive"), ("/healthz/ready", operations.ready, "Is the system ready?", "getReady"),
        ("/metrics", operations.metrics, "Figures for Prometheus", "getMetrics"),
    ):
        routes.add_api_route(path, answer, methods=["GET"], summary=summary, operation_id=name, response_class=Response)
    return routes
