"""GET, PUT, POST and DELETE of the three document resources (xAPI Communication 2.2, 2.3, 2.6, 2.7, 3.1), for 1.0.3 and 2.0.0.

A document may be anything, a page with scripts too: answers keep its Content-Type, and forbid browsers to run, embed or guess anything. A PUT is not read,
whatever it calls itself: some tools send their bookmarks as application/json, and no JSON is in them.
"""
from collections.abc import Sequence
from email.utils import format_datetime
from typing import Any, cast

import orjson
from fastapi import APIRouter, Request, Response

from services.api import parameters
from services.api.context import Api, answers, documented, no_content, read_params
from services.api.parameters import Parameter
from services.api.xapi.document_places import RESOURCES, SINCE, Context, Place, Resource, context_of, id_of
from services.api.xapi.document_store import DocumentStore, Written
from services.api.xapi.resource import asked_by
from services.core import document
from services.core.document import Conditions, Document, Limits
from services.core.errors import BadRequest, NotFound
from services.core.timeline import moment
from services.runtime import http
from services.runtime.callers.auth import Caller

_BODY_S = 30.0
_HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Content-Disposition": "attachment"}


class Documents:
    """One resource."""

    def __init__(self, api: Api, store: DocumentStore, resource: Resource) -> None:
        """`api` gives the keys and settings."""
        self._api, self._store, self._resource = api, store, resource

    async def get(self, request: Request) -> Response:
        """Give one document, or the ids of those there are."""
        caller, version = await asked_by(self._api, request, self._resource.scope, "all/read")
        params = read_params(request, (*self._resource.parameters, SINCE))
        context, name = self._context(caller, params), id_of(self._resource, params)
        wanted = _conditions(request)
        if name is None:
            return await self._list(context, parameters.instant(params, SINCE.name), wanted, version)
        if SINCE.name in params:
            raise BadRequest(f"`{SINCE.name}` belongs to lists: leave `{self._resource.id.name}` out.")
        stored = await self._store.read(Place(context, name))
        if stored is None:
            raise NotFound("There is no document with this id here.")
        headers = {"Content-Type": stored.document.content_type, **_HARMLESS}
        return _conditional(stored.document.content, stored.etag, stored.updated, wanted, {http.VERSION_HEADER: version}, headers)

    async def put(self, request: Request) -> Response:
        """Store a document, in place of the one there may be."""
        caller, version = await asked_by(self._api, request, self._resource.scope)
        place, wanted = self._place(request, caller), _conditions(request)
        sent = await self._sent(request)
        bare = document.bare_put(version, state=self._resource.is_state)

        def decide(_: Document | None, tag: str | None) -> Document:
            document.check(wanted, tag)
            if wanted.absent:
                document.check_bare_put(bare, exists=tag is not None)
            return sent

        return _written(await self._store.change(place, decide, whole=False), version)

    async def post(self, request: Request) -> Response:
        """Store a document, or merge it with the one there is: both JSON objects, by their top-level keys."""
        caller, version = await asked_by(self._api, request, self._resource.scope)
        place, wanted = self._place(request, caller), _conditions(request)
        sent = await self._sent(request)
        settings = self._api.state.settings
        limits = Limits(settings.max_body_bytes, settings.max_depth)

        def decide(current: Document | None, tag: str | None) -> Document:
            document.check(wanted, tag)
            return document.posted(current, sent, limits)

        return _written(await self._store.change(place, decide, whole=document.is_json(sent.content_type)), version)

    async def delete(self, request: Request) -> Response:
        """Remove a document; of states, without an id, all of the activity and the agent (and the registration, if there is one)."""
        caller, version = await asked_by(self._api, request, self._resource.scope)
        params = read_params(request, self._resource.parameters)
        context, name, wanted = self._context(caller, params), id_of(self._resource, params), _conditions(request)
        if name is None and not self._resource.is_state:
            raise BadRequest(f"The parameter `{self._resource.id.name}` is missing.")
        if name is None and not wanted.absent:
            raise BadRequest(f"If-Match and If-None-Match are about one document: name it with `{self._resource.id.name}`.")
        if name is None:
            await self._store.remove_all(context)
        else:
            await self._store.change(Place(context, name), lambda _, tag: document.check(wanted, tag), whole=False)
        return _written(None, version)

    def _context(self, caller: Caller, params: dict[str, str]) -> Context:
        return context_of(self._resource, params, hashes=self._api.state.hashes, tenant=caller.tenant, tenant_id=caller.tenant_id)

    def _place(self, request: Request, caller: Caller) -> Place:
        """Return the one document that a PUT or POST is about. Raises BadRequest."""
        params = read_params(request, self._resource.parameters)
        context, name = self._context(caller, params), id_of(self._resource, params)
        if name is None:
            raise BadRequest(f"The parameter `{self._resource.id.name}` is missing.")
        return Place(context, name)

    async def _sent(self, request: Request) -> Document:
        """Return the body and its type. Raises BadRequest, TooLarge or TooSlow."""
        if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            raise BadRequest("A compressed body is not taken: send it without Content-Encoding.")
        content_type = document.checked_type(request.headers.get("content-type"))
        declared = request.headers.get("content-length")
        content = await http.read_body(
            cast("http.Receive", request.receive), None if declared is None else declared.encode("latin-1"),
            limit=self._api.state.settings.max_body_bytes, deadline_s=_BODY_S)
        return Document(content, content_type)

    async def _list(self, context: Context, since: int | None, wanted: Conditions, version: str) -> Response:
        ids, updated = await self._store.ids(context, since)
        body = orjson.dumps(ids)
        return _conditional(body, document.etag(body), updated, wanted, {http.VERSION_HEADER: version}, {"Content-Type": http.JSON_TYPE})


