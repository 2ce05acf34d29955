"""What a fact or an award must say to be meant by a clause: random histories would seldom meet a random rule otherwise."""
from collections.abc import Callable, Iterator
from typing import Any

from tests.properties import rules_programmes as universe
from tests.reference_match import LEVELS, merged

_IRIS = {"passed": universe.PASSED, "completed": universe.COMPLETED, "failed": universe.FAILED, "course": universe.COURSES[0]}
_AUTHORITY = {"https://pd.example.org/1": universe.AUTHORITIES[0], "mailto:registrar@example.org": universe.AUTHORITIES[2]}
_SAYING: dict[str, Callable[[Any], dict[str, Any]]] = {
    "activity": lambda wanted: {"activity": wanted},
    "activity_in": lambda wanted: {"activity": wanted[-1]},
    "under": lambda wanted: {"grouping": [wanted]},
    "category": lambda wanted: {"category": [wanted]},
    "competency": lambda wanted: {"other": [wanted]},
    "type": lambda wanted: {"type": _IRIS.get(wanted, wanted)},
    "verb": lambda wanted: {"verb": _IRIS.get(wanted, wanted)},
    "verb_in": lambda wanted: {"verb": _IRIS.get(wanted[-1], wanted[-1])},
    "success": lambda wanted: {"success": wanted},
    "score_gte": lambda wanted: {"score": float(wanted)},
    "authority_in": lambda wanted: {"authority": _AUTHORITY[wanted[-1]]},
    "identity": lambda wanted: {"level": LEVELS.index(wanted)},
    "evidence": lambda wanted: {"evidence": wanted},
    "registration": lambda wanted: {"registration": wanted},
}


def fits(programme: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each clause on statements, the members of a plain fact that it means."""
    found = []
    for operator, clause in _clauses(programme["requires"]):
        if operator not in ("statement", "sum"):
            continue
        asked = merged(programme.get("defaults", {}).get("match", {}), clause if operator == "statement" else clause.get("match", {}))
        fit: dict[str, Any] = {}
        for member, wanted in asked.items():
            if member in _SAYING:
                fit |= _SAYING[member](wanted)
        if operator == "sum":
            fit |= {"duration": 9_000_000_000} if clause["of"] == "duration" else {"measures": {clause["of"]: "2.5"}}
        found.append(fit)
    return found


def reads(programme: dict[str, Any], operator: str) -> bool:
    """Return whether a programme has a clause of a kind."""
    return any(found == operator for found, _ in _clauses(programme["requires"]))


def awards_wanted(programme: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each clause on credentials, the members of a plain award that it means."""
    found = []
    for operator, clause in _clauses(programme["requires"]):
        if operator == "credential":
            names = {clause["issuer"]} if "issuer" in clause else set(clause.get("issuer_in", ()))
            issuers = [issuer for issuer in universe.ISSUERS if not names or names & set(issuer)]
            found.append({name: value for name, value in (
                ("achievement", clause.get("achievement")), ("alignment", [clause["alignment"]] if "alignment" in clause else None),
                ("issuer", issuers[0] if issuers and names else None)) if value is not None})
    return found


def _clauses(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for operator in ("statement", "sum", "credential", "cmi5"):
        if operator in node:
            yield operator, node[operator]
    for child in (*node.get("all", ()), *node.get("any", ()), *node.get("at_least", {}).get("of", ())):
        yield from _clauses(child)
