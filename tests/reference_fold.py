"""A second, naive fold, written from the rules of the design alone: people and transcripts from a set of records, with nothing shared, merged or kept.

It imports nothing of the services, so that they and it can only agree by both being right. Slow on purpose: whatever can be computed from scratch is.
"""
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
ADL = "http://adlnet.gov/expapi/verbs/"
VOIDED = ADL + "voided"
VERBS = {
    **{ADL + verb: verb for verb in ("registered", "attempted", "initialized", "launched", "completed", "passed", "failed")},
    "https://w3id.org/xapi/adl/verbs/satisfied": "satisfied", "https://w3id.org/xapi/adl/verbs/waived": "waived",
    "http://id.tincanapi.com/verb/unregistered": "withdrawn", "https://w3id.org/xapi/tla/verbs/verified": "verified",
    "http://www.tincanapi.co.uk/verbs/planned_learning": "planned",
}
SESSION = ("https://w3id.org/xapi/cmi5/context/extensions/sessionid", "https://w3id.org/xapi/openedx/extensions/session-id",
           "https://w3id.org/xapi/video/extensions/session-id")
ATTEMPT = ("http://id.tincanapi.com/extension/attempt-id",)
HOURS = ("https://w3id.org/testamur/ext/pd-hours",)
ASSURANCE = ("https://mooc-world.example.org/xapi/extensions/identity-assurance",)
ORDER = ("registered", "attempted", "completed", "failed", "passed")

Identity = tuple[str, ...]
Person = frozenset[Identity]


@dataclass(frozen=True)
class Copy:
    """A statement as the log has it: `stored` in microseconds since 2020, `seq` the one order of all."""

    statement: dict[str, Any]
    stored: int
    seq: int
    authority: str
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Link:
    """A link of two agents, or (without agents) its being taken back."""

    id: str
    seq: int
    agents: tuple[dict[str, Any], dict[str, Any]] | None = None


@dataclass
class Transcripts:
    """Who there is, and what each has done, by activity IRI."""

    people: set[Person] = field(default_factory=set)
    names: dict[Identity, str] = field(default_factory=dict)
    entries: dict[tuple[Person, str], dict[str, Any]] = field(default_factory=dict)
    activities: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)


def fold(copies: Sequence[Copy], links: Sequence[Link] = ()) -> Transcripts:
    """Return what the set of records says, whatever order they are given in."""
    found = Transcripts()
    standing: dict[str, Copy] = {}
    for copy in sorted(copies, key=lambda copy: copy.seq):
        standing.setdefault(copy.statement["id"], copy)
    voided = voided_among(standing)
    everybody = _everybody(copies, links, found)
    person_of = people_by(everybody, links)
    found.people = set(person_of.values())
    lines: dict[tuple[Person, str], list[Copy]] = {}
    assured = assurances(standing, voided)
    for id_, copy in standing.items():
        about = _about(copy)
        if about is not None and id_ not in voided:
            lines.setdefault((person_of[about[0]], about[1]), []).append(copy)
    for line, evidence in lines.items():
        found.entries[line] = entry(evidence, assured)
    return found


def identity(agent: dict[str, Any]) -> Identity | None:
    """Return what an agent is for identity, None for nobody and for placeholders that stand for many people."""
    if "mbox" in agent:
        local, _, domain = agent["mbox"].rpartition("@")
        agent = {"mbox_sha1sum": hashlib.sha1(f"{local}@{domain.lower()}".encode()).hexdigest()}
    if "mbox_sha1sum" in agent:
        placeholder = hashlib.sha1(b"mailto:unknown@example.com").hexdigest()
        return None if agent["mbox_sha1sum"].lower() == placeholder else ("sha1", agent["mbox_sha1sum"].lower())
    if "account" in agent:
        account = agent["account"]
        return None if account["name"] == "anonymous" else ("account", account["homePage"], account["name"])
    return ("openid", agent["openid"]) if "openid" in agent else None


