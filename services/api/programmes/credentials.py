"""What was given: GET of credentials, one or a learner's; POST …/revoke, which is a record of the log; PUT …/visibility, which is a row."""
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from schemas.api_programmes import Credential, Credentials, Revocation, Visibility
from services.api import learners, writes
from services.api.context import Api, add_read, answers, documented, json_answer, no_content, read_params
from services.api.moments import PARAMETERS as MOMENT
from services.api.moments import learner_at, moment_of
from services.api.paging import PAGING, page_asked
from services.api.programmes import entries
from services.core import syntax
from services.core.errors import Conflict, NotFound
from services.core.timeline import rfc3339
from services.runtime.callers.auth import Caller

PATH = "/v1/credentials"
OF_LEARNER = "/v1/learners/{id}/credentials"
PARAMETERS = (*MOMENT, *PAGING)
_MOST = 2**63 - 1


class CredentialRoutes:
    """Shows credentials, revokes them, and says who may see them listed."""

    def __init__(self, api: Api) -> None:
        """`api` gives the rows and the log."""
        self._api = api

    async def one(self, request: Request) -> Response:
        """Give one credential, and all that became of it."""
        caller = await self._api.caller(request, "lrs:read")
        read_params(request, ())
        await self._api.until_folded(request)
        through, row = await self._find(caller, request.path_params["id"])
        return json_answer(await self._whole(caller, row), through=through)

    async def of_learner(self, request: Request) -> Response:
        """Give a page of a learner's credentials, in the order of their issue."""
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, PARAMETERS)
        key = learners.learner_id(request.path_params["id"])
        moment, page = moment_of(params), page_asked(self._api.cursors, caller, request.scope["path"], params)
        await self._api.until_folded(request)
        who = await learner_at(self._api, caller, key, moment)
        sql = entries.SQL.compose("credentials")
        rows = await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({
            "tenant": caller.tenant_id, "ifis": list(who.keys), "known": moment.greatest_known, "limit": page.wanted,
            "after": int(page.after[0]) if page.after else -_MOST}))
        awards, following = page.cut(rows, lambda row: (row["issued_seq"],))
        known = await entries.of_awards(self._api, caller, {row["ifi"] for row in awards}, None, moment.greatest_known, moment.greatest_at)
        shown = [
            self._shown(row["credential"], who.id, row["matter"], known[award])
            for row in awards if (award := (row["ifi"], row["matter"], row["n"])) in known]
        return json_answer({"credentials": shown, "next": following}, through=who.through)

    async def revoke(self, request: Request) -> Response:
        """Revoke a credential for good. Revoking it again changes nothing."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        body = await writes.read_json(self._api, request, Revocation, may_be_empty=True)
        _, row = await self._find(caller, request.path_params["id"])
        whole, headers = await self._whole(caller, row), {"LRS-Outcome": "stored"}
        if row["state"] == "expired":
            raise Conflict("This credential has expired: there is nothing to revoke any more.")
        if row["state"] != "revoked":
            says = {
                "credential": str(row["credential"]), "programme": row["matter"], "identity": row["identity"], "n": row["n"],
                "reason": body.get("reason", ""), "by": caller.authority}
            made = writes.record(self._api, caller, row["identity"], "credential.revoked", says)
            headers = await self._api.written(request, await writes.append(self._api, [made]))
            async with writes.afterwards():
                whole = await self._whole(caller, row)
        return json_answer(whole, headers=headers)

    async def show(self, request: Request) -> Response:
        """Say whether a credential is listed for everybody."""
        caller = await self._api.caller(request, "lrs:manage")
        read_params(request, ())
        body = await writes.read_json(self._api, request, Visibility)
        _, row = await self._find(caller, request.path_params["id"])
        sql = entries.SQL.compose("show")
        await self._api.rows(caller.tenant_id).execute(sql.text, *sql.args({
            "tenant": caller.tenant_id, "credential": row["credential"], "public": body["public"]}))
        return no_content({"LRS-Outcome": "stored"})

    async def _find(self, caller: Caller, text: str) -> tuple[int, asyncpg.Record]:
        """Return what was folded, and the award that a credential is. Raises NotFound."""
        if not syntax.is_uuid(text):
            raise NotFound("No credential has this id.")
        floor = self._api.learners_through
        sql = entries.SQL.compose("one")
        row = await self._api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "credential": UUID(text)}))
        through = self._api.check_folded(floor, row["through"])
        if row["credential"] is None:
            raise NotFound("No credential has this id.")
        return through, row

    async def _whole(self, caller: Caller, row: asyncpg.Record) -> dict[str, Any]:
        known = await entries.of_awards(self._api, caller, [row["ifi"]], row["matter"], _MOST, _MOST)
        history = known.get((row["ifi"], row["matter"], row["n"]))
        if history is None:
            raise NotFound("No credential has this id.")
        return self._shown(row["credential"], row["learner"], row["matter"], history)

    def _shown(self, credential: UUID, learner: UUID, programme: str, history: Sequence[asyncpg.Record]) -> dict[str, Any]:
        it = entries.standing(history)
        return {
            "id": str(credential), "learner": str(learner), "programme": programme, "version": it.version, "state": it.state,
            "awarded_at": rfc3339(it.since), "valid_until": entries.instant(it.valid_until), "reason": it.reason,
            "url": address(self._api, credential), "history": entries.history(history),
        }


def address(api: Api, credential: UUID | str) -> str:
    """Return where a credential is to be found by whoever knows its id."""
    return f"{api.state.public_url}/credentials/{credential}"


def router(api: Api) -> APIRouter:
    """Return the routes of this file."""
    routes, it = APIRouter(tags=["credentials"]), CredentialRoutes(api)
    add_read(
        routes, OF_LEARNER, it.of_learner, summary="A learner's credentials", operation_id="getLearnersCredentials", parameters=PARAMETERS,
        responses=answers(Credentials, "A page of credentials."))
    add_read(routes, PATH + "/{id}", it.one, summary="A credential", operation_id="getCredential", responses=answers(Credential, "The credential."))
    routes.add_api_route(
        PATH + "/{id}/revoke", it.revoke, methods=["POST"], summary="Revoke a credential", operation_id="revokeCredential", response_class=Response,
        openapi_extra=documented(path=("id",), body=Revocation, needed=False), responses=answers(Credential, "The credential."))
    routes.add_api_route(
        PATH + "/{id}/visibility", it.show, methods=["PUT"], status_code=204, summary="Say who sees a credential listed", operation_id="putVisibility",
        response_class=Response, openapi_extra=documented(path=("id",), body=Visibility), responses=answers())
    return routes
