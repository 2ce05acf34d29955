"""What is folded together: bounded runs over several partitions, in which none is left behind."""
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projector.cursor import Cursor
from services.projector.next_run import next_run, wanted_by
from services.projector.reader import MAX_BYTES, MAX_RECORDS, MAX_STATEMENTS, Record

NOBODY = UUID(int=0)
_lanes = st.lists(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 2 << 20), st.integers(1, 50)), min_size=1, max_size=12), min_size=1, max_size=6)


def cursor(partition: int, position: int = 5) -> Cursor:
    """Return a cursor that stands at `position`."""
    return Cursor("statements", 1, partition, NOBODY, uuid4(), 1, position, 0, None)


def record(offset: int, first: int, statements: int = 1, size: int = 1) -> Record:
    """Return a record of so many statements; their content does not matter here."""
    return Record(offset, first, first + max(0, statements - 1), [None] * statements, None, b"x" * size)  # type: ignore[list-item]


@given(_lanes)
def test_a_run_is_bounded_begins_at_every_cursor_without_gaps_and_takes_the_oldest_first(sizes: list[list[tuple[int, int, int]]]) -> None:
    lanes = []
    for partition, records in enumerate(sizes):
        first, lane = partition, []
        for offset, (statements, size, later) in enumerate(records, 5):
            first += later
            lane.append(record(offset, first, statements, size))
        lanes.append((cursor(partition), lane, None))
    parts = next_run(lanes)
    taken = [one for part in parts for one in part.records]
    assert taken[0] is min((lane for _, lane, _ in lanes), key=lambda lane: lane[0].first)[0]
    assert len(taken) == 1 or (
        len(taken) <= MAX_RECORDS and sum(len(one.items) for one in taken) <= MAX_STATEMENTS and sum(len(one.value) for one in taken) <= MAX_BYTES)
    for part in parts:
        assert [one.offset for one in part.records] == list(range(5, 5 + len(part.records)))
        assert part.step().position == 5 + len(part.records)


def test_nothing_is_taken_from_the_offset_on_that_must_not_be_folded_yet() -> None:
    parts = next_run([(cursor(0), [record(5, 1), record(6, 2)], 6), (cursor(1), [record(5, 1)], 5), (cursor(2), [record(5, 1)], None)])
    assert [(part.cursor.partition, len(part.records)) for part in parts] == [(0, 1), (2, 1)]


@pytest.mark.parametrize(("records", "wanted"), [([record(5, 10, 3), record(6, 40, 0)], 12), ([record(5, 10, 0)], None)])
def test_what_was_stored_has_to_be_passed_by_all_but_a_tick_wants_nothing(records: list[Record], wanted: int | None) -> None:
    assert wanted_by(records) == wanted
