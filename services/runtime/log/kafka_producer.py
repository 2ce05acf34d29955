"""Appending to a Kafka log: an idempotent producer with acks=all that never hangs, never stays poisoned and never says less than it knows.

An aiokafka producer retries for ever, also in `stop()`, and after one refused batch it refuses that partition's next ones until it is rebuilt. So each
append has a deadline, and a producer that failed, or that acknowledged nothing while several appends ran out of time, is replaced by a new one.
"""
import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError, ProducerClosed
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata

from services.core.errors import LogUnavailable, LrsError, Outcome, Overloaded, TooLarge
from services.runtime.log import NewRecord, Position, WrongLog
from services.runtime.log.kafka_brokers import AccessRefused, Brokers, refused

DEADLINE_S = 10.0
CLOSE_S = 1.5
MAX_PENDING_BYTES = 64 << 20
_MISSES = 3
"""How many appends in a row may run out of time before the producer is replaced."""
_BATCH_BYTES = 256 << 10
_BATCH_OVERHEAD = 61 + 64
"""The header of a record batch and what is around a record in it, generously."""
_REQUEST_TIMEOUT_MS = 3000
_REBUILD_PAUSE_S = 0.25
_LOG_APPEND_TIME = 1
_KIND = re.compile(rb'\{"v":\d+,"kind":"([a-z.]+)"')

log = structlog.get_logger(__name__)


class KafkaProducer:
    """The one writer of a process to a topic; `append` may be called by many tasks at once."""

    def __init__(
        self, brokers: Brokers, topic: str, fetch_limit: Callable[[], Awaitable[int]], *,
        max_pending_bytes: int = MAX_PENDING_BYTES, deadline_s: float = DEADLINE_S,
    ) -> None:
        """`fetch_limit` asks the brokers for the largest record batch that the topic takes, in bytes: anew for each producer built."""
        self._brokers, self._topic, self._fetch_limit = brokers, topic, fetch_limit
        self._limit, self._pending, self._max_pending = 0, 0, max_pending_bytes
        self._deadline_s, self._misses, self._unreachable, self.rebuilt = deadline_s, 0, False, -1
        self._current: asyncio.Future[AIOKafkaProducer] = asyncio.get_running_loop().create_future()
        self._ends: set[asyncio.Task[None]] = set()
        self._tried = asyncio.Event()
        self._refusal: AccessRefused | None = None
        self._builder = asyncio.create_task(self._build(), name="kafka-producer")

    async def begun(self) -> None:
        """Wait until it can write, or could not at the first try. Raises AccessRefused where trying again will not help."""
        await self._tried.wait()
        if self._refusal is not None:
            raise self._refusal

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Do what `Log.append` promises, within 10 s. Raises Overloaded, nothing written, when too much is waiting."""
        return [position for position, _ in await self.append_timed(records)]

    async def append_timed(self, records: Sequence[NewRecord]) -> list[tuple[Position, int]]:
        """Do as `append` does, and return the log's own timestamp of each record as well, in milliseconds since 1970."""
        size = sum(_size(record) for record in records)
        for record in records:
            if self._limit and _size(record) > self._limit:
                raise TooLarge(f"one record of the log may have {self._limit} bytes at most; send fewer statements in one request")
        if self._pending and self._pending + size > self._max_pending:
            raise Overloaded("More statements arrive than the log takes; repeat the request unchanged a little later.")
        self._pending += size
        try:
            return await self._append(records)
        finally:
            self._pending -= size

    async def close(self) -> None:
        """Give what is under way 1.5 s, then let go of it."""
        self._builder.cancel()
        await asyncio.wait({self._builder}, timeout=0.5)
        if self._current.done() and self._current.exception() is None:
            self._replace(self._current.result(), because=None)
        if not self._current.done():
            self._current.set_exception(ProducerClosed())
            self._current.exception()
        if self._ends:
            await asyncio.wait(self._ends, timeout=CLOSE_S + 0.4)

    async def _append(self, records: Sequence[NewRecord]) -> list[tuple[Position, int]]:
        producer: AIOKafkaProducer | None = None
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            async with asyncio.timeout(self._deadline_s):
                while len(sent) < len(records):
                    producer = await asyncio.shield(self._current)
                    try:
                        for record in records:
                            sent.append(await self._send(producer, record))  # noqa: PERF401 - what was sent must be known when one fails
                    except ProducerClosed:
                        if sent or self._is_current(producer):
                            raise
                # Shielded: a cancelled wait does not unsend, and a future that stands for several waiters must not be cancelled.
                answers = await asyncio.gather(*map(asyncio.shield, sent))
        except TimeoutError as error:
            self._missed(producer)
            raise _unavailable("unknown" if sent else "rejected", "the log did not answer in time") from error
        except KafkaError as error:
            if producer is not None:
                self._replace(producer, because=repr(error))
            raise _outcome(records, sent, error) from error
        self._misses = 0
        return [(_position(record, answer), answer.timestamp) for record, answer in zip(records, answers, strict=True)]

    async def _send(self, producer: AIOKafkaProducer, record: NewRecord) -> asyncio.Future[RecordMetadata]:
        kind = _KIND.match(record.value)
        future: asyncio.Future[RecordMetadata] = await producer.send(self._topic, record.value, key=record.key, partition=record.partition,
                                                                     headers=[("kind", kind[1])] if kind else None)
        future.add_done_callback(_look_at)
        return future

    def _missed(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and self._is_current(producer):
            self._misses += 1
            if self._misses >= _MISSES:
                self._replace(producer, because=f"{self._misses} appends in a row ran out of time")

    def _is_current(self, producer: AIOKafkaProducer) -> bool:
        return self._current.done() and self._current.exception() is None and self._current.result() is producer

    def _replace(self, producer: AIOKafkaProducer, *, because: str | None) -> None:
        """Build a new producer in the place of this one, unless somebody has done so already; only end it where there is no reason for a new one."""
        if not self._is_current(producer):
            return
        self._misses = 0
        self._current = asyncio.get_running_loop().create_future()
        end = asyncio.create_task(_end(producer), name="kafka-producer-end")
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        if because is not None:
            log.warning("kafka producer is replaced", topic=self._topic, because=because)
            self._builder = asyncio.create_task(self._build(), name="kafka-producer")

    async def _build(self) -> None:
        """Try until there is a producer: so writes resume by themselves when brokers return."""
        while True:
            if await self._built():
                return
            await asyncio.sleep(_REBUILD_PAUSE_S)

    async def _built(self) -> bool:
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                limit = await self._fetch_limit()
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._brokers.addresses, **self._brokers.access, client_id="testamur", acks="all", enable_idempotence=True, linger_ms=0,
                    max_batch_size=min(_BATCH_BYTES, limit), max_request_size=limit, request_timeout_ms=_REQUEST_TIMEOUT_MS, metadata_max_age_ms=30_000)
                await producer.start()
                await producer.partitions_for(self._topic)
        except (KafkaError, WrongLog, LrsError, OSError, TimeoutError, asyncio.CancelledError) as error:
            if producer is not None:
                await _force_end(producer)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._refusal = refused(error)  # rights may come back, too
            if not self._unreachable:
                log.warning("kafka cannot be written to; trying on", topic=self._topic, error=str(self._refusal or error))
            self._unreachable = True
            self._tried.set()
            return False
        self._limit, self.rebuilt = limit, self.rebuilt + 1
        if self.rebuilt or self._unreachable:
            log.info("kafka can be written to again", topic=self._topic, rebuilt=self.rebuilt)
        self._unreachable, self._refusal = False, None
        self._tried.set()
        self._current.set_result(producer)
        return True


