"""Domain writes: a JSON body checked against its model, and a record appended for what it says. Every domain write is a record of the log."""
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ValidationError

from schemas.envelope import Kind
from services.api import faults
from services.api.context import Api
from services.core import envelope
from services.core.errors import BadRequest, TooLarge, Unavailable
from services.core.json_slices import load, most_values
from services.core.keys import partition_of
from services.core.timeline import rfc3339
from services.runtime import http
from services.runtime.callers.auth import Caller
from services.runtime.log import NewRecord, Position
from services.runtime.postgres import or_unavailable

MAX_VALUES = 50_000
"""How many values a body may hold."""
_BODY_S, _AFTERWARDS_S = 30.0, 2.0
_MAX_IDEMPOTENCY_KEY = 255


async def read_json(api: Api, request: Request, model: type[BaseModel], *, may_be_empty: bool = False) -> dict[str, Any]:
    """Return the body, one JSON object that the model allows, as it was sent. Raises BadRequest with a pointer into it, or TooLarge.

    No body at all is an empty object where it `may_be_empty`.
    """
    settings = api.state.settings
    content_type = request.headers.get("content-type", http.JSON_TYPE).partition(";")[0].strip().lower()
    if content_type != http.JSON_TYPE and not (may_be_empty and request.headers.get("content-length", "0") == "0"):
        raise BadRequest("The body is JSON: send it with Content-Type application/json.")
    body = await read_bytes(request, settings.max_body_bytes)
    if may_be_empty and not body:
        return {}
    if most_values(body) > MAX_VALUES:
        raise TooLarge(f"The body holds more than {MAX_VALUES} values; send it in parts.")
    parsed = load(body, max_depth=settings.max_depth)
    if not isinstance(parsed, dict):
        raise BadRequest("The body is a JSON object.", pointer="")
    try:
        model.model_validate(parsed, strict=True)
    except ValidationError as error:
        raise faults.refusal(error, parsed) from error
    return parsed


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return the body, of `limit` bytes at most. Raises TooLarge."""
    declared = request.headers.get("content-length")
    return await http.read_body(_receive(request), None if declared is None else declared.encode(), limit=limit, deadline_s=_BODY_S)


def repeatable_id(api: Api, request: Request, caller: Caller, purpose: str) -> UUID | None:
    """Return the id that the request's Idempotency-Key gives what it makes, the same for each repetition; None without one. Raises BadRequest."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_IDEMPOTENCY_KEY:
        raise BadRequest(f"The Idempotency-Key has 1 to {_MAX_IDEMPOTENCY_KEY} characters.")
    return api.state.hashes.id(purpose, caller.tenant, caller.key, key)


def record(api: Api, caller: Caller, identity: str, kind: Kind, body: dict[str, Any]) -> NewRecord:
    """Return the record of what `caller` says; `identity` is the text that decides its partition."""
    key = api.state.hashes.partition_key(caller.tenant, identity)
    value = envelope.encode(
        kind, body=body, batch=api.state.new_id(), tenant=caller.tenant, authority=caller.authority, credential=caller.key, scopes=sorted(caller.scopes),
        received=rfc3339(api.state.now()))
    return NewRecord(partition_of(key, api.state.log.partitions), key, value)


async def append(api: Api, records: Sequence[NewRecord]) -> list[Position]:
    """Append records and return where they are. Raises Overloaded when too much is unfolded, LogUnavailable, TooLarge."""
    for partition in {each.partition for each in records}:
        api.state.visibility.check_room(partition)
    positions = await api.state.log.append(records)
    for each, position in zip(records, positions, strict=True):
        api.state.visibility.backlog.note(position, len(each.value))
    return positions


@contextlib.asynccontextmanager
async def afterwards() -> AsyncIterator[None]:
    """Read in the body what became of records that are in the log: that it cannot be read now, or not soon, says nothing of them, and cuts the body short."""
    with contextlib.suppress(Unavailable):
        async with or_unavailable("What became of this cannot be read right now.", _AFTERWARDS_S):
            yield


def _receive(request: Request) -> http.Receive:
    """Return the request's body as ASGI messages."""

    async def receive() -> dict[str, Any]:
        return dict(await request.receive())

    return receive
