"""GET /v1/events: what was decided, in the order of the log, up to Consistent-Through. Whoever keeps the position he has read up to misses nothing."""
import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response

from schemas.api_events import Events
from services.api import learners, parameters
from services.api.context import Api, add_read, answers, fetch_planned, json_answer, read_params
from services.api.parameters import LIMIT, Parameter
from services.api.pieces import Pieces
from services.api.programmes.credentials import address
from services.core.errors import BadRequest
from services.core.timeline import rfc3339, stored_of
from services.runtime.callers.auth import Caller

PATH = "/v1/events"
TYPES = (
    "completion.recorded", "completion.retracted", "programme.satisfied", "programme.unsatisfied", "credential.issued", "credential.updated",
    "credential.renewed", "credential.expiring", "credential.expired", "credential.suspended", "credential.reinstated", "credential.revoked", "rule.published",
)
MOST_WAIT_S = 30
PARAMETERS = (
    Parameter("after", "Only what follows this position: `next` of the page before. Without it from the beginning.", (("type", "string"),)),
    LIMIT,
    Parameter("type", f"Only these types, comma-separated: {', '.join(f'`{each}`' for each in TYPES)}."),
    Parameter("wait", f"How many seconds to wait for an event if there is none, at most {MOST_WAIT_S}.", (("type", "integer"), ("minimum", 0))),
)
_SQL = Pieces(Path(__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))
_POSITION = re.compile(r"[0-9]{1,20}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_SCAN, _WIDER = 5000, 8
"""How many events a request looks through at most for those of the types it asks for; so many times more, each time that they do not fill a page."""
_LOOK_S, _SOON_S, _SOON_APART_S = 2.0, 1.0, 0.02
"""How often somebody who waits looks when nothing is heard; and for how long, how far apart, once it is said that something was decided: Consistent-Through
passes it a moment later."""
_MOST = 2**63 - 1


class EventReads:
    """Gives events."""

    def __init__(self, api: Api) -> None:
        """`api` gives the rows."""
        self._api = api
        self._through = 0

    async def get(self, request: Request) -> Response:
        """Give a page of events, at once or when there are some."""
        caller = await self._api.caller(request, "lrs:read")
        params = _read(request)
        limit, after, types, wait = parameters.limit(params, 100), _after(params), _types(params), _wait(params)
        await self._api.until_folded(request)
        await self._api.until_visible(request)
        clock = asyncio.get_running_loop().time
        end, soon = clock() + wait, 0.0
        while True:
            rows = await self._rows(caller, after, limit, types)
            left = 0 if self._api.state.visibility.draining else end - clock()
            if rows[0]["seq"] is not None or left <= 0:
                return self._page(caller, rows, after, limit)
            after = max(after, rows[0]["looked"] or 0)
            if rows[0]["looked"] not in {None, rows[0]["head"]}:
                continue  # there is more to look through
            if clock() < soon:
                await asyncio.sleep(_SOON_APART_S)
            elif await self._api.state.visibility.until_decided(min(left, _LOOK_S)):
                soon = clock() + _SOON_S

    async def _rows(self, caller: Caller, after: int, limit: int, types: Sequence[str]) -> Sequence[asyncpg.Record]:
        """Return a page of these types, looking through no more than it takes to fill it: what is looked through costs as much as what is given."""
        scan, most = limit, max(_SCAN, limit) if types else limit
        while True:
            rows = await self._look_through(caller, after, limit, types, scan)
            if (rows[-1]["seq"] is not None and len(rows) == limit) or rows[0]["looked"] in {None, rows[0]["head"]} or scan == most:
                return rows
            scan = min(scan * _WIDER, most)

    async def _look_through(self, caller: Caller, after: int, limit: int, types: Sequence[str], scan: int) -> Sequence[asyncpg.Record]:
        floor, given = self._api.learners_through, self._through
        sql = _SQL.compose("events", of_types=("of_types",) if types else ())
        rows: Sequence[asyncpg.Record] = await fetch_planned(self._api.rows(caller.tenant_id), sql.text, sql.args({  # a plan of when there was little reads all
            "tenant": caller.tenant_id, "after": after, "limit": limit, "scan": scan, "types": list(types)}))
        self._api.check_folded(floor, rows[0]["through"])
        self._api.check_folded(given, rows[0]["clamp"])
        self._through = max(self._through, rows[0]["clamp"])
        return rows

    def _page(self, caller: Caller, rows: Sequence[asyncpg.Record], after: int, limit: int) -> Response:
        found = [row for row in rows if row["seq"] is not None]
        following = found[-1]["seq"] if len(found) == limit else max(after, rows[0]["looked"] or 0)
        return json_answer(
            {"events": [self._event(caller, row) for row in found], "next": str(following), "head": str(rows[0]["head"] or 0)}, through=rows[0]["clamp"])

    def _event(self, caller: Caller, row: asyncpg.Record) -> dict[str, Any]:
        """Return a row as CloudEvents 1.0 has it. The subject is the key of an IFI: never a name or an address."""
        url = self._api.state.public_url
        rule = row["kind"] == "rule"
        id_ = self._api.state.hashes.id("rule.published", caller.tenant, row["matter"], str(row["version"])) if rule else row["id"]
        return {
            "specversion": "1.0", "id": str(id_), "type": row["type"], "source": url, "subject": row["matter"] if rule else f"urn:uuid:{row['ifi']}",
            "time": rfc3339(stored_of(row["seq"])), "sequence": f"{row['seq']:020}", "dataschema": f"{url}/schemas/{row['type'].partition('.')[0]}-event/1",
            "datacontenttype": "application/json", "data": _rule(row) if rule else self._data(row),
        }

    def _data(self, row: asyncpg.Record) -> dict[str, Any]:
        url, body = self._api.state.public_url, orjson.loads(row["body"])
        about: dict[str, Any] = {"course": row["matter"], "status": row["status"]}
        if row["kind"] == "programme":
            credential = row["credential"]
            about = {
                "credential": credential and address(self._api, credential), "programme": row["matter"], "programme_version": row["version"],
                "self": credential and f"{url}/v1/credentials/{credential}"}
        return {
            **about, "n": row["n"], "k": row["k"], "state": row["state"], "previous": row["previous"] or "eligible", "reason": row["reason"],
            "awarded_at": rfc3339(row["since"]), "valid_until": None if row["until"] is None else rfc3339(row["until"]),
            "caused_by": body.get("causes") or [],
        }


def _rule(row: asyncpg.Record) -> dict[str, Any]:
    return {"programme": row["matter"], "programme_version": row["version"], "state": "published", "effective": rfc3339(row["since"]), "sha256": row["reason"]}


def _read(request: Request) -> dict[str, str]:
    """Return the parameters; `type` may be given several times."""
    query: bytes = request.scope["query_string"]
    pairs = [pair for pair in query.split(b"&") if pair]
    several = [pair for pair in pairs if pair.startswith(b"type=")]
    if len(several) < 2:
        return read_params(request, PARAMETERS)
    joined = b"type=" + b",".join(pair[5:] for pair in several)
    scope = {**request.scope, "query_string": b"&".join([*(pair for pair in pairs if not pair.startswith(b"type=")), joined])}
    return read_params(Request(scope), PARAMETERS)


def _after(params: Mapping[str, str]) -> int:
    text = params.get("after")
    if text is None:
        return 0
    if not _POSITION.fullmatch(text):
        raise BadRequest("`after` is a position: a whole number, as `next` gives it.")
    return min(int(text), _MOST)


def _types(params: Mapping[str, str]) -> list[str]:
    types = [each.strip() for each in params.get("type", "").split(",") if each.strip()]
    for each in types:
        if each not in TYPES:
            raise BadRequest(f"There are no events of the type {each[:80]!r}; there are {', '.join(TYPES)}.")
    return types


def _wait(params: Mapping[str, str]) -> float:
    text = params.get("wait", "0")
    if not _SECONDS.fullmatch(text):
        raise BadRequest("`wait` is a whole number of seconds.")
    return float(min(int(text), MOST_WAIT_S))


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["events"])
    add_read(
        routes, PATH, EventReads(api).get, summary="Events", operation_id="getEvents", parameters=PARAMETERS, responses=answers(Events, "A page of events."))
    return routes
