"""Decoding what a broker sends: a batch may begin before the offset asked for, and nothing may be missing or damaged."""
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.core.errors import Halted
from services.core.timeline import moment
from services.runtime.log import LogRecord
from services.runtime.log.kafka_reader import _within, decode


def _batch(base: int, count: int) -> bytes:
    nobody = {"producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
    builder = DefaultRecordBatchBuilder(magic=2, compression_type=0, is_transactional=0, batch_size=1 << 20, **nobody)
    for i in range(count):
        builder.append(i, timestamp=1_600_000_000_123, key=b"k", value=b"value %d" % (base + i), headers=[])
    built = builder.build()
    built[:8] = base.to_bytes(8, "big")  # as the broker does, outside the checksum
    return bytes(built)


def test_records_of_several_batches_come_in_order_from_the_offset_asked_for() -> None:
    read = decode(3, 7, _batch(5, 4) + _batch(9, 2))
    assert [(record.partition, record.offset, record.value) for record in read] == [(3, offset, b"value %d" % offset) for offset in (7, 8, 9, 10)]
    assert moment(read[0].timestamp).isoformat() == "2020-09-13T12:26:40.123000+00:00"


def test_a_batch_cut_off_at_the_end_of_an_answer_is_left_for_the_next_read() -> None:
    assert [record.offset for record in decode(0, 0, _batch(0, 2) + _batch(2, 2)[:-3])] == [0, 1]


def test_what_comes_before_a_gap_is_read_and_the_gap_halts() -> None:
    holed = _batch(2, 2) + _batch(5, 1)
    assert [record.offset for record in decode(0, 2, holed)] == [2, 3]
    with pytest.raises(Halted, match="gave offset 5 instead") as halted:
        decode(0, 4, holed)
    assert halted.value.offset == 4


def test_an_answer_that_begins_beyond_the_offset_asked_for_halts() -> None:
    with pytest.raises(Halted, match="gave offset 5 instead"):
        decode(0, 2, _batch(5, 1))


def test_a_damaged_batch_halts() -> None:
    damaged = bytearray(_batch(0, 2))
    damaged[-4] ^= 1
    with pytest.raises(Halted, match="checksum"):
        decode(0, 0, bytes(damaged))


@pytest.mark.parametrize(("max_records", "max_bytes", "given"), [(10, 100, 3), (2, 100, 2), (10, 20, 2), (10, 19, 1), (10, 1, 1)])
def test_a_run_keeps_within_its_limits_and_has_a_record_at_least(max_records: int, max_bytes: int, given: int) -> None:
    records = [LogRecord(0, offset, 0, b"x" * 10) for offset in range(3)]
    assert list(_within(records, max_records, max_bytes)) == records[:given]
