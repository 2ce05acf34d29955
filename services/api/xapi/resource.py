"""What the resources of xAPI have in common: who asks, in which version, and how an answer that is one JSON object is described."""
from typing import Any

from fastapi import Request

from services.api.context import Api
from services.runtime import http
from services.runtime.callers.auth import Caller


async def asked_by(api: Api, request: Request, *scopes: str) -> tuple[Caller, str]:
    """Return who asks, and the version of xAPI. Raises Unauthenticated, BadRequest, or Forbidden when none of `scopes` is granted."""
    caller = await api.caller(request, *scopes)
    version = http.xapi_version(request.headers.get(http.VERSION_HEADER))
    api.state.keys.note_version(caller, version)
    return caller, version


def an_object(says: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of answers that are a JSON object of xAPI."""
    return {200: {"description": says, "content": {"application/json": {"schema": {"type": "object"}}}}}
