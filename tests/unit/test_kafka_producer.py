"""What is said of an append: where it is, or how certain it is that nothing was written."""
import asyncio

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber
from aiokafka.structs import RecordMetadata, TopicPartition

from services.core.errors import LogUnavailable, TooLarge
from services.runtime.log import NewRecord, Position
from services.runtime.log.kafka_producer import _outcome, _position

SMALL, LARGE = NewRecord(4, b"k", b"small"), NewRecord(4, b"k", b"x" * 300_000)


def _answer(offset: int, timestamp: int) -> RecordMetadata:
    return RecordMetadata("t", 4, TopicPartition("t", 4), offset, timestamp, 0 if timestamp == -1 else 1, 0)


def test_a_record_is_where_the_broker_says() -> None:
    assert _position(SMALL, _answer(17, 1_600_000_000_000)) == Position(4, 17)


@pytest.mark.parametrize("offset", [-1, 0, 5])
def test_a_broker_that_no_longer_knows_where_a_repeated_batch_is_gives_no_position(offset: int) -> None:
    """The client counts the records of such a batch from -1, so that all but the first look like places."""
    with pytest.raises(LogUnavailable) as unknown:
        _position(SMALL, _answer(offset, -1))
    assert unknown.value.outcome == "unknown"


@pytest.mark.parametrize(("records", "errors", "outcome"), [
    ([SMALL], [], "rejected"),
    ([SMALL], [OutOfOrderSequenceNumber()], "unknown"),
    ([SMALL], [MessageSizeTooLargeError()], "rejected"),
    ([SMALL, SMALL], [MessageSizeTooLargeError()], "unknown"),
    ([SMALL, SMALL], [MessageSizeTooLargeError(), None], "unknown"),
    ([SMALL, SMALL], [MessageSizeTooLargeError(), OutOfOrderSequenceNumber()], "unknown"),
])
async def test_only_what_was_never_sent_or_refused_for_its_size_is_certainly_not_written(
    records: list[NewRecord], errors: list[KafkaError | None], outcome: str,
) -> None:
    error = _outcome(records, _futures(errors), next(filter(None, errors), KafkaError()))
    assert isinstance(error, LogUnavailable)
    assert error.outcome == outcome


async def test_a_large_record_that_brokers_refuse_is_the_senders_to_cut() -> None:
    assert isinstance(_outcome([LARGE], _futures([MessageSizeTooLargeError()]), MessageSizeTooLargeError()), TooLarge)


def _futures(errors: list[KafkaError | None]) -> list["asyncio.Future[RecordMetadata]"]:
    futures = []
    for error in errors:
        futures.append(future := asyncio.get_running_loop().create_future())
        if error is None:
            future.set_result(_answer(1, 1))
        else:
            future.set_exception(error)
            future.exception()
    return futures
