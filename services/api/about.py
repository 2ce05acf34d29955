"""GET /xapi/about: which versions are spoken here. It needs neither a key nor a version header (xAPI Communication 2.8)."""
from fastapi import APIRouter, Request, Response

from services.api.context import json_answer, read_params
from services.runtime import http

VERSIONS = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "2.0.0"]


async def about(request: Request) -> Response:
    """Give the versions of xAPI that are spoken here."""
    read_params(request, ())
    version = http.answered_version(request.headers.get(http.VERSION_HEADER))
    return json_answer({"version": VERSIONS}, headers={http.VERSION_HEADER: version})


def router() -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["xAPI"])
    routes.add_api_route(
        "/xapi/about", about, methods=["GET"], summary="About this LRS", operation_id="getAbout", response_class=Response,
        responses={200: {"description": "The versions spoken here.", "content": {"application/json": {"schema": {"type": "object"}}}}})
    return routes
