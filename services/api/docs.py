"""/docs: the description of the API as OpenAPI, and a plain page made of it. Nothing is fetched from anywhere else."""
import re
from functools import cache
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from services.api.context import json_answer
from services.api.description import whole
from services.runtime.forwarded import public_path

_STYLE = "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}dd{margin:0 0 1rem 1.5rem}"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(described: dict[str, Any]) -> str:
    """Return the page of an OpenAPI description."""
    items = []
    for path, operations in sorted(described["paths"].items()):
        for method, operation in operations.items():
            parameters = "".join(
                f"<li><code>{escape(each['name'])}</code> {_prose(each.get('description', ''))}</li>" for each in operation.get("parameters", ()))
            items.append(
                f"<dt><code>{method.upper()} {escape(path)}</code> {escape(operation.get('summary', ''))}</dt>"
                f"<dd>{_prose(operation.get('description', ''))}<ul>{parameters}</ul></dd>")
    title, described_at = escape(described["info"]["title"]), escape(public_path("/docs/openapi.json"))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>'
        f'<p>{_prose(described["info"]["description"])}</p><p>As <a href="{described_at}">OpenAPI</a>.</p><dl>{"".join(items)}</dl></html>')


def _prose(text: str) -> str:
    """Return a description as HTML; what it has between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def router(app: FastAPI) -> APIRouter:
    """Return the routes that describe `app`."""
    routes = APIRouter()

    @cache
    def described() -> dict[str, Any]:
        return whole(app.openapi())

    async def openapi(_: Request) -> Response:
        return json_answer(described())

    async def html(_: Request) -> Response:
        return Response(page(described()), headers={"Content-Security-Policy": _POLICY}, media_type="text/html")

    async def root(_: Request) -> Response:
        return Response(None, 307, {"Location": public_path("/docs")})

    routes.add_api_route("/", root, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/docs/openapi.json", openapi, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/docs", html, methods=["GET"], include_in_schema=False)
    return routes
