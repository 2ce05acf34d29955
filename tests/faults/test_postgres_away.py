"""Postgres is gone for long while the log is on Kafka: writes go on, but no more of them than can be folded soon when it is back."""
import asyncio
import json
import signal
import time
from collections.abc import Callable

import pytest

from services.runtime.backlog import AWAY_TIMES, MAX_STATEMENTS
from tests.servers.load import History, Writer
from tests.servers.reading import check
from tests.servers.system import System

BOUND = AWAY_TIMES * MAX_STATEMENTS
WRITERS, BATCH = 4, 500
PATIENCE_S = 90
STATEMENT = json.dumps({"actor": {"mbox": "mailto:late@example.org"}, "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
                        "object": {"id": "https://example.org/late"}}).encode()


@pytest.mark.timeout(300)
async def test_while_postgres_is_away_kafka_takes_writes_up_to_a_bound_and_beyond_it_they_are_pushed_back(make_system: Callable[..., System]) -> None:
    system = make_system("kafka", arguments=("--workers", "1"))
    system.start()
    connection = system.connection()
    assert (await connection.request("POST", "/xapi/statements", STATEMENT)).status == 200  # a key is good while it is remembered
    system.signal("supervisor", signal.SIGSTOP)  # or Postgres would be back at once
    system.signal("postgres", signal.SIGKILL)

    history, deadline = History(), time.monotonic() + PATIENCE_S
    try:
        writers = [Writer(system.connection(), history, seed=n, batch=BATCH, void_share=0) for n in range(WRITERS)]
        await asyncio.gather(*(writer.run(lambda: len(history.acked) < BOUND and time.monotonic() < deadline) for writer in writers))
        pushed_back = await connection.request("POST", "/xapi/statements", STATEMENT)
    finally:
        system.signal("supervisor", signal.SIGCONT)

    assert BOUND <= len(history.acked) <= BOUND + WRITERS * BATCH, history.answers
    assert (pushed_back.status, pushed_back.headers.get("lrs-outcome"), pushed_back.headers.get("retry-after")) == (503, "rejected", "1"), pushed_back.body
    await asyncio.to_thread(system.wait_ready, 60)
    await check(system.connection(), history)
    assert system.stop() == 0, system.tail()
