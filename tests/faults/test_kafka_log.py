"""What is known to go wrong with Kafka and its client, each once against a real broker: no hang, no poisoned producer, no skipped record."""
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from services.core import envelope
from services.core.errors import Halted, LogUnavailable, Overloaded, TooLarge
from services.core.timeline import micros
from services.runtime.log import LogRecord, Position
from services.runtime.log.kafka_brokers import Brokers
from services.runtime.log.kafka_log import KafkaLog, open_kafka_log
from services.runtime.log.kafka_producer import KafkaProducer
from services.runtime.log.kafka_topic import TopicAdmin, TopicConfig, TopicError
from services.runtime.postgres import connect
from services.runtime.settings import Settings
from tests.faults.kafka_writers import record
from tests.servers.kafka import Kafka
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.kafka
Open = Callable[[], Awaitable[KafkaLog]]


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    """Settings of a log of three partitions in a topic of the test's own."""
    return Settings(kafka=kafka.bootstrap, kafka_topic=f"log-{uuid4()}", kafka_replication=1, partitions=3)


@pytest_asyncio.fixture
async def open_log(settings: Settings, database: str) -> AsyncIterator[Open]:
    """Open the test's log, as one more process would."""
    async with contextlib.AsyncExitStack() as stack:
        async def opened() -> KafkaLog:
            log = await open_kafka_log(settings, database)
            stack.push_async_callback(log.close)
            return log
        yield opened


