"""The log as a Kafka topic. Made and checked with the help of Postgres, which knows its uuid; once open, it needs Kafka alone."""
import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import structlog

from services.core import envelope
from services.core.errors import Halted, LogUnavailable
from services.runtime.log import LogEnd, LogRecord, NewRecord, Position
from services.runtime.log.kafka_brokers import Brokers, refused
from services.runtime.log.kafka_client import KafkaClient
from services.runtime.log.kafka_producer import KafkaProducer
from services.runtime.log.kafka_reader import KafkaReader, instant_of
from services.runtime.log.kafka_topic import TopicAdmin, TopicConfig, TopicError
from services.runtime.postgres import GENESIS_LOCK, Statements, connect, transient
from services.runtime.settings import Settings

OPEN_DEADLINE_S = 45.0
_PAUSE_S = 0.5
_TICK = envelope.encode("tick")
_TICK_KEY = b"tick"
_sql = Statements(Path(__file__).with_name("kafka_log.sql"))
log = structlog.get_logger(__name__)


class KafkaLog:
    """The Log protocol over one topic. A tick is a record, since Kafka has no other way of making time pass."""

    def __init__(self, log_id: UUID, partitions: int, client: KafkaClient, producer: KafkaProducer) -> None:
        """Take over the client and the producer; `open_kafka_log` makes them."""
        self.log_id, self.partitions, self.topic = log_id, partitions, client.topic
        self._client, self.producer, self._reader = client, producer, KafkaReader(client)

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append each record atomically, within 10 s; see `Log.append`. Raises Overloaded when too much is waiting already."""
        return await self.producer.append(records)

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        """Return a run of records from `offset`, within `wait_s` + 8 s; see `Log.read`. Reads of any offsets may go on at once."""
        return await self._reader.read(partition, offset, max_records=max_records, max_bytes=max_bytes, wait_s=wait_s)

    async def end(self, partition: int) -> LogEnd:
        """Return the end of a partition as of now, within 8 s."""
        return LogEnd(await self._reader.end(partition))

    async def tick(self, partitions: Sequence[int]) -> list[LogEnd]:
        """Append a tick to each, in one request to each broker; return the ends after them, within 10 s."""
        appended = await self.producer.append_timed([NewRecord(partition, _TICK_KEY, _TICK) for partition in partitions])
        ticks = [LogRecord(position.partition, position.offset, instant_of(timestamp), _TICK) for position, timestamp in appended]
        for tick in ticks:
            self._reader.tell(tick.partition, tick.offset + 1)
        return [LogEnd(tick.offset + 1, tick=tick) for tick in ticks]

    async def close(self) -> None:
        """Let go of everything, within 3 s: appends under way get a moment, reads none."""
        self._client.close()
        await self.producer.close()

    async def begin(self, folded: dict[int, int]) -> None:
        """Write the genesis record of each partition that is empty, and check that of the others. Needs the genesis lock.

        `folded` is how many records of each partition Postgres remembers. Raises Halted.
        """
        await asyncio.gather(*(self._begin(partition, folded.get(partition, 0)) for partition in range(self.partitions)))

    async def _begin(self, partition: int, folded: int) -> None:
        if (await self.end(partition)).next_offset == 0:
            if folded:
                raise Halted(partition, 0, f"the topic {self.topic} is empty, though {folded} records of it were folded: restore it before starting")
            body = {"log": str(self.log_id), "partition": partition, "partitions": self.partitions}
            await self.append([NewRecord(partition, b"genesis", envelope.encode("genesis", body=body))])
        elif await first_log_id(self._reader, partition) != self.log_id:
            raise Halted(partition, 0, f"the topic {self.topic} holds another log than {self.log_id}")


async def open_kafka_log(settings: Settings, dsn: str) -> KafkaLog:
    """Return the log of this installation, made at the first start.

    `dsn` is the migrated database that knows the log's uuid. Raises TopicError for a topic that is not as the log needs it, Halted for one
    that is not this log, AccessRefused by brokers that we cannot use, and LogUnavailable when brokers or Postgres stay away for 45 s.
    """
    assert settings.kafka, "no Kafka is configured"
    deadline, told = asyncio.get_running_loop().time() + OPEN_DEADLINE_S, False
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await _open(settings, dsn)
        except (LogUnavailable, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError) and not transient(error):
                raise
            if (found := refused(error)) is not None:
                raise found from error
            if asyncio.get_running_loop().time() + _PAUSE_S >= deadline:
                raise LogUnavailable(f"the log on {settings.kafka} cannot be opened: {str(error) or repr(error)}") from error
            log.log(logging.INFO if told else logging.WARNING, "log cannot be opened yet", kafka=settings.kafka, error=str(error))
            told = True
            await asyncio.sleep(_PAUSE_S)


async def first_log_id(reader: KafkaReader, partition: int) -> UUID:
    """Return which log a partition says it is of. Raises Halted where its first record does not say."""
    (record,) = await reader.read(partition, 0, max_records=1, max_bytes=64 << 10, wait_s=5.0)
    try:
        genesis = envelope.decode(record.value)
        return UUID((genesis.body or {})["log"])
    except (envelope.UnknownEnvelope, KeyError, ValueError) as error:
        raise Halted(partition, 0, "the partition does not begin with a genesis record") from error


async def _open(settings: Settings, dsn: str) -> KafkaLog:
    brokers = Brokers.of(settings)
    admin, client = TopicAdmin(brokers, settings.kafka_topic), KafkaClient(brokers, settings.kafka_topic)
    connection = await connect(dsn, application_name="testamur genesis")
    producer: KafkaProducer | None = None
    try:
        await connection.execute(_sql.lock, GENESIS_LOCK)
        log_id, partitions = await _identify(connection, settings, admin, client)
        producer = KafkaProducer(brokers, settings.kafka_topic, admin.limit)
        await producer.begun()
        opened = KafkaLog(log_id, partitions, client, producer)
        await opened.begin(await _folded(connection, log_id))
    except BaseException:
        client.close()
        if producer is not None:
            await producer.close()
        raise
    finally:
        connection.terminate()
    return opened


async def _identify(connection: "asyncpg.Connection[asyncpg.Record]", settings: Settings, admin: TopicAdmin, client: KafkaClient) -> tuple[UUID, int]:
    """Make or check the topic and the log's identity; return the log's uuid and its number of partitions."""
    row = await connection.fetchrow(_sql.identity)
    if row is not None and row["kind"] != "kafka":
        raise TopicError("The log of this installation is in Postgres. Carry it over with `testamur log copy`, or unset TESTAMUR_KAFKA.")
    await client.reach()
    found, config = await admin.partitions(), TopicConfig.of(settings)
    if found is None:
        wanted = row["partitions"] if row is not None else settings.log_partitions
        if row is not None and any((await _folded(connection, row["log_id"])).values()):
            raise TopicError(f"The topic {settings.kafka_topic} is gone, though records of it were folded: restore it before starting.")
        await admin.make(wanted, settings.kafka_replication, config)
        found = wanted
    if row is not None and row["partitions"] != found:
        raise TopicError(f"The topic {settings.kafka_topic} has {found} partitions and the log {row['partitions']}: partitions are fixed when a log is made.")
    if faults := config.faults(await admin.config()):
        raise TopicError(f"The topic {settings.kafka_topic} cannot keep the log: {'; '.join(faults)}.")
    if row is not None:
        return row["log_id"], found
    # A new database beside an old topic takes over its log: everything can be folded again from it.
    reader = KafkaReader(client)
    log_id = await first_log_id(reader, 0) if await reader.end(0) else uuid4()
    await connection.execute(_sql.identify, log_id, found)
    return log_id, found


async def _folded(connection: "asyncpg.Connection[asyncpg.Record]", log_id: UUID) -> dict[int, int]:
    """Return how many records of each partition were folded."""
    return {row["partition"]: row["folded"] for row in await connection.fetch(_sql.folded, log_id)}