def _conditions(request: Request) -> Conditions:
    """Return the preconditions of a request; a header given several times is one list."""
    match, none_match = (", ".join(request.headers.getlist(name)) if name in request.headers else None for name in ("if-match", "if-none-match"))
    return document.conditions(match, none_match)


def _conditional(body: bytes, tag: str, updated: int | None, wanted: Conditions, always: dict[str, str], headers: dict[str, str]) -> Response:
    """Return the answer of a GET: 304 to a client that has it. Raises PreconditionFailed."""
    document.check(Conditions(match=wanted.match), tag)
    given = {**always, **_validators(tag, updated), "Cache-Control": "no-store"}
    if document.is_known(wanted, tag):
        return Response(None, 304, given)
    return Response(body, 200, {**given, **headers})


def _validators(tag: str, updated: int | None) -> dict[str, str]:
    if updated is None:
        return {"ETag": f'"{tag}"'}
    return {"ETag": f'"{tag}"', "Last-Modified": format_datetime(moment(updated), usegmt=True)}


def _written(left: Written | None, version: str) -> Response:
    """Return the answer of a write, with the validators of what it left."""
    validators = {} if left is None else _validators(left.etag, left.updated)
    return no_content({http.VERSION_HEADER: version, "LRS-Outcome": "stored", **validators})


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, store = APIRouter(tags=["xAPI"]), DocumentStore(api.state.rows)
    for resource in RESOURCES:
        documents, name = Documents(api, store, resource), resource.kind.title().replace(" ", "")
        for method, answer, summary in (
            ("GET", documents.get, f"A document of the {resource.kind} resource, or their ids"), ("PUT", documents.put, f"Store a document ({resource.kind})"),
            ("POST", documents.post, f"Store or merge a document ({resource.kind})"), ("DELETE", documents.delete, f"Remove a document ({resource.kind})"),
        ):
            routes.add_api_route(
                resource.path, answer, methods=[method], status_code=200 if method == "GET" else 204, summary=summary,
                operation_id=f"{method.lower()}{name}Document", response_class=Response, openapi_extra=_described(resource, method), responses=answers())
    return routes


def _described(resource: Resource, method: str) -> dict[str, Any]:
    """Return the OpenAPI description of a method's parameters and body."""
    known: Sequence[Parameter] = (*resource.parameters, SINCE) if method == "GET" else resource.parameters
    described = documented(known)
    if method in ("PUT", "POST"):
        described["requestBody"] = {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    return described