@pytest_asyncio.fixture
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """The operator's hands."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await client.start()
    yield client
    await client.close()


async def _read(log: KafkaLog, partition: int, offset: int = 0, *, wait_s: float = 5.0, max_records: int = 1000) -> list[LogRecord]:
    return await log.read(partition, offset, max_records=max_records, max_bytes=8 << 20, wait_s=wait_s)


async def test_processes_that_open_a_new_log_at_once_make_one_log_with_one_genesis_record_a_partition(open_log: Open) -> None:
    logs = await asyncio.gather(*(open_log() for _ in range(4)))
    assert len({log.log_id for log in logs}) == 1
    for partition in range(3):
        assert (await logs[0].end(partition)).next_offset == 1
        (genesis,) = await _read(logs[1], partition)
        assert envelope.decode(genesis.value).body == {"log": str(logs[0].log_id), "partition": partition, "partitions": 3}


async def test_a_record_carries_the_brokers_time_and_no_header_but_its_kind(open_log: Open, settings: Settings) -> None:
    log = await open_log()
    before, new = datetime.now(UTC), record(1)
    assert await log.append([new, record(2)]) == [Position(1, 1), Position(2, 1)]
    _, read = await _read(log, 1)
    assert read.value == new.value
    assert abs(read.timestamp - micros(before)) < timedelta(seconds=5) / timedelta(microseconds=1)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="none")
    await consumer.start()
    try:
        consumer.assign([place := TopicPartition(settings.kafka_topic, 1)])
        consumer.seek(place, 1)
        async with asyncio.timeout(10):
            raw = await consumer.getone()
    finally:
        await consumer.stop()
    assert raw.headers == (("kind", b"course.described"),)
    assert raw.key == new.key


async def test_reads_at_different_offsets_wait_side_by_side_and_wake_at_once(open_log: Open) -> None:
    log, other = await open_log(), await open_log()
    await log.append([record(0) for _ in range(50)])
    waiting = [asyncio.create_task(_read(other, partition, (await log.end(partition)).next_offset, wait_s=20.0)) for partition in (0, 1, 2, 0)]
    assert [read.offset for read in await _read(other, 0, 10, max_records=5)] == [10, 11, 12, 13, 14]
    assert [read.offset for read in await _read(other, 0, 40)] == list(range(40, 51))
    began = time.monotonic()
    ends = await log.tick(range(3))
    found = await asyncio.gather(*waiting)
    assert time.monotonic() - began < 2.0
    assert [records[0].offset + 1 for records in found[:3]] == [end.next_offset for end in ends]
    assert found[3] == found[0]


async def test_a_wait_for_nothing_ends_when_its_time_is_over(open_log: Open) -> None:
    log = await open_log()
    began = time.monotonic()
    assert await _read(log, 0, 1, wait_s=0.5) == []
    assert 0.4 < time.monotonic() - began < 1.5


async def test_a_read_keeps_within_its_limits_but_for_the_first_record(open_log: Open) -> None:
    log = await open_log()
    await log.append([record(0, 1000), record(0, 1000), record(0, 1000)])
    assert len(await log.read(0, 1, max_records=10, max_bytes=10, wait_s=5.0)) == 1
    assert len(await log.read(0, 1, max_records=10, max_bytes=2500, wait_s=5.0)) == 2
    assert len(await log.read(0, 1, max_records=2, max_bytes=1 << 20, wait_s=5.0)) == 2


async def test_reading_beyond_the_end_halts(open_log: Open) -> None:
    log = await open_log()
    with pytest.raises(Halted, match="offsets 0 to 0 of it only"):
        await _read(log, 2, 2)


async def test_a_topic_made_anew_halts_readers_and_is_refused_by_whoever_opens_it(
    open_log: Open, settings: Settings, admin: AIOKafkaAdminClient, database: str,
) -> None:
    log = await open_log()
    await log.append([record(0), record(0)])
    await _fold(database, log.log_id, 3)
    await admin.delete_topics([settings.kafka_topic])
    with pytest.raises(TopicError, match="is gone, though records of it were folded"):
        await open_log()
    topic = TopicAdmin(Brokers.of(settings), settings.kafka_topic)
    async with asyncio.timeout(20):
        while await topic.partitions() is None:
            with contextlib.suppress(LogUnavailable):  # the old one is still being deleted
                await topic.make(3, 1, TopicConfig.of(settings))
    with pytest.raises(Halted, match="lost records, or it is another topic"):
        await _read(log, 0, 3)
    with pytest.raises(Halted, match="is empty, though 3 records of it were folded"):
        await open_log()


async def test_a_topic_of_another_log_is_refused(open_log: Open, database: str) -> None:
    await open_log()
    await _execute(database, "update testamur.log_identity set log_id = gen_random_uuid()")
    with pytest.raises(Halted, match="holds another log"):
        await open_log()


async def test_a_new_database_takes_over_the_log_of_its_topic(open_log: Open, database: str) -> None:
    first = await open_log()
    await _execute(database, "delete from testamur.log_identity")
    assert (await open_log()).log_id == first.log_id


async def test_a_topic_that_would_forget_is_refused_with_a_sentence(open_log: Open, settings: Settings, admin: AIOKafkaAdminClient) -> None:
    await open_log()
    wanted = TopicConfig.of(settings).all()
    await _configure(admin, settings, wanted | {"cleanup.policy": "compact", "retention.ms": "1000"})
    with pytest.raises(TopicError, match=r"cleanup\.policy is compact and must be delete; retention\.ms is 1000 and must be -1"):
        await open_log()


async def test_the_partitions_of_a_log_are_fixed_when_it_is_made(open_log: Open, settings: Settings, database: str) -> None:
    await open_log()
    other = await open_kafka_log(settings.model_copy(update={"partitions": 7}), database)
    await other.close()
    assert other.partitions == 3
    await _execute(database, "update testamur.log_identity set partitions = 7")
    with pytest.raises(TopicError, match="has 3 partitions and the log 7"):
        await open_log()


async def test_a_log_kept_in_postgres_is_not_mistaken_for_this_one(open_log: Open, database: str) -> None:
    await open_log()
    await _execute(database, "update testamur.log_identity set kind = 'postgres'")
    with pytest.raises(TopicError, match="testamur log copy"):
        await open_log()


async def test_a_record_over_the_topics_limit_is_refused_before_it_is_sent(open_log: Open, settings: Settings) -> None:
    log = await open_log()
    with pytest.raises(TooLarge):
        await log.append([record(0), record(0, settings.max_body_bytes + (2 << 20))])
    assert (await log.end(0)).next_offset == 1
    assert await log.append([record(0, settings.max_body_bytes)]) == [Position(0, 1)]
    assert len((await _read(log, 0, 1))[0].value) > settings.max_body_bytes
    assert log.producer.rebuilt == 0


async def test_after_a_record_was_refused_by_the_broker_the_next_ones_are_taken(open_log: Open, settings: Settings, admin: AIOKafkaAdminClient) -> None:
    log = await open_log()
    await log.append([record(0)])
    await _configure(admin, settings, TopicConfig.of(settings).all() | {"max.message.bytes": "300000"})
    with pytest.raises(TooLarge):
        await _until_refused(log, 400_000)
    end = (await log.end(0)).next_offset
    assert await log.append([record(0)]) == [Position(0, end)]
    assert log.producer.rebuilt == 1
    with pytest.raises(TooLarge, match="may have 300000 bytes at most"):
        await log.append([record(0, 400_000)])
    assert log.producer.rebuilt == 1


async def test_an_append_that_is_cancelled_may_land_but_lands_once(open_log: Open) -> None:
    log = await open_log()
    append = asyncio.create_task(log.append([new := record(0)]))
    await asyncio.sleep(0)  # noqa: TID251 - let the other task begin
    append.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await append
    (last,) = await log.append([record(0)])
    values = [read.value for read in await _read(log, 0)]
    assert values.count(new.value) <= 1
    assert len(values) == last.offset + 1


async def test_appends_go_on_while_postgres_is_away(open_log: Open, database: str, postgres: PostgresServer) -> None:
    log = await open_log()
    await asyncio.to_thread(postgres.drop, database)
    assert await log.append([record(0)]) == [Position(0, 1)]
    assert (await log.tick([0]))[0].next_offset == 3


async def test_somebody_elses_transaction_in_the_topic_halts_its_partition(open_log: Open, settings: Settings) -> None:
    log = await open_log()
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, transactional_id=str(uuid4()))
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send(settings.kafka_topic, record(0).value, partition=0)
    finally:
        await producer.stop()
    (data,) = await _read(log, 0, 1, max_records=1)
    assert data.offset == 1
    with pytest.raises(Halted, match="transaction"):
        await _read(log, 0, 2)


async def test_without_brokers_an_append_is_rejected_in_time_and_more_than_may_wait_is_pushed_back(settings: Settings) -> None:
    nobody = Brokers("127.0.0.1:9", {})
    producer = KafkaProducer(nobody, settings.kafka_topic, TopicAdmin(nobody, settings.kafka_topic).limit, max_pending_bytes=1500, deadline_s=1.0)
    waiting = asyncio.create_task(producer.append([record(0)]))
    await asyncio.sleep(0)  # noqa: TID251 - let the other task begin
    with pytest.raises(Overloaded):
        await producer.append([record(0)])
    began = time.monotonic()
    with pytest.raises(LogUnavailable, match="nothing is stored") as refused:
        await waiting
    assert refused.value.outcome == "rejected"
    assert time.monotonic() - began < 2.0
    began = time.monotonic()
    await producer.close()
    assert time.monotonic() - began < 3.0
    with pytest.raises(LogUnavailable):
        await producer.append([record(0)])


async def _until_refused(log: KafkaLog, size: int) -> None:
    """Append until it raises: a broker hears of a new configuration a moment later."""
    async with asyncio.timeout(10):
        while True:
            await log.append([record(0, size)])


async def _configure(admin: AIOKafkaAdminClient, settings: Settings, config: dict[str, str]) -> None:
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.kafka_topic, config)])
    topic = TopicAdmin(Brokers.of(settings), settings.kafka_topic)
    async with asyncio.timeout(10):
        while True:
            if config.items() <= (await topic.config()).items():
                return
            await asyncio.sleep(0.05)  # noqa: TID251 - a poll with a deadline


async def _fold(database: str, log_id: UUID, position: int) -> None:
    """Leave the trace of a projector that folded so far."""
    await _execute(database, f"""insert into testamur.projection_cursor (name, version, partition, log_id, position)
        select name, version, 0, '{log_id}', {position} from testamur.projection
        on conflict (name, version, partition) do update set log_id = excluded.log_id, position = excluded.position""")


async def _execute(dsn: str, sql: str) -> None:
    connection = await connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
