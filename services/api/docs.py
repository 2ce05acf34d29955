"""/docs: the description of the API as OpenAPI, and a page made of it."""
from functools import cache, lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from services.api.context import json_answer
from services.api.description import whole
from services.api.description_page import POLICY, page
from services.runtime.forwarded import public_path


def router(app: FastAPI) -> APIRouter:
    """Return the routes that describe `app`."""
    routes = APIRouter()

    @cache
    def described() -> dict[str, Any]:
        return whole(app.openapi())

    async def openapi(_: Request) -> Response:
        return json_answer(described())

    @lru_cache(maxsize=8)
    def text(address: str) -> str:
        return page(described(), address)

    async def html(_: Request) -> Response:
        return Response(text(public_path("/docs/openapi.json")), headers={"Content-Security-Policy": POLICY}, media_type="text/html")

    async def root(_: Request) -> Response:
        return Response(None, 307, {"Location": public_path("/docs")})

    routes.add_api_route("/", root, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/docs/openapi.json", openapi, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/docs", html, methods=["GET"], include_in_schema=False)
    return routes
