"""The ledger is a function of the set of records: said again, appended again or read in another order they make the same awards."""
from collections import Counter
from itertools import pairwise
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.core.ledger import Entry, Held, fold
from services.core.timeline import seq_of, stored_of

_states = st.sampled_from(["issued", "updated", "expiring", "suspended", "reinstated", "expired", "revoked"])


@st.composite
def _entries(draw: st.DrawFn) -> list[Entry]:
    """Return what deciders that race, repeat themselves and lag might say of one (matter, IFI), and people who revoke."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        stored = 100 + 10 * number
        hand = draw(st.integers(0, 7)) == 0
        found.append(Entry(
            id=UUID(int=number, version=4), seq=seq_of(stored, draw(st.integers(0, 2))), state="revoked" if hand else draw(_states), n=draw(st.integers(1, 3)),
            k=0 if hand else draw(st.integers(1, 4)), since=draw(st.integers(0, 300)), known_at=draw(st.integers(max(0, stored - 35), stored - 1)),
            valid_until=draw(st.none() | st.integers(0, 500))))
    return found


@given(entries=_entries(), data=st.data())
def test_any_order_and_any_number_of_readings_make_the_same_ledger(entries: list[Entry], data: st.DataObject) -> None:
    again = data.draw(st.permutations(entries + data.draw(st.lists(st.sampled_from(entries), max_size=5) if entries else st.just([]))))

    assert fold(again) == fold(entries)


@given(entries=_entries(), data=st.data())
def test_a_decision_appended_again_changes_nothing(entries: list[Entry], data: st.DataObject) -> None:
    decisions = [each for each in entries if not each.by_hand]
    if decisions:
        one = data.draw(st.sampled_from(decisions))
        copy = msgspec.structs.replace(one, seq=seq_of(data.draw(st.integers(stored_of(one.seq) + 1, 400)), 1))
        ledger, counted = fold(entries)

        if any(each.seq == one.seq for each in counted):
            assert fold([*entries, copy]) == (ledger, counted)


@given(entries=_entries())
def test_awards_are_numbered_without_gaps_and_closed_once_in_turn(entries: list[Entry]) -> None:
    ledger, counted = fold(entries)

    assert [award.n for award in ledger.awards] == list(range(1, len(ledger.awards) + 1))
    assert all(award.closed for award in ledger.awards[:-1])
    for award in ledger.awards:
        mine = [each for each in counted if each.n == award.n]
        assert [each.k for each in mine] == list(range(1, award.k + 1))
        states = Counter(each.state for each in mine)
        assert states["issued"] == 1
        assert states["expired"] + states["revoked"] == int(award.closed)
    places = [(each.n, each.k) for each in counted]
    assert places == sorted(set(places))
    for before, after in pairwise(counted):
        assert after.known_at >= stored_of(before.seq)


@given(entries=_entries())
def test_a_ledger_known_up_to_any_moment_is_how_the_whole_one_began(entries: list[Entry]) -> None:
    counted = fold(entries)[1]
    for place in range(len(entries)):
        assert fold(entries[:place])[1] == counted[:len(fold(entries[:place])[1])]


def test_held_names_every_column_that_an_award_keeps_of_its_entries() -> None:
    assert Held.__struct_fields__ == (
        "n", "k", "state", "since", "valid_until", "ended", "version", "rule", "status", "reminded", "issued_seq", "last_seq", "closed", "credential", "inputs")
