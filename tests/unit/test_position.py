"""LRS-Position: opaque, unforgeable, bound to one log; and the backlog that pushes writes back."""
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import BadRequest, Overloaded
from services.core.keys import KeyedHash
from services.core.timeline import seq_of
from services.runtime.backlog import Backlog
from services.runtime.log import Position
from services.runtime.position import Mark, decode_position, encode_position

HASHES = KeyedHash(b"secret")
LOG = UUID("0d9b5a86-7d3f-4a62-9c1d-0f8d6a1a2b3c")
_positions = st.builds(Position, st.integers(0, 255), st.integers(0, 2**63 - 1))
_seqs = st.builds(seq_of, st.integers(1, 2**55 - 1), st.integers(0, 255))


@given(st.lists(_positions | _seqs, min_size=1, max_size=20))
def test_a_token_keeps_the_furthest_mark_of_each_partition(marks: list[Mark]) -> None:
    back = decode_position(HASHES, LOG, encode_position(HASHES, LOG, marks))
    assert set(back) <= set(marks)
    for mark in marks:
        if isinstance(mark, Position):
            assert any(isinstance(other, Position) and other.partition == mark.partition and other.offset >= mark.offset for other in back)
        else:
            assert any(isinstance(other, int) and other & 0xFF == mark & 0xFF and other >= mark for other in back)


def test_a_token_fits_a_header_whatever_a_batch_held() -> None:
    token = encode_position(HASHES, LOG, [Position(partition, 2**62) for partition in range(256)] + [seq_of(2**50, partition) for partition in range(256)])
    assert len(token) < 8000
    assert len(encode_position(HASHES, LOG, [Position(0, 7)])) < 60


@given(st.data())
def test_a_token_changed_in_any_place_is_refused(data: st.DataObject) -> None:
    token = encode_position(HASHES, LOG, [Position(3, 17)])
    at = data.draw(st.integers(0, len(token) - 2))  # the last character has bits that mean nothing
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda letter: letter != token[at]))
    with pytest.raises(BadRequest):
        decode_position(HASHES, LOG, token[:at] + other + token[at + 1:])


@given(st.text(max_size=200))
def test_any_text_that_is_no_token_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        decode_position(HASHES, LOG, text)


def test_a_token_of_another_log_or_another_installation_is_refused() -> None:
    with pytest.raises(BadRequest, match="another log"):
        decode_position(HASHES, LOG, encode_position(HASHES, uuid4(), [Position(0, 1)]))
    with pytest.raises(BadRequest):
        decode_position(HASHES, LOG, encode_position(KeyedHash(b"other"), LOG, [Position(0, 1)]))


def test_writes_are_pushed_back_when_too_many_records_are_unfolded_and_taken_again_when_they_are_folded() -> None:
    backlog = Backlog(max_records=3)
    backlog.fold(0, 10)
    backlog.note(Position(0, 10), 1)
    backlog.check_room(0)
    for offset in (12, 11):
        backlog.note(Position(0, offset), 1)
    with pytest.raises(Overloaded):
        backlog.check_room(0)
    assert backlog.lag() == {0: 3}
    backlog.check_room(1)
    backlog.fold(0, 12)
    backlog.check_room(0)
    assert backlog.lag() == {0: 1}


def test_writes_are_pushed_back_when_too_many_bytes_are_unfolded() -> None:
    backlog = Backlog(max_bytes=100)
    backlog.note(Position(0, 0), 60)
    backlog.note(Position(1, 0), 60)
    with pytest.raises(Overloaded):
        backlog.check_room(2)
    backlog.fold(0, 1)
    backlog.check_room(2)
    backlog.note(Position(1, 0), 0)


def test_writes_are_pushed_back_when_too_many_statements_are_unfolded_whatever_the_number_of_records_and_partitions() -> None:
    backlog = Backlog(max_statements=100)
    backlog.note(Position(0, 1), 1, 60)
    backlog.check_room(1)
    backlog.note(Position(3, 1), 1, 40)
    with pytest.raises(Overloaded):
        backlog.check_room(1)
    backlog.fold(3, 2)
    backlog.check_room(1)


def test_several_times_as_much_may_wait_where_that_is_asked_for() -> None:
    backlog = Backlog(max_statements=100, max_records=3)
    backlog.note(Position(0, 2), 1, 100)
    backlog.check_room(0, times=2)
    backlog.note(Position(0, 5), 1, 50)
    with pytest.raises(Overloaded):
        backlog.check_room(0, times=2)  # for the records
    backlog.check_room(1, times=2)
    backlog.note(Position(0, 5), 1, 50)
    with pytest.raises(Overloaded):
        backlog.check_room(1, times=2)


def test_a_record_folded_before_its_append_was_noted_does_not_count() -> None:
    backlog = Backlog(max_bytes=10)
    backlog.fold(0, 5)
    backlog.note(Position(0, 4), 100)
    backlog.check_room(0)
    assert backlog.lag() == {0: 0}
