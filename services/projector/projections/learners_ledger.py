"""The ledger: decisions and revocations by hand, judged in the order of their `seq`, and the awards they make (services/core/ledger.py).

Records about one IFI lie in one partition, until a log is carried to one with more partitions; and one that was set aside is folded late. So a record may
come after records that were stored after it. Then all that was said in that matter is judged again, and what changes is written; whatever the order, the
rows are those of the set of records. Two runs may be about one IFI at once: the row of `ledger` of each IFI, locked sorted before anything of it is read,
after every row that evidence and links lock and before the queue, lets one wait for the other's commit.
"""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import orjson

from schemas.envelope import DecisionBody, RevocationBody
from services.core.ledger import Entry, Held, Ledger
from services.core.syntax import timestamp
from services.core.timeline import stored_of
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


class _Before(NamedTuple):
    """What was folded already of a matter that has to be judged again."""

    matter: Matter
    entry: Entry
    body: str
    counted: tuple[bool, int, int, str, str | None]
    """As what it counted: accepted, k, version, rule, status."""


async def fold(conn: Connection, extraction: Extraction, records: Sequence[RecordAt]) -> list[Said]:
    """Fold the records of these kinds; return what became of each, and of those folded before that count otherwise now."""
    said = _said(extraction, records)
    if not said:
        return []
    first = {matter: entry.seq for matter, entry, _ in reversed(said)}
    await conn.execute(_sql.take_turns, *columns({(matter.tenant_id, matter.ifi) for matter in first}))
    ledgers, late = await _heads(conn, first)
    judged = _judged(ledgers, said, await _before(conn, late) if late else [])
    await conn.execute(_sql.put, *columns([_row(each) for each in judged]))
    awards = [_award(matter, held) for matter, seq in first.items() for held in ledgers[matter].awards if matter in late or held.last_seq >= seq]
    if awards:
        await conn.execute(_sql.put_awards, *columns(awards))
    if revoked := [(*each.matter, each.entry.n, each.entry.seq) for each in judged if each.entry.by_hand and each.counts]:
        await conn.execute(_sql.add_revocations, *columns(revoked))
    if late:
        await conn.execute(_sql.remove_awards, *columns([(*matter, len(ledgers[matter].awards)) for matter in late]))
        if void := [(each.matter.tenant_id, each.entry.seq) for each in judged if each.entry.by_hand and not each.counts]:
            await conn.execute(_sql.remove_revocations, *columns(void))
    return judged


def _judged(ledgers: Mapping[Matter, Ledger], said: list[tuple[Matter, Entry, str]], before: list[_Before]) -> list[Said]:
    """Take all of it into the ledgers in the one order; return what is new, and what counted otherwise before."""
    known = {(each.matter.tenant_id, each.entry.seq): each.counted for each in before}
    new = {(matter.tenant_id, entry.seq) for matter, entry, _ in said}
    again = [(each.matter, each.entry, each.body) for each in before if (each.matter.tenant_id, each.entry.seq) not in new]
    judged = []
    for matter, entry, body in sorted(said + again, key=_seq):
        counts = ledgers[matter].accept(entry)
        place = matter.tenant_id, entry.seq
        if place in new or known[place] != _counted(entry, counts):
            judged.append(Said(matter, entry, body, counts))
    return judged


def _said(extraction: Extraction, records: Sequence[RecordAt]) -> list[tuple[Matter, Entry, str]]:
    """Return what the records say, in the one order of `seq`."""
    found = []
    for record, decision in bodies(records, "decision", DecisionBody):
        if (entry := _decided(record.seq, decision)) is not None:
            matter = Matter(record.tenant_id, extraction.key(record.tenant, decision.identity), decision.kind, decision.matter)
            found.append((matter, entry, document(record.envelope.body)))
    for record, revocation in bodies(records, "credential.revoked", RevocationBody):
        if 1 <= revocation.n <= _MOST:
            matter = Matter(record.tenant_id, extraction.key(record.tenant, revocation.identity), PROGRAMME, revocation.programme)
            found.append((matter, _revoked(record.seq, record.envelope.batch or revocation.credential, revocation), document(record.envelope.body)))
    found.sort(key=_seq)
    return found


def _decided(seq: int, body: DecisionBody) -> Entry | None:
    since, known_at = timestamp(body.since), timestamp(body.known_at)
    if since is None or known_at is None or not 1 <= min(body.n, body.k, body.version + 1) <= max(body.n, body.k, body.version) <= _MOST:
        return None
    return Entry(
        id=body.id, seq=seq, state=body.state, n=body.n, k=body.k, since=since, known_at=known_at, valid_until=_instant(body.valid_until),
        version=body.version, rule=body.rule, status=body.status, remind=_instant(body.remind), reason=body.reason, credential=body.credential,
        inputs=tuple(body.inputs))


def _revoked(seq: int, id_: UUID, body: RevocationBody) -> Entry:
    stored = stored_of(seq)
    return Entry(id=id_, seq=seq, state="revoked", n=body.n, k=0, since=stored, known_at=stored, reason=body.reason)


def _instant(text: str | None) -> int | None:
    return None if text is None else timestamp(text)


def _seq(said: tuple[Matter, Entry, str]) -> int:
    return said[1].seq


async def _heads(conn: Connection, first: dict[Matter, int]) -> tuple[dict[Matter, Ledger], set[Matter]]:
    """Return the last award of each matter of which the run says something from a `first` seq on, and the matters of which anything later was folded.

    That is all that acceptance looks at; of the latter nothing is returned, for all that was said is to be judged again.
    """
    ledgers, late = {}, set[Matter]()
    for row in await conn.fetch(_sql.heads, *columns([(*matter, seq) for matter, seq in first.items()])):
        tenant_id, ifi, kind, iri, is_late, *held = row
        matter = Matter(tenant_id, ifi, kind, iri)
        ledgers[matter] = Ledger([])
        if is_late:
            late.add(matter)
        elif held[0] is not None:
            held[-1] = tuple(orjson.loads(held[-1]))
            ledgers[matter].awards.append(Held(*held))
    return ledgers, late


async def _before(conn: Connection, matters: set[Matter]) -> list[_Before]:
    """Return all that was folded of these matters."""
    found = []
    for tenant_id, ifi, kind, iri, seq, id_, decided, body, *counted in await conn.fetch(_sql.said, *columns(matters)):
        entry = _decided(seq, msgspec.json.decode(body, type=DecisionBody)) if decided else _revoked(
            seq, id_, msgspec.json.decode(body, type=RevocationBody))
        if entry is not None:
            accepted, k, version, rule, status = counted
            found.append(_Before(Matter(tenant_id, ifi, kind, iri), entry, body, (accepted, k, version, rule, status)))
    return found


def _counted(entry: Entry, counts: Entry | None) -> tuple[bool, int, int, str, str | None]:
    one = counts or entry
    return counts is not None, one.k, one.version, one.rule, one.status


def _row(said: Said) -> tuple[Any, ...]:
    one = said.counts or said.entry
    return (
        *said.matter, one.seq, one.id, one.n, one.k, one.state, said.counts is not None, one.since, one.valid_until, one.version, one.rule, one.status,
        one.known_at, None if one.reason is None else plain(one.reason), said.body)


def _award(matter: Matter, held: Held) -> tuple[Any, ...]:
    return (*matter, *msgspec.structs.astuple(held)[:-1], orjson.dumps(held.inputs).decode())
