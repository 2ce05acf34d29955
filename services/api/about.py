"""GET /xapi/about: which versions are spoken here. It needs neither a key nor a version header (xAPI Communication 2.8)."""
from fastapi import APIRouter, Request, Response

from services.api.context import Api, json_answer, read_params
from services.runtime import http


class About:
    """Answers which versions are spoken; the list can be shortened for tools that stumble over one they do not know."""

    def __init__(self, api: Api) -> None:
        """The versions to name are a setting."""
        self._versions = api.state.settings.about_versions.split(",")

    async def get(self, request: Request) -> Response:
        """Give the versions of xAPI that are spoken here."""
        read_params(request, ())
        version = http.answered_version(request.headers.get(http.VERSION_HEADER))
        return json_answer({"version": self._versions}, headers={http.VERSION_HEADER: version})


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["xAPI"])
    routes.add_api_route(
        "/xapi/about", About(api).get, methods=["GET"], summary="About this LRS", operation_id="getAbout", response_class=Response,
        responses={200: {"description": "The versions spoken here.", "content": {"application/json": {"schema": {
            "type": "object", "required": ["version"], "properties": {"version": {"type": "array", "items": {"type": "string"}}}}}}}})
    return routes
