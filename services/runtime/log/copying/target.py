"""The side of a copy that takes: the topic, made or checked, and found to hold nothing but the beginning of this copy."""
import asyncio
from collections.abc import Sequence as Records
from uuid import UUID

from services.core import envelope
from services.core.errors import LogUnavailable, TooLarge
from services.core.sequence import Placed, Sequence
from services.core.timeline import MAX_PARTITIONS
from services.runtime.log import LogRecord, NewRecord
from services.runtime.log.copying.source import CopyRefused, Head
from services.runtime.log.kafka_brokers import Brokers
from services.runtime.log.kafka_client import KafkaClient
from services.runtime.log.kafka_log import OPEN_DEADLINE_S, KafkaLog
from services.runtime.log.kafka_producer import KafkaProducer
from services.runtime.log.kafka_topic import TopicAdmin, TopicConfig, TopicError
from services.runtime.settings import Settings

RUN_BYTES = 4 << 20
_PAUSE_S, _SETTLE_S = 0.5, 2.0
_READ_S = 5.0


class Target:
    """A log in Kafka that comes to be. It has one writer, so each record must land where the copy means it to."""

    def __init__(self, log: KafkaLog) -> None:
        """`open_target` makes the log; it has no genesis records yet where the topic is new."""
        self.log, self.log_id, self.partitions, self.topic = log, log.log_id, log.partitions, log.topic

    async def end(self, partition: int) -> int:
        """Return how many records a partition has."""
        return (await self.log.end(partition)).next_offset

    async def settled_ends(self) -> dict[int, int]:
        """Return the ends once they stand still: what a killed copy had sent off may still be arriving."""
        ends: dict[int, int] | None = None
        while True:
            found = {partition: await self.end(partition) for partition in range(self.partitions)}
            if found == ends or not any(found.values()):
                return found
            ends = found
            await asyncio.sleep(_SETTLE_S)

    async def append(self, offset: int, records: Records[NewRecord]) -> None:
        """Append records of one partition, whose first must get this offset. Raises CopyRefused when it did not, and what `Log.append` does."""
        try:
            positions = await self.log.append(records)
        except TooLarge as error:
            largest = max(len(record.value) for record in records)
            raise CopyRefused(f"A record of {largest} bytes is more than the topic {self.topic} takes: raise its max.message.bytes above that.") from error
        if [position.offset for position in positions] != list(range(offset, offset + len(records))):
            raise CopyRefused(f"Somebody else writes to partition {records[0].partition} of the topic {self.topic}: delete the topic and copy into a new one.")

    async def read(self, partition: int, offset: int, limit: int) -> list[LogRecord]:
        """Return records that are there, at least one. Raises LogUnavailable when none comes, Halted for one that is not where it must be."""
        records = await self.log.read(partition, offset, max_records=limit, max_bytes=RUN_BYTES, wait_s=_READ_S)
        if not records:
            raise LogUnavailable(f"Record {offset} of partition {partition} of the topic {self.topic} did not come.")
        return records

    async def lift(self, partition: int, instant: int) -> tuple[Head, bytes]:
        """Let a partition that the source has not got begin, or go on, at this instant; return its end and its last record."""
        end, last, value = await self.bare(partition)
        if end and last >= instant:
            return Head(partition, end, last), value
        body = {"log": str(self.log_id), "partition": partition, "partitions": self.partitions}
        value = envelope.encode("tick", stored=instant) if end else envelope.encode("genesis", body=body, stored=instant)
        await self.append(end, [NewRecord(partition, b"tick" if end else b"genesis", value, carried_stored=instant)])
        return Head(partition, end + 1, instant), value

    async def bare(self, partition: int) -> tuple[int, int, bytes]:
        """Return end, last instant and last record of a partition that the source has not got. Raises CopyRefused for more than genesis and ticks."""
        end, sequence, value = await self.end(partition), Sequence(partition, self.log_id, 0, 0), b""
        while sequence.next_offset < end:
            for record in await self.read(partition, sequence.next_offset, 100):
                placed: Placed = sequence.place(record.offset, record.timestamp, record.value)
                if placed.envelope.kind != ("tick" if record.offset else "genesis") or placed.envelope.stored is None:
                    raise CopyRefused(f"Partition {partition} of the topic {self.topic} holds records that no copy wrote: take a topic that is empty.")
                value = record.value
        return end, sequence.head, value


async def open_target(settings: Settings, log_id: UUID, least: int, wanted: int | None) -> Target:
    """Return the topic that the settings name, made where there is none: with as many partitions as `wanted`, 12 by default, never fewer than `least`.

    Raises TopicError or CopyRefused for a topic that cannot take the log, AccessRefused by brokers that we cannot use, LogUnavailable when they stay away
    for 45 s.
    """
    assert settings.kafka, "no Kafka is named"
    if wanted is not None and wanted < least:
        raise CopyRefused(f"The log has {least} partitions and its records keep theirs: the topic must have as many or more.")
    brokers = Brokers.of(settings)
    admin, client = TopicAdmin(brokers, settings.kafka_topic), KafkaClient(brokers, settings.kafka_topic)
    deadline = asyncio.get_running_loop().time() + OPEN_DEADLINE_S
    try:
        while True:
            try:
                await client.reach()
                partitions = await _prepared(settings, admin, least, wanted)
                break
            except LogUnavailable:
                if asyncio.get_running_loop().time() + _PAUSE_S >= deadline:
                    raise
                await asyncio.sleep(_PAUSE_S)
    except BaseException:
        client.close()
        raise
    return Target(KafkaLog(log_id, partitions, client, KafkaProducer(brokers, settings.kafka_topic, admin.limit)))


async def _prepared(settings: Settings, admin: TopicAdmin, least: int, wanted: int | None) -> int:
    """Make or check the topic; return its number of partitions."""
    config, found = TopicConfig.of(settings), await admin.partitions()
    if found is None:
        found = wanted or max(settings.log_partitions, least)
        await admin.make(found, settings.kafka_replication, config)
    if faults := config.faults(await admin.config()):
        raise TopicError(f"The topic {settings.kafka_topic} cannot keep the log: {'; '.join(faults)}.")
    if not least <= found <= MAX_PARTITIONS or found != (wanted or found):
        raise CopyRefused(f"The topic {settings.kafka_topic} has {found} partitions, and must have {wanted or f'{least} at least, {MAX_PARTITIONS} at most'}.")
    return found
