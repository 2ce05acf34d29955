"""GET /xapi/statements: one by id, or a list, made of the senders' bytes (xAPI Communication 2.1.3).

Consistent-Through is read in the same statement as the rows it clamps; each page of one `more` chain is clamped to, and carries, that of its first.
"""
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response

from services.api import statement_query
from services.api.context import Api, check_through, documented, fetch_planned, read_params
from services.api.statement_query import ById, Listing
from services.api.xapi.attachments import with_attachments
from services.api.xapi.formatted import formatted
from services.api.xapi.resource import asked_by
from services.core.actor import authority_text
from services.core.errors import BadRequest, NotFound, Unavailable
from services.core.keys import key64
from services.core.splice import page, splice
from services.core.timeline import moment, rfc3339, stored_of
from services.runtime import http
from services.runtime.callers.auth import Caller

PATH = "/xapi/statements"
_MAX_AUTHORITIES = 10_000


class StatementReads:
    """Answers reads of statements."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and what has been seen."""
        self._api = api
        self._authorities: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    async def get(self, request: Request) -> Response:
        """Give one statement, or a page of a list."""
        caller, version = await asked_by(self._api, request, "statements/read", "statements/read/mine")
        params = read_params(request, statement_query.PARAMETERS)
        wanted = statement_query.parse({name: value for name, value in params.items() if name != "more"})
        if isinstance(wanted, ById) and "more" in params:
            raise BadRequest("`more` belongs to lists.")
        await self._api.until_visible(request)
        if isinstance(wanted, Listing):
            return await self._list(request, caller, params, wanted, version)
        return await self._one(request, caller, wanted, version)

    async def _one(self, request: Request, caller: Caller, wanted: ById, version: str) -> Response:
        floor = self._api.state.visibility.through
        sql, args = statement_query.by_id_sql(wanted, caller.tenant_id)
        row = await self._api.rows(caller.tenant_id).fetchrow(sql, *args)
        through = check_through(self._api.state, floor, row and row["now"])
        only = _restriction(caller)
        if row is None or row["seq"] is None or (row["voided"] is not None) != wanted.voided or only not in (None, row["authority"]):
            raise NotFound("No voided statement has this id." if wanted.voided else "No statement has this id, or it is voided.")
        [body] = await formatted(self._api, request, caller, await self._spliced(caller, [row], through), wanted.format)
        stored = moment(stored_of(row["seq"]))
        answer = _answer(body, through, version, {"Last-Modified": stored.strftime("%a, %d %b %Y %H:%M:%S GMT")})
        return await with_attachments(self._api.state, request, caller, [row], answer) if wanted.attachments else answer

    async def _list(self, request: Request, caller: Caller, params: dict[str, str], listing: Listing, version: str) -> Response:
        only = _restriction(caller)
        view = "" if only is None else str(only)
        place = self._api.cursors.place("more", caller, PATH, params, view=view)
        first_through, after = (None, None) if place is None else (int(place[0]), int(place[1]))
        floor = self._api.state.visibility.through if first_through is None else first_through
        sql, args = statement_query.page_sql(listing, caller.tenant_id, authority=only, through=first_through, after=after)
        planned = listing.combines or only is not None
        store = self._api.rows(caller.tenant_id)
        rows = await (fetch_planned(store, sql, args, in_order=True) if planned else store.fetch(sql, *args))
        now = check_through(self._api.state, floor, rows[0]["now"])
        through = now if first_through is None else first_through
        found = sorted((row for row in rows if row["seq"] is not None), key=_seq, reverse=not listing.ascending)
        shown = found[: listing.limit]
        more = self._api.cursors.url("more", caller, PATH, params, (through, _seq(shown[-1])), view=view) if len(found) > len(shown) else ""
        statements = await formatted(self._api, request, caller, await self._spliced(caller, shown, now), listing.format)
        answer = _answer(page(statements, more), through, version)
        return await with_attachments(self._api.state, request, caller, shown, answer) if listing.attachments else answer

    async def _spliced(self, caller: Caller, rows: Sequence[asyncpg.Record], through: int) -> list[bytes]:
        authorities = await self._authorities_of(caller.tenant_id, {row["authority"] for row in rows}, through)
        facts = ((row["raw"], row["flags"], row["id"], row["seq"], row["authority"], row["version"]) for row in rows)
        return [
            splice(raw, flags, id=id_, stored=stored_of(seq), authority_json=authorities[authority], version=version)
            for raw, flags, id_, seq, authority, version in facts
        ]

    async def _authorities_of(self, tenant_id: int, keys: Iterable[int], through: int) -> dict[int, bytes]:
        """Return the JSON of authorities. Once Consistent-Through (`through`) passed the first statement with one its row never changes, so it is read once."""
        known = {key: agent for key in keys if (agent := self._authorities.get((tenant_id, key))) is not None}
        missing = [key for key in keys if key not in known]
        if missing:
            sql, args = statement_query.authorities_sql(tenant_id, missing)
            for row in await self._api.rows(tenant_id).fetch(sql, *args):
                known[row["key"]] = row["agent"]
                if stored_of(row["seq"]) <= through:
                    self._authorities[tenant_id, row["key"]] = row["agent"]
            if any(key not in known for key in missing):
                raise Unavailable("The authority of a statement cannot be read right now; repeat the request a little later.")
            while len(self._authorities) > _MAX_AUTHORITIES:
                self._authorities.popitem(last=False)
        return known


def _restriction(caller: Caller) -> int | None:
    """Return the one authority whose statements the caller may see, None when that is all of them (xAPI Communication 4.2)."""
    return None if caller.may("statements/read") else key64(authority_text(caller.authority))


def _seq(row: asyncpg.Record) -> int:
    seq: int = row["seq"]
    return seq


def _answer(body: bytes, through: int, version: str, headers: dict[str, str] | None = None) -> Response:
    given: dict[str, Any] = {http.VERSION_HEADER: version, http.THROUGH_HEADER: rfc3339(through), "Cache-Control": "no-store", **(headers or {})}
    return Response(body, headers=given, media_type=http.JSON_TYPE)


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes = APIRouter(tags=["xAPI"])
    routes.add_api_route(
        PATH, StatementReads(api).get, methods=["GET"], summary="Statements", operation_id="getStatements", response_class=Response,
        openapi_extra=documented(statement_query.PARAMETERS),
        responses={200: {"description": "A statement, or a StatementResult.", "content": {
            "application/json": {"schema": {"type": "object"}}, "multipart/mixed": {"schema": {"type": "string", "format": "binary"}}}}})
    return routes
