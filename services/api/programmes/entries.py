"""The ledger as it is shown: the entries of awards, and what they leave of them."""
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from services.api import learners
from services.api.context import Api
from services.api.pieces import Pieces
from services.core.timeline import rfc3339, stored_of
from services.runtime.callers.auth import Caller

SQL = Pieces(Path(__file__).with_name("credentials.sql"), Path(learners.__file__).with_suffix(".sql"))
_MOST = 200
_HOLDING = frozenset({"issued", "updated", "reinstated"})
_CLOSED = frozenset({"expired", "revoked"})
_SINCE_BEGINNING = _HOLDING | {"expiring"}
"""States whose entries say since when the award is held; others, since when it is not."""


class Standing(NamedTuple):
    """What entries leave of an award."""

    state: str
    """Of the last entry that is no reminder; an `updated` leaves a suspended one suspended."""
    since: int
    valid_until: int | None
    version: int
    reason: str | None

    @property
    def closed(self) -> bool:
        """Whether it is over for good."""
        return self.state in _CLOSED


def standing(entries: Sequence[asyncpg.Record]) -> Standing:
    """Return what the entries of one award, in order and beginning with the first, leave of it."""
    first = entries[0]
    state, since, valid_until, version, reason = first["state"], first["since"], first["valid_until"], first["version"], first["reason"]
    for entry in entries[1:]:
        if entry["state"] in _HOLDING:
            since, valid_until, version = entry["since"], entry["valid_until"], entry["version"]
        if _changes(entry["state"], state):
            state, reason = entry["state"], entry["reason"]
    return Standing(state, since, valid_until, version, reason)


def _changes(entered: str, state: str) -> bool:
    """Return whether an entry makes the state another: no reminder does, only what is suspended is reinstated, and an `updated` leaves that suspended."""
    if entered == "reinstated":
        return state == "suspended"
    return entered != "expiring" and not (entered == "updated" and state == "suspended")


def then(entries: Sequence[asyncpg.Record], as_of: int) -> list[asyncpg.Record]:
    """Return the entries of one award by which it was held at `as_of`, none if it was not yet; what had not ended or suspended it by then is left out.

    Since when it is held is for the last of all entries to say, whatever earlier ones thought: a late statement may move an award's beginning either way.
    """
    since = next(entry["since"] for entry in reversed(entries) if entry["state"] in _HOLDING)
    return [entry for entry in entries if entry["state"] in _SINCE_BEGINNING or entry["since"] <= as_of] if since <= as_of else []


def history(entries: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return the entries of one award as they are shown: of many the first and the latest."""
    return [_shown(entry) for entry in (entries if len(entries) <= _MOST else [entries[0], *entries[1 - _MOST:]])]


def _shown(entry: asyncpg.Record) -> dict[str, Any]:
    body = orjson.loads(entry["body"])
    return {
        "k": entry["k"], "state": entry["state"], "since": rfc3339(entry["since"]), "valid_until": instant(entry["valid_until"]),
        "known_at": rfc3339(entry["known_at"]), "stored": rfc3339(stored_of(entry["seq"])), "version": entry["version"], "reason": entry["reason"],
        "by": body.get("by"), "inputs": body.get("inputs") or [], "causes": body.get("causes") or [],
    }


async def of_awards(
    api: Api, caller: Caller, ifis: Iterable[UUID], matter: str | None, known: int, as_of: int,
) -> dict[tuple[UUID, str, int], list[asyncpg.Record]]:
    """Return the entries of these IFIs' awards by (IFI, programme, n), in order: stored up to `known` (a seq), as held at `as_of`."""
    sql = SQL.compose("entries", of_matter=("of_matter",) if matter else ())
    rows = await api.rows(caller.tenant_id).fetch(sql.text, *sql.args({
        "tenant": caller.tenant_id, "ifis": list(ifis), "known": known, "matter": matter}))
    found: dict[tuple[UUID, str, int], list[asyncpg.Record]] = {}
    for row in rows:
        award = found.setdefault((row["ifi"], row["matter"], row["n"]), [])
        if award or row["k"] == 1:
            award.append(row)
    return {key: held for key, entries in found.items() if entries and (held := then(entries, as_of))}


def instant(value: int | None) -> str | None:
    """Return an instant as it is shown."""
    return None if value is None else rfc3339(value)
