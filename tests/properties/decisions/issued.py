"""What was issued was due: each award of a programme is what the naive reading says of all that was stored up to the instant it was decided at."""
from collections.abc import Mapping, Sequence
from typing import Any

from tests.properties.decisions import held, oracle
from tests.properties.decisions.oracle import Known, Placed, Said
from tests.reference_calendar import instant_of
from tests.reference_fold import Identity

Entry = Mapping[str, Any]


def assert_issued(records: Sequence[Placed], entries: Sequence[Entry]) -> None:
    """All that was issued was due, nothing else was held, and what it follows is what had ended; `entries` are those that count."""
    ids = {str(row["id"]) for row in entries}
    for row in entries:
        if row["kind"] == "programme" and row["state"] == "issued":
            then = oracle.known(records, row["known_at"], lambda placed: placed.said["batch"] in ids)
            who = {oracle.text_of(each): each for each in then.everybody}
            _assert_due(then, row, held.awards_by((each for each in entries if each["seq"] >> 8 <= then.through), who), who[row["identity"]])


def _assert_due(then: Known, row: Entry, awards: Sequence[Said], owner: Identity) -> None:
    person = then.people()[owner]
    theirs = [award for award in awards if award["ifi"] in person]
    mine = [award for award in theirs if award["matter"] == row["matter"]]
    assert all(award["closed"] for award in mine), (row, mine)
    says = oracle.judged(then, row["matter"], person, [award for award in theirs if award["achievement"]])
    lasts = "for" in oracle.rule_of(then, row["matter"]).get("validity", {})
    after, due = oracle.due_after(held.last_end(mine) if lasts else None, says)
    told = row["since"], row["valid_until"], None if row["after"] is None else instant_of(row["after"])
    assert due is not None, row
    assert told == (due.since, due.valid_until, after), (row, due, after, mine)