def _about(copy: Copy) -> tuple[Identity, str] | None:
    who, what = identity(copy.statement["actor"]), copy.statement["object"]
    return (who, what["id"]) if who is not None and what.get("objectType", "Activity") == "Activity" else None


def voided_among(standing: dict[str, Copy]) -> set[str]:
    """Return which of the statements that stand are voided."""
    voided = set()
    for copy in standing.values():
        statement = copy.statement
        if statement["verb"]["id"] == VOIDED and (target := standing.get(statement["object"]["id"])) is not None:
            ours = copy.authority == target.authority or "lrs:void" in copy.scopes
            if ours and target.statement["verb"]["id"] != VOIDED:
                voided.add(target.statement["id"])
    return voided


def _everybody(copies: Sequence[Copy], links: Sequence[Link], found: Transcripts) -> set[Identity]:
    """Return everybody named, by copies that fell too, and remember the last names."""
    named: list[tuple[int, Identity, str | None]] = []
    for copy in sorted(copies, key=lambda copy: copy.seq):
        if (about := _about(copy)) is not None:
            named.append((copy.seq, about[0], copy.statement["actor"].get("name")))
            definition = copy.statement["object"].get("definition", {})
            name, type_ = found.activities.get(about[1], (None, None))
            texts = definition.get("name")
            found.activities[about[1]] = (texts.get("en") or next(iter(texts.values())) if texts else name, definition.get("type", type_))
    for link in links:
        named += [(link.seq, who, None) for agent in link.agents or () if (who := identity(agent)) is not None]
    for _, who, name in sorted(named, key=lambda each: each[0]):
        if name is not None:
            found.names[who] = name
    return {who for _, who, _ in named}


def people_by(everybody: set[Identity], links: Sequence[Link]) -> dict[Identity, Person]:
    """Return who each of these identities is, by the links in force."""
    undone = {link.id for link in links if link.agents is None}
    first: dict[str, Link] = {}
    for link in sorted(links, key=lambda link: link.seq):
        if link.agents is not None:
            first.setdefault(link.id, link)
    joined = [tuple(map(identity, link.agents or ())) for link in first.values() if link.id not in undone]
    person_of = {who: frozenset({who}) for who in everybody}
    for a, b in joined:
        if a is not None and b is not None:
            union = person_of[a] | person_of[b]
            for who in union:
                person_of[who] = union
    return person_of


