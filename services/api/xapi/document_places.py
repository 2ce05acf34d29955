"""Where a document is: the three resources, the parameters that name a place in each, and the key they make.

Two spellings of one agent are one place. A state without registration has a place of its own, beside those of every registration; but a request for all
states of an activity and an agent means those of every registration, unless it names one (xAPI Communication 2.3).
"""
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.api import parameters
from services.api.parameters import INSTANT, IRI, JSON_TEXT, UUID_TEXT, Parameter
from services.core import actor
from services.core.errors import BadRequest
from services.core.keys import KeyedHash, key128

MAX_ID_BYTES = 1024
_NONE = UUID(int=0)
_ACTIVITY = Parameter("activityId", "The id of the activity, an IRI.", IRI, required=True)
_AGENT = Parameter("agent", "The agent, as JSON.", JSON_TEXT, required=True)
_REGISTRATION = Parameter("registration", "The registration of the state. Absent: a state of none; in a list, those of all.", UUID_TEXT)
_PROFILE = Parameter("profileId", "The id of the document.")
_STATE = Parameter("stateId", "The id of the document.")
SINCE = Parameter("since", "Only ids of documents stored or changed after this instant.", INSTANT)


@dataclass(frozen=True, slots=True)
class Resource:
    """One of the three document resources."""

    path: str
    kind: str
    scope: str
    context: tuple[Parameter, ...]
    id: Parameter

    @property
    def is_state(self) -> bool:
        """Whether this is the State resource: it alone has registrations, and removes all documents of a context at once."""
        return self.kind == "state"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What names a place."""
        return (*self.context, self.id)


STATE = Resource("/xapi/activities/state", "state", "state", (_ACTIVITY, _AGENT, _REGISTRATION), _STATE)
ACTIVITY_PROFILE = Resource("/xapi/activities/profile", "activity profile", "profile", (_ACTIVITY,), _PROFILE)
AGENT_PROFILE = Resource("/xapi/agents/profile", "agent profile", "profile", (_AGENT,), _PROFILE)
RESOURCES = (STATE, ACTIVITY_PROFILE, AGENT_PROFILE)


@dataclass(frozen=True, slots=True)
class Context:
    """What the documents of one list belong to. `registration` is None where none is named."""

    tenant_id: int
    kind: str
    agent_ifi: str | None
    agent: UUID
    activity_id: str | None
    activity: UUID
    registration: str | None

    def key(self) -> tuple[Any, ...]:
        """Return the beginning of the key that all documents of the context share, whatever their registration."""
        return self.tenant_id, self.kind, self.agent, self.activity


@dataclass(frozen=True, slots=True)
class Place:
    """Where one document is."""

    context: Context
    id: str

    def key(self) -> tuple[Any, ...]:
        """Return the whole key."""
        return *self.context.key(), self.context.registration or "", key128(self.id)


def context_of(resource: Resource, params: Mapping[str, str], *, hashes: KeyedHash, tenant: str, tenant_id: int) -> Context:
    """Return the context that the parameters of a request name. Raises BadRequest."""
    for parameter in resource.context:
        if parameter.required and parameter.name not in params:
            raise BadRequest(f"The parameter `{parameter.name}` is missing.")
    activity_id = parameters.iri(params, _ACTIVITY.name) if _ACTIVITY in resource.context else None
    ifi = _agent(params[_AGENT.name]) if _AGENT in resource.context else None
    registration = parameters.uuid(params, _REGISTRATION.name)
    return Context(
        tenant_id, resource.kind, agent_ifi=ifi, agent=_NONE if ifi is None else hashes.ifi(tenant, actor.identity(ifi) or ifi),
        activity_id=activity_id, activity=_NONE if activity_id is None else key128(activity_id),
        registration=None if registration is None else str(registration))


def id_of(resource: Resource, params: Mapping[str, str]) -> str | None:
    """Return the id of the one document that a request is about, None when it is about all of a context. Raises BadRequest."""
    name = resource.id.name
    given = params.get(name)
    if given is not None and not (given and "\0" not in given and len(given.encode()) <= MAX_ID_BYTES):
        raise BadRequest(f"`{name}` has 1 to {MAX_ID_BYTES} bytes, and no U+0000 among them.")
    return given


def _agent(text: str) -> str:
    """Return the canonical IFI of the parameter `agent`: one strict JSON object, an Agent. A Group's identifier can stand in one."""
    found = parameters.json_value(_AGENT.name, text)
    if isinstance(found, dict) and found.get("objectType") == "Group":
        raise BadRequest("`agent` is an Agent and no Group here; the identifier of a Group can stand in an Agent.")
    return parameters.ifi_of(found, "`agent`")
