"""What a process tells operators: JSON logs on standard error, and the Prometheus metrics of web processes, each declared once, here.

Labels are few and closed: routes as templates, never ids or texts of a request. Logs carry no bodies and no secrets.
"""
import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator

import structlog
from prometheus_client import Counter, Gauge

from services.runtime.tally import Count, Spread

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Count("testamur_http_requests_total", "Requests answered.", ["route", "method", "status"])
HTTP_DURATION = Spread("testamur_http_request_duration_seconds", "From a request's first byte handled to its answer.", LATENCY_BUCKETS, "route")
INGEST_STATEMENTS = Count("testamur_ingest_statements_total", "Statements of accepted requests, by what became of them.", ["outcome"])
INGEST_REFUSED = Count("testamur_ingest_refused_total", "Writes refused, by type of problem.", ["type"])
INGEST_BATCH = Spread("testamur_ingest_batch_statements", "Statements in a request.", (1, 2, 5, 10, 25, 50, 100, 250, 500))
INGEST_CONFLICTS = Count("testamur_ingest_conflicts_total", "Requests refused since another statement stands for an id, by when it was found.", ["found"])
INGEST_UNKNOWN = Count("testamur_ingest_unknown_outcomes_total", "Writes of which the log did not say in time whether they happened.")
INGEST_NOT_VISIBLE = Count("testamur_ingest_not_visible_total", "Writes answered when their wait for visibility ended without it.")
INGEST_LOOKUP_SKIPPED = Count("testamur_ingest_lookup_skipped_total", "Writes appended without looking up their ids, Postgres being away.")
LOG_APPEND_DURATION = Spread("testamur_log_append_duration_seconds", "From handing a record to the log to its acknowledgement.", LATENCY_BUCKETS)
AUTH_FAILURES = Counter("testamur_auth_failures_total", "Requests refused for their credentials.", ["reason"])
LOOP_LAG = Gauge("testamur_event_loop_lag_seconds", "How much later than asked the event loop last woke a timer.")

_LOOP_PROBE_S = 0.5


def configure_logging(service: str, level: int = logging.INFO) -> None:
    """Log as one JSON object a line on standard error, ours and the libraries' alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(_is_ours_to_know)
    structlog.contextvars.bind_contextvars(service=service)


def _is_ours_to_know(record: logging.LogRecord) -> bool:
    """Return False for what any stranger can have logged as often as he likes, unless everything is logged: that he sent no HTTP."""
    return not record.getMessage().startswith("Invalid HTTP request") or logging.getLogger().isEnabledFor(logging.DEBUG)


def observe_http(route: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request; `route` is a template such as `/v1/learners/{id}`."""
    HTTP_REQUESTS.add(1, route, method, str(status))
    HTTP_DURATION.add(seconds, route)


@contextlib.asynccontextmanager
async def watch_event_loop() -> AsyncIterator[None]:
    """Keep `testamur_event_loop_lag_seconds` current while the body runs."""
    task = asyncio.create_task(_probe(), name="event-loop-lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _probe() -> None:
    clock = asyncio.get_running_loop().time
    while True:
        asked = clock()
        await asyncio.sleep(_LOOP_PROBE_S)
        LOOP_LAG.set(max(0.0, clock() - asked - _LOOP_PROBE_S))


def settle_garbage_collector() -> None:
    """Call once a process is up: what lives for ever is no longer walked, and young objects are walked seldom (parsing makes many, no cycles)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
