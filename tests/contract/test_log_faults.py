"""What the log promises while its server is frozen or killed: an answer within the deadline, the truth about what was written, and going on by itself."""
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from services.core.errors import LogUnavailable
from services.runtime.log import Log, Position
from tests.contract.log_cases import LogKind, names, place_all, record
from tests.servers.kafka import KafkaServers
from tests.servers.postgres import MakePostgres

pytestmark = pytest.mark.timeout(180)
DEADLINE_S = 10


class Frail:
    """A log whose server can be frozen."""

    def __init__(self, kind: LogKind, freeze: Callable[[], None], thaw: Callable[[], None]) -> None:
        self.kind, self.freeze, self.thaw = kind, freeze, thaw


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def frail(request: pytest.FixtureRequest, make_postgres: MakePostgres) -> AsyncIterator[Frail]:
    if request.param == "postgres":
        server = await make_postgres(durable=True)
        made = Frail(LogKind("postgres", server.dsn, {"kafka": None}), server.freeze, server.thaw)
    else:
        brokers = request.getfixturevalue("kafka")
        if not isinstance(brokers, KafkaServers):
            pytest.skip("the broker is not ours to freeze")
        settings = {"kafka": brokers.bootstrap, "kafka_topic": f"log-{uuid4()}", "kafka_replication": 1, "partitions": 1}
        made = Frail(LogKind("kafka", request.getfixturevalue("database"), settings), lambda: brokers.stop(0), lambda: brokers.cont(0))
    yield made
    made.thaw()
    await made.kind.close()


async def append_at_last(log: Log, name: str) -> Position:
    """Append when the log takes it again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return (await log.append([record(0, name)]))[0]
            except LogUnavailable:
                await asyncio.sleep(0.1)  # noqa: TID251 - a poll with a deadline


async def outcome(work: Awaitable[object]) -> str:
    try:
        await work
    except LogUnavailable as error:
        return error.outcome
    return "stored"


async def test_while_the_server_is_frozen_every_append_ends_in_time_and_tells_the_truth_and_then_it_goes_on(frail: Frail) -> None:
    log = await frail.kind.open()
    await log.append([record(0, "before")])
    frail.freeze()
    began = time.monotonic()
    outcomes = await asyncio.gather(*(outcome(log.append([record(0, f"{i}")])) for i in range(5)))
    took = time.monotonic() - began
    with pytest.raises(LogUnavailable):
        async with asyncio.timeout(DEADLINE_S):
            await log.end(0)
    frail.thaw()
    await append_at_last(log, "after")

    assert took < DEADLINE_S + 2
    assert set(outcomes) <= {"unknown", "rejected"}
    stored = [name for placed in await place_all(log) for name in names(placed)]
    assert {"before", "after"} <= set(stored)
    assert not {f"{i}" for i, told in enumerate(outcomes) if told == "rejected"} & set(stored)
    assert len(set(stored)) == len(stored)


async def test_a_frozen_server_does_not_keep_a_log_from_closing(frail: Frail) -> None:
    log = await frail.kind.open()
    await log.append([record(0, "before")])
    await log.read(0, 0, max_records=10, max_bytes=1000, wait_s=1)
    frail.freeze()
    appending = asyncio.create_task(outcome(log.append([record(0, "late")])))
    await asyncio.sleep(0.1)  # noqa: TID251 - let the append reach the frozen server
    began = time.monotonic()
    await log.close()

    assert time.monotonic() - began < 4
    assert await asyncio.wait_for(appending, 5) == "unknown"
