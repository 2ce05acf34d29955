"""The body of a request that publishes or previews: a programme, as YAML or JSON."""
import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from services.api import writes
from services.core.errors import BadRequest
from services.core.rules.language import parse
from services.core.rules.tree import Programme
from services.runtime import http

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
_MAX_BYTES = 256 << 10
"""More than the language allows, so that it can say what it does."""
_TYPES = frozenset({http.JSON_TYPE, *YAML_TYPES})


@dataclass(frozen=True, slots=True)
class Sent:
    """A programme and the text it was read from."""

    programme: Programme
    source: str


async def read(request: Request) -> Sent:
    """Return the programme that the body is. Raises InvalidProgramme with every fault found, BadRequest, or TooLarge."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _TYPES:
        raise BadRequest("A programme is YAML or JSON: send it with Content-Type application/yaml or application/json.")
    body = await writes.read_bytes(request, _MAX_BYTES)
    programme = await asyncio.to_thread(parse, body)  # a large one takes long to read
    return Sent(programme, body.decode("utf-8-sig"))


def sent_as() -> dict[str, Any]:
    """Return the OpenAPI description of the body."""
    text: dict[str, Any] = {"type": "string", "description": "A programme in YAML 1.2; the same members as in JSON."}
    rule: dict[str, Any] = {"type": "object", "required": ["programme", "version", "title", "requires"]}
    return {"requestBody": {"required": True, "content": {http.JSON_TYPE: {"schema": rule}, **{kind: {"schema": text} for kind in YAML_TYPES[:1]}}}}
