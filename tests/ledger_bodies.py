"""Bodies of records of programmes and of the ledger, as the api and deciders write them."""
import hashlib
from typing import Any
from uuid import UUID, uuid4

import orjson

from services.core.timeline import rfc3339

COURSE = "https://a.example.org/course"
BY = {"objectType": "Agent", "mbox": "mailto:registrar@example.org"}
ISSUER = {"slug": "training", "name": "Training", "url": "https://training.example.org", "did": "did:web:training.example.org"}


def iri_of(slug: str) -> str:
    """Return the IRI of a programme."""
    return f"https://a.example.org/programmes/{slug}"


def achievement_of(slug: str) -> str:
    """Return the IRI of what it awards."""
    return f"https://a.example.org/achievements/{slug}"


def programme_body(slug: str = "welding", version: int = 1, requires: dict[str, Any] | None = None, *, award: bool = True, **more: Any) -> dict[str, Any]:
    """Return what publishes a programme: by default whoever passes the course has it."""
    programme = {
        "programme": iri_of(slug), "version": version, "title": slug.title(),
        "requires": requires or {"statement": {"activity": COURSE, "verb": "passed"}}, **more}
    if award:
        programme["award"] = {"type": "Certificate", "id": achievement_of(slug)}
    text = orjson.dumps(programme, option=orjson.OPT_SORT_KEYS)
    return {
        "slug": slug, "iri": iri_of(slug), "version": version, "effective": more.get("effective"), "source": text.decode(), "programme": programme,
        "rule": hashlib.sha256(text).hexdigest(), "issuer": ISSUER, "achievement": achievement_of(slug) if award else None}


def retirement_body(slug: str = "welding") -> dict[str, Any]:
    """Return what retires a programme."""
    return {"slug": slug, "iri": iri_of(slug), "by": BY}


def decision_body(identity: str, state: str, known_at: int, **members: Any) -> dict[str, Any]:
    """Return a decision about the programme `slug` (default), or about the course `course`; instants are microseconds since 2020."""
    slug, course = members.pop("slug", "welding"), members.pop("course", None)
    instants = {name: rfc3339(instant) if (instant := members.pop(name, None)) is not None else None for name in ("valid_until", "remind")}
    return {
        "id": str(members.pop("id", uuid4())), "kind": "course" if course else "programme", "matter": course or iri_of(slug), "identity": identity,
        "n": 1, "k": 1, "state": state, "since": rfc3339(members.pop("since", known_at - 1)), "version": 0 if course else 1, "rule": "" if course else "r",
        "status": "passed" if course else None, "known_at": rfc3339(known_at), "reason": None, "credential": None, "inputs": [], "causes": [],
        **instants, **members}


def revocation_body(identity: str, n: int = 1, slug: str = "welding", credential: UUID | None = None) -> dict[str, Any]:
    """Return what revokes an award by hand."""
    return {"credential": str(credential or uuid4()), "programme": iri_of(slug), "identity": identity, "n": n, "reason": "cheated", "by": BY}
