"""Why a programme is not met any more, and what an award was at an earlier instant: judged from what is known, whatever inputs the ledger names."""
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.core.ledger import Entry, held_at
from services.core.rules.facts import Award
from services.core.rules.language import parse
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.judge import judge_programme
from services.runtime.evaluation.load import PROGRAMME, Holding, Members, Person
from services.runtime.evaluation.moment import Moment

HOME = "https://lrs.example.org"
BELOW, ABOVE = f"{HOME}/programmes/below", f"{HOME}/programmes/above"
IFI = UUID(int=1)
NOW = 1_000


def document(slug: str, requires: dict[str, Any], **more: Any) -> bytes:
    """Return a programme."""
    return orjson.dumps({
        "programme": f"{HOME}/programmes/{slug}", "version": 1, "title": slug, "award": {"type": "Certificate"}, "requires": requires, **more})


ROPE = {"statement": {"verb": "passed", "activity": "https://courses.example.org/rope"}}
KNOTS = {"statement": {"verb": "passed", "activity": "https://courses.example.org/knots"}}
HAS_BELOW = {"credential": {"achievement": f"{HOME}/achievements/below"}}


def entry(n: int, k: int, state: str, since: int, *, stored: int | None = None, credential: int = 0, **more: Any) -> Entry:
    """Return an entry, stored just when it began if not said otherwise."""
    at = since if stored is None else stored
    return Entry(
        id=UUID(int=100 * n + k), seq=at << 8, state=state, n=n, k=k, since=since, known_at=at - 1, version=1, credential=UUID(int=credential + n), **more)


def person(*entries: tuple[str, list[Entry]]) -> Person:
    """Return a learner without statements whose ledger has these entries."""
    found = Person(Members((IFI,), ("mbox:mailto:ada@example.org",)))
    for matter, each in entries:
        for held in held_at(each, NOW):
            met = max(one.known_at for one in each if one.n == held.n and one.state in {"issued", "updated", "reinstated", "expiring"})
            found.holdings += (Holding(PROGRAMME, matter, IFI, held, None, met),)
            assert held.credential is not None
            found.awards += (Award(
                held.credential, matter, f"{HOME}/achievements/{matter.rpartition('/')[2]}", (), (), IFI, held.issued_seq, held.since, held.ended,
                held.suspended, held.state == "revoked", held.valid_until),)
    return found


def reason(requires: dict[str, Any], below: list[Entry], above: list[Entry], **more: Any) -> tuple[str, str | None] | None:
    """Return the state and reason of what is proposed for the programme that reads the other's credentials."""
    versions = [Version(parse(document("below", ROPE)), 1, f"{HOME}/achievements/below"), Version(
        parse(document("above", requires, **more)), 2, f"{HOME}/achievements/above")]
    judged = judge_programme(person((BELOW, below), (ABOVE, above)), ABOVE, Catalog(versions, (), {}), Moment.at(NOW))
    return (judged.proposed[0].change.state, judged.proposed[0].change.reason) if judged.proposed else None


ABOVE_ISSUED = [entry(1, 1, "issued", 10, stored=12, credential=50, inputs=({"credential": str(UUID(int=1))},))]


@pytest.mark.parametrize("state", ["revoked", "suspended"])
def test_a_credential_that_was_withdrawn_is_the_reason(state: str) -> None:
    assert reason(HAS_BELOW, [entry(1, 1, "issued", 10), entry(1, 2, state, 500)], ABOVE_ISSUED) == ("revoked", "input_revoked")


def test_a_credential_that_expired_is_no_withdrawn_one() -> None:
    below = [entry(1, 1, "issued", 10, valid_until=500), entry(1, 2, "expired", 500, valid_until=500)]
    assert reason(HAS_BELOW, below, ABOVE_ISSUED) == ("expired", "lapsed")


def test_a_credential_that_was_replaced_before_it_was_withdrawn_is_not_the_reason() -> None:
    below = [entry(1, 1, "issued", 10), entry(1, 2, "revoked", 500), entry(2, 1, "issued", 500, stored=510)]
    assert reason({"all": [HAS_BELOW, KNOTS]}, below, ABOVE_ISSUED, on={"input_voided": "suspend"}) == ("suspended", "input_voided")


def test_a_credential_that_was_withdrawn_before_the_rule_was_last_met_is_not_the_reason() -> None:
    below = [entry(1, 1, "issued", 10), entry(1, 2, "revoked", 500)]
    above = [entry(1, 1, "issued", 600, credential=50)]
    assert reason({"any": [HAS_BELOW, KNOTS]}, below, above) == ("revoked", "input_voided")


def test_an_award_is_at_an_earlier_instant_what_its_entries_say_of_then() -> None:
    entries = [
        entry(1, 1, "issued", 100, stored=110, credential=7), entry(1, 2, "updated", 50, stored=120, credential=7, valid_until=300),
        entry(1, 3, "suspended", 130, credential=7), entry(1, 4, "expired", 300, credential=7, valid_until=300), entry(2, 1, "issued", 400, credential=7)]
    states = {at: [held.state for held in held_at(entries, at)] for at in (49, 50, 100, 129, 130, 299, 300, 400)}
    assert states == {
        49: [], 50: ["updated"], 100: ["updated"], 129: ["updated"], 130: ["suspended"], 299: ["suspended"], 300: ["expired"], 400: ["expired", "issued"]}
    (held,) = held_at(entries, 60)
    assert (held.since, held.valid_until, held.issued_seq, held.credential) == (50, 300, 110 << 8, UUID(int=8))
