"""POST /v1/programmes and POST /v1/programmes/{slug}/retire: a version of a rule becomes a record of the log, or all of them issue nothing new."""
import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api_programmes import Published
from services.api import writes
from services.api.context import Api, answers, documented, json_answer, no_content, read_params
from services.api.programmes import issuers, published
from services.api.programmes.sent import Sent, read, sent_as
from services.core.errors import Conflict, InvalidProgramme
from services.core.rules.checks import Published as Version
from services.core.rules.checks import credential_edges, find_cycle
from services.core.rules.language import parse
from services.core.rules.tree import Programme, achievement_of
from services.core.timeline import rfc3339
from services.runtime.callers.auth import Caller
from services.runtime.evaluation.catalog import issuers_of
from services.runtime.forwarded import public_path


class Publishing:
    """Publishes programmes and retires them."""

    def __init__(self, api: Api) -> None:
        """`api` gives the log and the rows."""
        self._api = api

    async def publish(self, request: Request) -> Response:
        """Publish a version. What was given by earlier ones is judged on by them, unless the rule says otherwise."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        sent = await read(request)
        repeat = writes.repeatable_id(self._api, request, caller, "programme")
        if repeat is not None and await self._judged(caller, sent.programme, repeat):  # an answer was lost: this very publication stands
            return self._published(sent, {"LRS-Outcome": "stored"})
        body = await checked(self._api, caller, sent) | ({} if repeat is None else {"repeat": str(repeat)})
        positions = await writes.append(self._api, [writes.record(self._api, caller, _place(sent.programme.iri), "programme.published", body)])
        headers = await self._api.written(request, positions)
        accepted: bool | None = None
        async with writes.afterwards():
            accepted = await self._judged(caller, sent.programme)
        if accepted is False:
            raise Conflict("Another version of this programme, not below this one, was published at the same moment and came first.")
        return self._published(sent, headers)

    def _published(self, sent: Sent, headers: dict[str, str]) -> Response:
        location = public_path(f"{published.PATH}/{sent.programme.slug}")
        return json_answer({"slug": sent.programme.slug, "version": sent.programme.version}, status=201, headers={**headers, "Location": location})

    async def retire(self, request: Request) -> Response:
        """Retire a programme: nothing new is issued, awards that stand are judged on. A version published later begins anew."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        _, versions = await published.versions(self._api, caller, request.path_params["slug"])
        if all(row["retired"] is not None for row in versions):
            return no_content({"LRS-Outcome": "stored"})
        says = {"slug": versions[-1]["slug"], "iri": versions[-1]["iri"], "by": caller.authority}
        positions = await writes.append(self._api, [writes.record(self._api, caller, _place(says["iri"]), "programme.retired", says)])
        return no_content(await self._api.written(request, positions))

    async def _judged(self, caller: Caller, programme: Programme, repeat: UUID | None = None) -> bool | None:
        """Return whether the fold took this version in, None while it has not come to it; with `repeat` only as published by that request."""
        sql = published.SQL.compose("judged", repeated=("repeated",) if repeat else ())
        accepted: bool | None = await self._api.rows(caller.tenant_id).fetchval(sql.text, *sql.args({
            "tenant": caller.tenant_id, "iri": programme.iri, "version": programme.version, "rule": programme.sha256, "repeat": str(repeat)}))
        return accepted


async def checked(api: Api, caller: Caller, sent: Sent) -> dict[str, Any]:
    """Return what the record of a version that may be published says. Raises InvalidProgramme, or Conflict for a version not above the last."""
    programme = sent.programme
    issuer = await issuer_of(api, caller, programme)
    rows = await _everything(api, caller)
    last = max((row["version"] for row in rows if row["iri"] == programme.iri), default=0)
    if programme.version <= last:
        raise Conflict(f"The version of a programme is above all that were published before: the last one is {last}.", pointer="/version")
    if any(row["slug"] == programme.slug and row["iri"] != programme.iri for row in rows):
        raise Conflict("Another programme, whose IRI ends alike, has this slug.", pointer="/programme")
    version = _version(api, programme, issuer)
    await asyncio.to_thread(_check_cycles, version, rows)
    return {
        "slug": programme.slug, "iri": programme.iri, "version": programme.version, "source": sent.source, "programme": programme.document,
        "rule": programme.sha256, "issuer": issuer, "achievement": version.achievement,
        "effective": None if programme.effective is None else rfc3339(programme.effective),
    }


async def check_cycles(api: Api, caller: Caller, programme: Programme, issuer: dict[str, Any]) -> None:
    """Refuse a rule that would wait for its own credential, be it through others. Raises InvalidProgramme."""
    await asyncio.to_thread(_check_cycles, _version(api, programme, issuer), await _everything(api, caller))


async def issuer_of(api: Api, caller: Caller, programme: Programme) -> dict[str, Any]:
    """Return the issuer that a programme names, the tenant's own if none. Raises InvalidProgramme for one that nobody made."""
    row = None if programme.issuer is None else await issuers.find(api, caller, programme.issuer)
    if programme.issuer is not None and row is None:
        raise InvalidProgramme(f"No issuer has the slug {programme.issuer!r}: make it with PUT /v1/issuers/{programme.issuer}.", pointer="/issuer")
    return issuers.issued_by(api.state.public_url, caller.tenant, row)


async def _everything(api: Api, caller: Caller) -> Sequence[asyncpg.Record]:
    floor = api.learners_through
    sql = published.SQL.compose("everything")
    rows = await api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id}))
    api.check_folded(floor, rows[0]["through"])
    return [row for row in rows if row["iri"] is not None]


def _check_cycles(version: Version, rows: Sequence[asyncpg.Record]) -> None:
    """Refuse a rule that would wait for its own credential through any versions ever published, whose rows are given. Raises InvalidProgramme."""
    own = [version.programme, *(_parsed(row["programme"]) for row in rows if row["iri"] == version.iri)]
    if not any(credential_edges(programme) for programme in own):
        return  # it waits for nobody, and the others need not be read
    known = [Version(row["iri"], _parsed(row["programme"]), row["achievement"], issuers_of(orjson.loads(row["issuer"]))) for row in rows]
    ring = find_cycle([*known, version], version.iri)
    if ring is not None:
        detail = f"Programmes would wait for each other's credentials: {' reads '.join(ring)}. Versions published earlier count too."
        raise InvalidProgramme(detail, pointer="/requires", ring=ring)


def _version(api: Api, programme: Programme, issuer: dict[str, Any]) -> Version:
    return Version(programme.iri, programme, achievement_of(programme, api.state.public_url), issuers_of(issuer))


_parsed = lru_cache(maxsize=1024)(parse)
"""What was published never changes."""


def _place(iri: str) -> str:
    """Return the text that decides the partition of a programme's records: all of one programme have one order."""
    return f"programme {iri}"


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, publishing = APIRouter(tags=["programmes"]), Publishing(api)
    routes.add_api_route(
        published.PATH, publishing.publish, methods=["POST"], status_code=201, summary="Publish a version of a programme", operation_id="postProgramme",
        response_class=Response, openapi_extra={**documented(), **sent_as()}, responses=answers(Published, "It is published.", status=201))
    routes.add_api_route(
        published.PATH + "/{slug}/retire", publishing.retire, methods=["POST"], status_code=204, summary="Retire a programme", operation_id="retireProgramme",
        response_class=Response, openapi_extra=documented(path=("slug",)), responses=answers())
    return routes
