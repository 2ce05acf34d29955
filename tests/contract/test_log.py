"""The contract of the log (services/runtime/log/__init__.py), one suite over all its implementations, together with services/core/sequence.py."""
import asyncio
import os
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from uuid import uuid4

import pytest

from services.core.errors import Halted, LogUnavailable, TooLarge
from services.core.sequence import Sequence
from services.runtime.log import Log, NewRecord, Position
from services.runtime.log.memory_log import MemoryLog
from tests.contract.log_cases import MAX_BYTES, PARTITIONS, LogKind, names, other, place_all, read_to, reading_along, record

pytestmark = pytest.mark.timeout(180)
ANYWHERE = ["memory", "postgres", pytest.param("kafka", marks=pytest.mark.kafka)]
ACROSS_PROCESSES = ANYWHERE[1:]
HOUR = 3_600_000_000


def make_kind(request: pytest.FixtureRequest) -> LogKind:
    if request.param == "memory":
        return LogKind("memory", memory=MemoryLog(PARTITIONS))
    dsn = request.getfixturevalue("database")
    if request.param == "postgres":
        return LogKind("postgres", dsn, {"kafka": None, "partitions": PARTITIONS})
    try:
        brokers = request.getfixturevalue("kafka")
    except (RuntimeError, OSError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Kafka can be had here: {error}")
    return LogKind("kafka", dsn, {
        "kafka": brokers.bootstrap, "kafka_topic": f"log-{uuid4()}", "kafka_replication": brokers.replication, "partitions": PARTITIONS})


@pytest.fixture(params=ANYWHERE)
async def kind(request: pytest.FixtureRequest) -> AsyncIterator[LogKind]:
    made = make_kind(request)
    yield made
    await made.close()


@pytest.fixture(params=ACROSS_PROCESSES)
async def shared_kind(request: pytest.FixtureRequest) -> AsyncIterator[LogKind]:
    made = make_kind(request)
    yield made
    await made.close()


@pytest.fixture
async def log(kind: LogKind) -> Log:
    return await kind.open()


# ---- making the log


async def test_every_partition_begins_with_a_genesis_record_of_this_log(log: Log) -> None:
    for partition in range(PARTITIONS):
        (genesis,) = await place_all(log, partition)

        assert genesis.envelope.body == {"log": str(log.log_id), "partition": partition, "partitions": PARTITIONS}


async def test_processes_that_race_to_make_the_log_make_one(shared_kind: LogKind) -> None:
    reports = await shared_kind.in_other_processes(3, appends=0)

    log = await shared_kind.open()
    assert {report.log_id for report in reports} == {log.log_id}
    assert [(await log.end(partition)).next_offset for partition in range(PARTITIONS)] == [1] * PARTITIONS


async def test_opening_it_again_adds_nothing(shared_kind: LogKind) -> None:
    first = await shared_kind.open()
    await first.append([record()])

    second = await shared_kind.open()
    assert (second.log_id, second.partitions, (await second.end(0)).next_offset) == (first.log_id, PARTITIONS, 2)


# ---- appending and reading


async def test_offsets_have_no_gaps_and_positions_say_where_records_are(log: Log) -> None:
    positions = await asyncio.gather(*(log.append([record(0, f"{i}")]) for i in range(100)))

    placed = await place_all(log)
    assert [each.offset for each in placed] == list(range(101))
    assert [names(placed[position.offset]) for (position,) in positions] == [[f"{i}"] for i in range(100)]


async def test_positions_come_in_the_order_of_the_records_given(log: Log) -> None:
    positions = await log.append([record(1, "a"), record(0, "b"), record(1, "c", "d")])

    assert [position.partition for position in positions] == [1, 0, 1]
    found = [names((await place_all(log, position.partition))[position.offset]) for position in positions]
    assert found == [["a"], ["b"], ["c", "d"]]


async def test_the_bytes_of_a_record_come_back_untouched(log: Log) -> None:
    value = record().value.replace(b'"someone"', b'"1.50 \xc3\xa9 \\u00e9"')
    (position,) = await log.append([NewRecord(0, b"key", value)])

    (read,) = await read_to(log, 0, position.offset + 1, position.offset)
    assert read.value == value


async def test_appending_nothing_is_nothing(log: Log) -> None:
    assert await log.append([]) == []
    assert (await log.end(0)).next_offset == 1


async def test_a_record_over_the_limit_is_refused_and_nothing_of_it_is_written(log: Log) -> None:
    huge = NewRecord(0, b"key", b" " * (33 << 20))

    with pytest.raises(TooLarge):
        await log.append([record(), huge])
    assert (await log.append([record()]))[0].offset == (await log.end(0)).next_offset - 1
    assert [len(each.envelope.statements) for each in await place_all(log)] == [0, 1]


async def test_a_read_gives_at_least_one_record_and_keeps_within_its_limits(log: Log) -> None:
    await log.append([record() for _ in range(10)])

    one = await log.read(0, 1, max_records=5, max_bytes=1, wait_s=5)
    five = await log.read(0, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=5)
    assert ([each.offset for each in one], [each.offset for each in five]) == ([1], [1, 2, 3, 4, 5])


async def test_a_read_at_the_end_ends_with_nothing_when_its_time_is_over(log: Log) -> None:
    began = time.monotonic()

    assert await log.read(0, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=0.2) == []
    assert 0.15 < time.monotonic() - began < 3


async def test_a_waiting_read_wakes_at_once_for_what_another_handle_appends(kind: LogKind) -> None:
    reader, writer = await kind.open(), await kind.open()
    await reader.read(0, 0, max_records=5, max_bytes=MAX_BYTES, wait_s=5)
    reading = asyncio.create_task(reader.read(0, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=20))
    await reader.read(1, 1, max_records=5, max_bytes=MAX_BYTES, wait_s=0.5)

    await writer.append([record()])
    acknowledged = time.monotonic()
    assert [each.offset for each in await reading] == [1]
    assert time.monotonic() - acknowledged < 0.9  # below the second after which it would look by itself


async def test_writers_in_several_processes_leave_no_gap_and_no_reader_skips(shared_kind: LogKind) -> None:
    log = await shared_kind.open()
    async with reading_along(log, 0) as zero, reading_along(log, 1) as one:
        reports = await shared_kind.in_other_processes(3, appends=40)

        ends = [(await log.end(partition)).next_offset for partition in range(PARTITIONS)]
        async with asyncio.timeout(60):
            while [len(zero), len(one)] != ends:  # noqa: ASYNC110 - a poll with a deadline
                await asyncio.sleep(0.02)  # noqa: TID251 - a poll with a deadline
    acked = sorted(each for report in reports for each in report.acked)
    assert len(acked) == 3 * 8 * 40
    sequences = [Sequence(partition, log.log_id, 0, 0) for partition in range(PARTITIONS)]
    placed = [sequences[each.partition].place(each.offset, each.timestamp, each.value) for each in [*zero, *one]]
    assert sorted((each.partition, each.offset, *names(each)) for each in placed if each.envelope.statements) == acked


# ---- instants


async def test_each_statement_is_stored_a_microsecond_after_the_one_before_it_in_its_record_and_all_rise(log: Log) -> None:
    await asyncio.gather(*(log.append([record(0, *("x" * n))]) for n in (1, 7, 50, 3, 500, 2)))

    placed = await place_all(log)
    assert [each.last - each.first + 1 for each in placed] == [max(1, len(each.envelope.statements)) for each in placed]
    assert all(before.last < after.first for before, after in pairwise(placed))


async def test_a_carried_stored_is_taken_and_what_follows_is_above_it(log: Log) -> None:
    (genesis,) = await place_all(log)
    carried = genesis.last + HOUR

    await log.append([record(0, "a", "b", carried=carried)])
    await log.append([record(0, "c")])
    assert [(each.first, each.last) for each in (await place_all(log))[1:]] == [(carried, carried + 1), (carried + 2, carried + 2)]


async def test_a_clock_behind_what_was_given_out_does_not_make_stored_fall(log: Log) -> None:
    (genesis,) = await place_all(log)
    await log.append([record(0, carried=genesis.last + HOUR)])
    await log.tick([0])
    await asyncio.gather(*(log.append([record(0, "a", "b")]) for _ in range(20)))

    placed = await place_all(log)
    assert all(before.last < after.first for before, after in pairwise(placed))


async def test_after_a_tick_everything_is_stored_after_the_moment_it_was_asked_for(log: Log) -> None:
    (before,) = await place_all(log)
    await asyncio.sleep(0.02)  # noqa: TID251 - the test is about time passing
    [end] = await log.tick([0])
    ticked = end.stored if end.stored is not None else (await place_all(log))[-1].last
    await log.append([record()])

    assert ticked >= before.last + 15_000
    assert (await place_all(log))[-1].first > ticked


async def test_a_tick_that_became_a_record_is_told_as_it_will_be_read(log: Log) -> None:
    [end] = await log.tick([0])

    assert (end.tick is None) == (end.stored is not None)
    if end.tick is not None:
        assert end.tick == (await log.read(0, end.tick.offset, max_records=1, max_bytes=1 << 20, wait_s=5))[0]


async def test_a_tick_tells_the_end_after_it(log: Log) -> None:
    [end] = await log.tick([0])

    assert (await log.end(0)).next_offset == end.next_offset == (1 if end.stored is not None else 2)
    assert (await log.append([record()]))[0] == Position(0, end.next_offset)


# ---- halts


async def test_a_second_genesis_of_the_same_log_changes_nothing(log: Log) -> None:
    await log.append([other("genesis", {"log": str(log.log_id), "partition": 0, "partitions": PARTITIONS}), record(0, "a")])

    assert [each.envelope.kind for each in await place_all(log)] == ["genesis", "genesis", "statements"]


async def test_a_genesis_of_another_log_halts(log: Log) -> None:
    await log.append([other("genesis", {"log": str(uuid4()), "partition": 0, "partitions": PARTITIONS})])

    with pytest.raises(Halted, match="another log"):
        await place_all(log)


async def test_a_partition_read_as_that_of_another_log_halts(log: Log) -> None:
    (genesis,) = await read_to(log, 0, 1)

    with pytest.raises(Halted, match="another log"):
        Sequence(0, uuid4(), 0, 0).place(genesis.offset, genesis.timestamp, genesis.value)


@pytest.mark.parametrize("value", [b'{"v":2,"kind":"statements"}', b'{"v":1,"kind":"surprise"}', b"not JSON", b"[]"])
async def test_an_envelope_it_does_not_know_halts(log: Log, value: bytes) -> None:
    await log.append([NewRecord(0, b"key", value)])

    with pytest.raises(Halted):
        await place_all(log)


async def test_a_carried_stored_that_is_not_above_the_head_halts(log: Log) -> None:
    (genesis,) = await place_all(log)
    await log.append([record(0, carried=genesis.last)])

    with pytest.raises(Halted, match="carried"):
        await place_all(log)


async def test_a_gap_halts(log: Log) -> None:
    await log.append([record(), record()])
    genesis, _, third = await read_to(log, 0, 3)
    sequence = Sequence(0, log.log_id, 0, 0)
    sequence.place(genesis.offset, genesis.timestamp, genesis.value)

    with pytest.raises(Halted, match="offset 2 instead"):
        sequence.place(third.offset, third.timestamp, third.value)


async def test_reading_beyond_the_end_halts(log: Log) -> None:
    with pytest.raises(Halted):
        await log.read(0, 7, max_records=5, max_bytes=MAX_BYTES, wait_s=5)


# ---- closing


async def test_a_closed_log_takes_nothing_and_says_so(kind: LogKind) -> None:
    log = await kind.open()
    await log.close()

    with pytest.raises(LogUnavailable):
        await log.append([record()])
