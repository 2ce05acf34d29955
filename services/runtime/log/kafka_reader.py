"""Reading a Kafka log: each read names its offset and is answered by the leader itself, so readers at different offsets never disturb each other.

What the broker calls out of range, and any record that is not the one numbered as asked, halts the partition; nothing is ever skipped.
"""
import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import aiokafka.errors as kafka_errors
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from services.core.errors import Halted, LogUnavailable
from services.core.timeline import micros
from services.runtime.log import LogRecord
from services.runtime.log.kafka_brokers import Refusal
from services.runtime.log.kafka_client import KafkaClient

PATIENCE_S = 8.0
"""How long a read or a look at the end goes on trying, beyond the time it was asked to wait: long enough for a partition to get another leader."""
_LONGEST_POLL_S = 2.0
_LATEST, _EARLIEST = -1, -2
_MORE_THAN_TICKS = 256
"""Bytes: two ticks have less, and any other record has more (a smaller one would come a second late)."""
_UNIX_EPOCH = micros(datetime(1970, 1, 1, tzinfo=UTC))
_PAUSE_S = 0.1
REFUSALS, _REFUSED_PAUSE_S = 3, 0.5
"""An offset is out of range once that many brokers in a row say so: one that wakes from a freeze may take itself for the leader and know less than we do."""


class KafkaReader:
    """Records and ends of the partitions of one topic."""

    def __init__(self, client: KafkaClient) -> None:
        """Share a client, which its owner closes."""
        self._client = client
        self._kept: dict[int, list[LogRecord]] = {}
        """The last records fetched of each partition: brokers send whole batches, and two projections read the same ones."""
        self._told: dict[int, int] = {}

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        """Do what `Log.read` promises, within `wait_s` + 8 s."""
        kept = self._kept.get(partition)
        if not (kept and kept[0].offset <= offset <= kept[-1].offset):
            kept = await self._await_records(partition, offset, max_bytes, wait_s)
            if not kept:
                return []
            self._kept[partition] = kept
        return list(_within(kept[offset - kept[0].offset:], max_records, max_bytes))

    def tell(self, partition: int, end: int) -> None:
        """Take note that a partition reached `end` by a tick that this process wrote. From there on brokers need not wake a read for a tick or two."""
        self._told[partition] = end

    async def end(self, partition: int) -> int:
        """Return the first offset not yet written. Raises LogUnavailable within 8 s."""
        return await self._edge(partition, _LATEST)

    async def start(self, partition: int) -> int:
        """Return the first offset still there: 0, unless somebody let the topic forget. Raises LogUnavailable within 8 s."""
        return await self._edge(partition, _EARLIEST)

    async def _await_records(self, partition: int, offset: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        give_up = until + PATIENCE_S
        refusals = 0
        while True:
            poll_s = min(max(0.0, until - loop.time()), _LONGEST_POLL_S)
            try:
                async with asyncio.timeout_at(give_up):
                    records = await self._fetch(partition, offset, max_bytes, poll_s)
            except kafka_errors.OffsetOutOfRangeError as error:
                refusals += 1
                if refusals == REFUSALS:
                    raise Halted(partition, offset, await self._why_out_of_range(partition)) from error
                await asyncio.sleep(_REFUSED_PAUSE_S)
                await self._client.refresh(PATIENCE_S)
                continue
            except (KafkaError, TimeoutError) as error:
                await self._try_again(error, give_up, f"partition {partition} of the log cannot be read")
                continue
            if records or loop.time() >= until:
                return records

    async def _fetch(self, partition: int, offset: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        least = _MORE_THAN_TICKS if offset >= self._told.get(partition, offset + 1) else 1
        request = FetchRequest(int(wait_s * 1000), least, max_bytes, 0, [(self._client.topic, [(partition, offset, max_bytes)])])
        answer = await self._client.ask_leader(partition, request, wait_s=wait_s)
        (_, ((_, code, *_, data),)), = answer.topics
        error = kafka_errors.for_code(code)
        if error is not kafka_errors.NoError:
            raise error
        return decode(partition, offset, data or b"")

    async def _why_out_of_range(self, partition: int) -> str:
        start, end = await self.start(partition), await self.end(partition)
        return f"the topic {self._client.topic} holds offsets {start} to {end - 1} of it only: it lost records, or it is another topic of the same name"

    async def _edge(self, partition: int, which: int) -> int:
        give_up = asyncio.get_running_loop().time() + PATIENCE_S
        request = OffsetRequest(-1, 0, [(self._client.topic, [(partition, which)])])
        while True:
            try:
                async with asyncio.timeout_at(give_up):
                    answer = await self._client.ask_leader(partition, request)
                    (_, ((_, code, _, offset, *_),)), = answer.topics
                    if code:
                        raise kafka_errors.for_code(code)
                    return int(offset)
            except (KafkaError, TimeoutError) as error:
                await self._try_again(error, give_up, f"the end of partition {partition} of the log is not known")

    async def _try_again(self, error: Exception, give_up: float, sentence: str) -> None:
        """Pause, and learn who leads what now. Raises LogUnavailable when the time is over or trying again would not help."""
        now = asyncio.get_running_loop().time()
        passing = isinstance(error, TimeoutError) or getattr(error, "retriable", False) or getattr(error, "invalid_metadata", False)
        if isinstance(error, Refusal):  # for good by this broker, but another may lead by now
            await self._client.refresh(max(0.0, give_up - now))
        if not passing or now + _PAUSE_S >= give_up:
            raise LogUnavailable(f"{sentence}: {error or 'the brokers did not answer in time'}") from error
        await asyncio.sleep(_PAUSE_S)
        await self._client.refresh(give_up - now - _PAUSE_S)


def instant_of(timestamp_ms: int) -> int:
    """Return a timestamp of Kafka's as an instant."""
    return _UNIX_EPOCH + timestamp_ms * 1000


def decode(partition: int, offset: int, data: bytes) -> list[LogRecord]:
    """Return the records of an answer to a fetch, from `offset` to the first fault. Raises Halted where that is the first thing."""
    records: list[LogRecord] = []
    try:
        for record in _records(partition, offset, data):
            records.append(record)  # noqa: PERF402 - what came before a fault counts
    except Halted:
        if not records:
            raise
    return records


def _records(partition: int, offset: int, data: bytes) -> Iterator[LogRecord]:
    """Decode record batches from `offset` on; a batch may begin before it. Raises Halted for a bad checksum, a gap or a transaction's marker."""
    batches, expected = MemoryRecords(data), offset
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.validate_crc():
            raise Halted(partition, expected, "a record batch does not match its checksum")
        if batch.is_control_batch:
            raise Halted(partition, expected, "somebody wrote to the log with a Kafka transaction, whose markers take offsets")
        for record in batch:
            if record.offset < offset:
                continue
            if record.offset != expected:
                raise Halted(partition, expected, f"the log gave offset {record.offset} instead")
            expected += 1
            yield LogRecord(partition, record.offset, instant_of(record.timestamp), record.value or b"")


def _within(records: list[LogRecord], max_records: int, max_bytes: int) -> Iterator[LogRecord]:
    """Give the first of them whatever its size, and the next ones within the limits."""
    size = 0
    for record in records[:max_records]:
        size += len(record.value)
        if size > max_bytes and record is not records[0]:
            return
        yield record