def event_time(copy: Copy) -> int:
    """Return when it happened."""
    said = copy.statement.get("timestamp")
    if said is None:
        return copy.stored
    return min(copy.stored, (datetime.fromisoformat(said) - EPOCH) // _MICROSECOND)


def class_of(statement: dict[str, Any]) -> str:
    """Return what a statement alone would make of a line."""
    verb, result = VERBS.get(statement["verb"]["id"], "other"), statement.get("result", {})
    if verb in {"passed", "failed", "withdrawn"}:
        return verb
    if "success" in result and verb not in {"satisfied", "waived"}:
        return "passed" if result["success"] else "failed"
    if verb in {"completed", "satisfied", "waived"} or result.get("completion"):
        return "completed"
    return "registered" if verb in {"registered", "planned"} else "attempted"


def _extension(statement: dict[str, Any], names: tuple[str, ...], place: str = "context") -> Any:
    extensions = statement.get(place, {}).get("extensions", {})
    return next((extensions[name] for name in names if extensions.get(name) is not None), None)


def _sitting(statement: dict[str, Any]) -> tuple[Any, ...]:
    session = _extension(statement, SESSION)
    if session is not None:
        return ("session", session)
    return ("attempt", statement.get("context", {}).get("registration"), json.dumps(_extension(statement, ATTEMPT)))


def _begins(copy: Copy) -> tuple[Any, ...] | None:
    statement = copy.statement
    if VERBS.get(statement["verb"]["id"]) not in {"attempted", "initialized", "launched"}:
        return None
    if _extension(statement, SESSION) is None and _extension(statement, ATTEMPT) is None:
        return ("time", statement.get("context", {}).get("registration"), event_time(copy))
    return _sitting(statement)


def scaled_of(statement: dict[str, Any]) -> float | None:
    """Return the scaled score of a statement."""
    score = statement.get("result", {}).get("score", {})
    if "scaled" in score:
        return float(score["scaled"])
    if {"raw", "min", "max"} <= score.keys() and score["max"] > score["min"]:
        return float(Fraction(score["raw"] - score["min"]) / Fraction(score["max"] - score["min"]))
    return None


def level_of(copy: Copy, place: str = "context") -> int:
    """Return the identity assurance that a record may claim for its own statement."""
    claim = _extension(copy.statement, ASSURANCE, place)
    if "lrs:assure" not in copy.scopes or claim is None:
        return 0
    return 3 if claim.get("method") == "proctored" else 2 if claim.get("level") in {"substantial", "high"} else 1


def assurances(standing: dict[str, Copy], voided: set[str]) -> dict[str, int]:
    """Return the level that trusted, standing statements give to others."""
    levels: dict[str, int] = {}
    for id_, copy in standing.items():
        target = copy.statement["object"]
        about = VERBS.get(copy.statement["verb"]["id"]) == "verified" and target.get("objectType") == "StatementRef"
        if about and id_ not in voided and "lrs:assure" in copy.scopes:
            levels[target["id"]] = max(levels.get(target["id"], 0), level_of(copy) or 2)
    return levels


def entry(evidence: list[Copy], assured: dict[str, int]) -> dict[str, Any]:
    """Return the line of a transcript that standing evidence makes."""
    evidence = sorted(evidence, key=lambda copy: (event_time(copy), copy.seq))
    of_class: dict[str, list[Copy]] = {}
    for copy in evidence:
        of_class.setdefault(class_of(copy.statement), []).append(copy)
    status = next(status for status in (*reversed(ORDER), "withdrawn") if status in of_class)
    if status not in {"passed", "failed"} and "withdrawn" in of_class:
        last = of_class["withdrawn"][-1]
        later = [copy for copy in of_class.get("registered", ()) if (event_time(copy), copy.seq) > (event_time(last), last.seq)]
        status = status if later else "withdrawn"
    deciding = of_class[status]
    scores = [score for copy in evidence if (score := scaled_of(copy.statement)) is not None]
    passing = [score for copy in deciding if (score := scaled_of(copy.statement)) is not None] if status == "passed" else []
    begun = {key for copy in evidence if (key := _begins(copy)) is not None}
    ended = {_sitting(copy.statement) for status in ("completed", "failed", "passed") for copy in of_class.get(status, ())}
    sessions: dict[tuple[Any, ...], int] = {}
    for copy in evidence:
        if (text := copy.statement.get("result", {}).get("duration")) is not None:
            sessions[_sitting(copy.statement)] = max(sessions.get(_sitting(copy.statement), 0), _micros(text))
    hours = [Fraction(str(_extension(copy.statement, HOURS, "result") or 0)) for copy in evidence]
    return {
        "status": status, "attempts": max(len(begun), len(ended)), "best": max(scores, default=None), "last": scores[-1] if scores else None,
        "passing": max(passing, default=None), "duration": sum(sessions.values()) if sessions else None, "hours": int(sum(hours) * 10**6),
        "first": event_time(evidence[0]), "last_at": event_time(evidence[-1]),
        "level": max(max(level_of(copy), assured.get(copy.statement["id"], 0)) for copy in deciding),
        "issuers": sorted({copy.authority for copy in deciding}),
        "statements": [copy.statement["id"] for copy in (deciding[-1:] if status == "withdrawn" else deciding[:100])], "evidence": len(evidence),
    }


def _micros(text: str) -> int:
    parts = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", text)
    assert parts is not None, text
    days, hours, minutes, seconds = (Fraction(part or 0) for part in parts.groups())
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 10**6)


_MICROSECOND = timedelta(microseconds=1)
