"""The keys a statement is found by besides those of its own row: agents and activities anywhere in it (xAPI Communication 2.1.3).

Related are an agent or activity wherever the `related_…` parameters look: authority, context, and what a SubStatement says. Each key is given once: what the
statement's row holds (its actor, its authority, the activity it is about) is not repeated.
"""
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

from services.core import actor as actors
from services.core.keys import key64
from services.core.parts import once

_AGENTS = frozenset({"Agent", "Group"})
_NONE: frozenset[int] = frozenset()


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

    agents: frozenset[int]
    """Agents and groups that the `agent` parameter matches, but for the actor's own IFI."""
    related: frozenset[int]
    """Those that it matches with `related_agents` besides, but for the authority's own IFI."""
    activities: frozenset[int]
    """Activities that `activity` matches with `related_activities`, but for the object."""


def keys_of(doc: dict[str, Any], actor: int | None, activity: int | None, authority: dict[str, Any], authority_key: int) -> Keys:
    """Return the keys of a valid statement whose row holds `actor`, `activity` and `authority_key`; `authority` vouches for it."""
    object_, said_by = doc["object"], doc["actor"]
    kind = object_.get("objectType")
    agents = once(said_by, _members) if "member" in said_by else _NONE
    if kind in _AGENTS:
        agents |= once(object_, _agent)
    related, activities = _of_context(doc["context"]) if "context" in doc else (_NONE, _NONE)
    if kind == "SubStatement":
        more_related, more_activities = once(object_, _of_substatement)
        related, activities = related | more_related, activities | more_activities
    if authority.get("objectType") == "Group" and actors.ifi(authority) is None:  # its members are all that its key is made of
        related |= _members(authority)
    if agents:
        agents -= {actor}
        related -= agents
    if actor in related or authority_key in related:
        related -= {actor, authority_key}
    if activity in activities:
        activities -= {activity}
    return Keys(agents, related, activities)


def registration_key(registration: UUID) -> int:
    """Return the key of a registration among keys of other kinds."""
    return key64(str(UUID(bytes=registration.bytes)))


def _of_substatement(said: dict[str, Any]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the keys of the agents and of the activities in a SubStatement."""
    object_ = said["object"]
    kind = object_.get("objectType", "Activity")
    agents, activities = _of_context(said["context"]) if "context" in said else (_NONE, _NONE)
    agents |= _agent(said["actor"])
    if kind in _AGENTS:
        agents |= _agent(object_)
    elif kind == "Activity":
        activities |= {key64(object_["id"])}
    return agents, activities


def _of_context(context: dict[str, Any]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the keys of the agents and of the activities in a context."""
    agents = once(context["instructor"], _agent) if "instructor" in context else _NONE
    if "team" in context:
        agents |= once(context["team"], _agent)
    if "contextAgents" in context:
        agents = agents.union(*[_agent(each["agent"]) for each in context["contextAgents"]])
    if "contextGroups" in context:
        agents = agents.union(*[_agent(each["group"]) for each in context["contextGroups"]])
    return agents, once(context["contextActivities"], _activities) if "contextActivities" in context else _NONE


def _activities(related: dict[str, Any]) -> frozenset[int]:
    return frozenset([key64(each["id"]) for found in related.values() for each in (found if type(found) is list else (found,))])


def _agent(agent: dict[str, Any]) -> frozenset[int]:
    ifi = actors.ifi(agent)
    own = _NONE if ifi is None else frozenset((key64(ifi),))
    return own | _members(agent) if "member" in agent else own


def _members(group: dict[str, Any]) -> frozenset[int]:
    return frozenset([key64(ifi) for member in group.get("member", ()) if (ifi := actors.ifi(member)) is not None])
