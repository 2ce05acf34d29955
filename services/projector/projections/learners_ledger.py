"""The ledger: decisions and revocations by hand, judged in the order of their partition, and the awards they make (services/core/ledger.py).

All records about one IFI lie in one partition, and one worker folds that, so awards need no lock.
"""
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import orjson

from schemas.envelope import DecisionBody, RevocationBody
from services.core.ledger import Entry, Held, Ledger
from services.core.syntax import timestamp
from services.core.timeline import partition_of_seq, stored_of
from services.projector.projections.learners_bodies import bodies, document, plain
from services.projector.projections.learners_evidence import Extraction
from services.projector.projections.learners_places import columns
from services.projector.run import RecordAt
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
KINDS = frozenset({"decision", "credential.revoked"})
COURSE, PROGRAMME = "course", "programme"
_MOST = 2**31 - 1

_sql = Statements(Path(__file__).with_suffix(".sql"))


class Matter(NamedTuple):
    """What an IFI may be given awards in."""

    tenant_id: int
    ifi: UUID
    kind: str
    iri: str


class Said(NamedTuple):
    """What one record says, and the entry as which it counts: None if it has no effect."""

    matter: Matter
    entry: Entry
    body: str
    counts: Entry | None


async def fold(conn: Connection, extraction: Extraction, records: Sequence[RecordAt]) -> list[Said]:
    """Fold the records of these kinds, in the order of each partition; return what became of each."""
    said = _said(extraction, records)
    if not said:
        return []
    heads = await _heads(conn, {matter for matter, _, _ in said})
    judged, touched = list[Said](), dict[tuple[Matter, int], Held]()
    for matter, entry, body in said:
        ledger = heads.setdefault(matter, Ledger([]))
        counts = ledger.accept(entry)
        judged.append(Said(matter, entry, body, counts))
        if counts is not None and ledger.last is not None:
            touched[matter, counts.n] = ledger.last
    await conn.execute(_sql.add, *columns([_row(each) for each in judged]))
    if touched:
        places = await _places(conn, judged)
        await conn.execute(_sql.put_awards, *columns([_award(matter, held, places.get(held.issued_seq)) for (matter, _), held in touched.items()]))
    if revoked := [(*each.matter, each.entry.n, each.entry.seq) for each in judged if each.entry.by_hand and each.counts]:
        await conn.execute(_sql.add_revocations, *columns(revoked))
    return judged


def _said(extraction: Extraction, records: Sequence[RecordAt]) -> list[tuple[Matter, Entry, str]]:
    """Return what the records say, in the one order of `seq`."""
    found = []
    for record, decision in bodies(records, "decision", DecisionBody):
        if (entry := _decided(record, decision)) is not None:
            matter = Matter(record.tenant_id, extraction.key(record.tenant, decision.identity), decision.kind, decision.matter)
            found.append((matter, entry, document(record.envelope.body)))
    for record, revocation in bodies(records, "credential.revoked", RevocationBody):
        if 1 <= revocation.n <= _MOST:
            matter = Matter(record.tenant_id, extraction.key(record.tenant, revocation.identity), PROGRAMME, revocation.programme)
            found.append((matter, _revoked(record, revocation), document(record.envelope.body)))
    found.sort(key=_seq)
    return found


def _decided(record: RecordAt, body: DecisionBody) -> Entry | None:
    since, known_at = timestamp(body.since), timestamp(body.known_at)
    if since is None or known_at is None or not 1 <= min(body.n, body.k, body.version + 1) <= max(body.n, body.k, body.version) <= _MOST:
        return None
    return Entry(
        id=body.id, seq=record.seq, state=body.state, n=body.n, k=body.k, since=since, known_at=known_at, valid_until=_instant(body.valid_until),
        version=body.version, rule=body.rule, status=body.status, remind=_instant(body.remind), reason=body.reason, credential=body.credential,
        inputs=tuple(body.inputs))


def _revoked(record: RecordAt, body: RevocationBody) -> Entry:
    stored = stored_of(record.seq)
    return Entry(id=record.envelope.batch or body.credential, seq=record.seq, state="revoked", n=body.n, k=0, since=stored, known_at=stored, reason=body.reason)


def _instant(text: str | None) -> int | None:
    return None if text is None else timestamp(text)


def _seq(said: tuple[Matter, Entry, str]) -> int:
    return said[1].seq


async def _heads(conn: Connection, matters: Iterable[Matter]) -> dict[Matter, Ledger]:
    """Return the last award of each of these matters that has any: all that acceptance looks at."""
    found = {}
    for row in await conn.fetch(_sql.heads, *columns(matters)):
        tenant_id, ifi, kind, iri, *held = row
        held[-1] = tuple(orjson.loads(held[-1]))
        found[Matter(tenant_id, ifi, kind, iri)] = Ledger([Held(*held)])
    return found


async def _places(conn: Connection, judged: list[Said]) -> dict[int, int]:
    """Return the places in the status lists of the credentials issued by this run, by the seq of the issue."""
    issued = [each for each in judged if each.counts is not None and each.counts.k == 1 and each.counts.credential is not None]
    if not issued:
        return {}
    of = {(each.matter.tenant_id, partition_of_seq(each.entry.seq)) for each in issued}
    free = {(row["tenant_id"], row["partition"]): row["free"] for row in await conn.fetch(_sql.free_places, *columns(of))}
    places = {}
    for each in issued:
        where = each.matter.tenant_id, partition_of_seq(each.entry.seq)
        places[each.entry.seq] = free[where]
        free[where] += 1
    return places


def _row(said: Said) -> tuple[Any, ...]:
    one = said.counts or said.entry
    return (
        *said.matter, one.seq, one.id, one.n, one.k, one.state, said.counts is not None, one.since, one.valid_until, one.version, one.rule, one.status,
        one.known_at, None if one.reason is None else plain(one.reason), said.body)


def _award(matter: Matter, held: Held, place: int | None) -> tuple[Any, ...]:
    inputs = orjson.dumps(held.inputs).decode()
    return (*matter, *msgspec.structs.astuple(held)[:-1], inputs, place)
