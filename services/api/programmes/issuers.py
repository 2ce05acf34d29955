"""PUT and GET of /v1/issuers: who gives credentials. Rows, not records: a programme's record carries its issuer as it was when it was published."""
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
from fastapi import APIRouter, Request, Response

from schemas.api_programmes import Issuer, Issuers, IssuerToPut
from services.api import writes
from services.api.context import Api, add_read, answers, documented, json_answer, no_content, read_params
from services.api.paging import PAGING, page_asked
from services.api.pieces import Pieces
from services.core.errors import BadRequest, NotFound
from services.runtime.callers.auth import Caller

PATH = "/v1/issuers"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SQL = Pieces(Path(__file__).with_suffix(".sql"))
_WEB = ("http", "https")
_DEFAULT = "default"


def did_of(public_url: str, *path: str) -> str:
    """Return the did:web of what has this path below the public URL: its port as %3A, its slashes as colons."""
    parts = urlsplit(public_url)
    host = parts.netloc.rpartition("@")[2].replace(":", "%3A")
    return ":".join(["did:web", host, *(each for each in parts.path.split("/") if each), *(quote(each, safe="") for each in path)])


def did_in(public_url: str, tenant: str, *path: str) -> str:
    """Return the did:web of what a tenant has at this path: below the public URL for the tenant `default`, else below a path of its own."""
    return did_of(public_url, *(() if tenant == _DEFAULT else ("tenants", tenant)), *path)


def issued_by(public_url: str, tenant: str, row: Mapping[str, Any] | asyncpg.Record | None) -> dict[str, Any]:
    """Return the issuer that a programme's record carries: that of a row, or (None) the tenant's own."""
    if row is None:
        return {"slug": None, "name": tenant, "url": public_url, "did": did_in(public_url, tenant)}
    return {"slug": row["slug"], "name": row["name"], "url": row["url"], "did": did_in(public_url, tenant, "issuers", row["slug"])}


async def find(api: Api, caller: Caller, slug: str) -> asyncpg.Record | None:
    """Return the row of an issuer, None if there is none."""
    sql = _SQL.compose("one")
    found: asyncpg.Record | None = await api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "slug": slug.replace("\0", "")}))
    return found


class IssuerWrites:
    """Keeps issuers and shows them."""

    def __init__(self, api: Api) -> None:
        """`api` gives the rows."""
        self._api = api

    async def put(self, request: Request) -> Response:
        """Make an issuer, or say anew who it is."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        slug = request.path_params["slug"]
        body = await writes.read_json(self._api, request, IssuerToPut)
        if not _SLUG.fullmatch(slug):
            raise BadRequest("The slug of an issuer has 1 to 80 letters, digits, dots, hyphens and underscores, and begins with a letter or a digit.")
        for member in ("url", "image"):
            _check_address(body.get(member), f"/{member}")
        sql = _SQL.compose("put")
        given = {member: body.get(member) for member in ("name", "url", "email", "image")}
        await self._api.rows(caller.tenant_id).execute(sql.text, *sql.args({"tenant": caller.tenant_id, "slug": slug, **given}))
        return no_content({"LRS-Outcome": "stored"})

    async def list(self, request: Request) -> Response:
        """Give issuers in the order of their slugs."""
        caller = await self._api.caller(request, "lrs:read")
        page = page_asked(self._api.cursors, caller, PATH, read_params(request, PAGING))
        sql = _SQL.compose("page")
        after = str(page.after[0]) if page.after else ""
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "after": after, "limit": page.wanted}))
        shown, following = page.cut(rows, lambda row: (row["slug"],))
        return json_answer({"issuers": [self._shown(caller, row) for row in shown], "next": following})

    async def one(self, request: Request) -> Response:
        """Give one issuer."""
        caller = await self._api.caller(request, "lrs:read")
        read_params(request, ())
        row = await find(self._api, caller, request.path_params["slug"])
        if row is None:
            raise NotFound("No issuer has this slug.")
        return json_answer(self._shown(caller, row))

    def _shown(self, caller: Caller, row: asyncpg.Record) -> dict[str, Any]:
        return {**dict(row), "did": did_in(self._api.state.public_url, caller.tenant, "issuers", row["slug"])}


def _check_address(value: str | None, pointer: str) -> None:
    """Refuse what is no address of the web. Raises BadRequest."""
    if value is None:
        return
    try:
        parts = urlsplit(value)
        good = parts.scheme in _WEB and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise BadRequest("This is an address such as https://university.example.org.", pointer=pointer)


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, issuers = APIRouter(tags=["issuers"]), IssuerWrites(api)
    routes.add_api_route(
        PATH + "/{slug}", issuers.put, methods=["PUT"], status_code=204, summary="Make an issuer, or change it", operation_id="putIssuer",
        response_class=Response, openapi_extra=documented(path=("slug",), body=IssuerToPut), responses=answers())
    add_read(routes, PATH, issuers.list, summary="Issuers", operation_id="getIssuers", parameters=PAGING, responses=answers(Issuers, "A page of issuers."))
    add_read(routes, PATH + "/{slug}", issuers.one, summary="An issuer", operation_id="getIssuer", responses=answers(Issuer, "The issuer."))
    return routes
