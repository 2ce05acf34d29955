"""GET /v1/learners/{id}/evidence: the statements behind a transcript, with the facts each gives and whether it is voided."""
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response

from schemas.api import Evidence
from services.api import learners, parameters, transcripts
from services.api.context import Api, add_read, answers, json_answer, read_params
from services.api.moments import PARAMETERS as MOMENT
from services.api.moments import learner_at, moment_of
from services.api.paging import PAGING, page_asked
from services.api.parameters import IRI, Parameter
from services.core.evidence import LEVELS, unpack
from services.core.keys import key128
from services.core.timeline import rfc3339, stored_of
from services.core.transcript import iso_duration, issuer

PATH = "/v1/learners/{id}/evidence"
PARAMETERS = (
    *MOMENT,
    Parameter("activity", "Only evidence about this activity.", IRI),
    *PAGING,
)
_SQL = transcripts.SQL


class EvidenceReads:
    """Answers why a transcript says what it says."""

    def __init__(self, api: Api) -> None:
        """`api` gives the pool and the cursors."""
        self._api = api

    async def get(self, request: Request) -> Response:
        """Give a page of evidence."""
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, PARAMETERS)
        key = learners.learner_id(request.path_params["id"])
        moment, activity = moment_of(params), parameters.iri(params, "activity")
        page = page_asked(self._api.cursors, caller, request.scope["path"], params)
        after = page.after
        await self._api.until_folded(request)
        who = await learner_at(self._api, caller, key, moment)
        sql = _SQL.compose(
            "evidence", assured=moment.assured, of_activity=("of_activity",) if activity else (), after_row=("after_row",) if after else ())
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({
            "tenant": caller.tenant_id, "keys": who.keys, "known": moment.greatest_known, "as_of": moment.greatest_at,
            "activity": key128(activity) if activity else None, "limit": page.wanted,
            "at": after and int(after[0]), "seq": after and int(after[1]),
        }))
        shown, following = page.cut(rows, lambda row: (row["at"], row["seq"]))
        return json_answer({"evidence": [_shown(row) for row in shown], "next": following}, through=who.through)


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    facts = unpack(row["facts"])
    return {
        "statement": str(row["statement_id"]), "stored": rfc3339(stored_of(row["seq"])), "time": rfc3339(row["at"]), "activity": row["iri"], "verb": facts.verb,
        "score": facts.scaled, "success": facts.success, "completion": facts.completion,
        "duration": None if facts.duration is None else iso_duration(facts.duration),
        "identity": LEVELS[max(facts.level, row["assured"] or 0)], "authority": issuer(facts.authority), "voided": row["voided"],
    }


def router(api: Api) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["learners"])
    add_read(
        routes, PATH, EvidenceReads(api).get, summary="Evidence", operation_id="getEvidence", parameters=PARAMETERS,
        responses=answers(Evidence, "A page of evidence."))
    return routes
