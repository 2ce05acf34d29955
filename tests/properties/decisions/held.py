"""What people hold by the ledger: its entries folded naively, and whether that is what they should hold."""
from collections.abc import Iterable, Mapping
from typing import Any

from tests.properties.decisions import oracle
from tests.properties.decisions.oracle import Said, Says
from tests.properties.decisions.programmes import PROGRAMMES
from tests.reference_calendar import instant_of
from tests.reference_fold import Identity
from tests.reference_rules import Answer

IRIS = {slug: versions[0]["programme"] for slug, versions in PROGRAMMES.items()}
Due = Mapping[tuple[Any, ...] | None, Answer | None]
"""By its id what each award that is held should say, None: it is not to be active any more; where none is held by None alone what is to be awarded."""
ACHIEVEMENTS = {iri: f"{iri.rpartition('/')[0]}/achievements/{slug}" for slug, iri in IRIS.items() if "award" in PROGRAMMES[slug][0]}


def fact_of(row: Mapping[str, Any], who: Mapping[str, Identity]) -> Said:
    """Return an award as the naive reading of rules knows awards, from its row; `who` are identities by the name that records give them."""
    return {
        "id": (row["matter"], row["identity"], row["n"]), "kind": row["kind"], "matter": row["matter"], "ifi": who[row["identity"]], "n": row["n"],
        "state": row["state"], "achievement": ACHIEVEMENTS.get(row["matter"], ""), "issuer": ["did:web:lrs.example.org"], "alignment": [],
        "since": row["since"], "seq": row["issued_seq"], "ended": row["ended"], "revoked": row["state"] == "revoked",
        "suspended": row["state"] == "suspended", "closed": row["closed"], "valid_until": row["valid_until"], "status": row["status"],
    }


def awards_by(entries: Iterable[Mapping[str, Any]], who: Mapping[str, Identity]) -> list[Said]:
    """Return the awards that entries that count make, given in their order; `after` is the end that one followed when it was issued."""
    awards: dict[tuple[Any, ...], Said] = {}
    for row in entries:
        place, state = (row["kind"], row["matter"], row["identity"], row["n"]), row["state"]
        if state == "issued":
            after = None if row["after"] is None else instant_of(row["after"])
            awards[place] = {"issued_seq": row["seq"], "ended": None, "closed": False, "after": after}
        award = awards[place]
        award |= {name: row[name] for name in ("kind", "matter", "identity", "n")}
        if state in {"issued", "updated", "reinstated"}:
            award |= {name: row[name] for name in ("since", "valid_until", "status")}
        if state != "expiring" and not (state == "updated" and award["state"] == "suspended"):
            award["state"] = state
        if state in {"expired", "revoked"}:
            award |= {"closed": True, "ended": row["since"]}
    return [fact_of(award, who) | {"after": award["after"]} for award in awards.values()]


def last_end(awards: Iterable[Said]) -> int | None:
    """Return the end of the last of these awards that expired."""
    return max((award["ended"] for award in awards if award["state"] == "expired"), default=None)


def due(mine: Iterable[Said], says: Says, through: int) -> Due:
    """Return what should become of the awards of a programme that a person has by the ledger, at an instant.

    One that is held is judged for ever as following the end that it followed when it was issued, whatever is known by now of what was before (ADR 18).
    """
    held = [award for award in mine if not award["closed"]]
    if not held:
        return {None: oracle.due_after(last_end(mine), says)[1]}
    return {award["id"]: _goes_on(award, says(award["after"]), through) for award in held}


def _goes_on(award: Said, answer: Answer, through: int) -> Answer | None:
    """Return what an award that is held should say, None if it is over: what began only after its end is another."""
    ended = award["valid_until"] is not None and award["valid_until"] <= through
    goes_on = answer.met and not answer.expired and not (ended and answer.since is not None and answer.since > award["valid_until"])
    return answer if goes_on else None


def assert_programme(mine: list[Said], due: Due, *, retired: bool, once: bool) -> None:
    """The awards of a programme that a person has are what is due; `once`: no links ever made two awards of one."""
    held = {award["id"]: award for award in mine if not award["closed"]}
    active = {id_: award for id_, award in held.items() if not award["suspended"]}
    assert len(held) <= 1 or not once, held
    if None in due:
        if retired and not held:
            return
        assert bool(active) == (due[None] is not None), (due, mine)
        due = dict.fromkeys(active, due[None]) if once else {}
    for id_, answer in due.items():
        assert (id_ in active) == (answer is not None), (id_, due, mine)
        if answer is not None:
            assert (active[id_]["since"], active[id_]["valid_until"]) == (answer.since, answer.valid_until), (id_, due, mine)


def assert_course(mine: list[Said], status: str | None, *, once: bool) -> None:
    """The completions of a course that a person has are what is due."""
    held = [award for award in mine if not award["closed"]]
    assert {award["status"] for award in held} == ({status} if status else set()), (status, mine)
    assert len(held) <= 1 or not once, held
