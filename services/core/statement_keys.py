"""The keys a statement is found by besides those of its own row: agents and activities anywhere in it (xAPI Communication 2.1.3).

Related are an agent or activity wherever the `related_…` parameters look: authority, context, and what a SubStatement says. Each key is given once: what the
statement's row holds (its actor, its authority, the activity it is about) is not repeated.
"""
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

from services.core import actor as actors
from services.core.keys import key64

_AGENTS = frozenset({"Agent", "Group"})


class Via(IntEnum):
    """What a key in `statement_via` is a key of: each of them answers one parameter of a query."""

    AGENT = 0
    """Its actor, an agent or group as its object, the members of groups in both places."""
    RELATED_AGENT = 1
    """Any agent in it, the former too."""
    VERB = 2
    ACTIVITY = 3
    RELATED_ACTIVITY = 4
    """Any activity in it, the former too."""
    REGISTRATION = 5
    AUTHORITY = 6
    """Its authority, where that vouches for all on the way too: nobody learns through others' statements what they refer to."""


class Keys(NamedTuple):
    """64-bit keys, each in one of the places only."""

    agents: set[int]
    """Agents and groups that the `agent` parameter matches, but for the actor's own IFI."""
    related: set[int]
    """Those that it matches with `related_agents` besides, but for the authority's own IFI."""
    activities: set[int]
    """Activities that `activity` matches with `related_activities`, but for the object."""


def keys_of(doc: dict[str, Any], actor: int | None, activity: int | None, authority: dict[str, Any], authority_key: int) -> Keys:
    """Return the keys of a valid statement whose row holds `actor`, `activity` and `authority_key`; `authority` vouches for it."""
    agents: set[int] = set()
    related: set[int] = set()
    activities: set[int] = set()
    object_, said_by = doc["object"], doc["actor"]
    kind = object_.get("objectType")
    if "member" in said_by:
        _add_members(said_by, agents)
    if kind in _AGENTS:
        _add_agent(object_, agents)
    if (context := doc.get("context")) is not None:
        _add_context(context, related, activities)
    if kind == "SubStatement":
        _add_substatement(object_, related, activities)
    if authority.get("objectType") == "Group" and actors.ifi(authority) is None:  # its members are all that its key is made of
        _add_members(authority, related)
    if agents:
        agents.discard(actor)
        related -= agents
    if related:
        related.discard(actor)
        related.discard(authority_key)
    activities.discard(activity)
    return Keys(agents, related, activities)


def registration_key(registration: UUID) -> int:
    """Return the key of a registration among keys of other kinds."""
    return key64(str(UUID(bytes=registration.bytes)))


def _add_substatement(said: dict[str, Any], related: set[int], activities: set[int]) -> None:
    object_ = said["object"]
    kind = object_.get("objectType", "Activity")
    _add_agent(said["actor"], related)
    if kind in _AGENTS:
        _add_agent(object_, related)
    elif kind == "Activity":
        activities.add(key64(object_["id"]))
    if (context := said.get("context")) is not None:
        _add_context(context, related, activities)


def _add_context(context: dict[str, Any], related: set[int], activities: set[int]) -> None:
    if "instructor" in context:
        _add_agent(context["instructor"], related)
    if "team" in context:
        _add_agent(context["team"], related)
    for each in context.get("contextAgents", ()):
        _add_agent(each["agent"], related)
    for each in context.get("contextGroups", ()):
        _add_agent(each["group"], related)
    if "contextActivities" in context:
        for found in context["contextActivities"].values():
            for each in found if type(found) is list else (found,):
                activities.add(key64(each["id"]))


def _add_agent(agent: dict[str, Any], found: set[int]) -> None:
    if (ifi := actors.ifi(agent)) is not None:
        found.add(key64(ifi))
    if "member" in agent:
        _add_members(agent, found)


def _add_members(group: dict[str, Any], found: set[int]) -> None:
    for member in group.get("member", ()):
        if (ifi := actors.ifi(member)) is not None:
            found.add(key64(ifi))
