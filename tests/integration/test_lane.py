"""What waits in a lane: what folding it will cost, and whether somebody looks out for it."""
import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from services.core import envelope
from services.projector.cursor import Cursor
from services.projector.lane import RECORD, Lane
from services.projector.reader import PartitionReader
from services.projector.tenants import Tenants
from services.runtime.log import NewRecord
from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import open_pool
from tests.integration.deciding import did, link, post

DEADLINE_S = 10
TICK = NewRecord(0, b"tick", envelope.encode("tick"), 0)


@pytest_asyncio.fixture
async def lane(database: str) -> AsyncIterator[Lane]:
    """A lane that has read all of a log: genesis, a tick, a batch of three, a link, a tick."""
    log = MemoryLog(1)
    await log.append([TICK, post(log, did("ada", "a"), did("ada", "b"), did("ada", "c")), link(log, uuid4(), "ada", "grace"), TICK])
    end, read = (await log.end(0)).next_offset, asyncio.Event()
    pool = await open_pool(database, min=0, max=2)
    cursor = Cursor("learners", 1, 0, log.log_id, uuid4(), 1, 0, 0, None)
    made = Lane(cursor, log, PartitionReader(log, 0, Tenants(pool)), lambda _records: read.set() if made.next_offset == end else None)
    made.start()
    async with asyncio.timeout(DEADLINE_S):
        await read.wait()
    yield made
    made.stop()
    await pool.close()


async def test_what_waits_is_counted_in_statements_and_ticks_cost_nothing(lane: Lane) -> None:
    assert (lane.statements, lane.waiting) == (3, 3 + RECORD + RECORD)


async def test_what_was_folded_waits_no_more(lane: Lane) -> None:
    lane.cursor.moved(3, 0, b"")
    assert lane.settle() == 3
    assert (lane.statements, lane.waiting) == (0, RECORD)

    lane.cursor.moved(lane.next_offset, 0, b"")
    assert lane.settle() == 0
    assert lane.waiting == 0


async def test_a_link_is_urgent_until_it_is_folded_and_statements_are_not(lane: Lane) -> None:
    assert lane.is_urgent(None)
    assert lane.is_urgent(4)
    assert not lane.is_urgent(3)

    lane.cursor.moved(4, 0, b"")
    lane.settle()

    assert not lane.is_urgent(None)
