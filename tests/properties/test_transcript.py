"""The fold is a commutative merge: any order and any grouping of the evidence gives the same line, to the byte, and the reference fold's."""
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.actor import ifi
from services.core.evidence import evidence_of
from services.core.transcript import MOST_STATEMENTS, Row, fold, line, merge, named, pack, pack_summary, summarise, unpack_line, unpack_summary
from services.projector.projections.learners_blocks import FIRST, largest, split
from services.projector.run import StatementAt
from tests import reference_fold
from tests.folding import At, copies_of, members_of
from tests.properties.records import record_sets


def rows_of(records: list[At]) -> list[Row]:
    """Return the evidence of the records about the first activity by anybody, as if it were one learner's, first copies alone."""
    rows: dict[UUID, Row] = {}
    for record in records:
        assert isinstance(record, StatementAt)
        found = evidence_of(record.doc, ifi=record.ifi, stored=record.stored, authority=ifi(record.authority) or "", scopes=record.scopes)
        if found is not None:
            rows.setdefault(record.id, Row(record.id, record.seq, found.at, None, found.facts))
    return list(rows.values())


evidence = record_sets(links=False).map(rows_of).filter(bool)


@settings(deadline=None)
@given(rows=evidence, data=st.data())
def test_any_order_gives_the_same_bytes(rows: list[Row], data: st.DataObject) -> None:
    folded, again = fold(rows), fold(data.draw(st.permutations(rows)))

    assert folded is not None
    assert again is not None
    assert pack(folded) == pack(again)
    assert unpack_line(pack(folded)) == folded


@settings(deadline=None)
@given(rows=evidence, data=st.data())
def test_any_grouping_of_summaries_merges_to_the_same_line(rows: list[Row], data: st.DataObject) -> None:
    groups: list[list[Row]] = [[], [], []]
    for row in rows:
        groups[data.draw(st.integers(0, 2))].append(row)
    total = merge(unpack_summary(pack_summary(summarise(group))) for group in data.draw(st.permutations(groups)))

    assert line(total, [id_ for _, _, id_ in named(rows, total.deciding())]) == fold(rows)


@settings(deadline=None)
@given(rows=evidence, most=st.integers(1, 5), tail=st.booleans())
def test_blocks_have_no_more_rows_than_they_may_and_begin_where_they_say(rows: list[Row], most: int, tail: bool) -> None:
    pieces = split([(row, False) for row in rows], FIRST, most, tail=tail)
    starts = [start for start, _, _ in pieces]

    assert starts == sorted(starts)
    assert starts[0] == FIRST
    assert all(1 <= n <= most for _, n, _ in pieces)
    assert sum(n for _, n, _ in pieces) == len(rows)
    assert merge(summary for _, _, summary in pieces) == summarise(rows)
    for (start, n, _), following in zip(pieces, [*starts[1:], (2**63, 0)], strict=True):
        assert sum(start <= (row.at, row.seq) < following for row in rows) == n


def test_a_fold_of_a_large_pair_reads_and_merges_as_little_as_it_can() -> None:
    """Blocks of at most 256 rows where there are 4,096; of a million, some 500 are merged and one is read."""
    assert [largest(rows, 256) for rows in (0, 257, 4096)] == [256, 256, 256]
    assert largest(1_000_000, 256) == 4000


@settings(deadline=None)
@given(records=record_sets(links=False).filter(lambda records: all(isinstance(each, StatementAt) for each in records)))
def test_a_line_is_what_the_reference_fold_says(records: list[At]) -> None:
    alone = {record.seq: record for record in records if isinstance(record, StatementAt) and record.doc["object"].get("objectType") != "StatementRef"}
    expected = reference_fold.fold(copies_of(alone.values()))
    lines: dict[tuple[reference_fold.Person, str], list[Row]] = {}
    seen = set()
    for record in alone.values():
        if record.id not in seen:
            seen.add(record.id)
            who = reference_fold.identity(record.doc["actor"])
            if who is not None:
                lines.setdefault((frozenset({who}), record.doc["object"]["id"]), []).extend(rows_of([record]))

    assert {key: members_of(folded) for key, rows in lines.items() if (folded := fold(rows)) is not None} == expected.entries


def test_a_line_names_the_earliest_hundred_of_the_statements_that_decide() -> None:
    """Two hundred and fifty of one class: the hundred with the least event time and seq, in that order."""
    told = {"actor": {"mbox": "mailto:ada@example.org"}, "verb": {"id": "https://x.example/v"}, "object": {"id": "https://x.example/a"}}
    found = evidence_of(told, ifi="mbox:mailto:ada@example.org", stored=5, authority="", scopes=())
    assert found is not None
    ids = [UUID(int=number) for number in range(250)]
    rows = [Row(id_, 1000 - number, 5, None, found.facts) for number, id_ in enumerate(ids)]
    folded = fold(rows)

    assert folded is not None
    assert folded.statements == tuple(id_.bytes for id_ in reversed(ids[-MOST_STATEMENTS:]))
    assert folded.evidence == len(ids)
