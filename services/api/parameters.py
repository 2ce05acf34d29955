"""Query parameters declared once: the same table refuses unknown names and documents the known ones. A value that cannot be read is a 400, never a 422."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.core import actor, syntax
from services.core.errors import BadRequest
from services.core.json_slices import load

MAX_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: its name, what it means, and its JSON Schema."""

    name: str
    description: str
    schema: tuple[tuple[str, str | int | tuple[str, ...]], ...] = (("type", "string"),)
    required: bool = False

    def openapi(self) -> dict[str, Any]:
        """Return it as an OpenAPI parameter object."""
        return {"name": self.name, "in": "query", "required": self.required, "description": self.description, "schema": dict(self.schema)}


BOOLEAN = (("type", "boolean"),)
UUID_TEXT = (("type", "string"), ("format", "uuid"))
INSTANT = (("type", "string"), ("format", "date-time"))
JSON_TEXT = (("type", "string"), ("contentMediaType", "application/json"))
IRI = (("type", "string"), ("format", "iri"))
LIMIT = Parameter("limit", "How many at most; more than 500 are never given.", (("type", "integer"), ("minimum", 0)))


def uuid(params: Mapping[str, str], name: str) -> UUID | None:
    """Return a parameter as a UUID."""
    value = params.get(name)
    if value is None:
        return None
    if not syntax.is_uuid(value):
        raise BadRequest(f"`{name}` is not a UUID.")
    return UUID(value)


def instant(params: Mapping[str, str], name: str) -> int | None:
    """Return a parameter as an instant (microseconds since 2020). A space stands for the `+` of an offset that was not percent-encoded."""
    value = params.get(name)
    if value is None:
        return None
    found = syntax.timestamp(value.replace(" ", "+") if "T" in value else value)
    if found is None:
        raise BadRequest(f"`{name}` is not an instant: it needs a date and a time, and a zone unless it is UTC, such as 2026-01-31T12:00:00Z.")
    return found


def iri(params: Mapping[str, str], name: str) -> str | None:
    """Return a parameter as an IRI."""
    value = params.get(name)
    if value is not None and not syntax.is_iri(value):
        raise BadRequest(f"`{name}` is not an IRI.")
    return value


def boolean(params: Mapping[str, str], name: str) -> bool:
    """Return a parameter as true or false; false when it is absent. A widely used client for Python writes `True` and `False`."""
    value = params.get(name, "false")
    if value not in ("true", "false", "True", "False"):
        raise BadRequest(f"`{name}` is either true or false.")
    return value in ("true", "True")


def limit(params: Mapping[str, str], default: int) -> int:
    """Return how many things to give at most: 1 to 500. 0 asks for as many as there may be."""
    value = params.get("limit")
    if value is None:
        return default
    if not (value.isascii() and value.isdigit()):
        raise BadRequest("`limit` is not a whole number of 0 or more.")
    return min(int(value.lstrip("0")[:9] or MAX_LIMIT), MAX_LIMIT)


def agent(params: Mapping[str, str], name: str = "agent") -> str | None:
    """Return the canonical IFI of the agent or identified group that a parameter holds as JSON."""
    value = params.get(name)
    return None if value is None else ifi_of(json_value(name, value), f"`{name}`")


def json_value(name: str, text: str) -> Any:
    """Return what a parameter says as JSON, read as strictly as a body."""
    try:
        return load(text.encode())
    except BadRequest as error:
        raise BadRequest(f"`{name}` cannot be read. {error.detail}") from error


def ifi_of(value: Any, what: str, pointer: str | None = None) -> str:
    """Return the canonical IFI of an agent or identified group that a client gave. Raises BadRequest: `what` and `pointer` say where it is."""
    if not isinstance(value, dict) or value.get("objectType", "Agent") not in ("Agent", "Group"):
        raise BadRequest(f"{what} is not an xAPI agent.", pointer=pointer)
    kinds = [kind for kind in _IFI if kind in value]
    if len(kinds) != 1:
        raise BadRequest(f"{what} needs exactly one of {', '.join(_IFI)}.", pointer=pointer)
    if not _IFI[kinds[0]](value[kinds[0]]):
        raise BadRequest(f"{what} has an invalid {kinds[0]}.", pointer=None if pointer is None else f"{pointer}/{kinds[0]}")
    found = actor.ifi(value)
    if found is None:
        raise BadRequest(f"{what} has no identifier.", pointer=pointer)
    return found


def _is_account(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("homePage"), str) and syntax.is_iri(value["homePage"])


_IFI: dict[str, Callable[[Any], bool]] = {
    "mbox": lambda value: isinstance(value, str) and syntax.is_mailbox(value),
    "mbox_sha1sum": lambda value: isinstance(value, str) and syntax.is_sha1(value),
    "openid": lambda value: isinstance(value, str) and syntax.is_iri(value),
    "account": _is_account,
}
