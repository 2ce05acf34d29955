"""Which statements a query gives, worked out one statement at a time from xAPI Communication 2.1.3: the slow truth that the store is compared with.

It shares no code with the services. It knows no bound on what a reference lends: whoever asks it keeps below 64 further agents and activities in a chain.
"""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
MOST_HOPS = 16


@dataclass(frozen=True)
class Said:
    """One copy of a statement as the log holds it; `seq` is its place in the one order of all."""

    id: str
    seq: int
    doc: dict[str, Any]
    authority: dict[str, Any]
    may_void: bool


@dataclass(frozen=True)
class Query:
    """What is asked for. Bounds are on `seq`: after `since`, up to `until`; `mine` restricts it to what one authority vouches for."""

    agent: dict[str, Any] | None = None
    related_agents: bool = False
    verb: str | None = None
    activity: str | None = None
    related_activities: bool = False
    registration: str | None = None
    since: int | None = None
    until: int | None = None
    ascending: bool = False
    mine: dict[str, Any] | None = None


def answer(copies: Sequence[Said], query: Query, through: int) -> list[str]:
    """Return the ids of the statements that match, in order, as of `through` (a `seq`)."""
    standing = {one.id: one for one in sorted(copies, key=lambda one: -one.seq)}
    seen = {id_: one for id_, one in standing.items() if one.seq <= through}
    found = sorted((one for one in seen.values() if not _is_voided(one, seen) and _in_time(one, query) and _vouched(one, query) and _matches(one, query, seen)),
                   key=lambda one: one.seq, reverse=not query.ascending)
    return [one.id for one in found]


def _is_voided(one: Said, seen: dict[str, Said]) -> bool:
    return not _voids(one) and any(
        _voids(other) and other.doc["object"]["id"] == one.id and (other.may_void or _same(other.authority, one.authority)) for other in seen.values())


def _voids(one: Said) -> bool:
    return bool(one.doc["verb"]["id"] == VOIDED) and _target(one) is not None


def _target(one: Said) -> str | None:
    object_ = one.doc["object"]
    return object_["id"] if object_.get("objectType") == "StatementRef" else None


def _in_time(one: Said, query: Query) -> bool:
    return (query.since is None or one.seq > query.since) and (query.until is None or one.seq <= query.until)


def _vouched(one: Said, query: Query) -> bool:
    return query.mine is None or _same(one.authority, query.mine)


def _matches(one: Said, query: Query, seen: dict[str, Said], hops: int = 0) -> bool:
    if _says(one, query):
        return True
    target = seen.get(_target(one) or "")
    return target is not None and _vouched(target, query) and hops < MOST_HOPS and _matches(target, query, seen, hops + 1)


def _says(one: Said, query: Query) -> bool:
    doc = one.doc
    return (
        (query.verb is None or doc["verb"]["id"] == query.verb)
        and (query.registration is None or doc.get("context", {}).get("registration") == query.registration)
        and (query.activity is None or query.activity in _activities(doc, related=query.related_activities))
        and (query.agent is None or any(_same(each, query.agent) for each in _agents(one, related=query.related_agents)))
    )


def _activities(doc: dict[str, Any], *, related: bool) -> Iterator[str]:
    object_ = doc["object"]
    kind = object_.get("objectType", "Activity")
    if kind == "Activity":
        yield object_["id"]
    if related:
        for each in doc.get("context", {}).get("contextActivities", {}).values():
            yield from (activity["id"] for activity in (each if isinstance(each, list) else [each]))
        if kind == "SubStatement":
            yield from _activities(object_, related=True)


def _agents(one: Said, *, related: bool) -> Iterator[dict[str, Any]]:
    yield from _said_by_and_about(one.doc)
    if related:
        yield from _with_members(one.authority)
        yield from _in_context(one.doc)
        if one.doc["object"].get("objectType") == "SubStatement":
            yield from _said_by_and_about(one.doc["object"])
            yield from _in_context(one.doc["object"])


def _said_by_and_about(doc: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from _with_members(doc["actor"])
    if doc["object"].get("objectType") in ("Agent", "Group"):
        yield from _with_members(doc["object"])


def _in_context(doc: dict[str, Any]) -> Iterator[dict[str, Any]]:
    context = doc.get("context", {})
    for place in ("instructor", "team"):
        if place in context:
            yield from _with_members(context[place])
    for each in context.get("contextAgents", []):
        yield from _with_members(each["agent"])
    for each in context.get("contextGroups", []):
        yield from _with_members(each["group"])


def _with_members(agent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield agent
    yield from agent.get("member", [])


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two agents or groups have one identifier, or are groups without one that have the same members."""
    identifiers = [{name: value for name, value in each.items() if name in ("mbox", "mbox_sha1sum", "openid", "account")} for each in (one, other)]
    if not any(identifiers):
        return sorted(map(repr, one["member"])) == sorted(map(repr, other["member"]))
    return identifiers[0] == identifiers[1]
