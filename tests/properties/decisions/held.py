"""What people hold by the ledger: its entries folded naively, and whether that is what they should hold."""
from collections.abc import Iterable, Mapping
from typing import Any

from tests.properties.decisions.oracle import Said
from tests.properties.decisions.programmes import PROGRAMMES
from tests.reference_fold import Identity
from tests.reference_rules import Answer

IRIS = {slug: versions[0]["programme"] for slug, versions in PROGRAMMES.items()}
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
    """Return the awards that entries that count make, given in their order."""
    awards: dict[tuple[Any, ...], Said] = {}
    for row in entries:
        place, state = (row["kind"], row["matter"], row["identity"], row["n"]), row["state"]
        if state == "issued":
            awards[place] = {"issued_seq": row["seq"], "ended": None, "closed": False}
        award = awards[place]
        award |= {name: row[name] for name in ("kind", "matter", "identity", "n")}
        if state in {"issued", "updated", "reinstated"}:
            award |= {name: row[name] for name in ("since", "valid_until", "status")}
        if state != "expiring" and not (state == "updated" and award["state"] == "suspended"):
            award["state"] = state
        if state in {"expired", "revoked"}:
            award |= {"closed": True, "ended": row["since"]}
    return [fact_of(award, who) for award in awards.values()]


def last_end(awards: Iterable[Said]) -> int | None:
    """Return the end of the last of these awards that expired."""
    return max((award["ended"] for award in awards if award["state"] == "expired"), default=None)


def assert_programme(mine: list[Said], due: Answer | None, *, retired: bool, once: bool) -> None:
    """The awards of a programme that a person has are what is due; `once`: no links ever made two awards of one."""
    held = [award for award in mine if not award["closed"]]
    active = [award for award in held if not award["suspended"]]
    if retired and not held:
        return
    assert bool(active) == (due is not None), (due, mine)
    if once:
        assert len(held) <= 1, held
        if due is not None:
            assert (active[0]["since"], active[0]["valid_until"]) == (due.since, due.valid_until), (due, mine)


def assert_course(mine: list[Said], status: str | None, *, once: bool) -> None:
    """The completions of a course that a person has are what is due."""
    held = [award for award in mine if not award["closed"]]
    assert {award["status"] for award in held} == ({status} if status else set()), (status, mine)
    assert len(held) <= 1 or not once, held
