"""Which entries of the ledger count, and what they make of awards."""
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.core.ledger import Entry, Held, Ledger, fold
from services.core.timeline import seq_of, stored_of

CREDENTIAL = UUID(int=7, version=4)


def entry(number: int, state: str, n: int = 1, k: int = 1, **members: Any) -> Entry:
    """Return an entry stored at `number`, decided with knowledge of all before it."""
    return Entry(id=UUID(int=number, version=4), seq=seq_of(number, 0), state=state, n=n, k=k, **{"since": number - 5, "known_at": number - 1, **members})


def by_hand(number: int, n: int = 1) -> Entry:
    return Entry(id=uuid4(), seq=seq_of(number, 0), state="revoked", n=n, k=0, since=number, known_at=number, reason="cheated")


def counted(*entries: Entry) -> list[tuple[str, int, int]]:
    return [(each.state, each.n, each.k) for each in fold(entries)[1]]


def last(*entries: Entry) -> Held:
    found = fold(entries)[0].last
    assert found is not None
    return found


def test_an_award_is_issued_changed_and_closed_entry_by_entry() -> None:
    entries = [
        entry(100, "issued", valid_until=500, version=1, rule="r", credential=CREDENTIAL, inputs=({"statement": "s"},)),
        entry(200, "updated", k=2, since=90, valid_until=900, version=2, rule="q", inputs=({"statement": "t"},)),
        entry(300, "expiring", k=3, remind=800), entry(400, "suspended", k=4), entry(500, "reinstated", k=5, valid_until=1000, version=2, rule="q"),
        entry(600, "expired", k=6, since=1000)]

    ledger, accepted = fold(entries)

    assert accepted == entries
    [award] = ledger.awards
    assert (award.n, award.k, award.state, award.closed, award.ended) == (1, 6, "expired", True, 1000)
    assert (award.since, award.valid_until, award.version, award.rule, award.reminded) == (495, 1000, 2, "q", 800)
    assert (award.issued_seq, award.last_seq, award.credential) == (seq_of(100, 0), seq_of(600, 0), CREDENTIAL)


def test_only_the_next_entry_counts() -> None:
    assert counted(entry(100, "issued"), entry(200, "updated", k=3)) == [("issued", 1, 1)]
    assert counted(entry(100, "issued"), entry(200, "issued")) == [("issued", 1, 1)]
    assert counted(entry(100, "updated", k=2)) == []
    assert counted(entry(100, "issued", n=2)) == []
    assert counted(entry(100, "revoked")) == []
    assert counted(entry(100, "issued"), entry(200, "issued", k=2)) == [("issued", 1, 1)]
    assert counted(entry(100, "abolished")) == []


def test_of_two_deciders_that_say_the_same_the_first_counts() -> None:
    twins = [entry(100, "issued"), entry(101, "issued", known_at=99)]

    assert counted(*twins) == [("issued", 1, 1)]
    assert last(*twins).issued_seq == seq_of(100, 0)


def test_a_further_award_begins_only_when_the_one_before_is_closed() -> None:
    first = [entry(100, "issued"), entry(200, "suspended", k=2)]

    assert counted(*first, entry(300, "issued", n=2)) == [("issued", 1, 1), ("suspended", 1, 2)]
    assert counted(*first, entry(300, "revoked", k=3), entry(400, "issued", n=2)) == [
        ("issued", 1, 1), ("suspended", 1, 2), ("revoked", 1, 3), ("issued", 2, 1)]
    assert counted(*first, entry(300, "revoked", k=3), entry(400, "issued", n=3)) == [("issued", 1, 1), ("suspended", 1, 2), ("revoked", 1, 3)]


def test_nothing_happens_to_a_closed_award() -> None:
    closed = [entry(100, "issued"), entry(200, "expired", k=2)]

    for late in (entry(300, "updated", k=3), entry(300, "reinstated", k=3), entry(300, "revoked", k=3), by_hand(300)):
        assert counted(*closed, late) == [("issued", 1, 1), ("expired", 1, 2)]


def test_what_was_decided_without_knowledge_of_the_entry_before_has_no_effect() -> None:
    issued = entry(100, "issued")

    assert counted(issued, entry(200, "updated", k=2, known_at=99)) == [("issued", 1, 1)]
    assert counted(issued, entry(200, "updated", k=2, known_at=100)) == [("issued", 1, 1), ("updated", 1, 2)]
    assert counted(issued, entry(200, "expired", k=2), entry(300, "issued", n=2, known_at=199)) == [("issued", 1, 1), ("expired", 1, 2)]


def test_a_revocation_by_hand_is_the_next_entry_of_the_award_it_names_whatever_was_decided_meanwhile() -> None:
    issued = entry(100, "issued", version=3, rule="r", credential=CREDENTIAL)

    [_, revoked] = fold([issued, by_hand(200)])[1]
    assert (revoked.n, revoked.k, revoked.version, revoked.rule, revoked.credential, revoked.reason) == (1, 2, 3, "r", CREDENTIAL, "cheated")
    assert last(issued, by_hand(200)).ended == 200

    late = entry(300, "updated", k=2, known_at=150)
    assert counted(issued, by_hand(200), late) == [("issued", 1, 1), ("revoked", 1, 2)]
    assert counted(issued, by_hand(200), entry(300, "issued", n=2)) == [("issued", 1, 1), ("revoked", 1, 2), ("issued", 2, 1)]


@pytest.mark.parametrize("named", [2, 5])
def test_a_revocation_by_hand_of_another_award_has_no_effect(named: int) -> None:
    assert counted(entry(100, "issued"), by_hand(200, n=named)) == [("issued", 1, 1)]
    assert counted(by_hand(200)) == []


def test_an_update_of_a_suspended_award_leaves_it_suspended_and_a_reminder_changes_no_state() -> None:
    suspended = [entry(100, "issued"), entry(200, "suspended", k=2)]

    assert last(*suspended, entry(300, "updated", k=3, valid_until=900)).suspended
    assert last(*suspended, entry(300, "updated", k=3, valid_until=900)).valid_until == 900
    assert last(entry(100, "issued"), entry(200, "expiring", k=2, remind=150)).state == "issued"
    reminded = last(entry(100, "issued"), entry(200, "expiring", k=2, remind=150), entry(300, "expiring", k=3, remind=120))
    assert reminded.reminded == 150


def test_one_entry_at_a_time_makes_the_ledger_that_all_of_them_make() -> None:
    entries = [entry(100, "issued"), entry(150, "updated", k=3), entry(200, "revoked", k=2), entry(300, "issued", n=2), by_hand(400, n=2)]
    ledger = Ledger([])
    accepted = []
    for each in entries:
        ledger = Ledger([ledger.last] if ledger.last is not None else [])  # what the fold keeps
        accepted.append(ledger.accept(each) is not None)

    assert accepted == [True, False, True, True, True]
    assert ledger.last == last(*entries)
    assert stored_of(last(*entries).last_seq) == 400