def _size(record: NewRecord) -> int:
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, [])) + _BATCH_OVERHEAD


def _position(record: NewRecord, answer: RecordMetadata) -> Position:
    """Return where a record is. Raises LogUnavailable when a broker knew the batch already but no longer where it put it.

    Such an answer carries no append time, while every other one does: its offsets count from -1, so that being negative is no mark of it.
    """
    if answer.timestamp_type != _LOG_APPEND_TIME or answer.offset < 0:
        raise _unavailable("unknown", "the log has the record but did not say where")
    return Position(record.partition, answer.offset)


def _outcome(records: Sequence[NewRecord], sent: Sequence[asyncio.Future[RecordMetadata]], error: KafkaError) -> LrsError:
    """Say what is known of an append of which something failed: that nothing was written is certain only where the broker refused every record for its size."""
    if not sent:
        return _unavailable("rejected", f"the log took nothing: {error!r}")
    refused = [future.done() and not future.cancelled() and isinstance(future.exception(), MessageSizeTooLargeError) for future in sent]
    if not (all(refused) and len(sent) == len(records)):
        return _unavailable("unknown", f"the log did not confirm the write: {error!r}")
    if all(len(record.value) > _BATCH_BYTES for record in records):  # each travelled alone, so it is not some neighbour's size that was refused
        return TooLarge("the log's brokers refuse a record of this size; send fewer statements in one request")
    return _unavailable("rejected", "the log's brokers take smaller records than they did; repeat the request unchanged")


def _unavailable(outcome: Outcome, reason: str) -> LogUnavailable:
    certain = "nothing is stored" if outcome == "rejected" else "it may or may not be stored"
    error = LogUnavailable(f"{reason[0].upper()}{reason[1:]}: {certain}. Repeat it unchanged.")
    error.outcome = outcome
    return error


def _look_at(future: asyncio.Future[RecordMetadata]) -> None:
    """Mark the exception of an append that nobody waits for any more as seen."""
    if not future.cancelled():
        future.exception()


async def _end(producer: AIOKafkaProducer) -> None:
    """Let a producer finish within 1.5 s, then end it."""
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await producer.stop()
            return
    await _force_end(producer)


async def _force_end(producer: AIOKafkaProducer) -> None:
    """End a producer whose `stop()` would wait for brokers that do not answer: fail its batches, close its sockets, end its tasks.

    aiokafka has no public way, so this is the one place that reaches into it; the tests of faults, which fail on anything left behind, hold it in place.
    """
    batches, client, sender = producer._message_accumulator, producer.client, producer._sender.sender_task  # noqa: SLF001
    producer._closed = True  # noqa: SLF001
    given_up = KafkaConnectionError("the producer was given up")
    batches.reenqueue = lambda batch: batch.failure(given_up)  # what its sockets' closing interrupts is not tried again
    for waiting in [batch for queue in batches._batches.values() for batch in queue]:  # noqa: SLF001
        waiting._drain_waiter.add_done_callback(_look_at)  # noqa: SLF001
    batches.fail_all(given_up)
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(0.3):
            await client.close()
    # Nobody brings metadata any more, so nobody may wait for it.
    client.force_metadata_update = lambda: asyncio.sleep(0)
    metadata, client._md_update_fut = client._md_update_fut, None  # noqa: SLF001
    if metadata is not None and not metadata.done():
        metadata.set_result(False)
    if sender is not None and not sender.done():
        sender.cancel()
        await asyncio.wait({sender}, timeout=0.3)
