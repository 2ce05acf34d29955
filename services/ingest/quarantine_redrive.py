"""POST /v1/quarantine/{id}/redrive: a statement that was set aside is sent on, corrected (it is the body) or, without a body, as it was sent.

It is written as a POST of the key that sent it would be: its authority vouches, with its scopes, but of ours only those that whoever sends it on has too.
So whoever sends it on may write statements himself, the key is still in force, and no correction makes a voiding statement of one that was none.
Sent on twice it is stored once: its id was settled when it was set aside.
"""
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import orjson

from services.core.errors import BadRequest, Forbidden, LrsError, NotFound, Unavailable
from services.core.scopes import XAPI
from services.core.signature import signatures
from services.core.syntax import is_uuid
from services.core.vocabulary import VOIDED
from services.ingest.statements import Batch, Naming, batch_of
from services.ingest.write import Writer
from services.runtime.callers.auth import Caller
from services.runtime.http import JSON_TYPE, RawHeaders, Scope, parse_query, prefers_async
from services.runtime.paths import redriven
from services.runtime.position import encode_position
from services.runtime.postgres import Statements, or_unavailable
from services.runtime.state import State

_DEADLINE_S = 5.0
_sql = Statements(Path(__file__).with_name("quarantine.sql"))


class Asked(msgspec.Struct, eq=False):
    """What the head of an admitted request says: who asks, for which row, and whether to be answered at durability."""

    caller: Caller
    row: UUID
    at_once: bool


class Redrive:
    """Sends on what one process is asked to."""

    def __init__(self, state: State, writer: Writer) -> None:
        """`writer` is the one of all other writes."""
        self._state, self._writer = state, writer

    async def admit(self, scope: Scope, headers: dict[bytes, bytes]) -> Asked:
        """Return what is asked. Raises LrsError for a request that is refused whatever its body is."""
        caller = await self._state.keys.authenticate(headers.get(b"authorization"))
        caller.require("lrs:manage")
        caller.require("statements/write")
        parse_query(scope["query_string"], ())
        media = headers.get(b"content-type", JSON_TYPE.encode()).split(b";", 1)[0].strip().lower()
        if media != JSON_TYPE.encode() or headers.get(b"content-encoding", b"").strip().lower() not in {b"", b"identity"}:
            raise BadRequest("The corrected statement comes as application/json, without Content-Encoding.")
        row = redriven(scope["path"])
        if row is None or not is_uuid(row):
            raise _nothing()
        return Asked(caller, UUID(row), prefers_async(headers.get(b"prefer", b"").decode("latin-1")))

    async def answer(self, asked: Asked, body: bytes) -> tuple[int, RawHeaders, bytes]:
        """Write a statement that was set aside. Raises NotFound, BadRequest with a pointer into it, and whatever a write raises."""
        state, caller = self._state, asked.caller
        row = await self._ask("find", caller.tenant_id, asked.row)
        if row is None:
            raise _nothing()
        naming = Naming(lambda _: (row["statement_id"], False), single=str(row["statement_id"]))
        batch = batch_of(body.strip() or row["raw"], row["xapi"], state.settings, naming, frozenset(row["sent"]))
        _check_unsigned(batch, row["sent"])
        _check_voids(batch, row["raw"], caller)
        if not await state.keys.in_force(row["credential"]):
            raise Forbidden("The key that sent this statement is revoked or expired: send it, corrected, to /xapi/statements with another key.")
        sender = Caller(caller.tenant, caller.tenant_id, row["credential"], orjson.loads(row["authority"]), lent(row["scopes"], caller))
        written = await self._writer.write(sender, row["xapi"], batch, wait=not asked.at_once)
        try:
            await self._ask("redriven", caller.tenant_id, asked.row, state.now(), caller.key)
        except Unavailable as error:
            error.outcome = "unknown"  # it is stored; that it was sent on is not noted yet
            raise
        headers: RawHeaders = [
            (b"content-type", JSON_TYPE.encode()), (b"lrs-outcome", b"stored"),
            (b"lrs-position", encode_position(state.hashes, state.log.log_id, written.marks).encode()),
        ]
        if asked.at_once:
            headers.append((b"preference-applied", b"respond-async"))
        return 200, headers, orjson.dumps({"id": str(asked.row), "statement": str(row["statement_id"])})

    async def _ask(self, name: str, tenant_id: int, *args: Any) -> asyncpg.Record | None:
        async with or_unavailable("The quarantine cannot be reached right now; repeat the request unchanged a little later.", _DEADLINE_S):
            row: asyncpg.Record | None = await self._state.rows.of(tenant_id).fetchrow(_sql[name], tenant_id, *args)
            return row


def lent(scopes: list[str], caller: Caller) -> frozenset[str]:
    """Return the scopes of a record: those of xAPI are the sender's, of ours nobody can lend him more than he has himself."""
    return frozenset(scope for scope in scopes if scope in XAPI or caller.may(scope))


def _check_unsigned(batch: Batch, sent: list[str]) -> None:
    """Raise BadRequest for a statement with a signature that would have to be verified: its content is not at hand, and a correction breaks it."""
    for incoming in batch.statements:
        if any(attachment["sha2"].lower() in sent for attachment in signatures(orjson.loads(incoming.raw))):
            raise BadRequest("A signed statement is not sent on from here: send it, with its signature, to /xapi/statements.", pointer="/attachments")


def _check_voids(batch: Batch, raw: bytes, caller: Caller) -> None:
    """Raise Forbidden for a correction that voids what the bytes that were sent did not, unless the caller may void anything."""
    wanted = _voids(orjson.loads(batch.statements[0].raw))
    if wanted is not None and wanted != _voids(orjson.loads(raw)) and not caller.may("lrs:void"):
        raise Forbidden(
            "The statement that was set aside does not void what this one does: that needs the scope lrs:void.", pointer="/verb/id", scopes=["lrs:void"])


def _voids(statement: Any) -> str | None:
    """Return the id, in lower case, that a statement, valid or not, says it voids; "" for one that is no text, None if it does not void."""
    verb, thing = (statement.get(name) if isinstance(statement, dict) else None for name in ("verb", "object"))
    if not isinstance(verb, dict) or verb.get("id") != VOIDED:
        return None
    target = thing.get("id") if isinstance(thing, dict) else None
    return target.lower() if isinstance(target, str) else ""


def _nothing() -> LrsError:
    return NotFound("Nothing with this id is in quarantine.")
