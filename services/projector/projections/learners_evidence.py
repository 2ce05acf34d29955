"""The evidence of a run: what its statements say, merged, and met with what is there: copies, voids and assurances in any order.

Every row a run may change is locked in one sorted statement first; rows that only the answer to it reveals are locked after (rare, and a deadlock over
those is a transient error that the run survives by being done again).
"""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pgproto import pgproto

from services.core import evidence as facts
from services.core.actor import authority_text
from services.core.evidence import Evidence
from services.core.keys import KeyedHash, key128
from services.core.scopes import grants
from services.core.timeline import NO_SEQ, stored_of
from services.core.transcript import Row
from services.projector.projections.learners_places import Key, Places, columns
from services.projector.quick_copy import QuickCopy
from services.projector.run import StatementAt
from services.runtime import failpoint
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

_sql = Statements(Path(__file__).with_suffix(".sql"))
COLUMNS = ("tenant_id", "statement_id", "seq", "ifi", "activity", "at", "authority", "voiding", "class", "facts")
_REMEMBERED = 65536


class Copy(msgspec.Struct, frozen=True, gc=False):
    """One copy of a statement: its row, what it voids and what it assures (target, level), if that counts."""

    row: tuple[Any, ...]
    seq: int
    authority: int
    trusted: bool
    """Its record carries lrs:void."""
    voids: UUID | None
    assures: tuple[UUID, int] | None
    evidence: Evidence | None
    fact: Row | None
    """What a fold takes of it while nobody voids or assures it; None, as `evidence`, if it is nobody's."""


@dataclass(slots=True)
class Named:
    """An IFI as the statements and links of a run name it: what holds of the set of them, whichever of their copies stand."""

    identity: str
    ifi: str
    name: str | None = None
    name_seq: int = -1
    linked: bool = False
    """Whether a link names it."""

    def add(self, ifi: str, name: str | None, seq: int) -> None:
        """Take in one more naming; a mailbox is remembered rather than its SHA-1."""
        if ifi != self.ifi and ifi.startswith("mbox:"):
            self.ifi = ifi
        if name is not None and seq > self.name_seq:
            self.name, self.name_seq = name, seq


@dataclass(slots=True)
class Described:
    """An activity as the statements of a run describe it: its name and its type, each by the last that gave one."""

    iri: str
    name: str | None = None
    name_seq: int = -1
    type: str | None = None
    type_seq: int = -1


@dataclass(slots=True)
class Staged:
    """What a run says, before it is met with what is there."""

    copies: dict[Key, Copy] = field(default_factory=dict)
    phantoms: set[Key] = field(default_factory=set)
    """Targets of all copies, of those that fall too, so that their order does not show."""
    ifis: dict[Key, Named] = field(default_factory=dict)
    activities: dict[Key, Described] = field(default_factory=dict)

    def name(self, who: Key, what: Key, evidence: Evidence, seq: int) -> None:
        """Note how a statement names its actor and its activity."""
        named = self.ifis.get(who)
        if named is None:
            named = self.ifis[who] = Named(evidence.identity, evidence.ifi)
        named.add(evidence.ifi, evidence.name, seq)
        described = self.activities.get(what)
        if described is None:
            described = self.activities[what] = Described(evidence.activity)
        if evidence.activity_name is not None and seq > described.name_seq:
            described.name, described.name_seq = evidence.activity_name, seq
        if evidence.activity_type is not None and seq > described.type_seq:
            described.type, described.type_seq = evidence.activity_type, seq


class Extraction:
    """Makes evidence of statements. Keeps what repeats: keys of IFIs and texts of authorities."""

    def __init__(self, hashes: KeyedHash) -> None:
        """`hashes` makes the keys of IFIs."""
        self._hashes = hashes
        self._keys: dict[tuple[str, str], UUID] = {}
        self._activities: dict[str, UUID] = {}
        self._authorities: dict[int, str] = {}

    def key(self, tenant: str, identity: str) -> UUID:
        """Return the key of an identity."""
        found = self._keys.get((tenant, identity))
        if found is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
            found = self._keys[tenant, identity] = pgproto.UUID(self._hashes.ifi(tenant, identity).bytes)
        return found

    def activity(self, iri: str) -> UUID:
        """Return the key of an activity."""
        found = self._activities.get(iri)
        if found is None:
            if len(self._activities) >= _REMEMBERED:
                self._activities.clear()
            found = self._activities[iri] = pgproto.UUID(key128(iri).bytes)
        return found

    def read(self, item: StatementAt) -> Copy:
        """Return what one statement says."""
        doc, tenant_id, id_, seq, authority, scopes = item.doc, item.tenant_id, item.id, item.seq, item.authority_key, item.scopes
        evidence = facts.evidence_of(doc, ifi=item.ifi, stored=stored_of(seq), authority=self._authority(item), scopes=scopes)
        voids = assures = fact = None
        about: tuple[UUID | None, UUID | None, int | None, int | None, bytes | None] = (None,) * 5
        if evidence is not None:
            said, at = evidence.facts, evidence.at
            about = self.key(item.tenant, evidence.identity), self.activity(evidence.activity), at, said.klass, facts.pack(said)
            fact = Row(id_, seq, at, None, said)
        elif doc["object"].get("objectType") == "StatementRef":
            voids = facts.voids(doc)
            assures = facts.assures(doc) if voids is None and grants(scopes, "lrs:assure") else None
        row = (tenant_id, id_, seq, about[0], about[1], about[2], authority, voids, about[3], about[4])
        return Copy(row, seq, authority, voids is not None and grants(scopes, "lrs:void"), voids, assures, evidence, fact)

    def stage(self, items: Sequence[StatementAt]) -> Staged:
        """Return what the statements of a run say, of several copies of one id the earliest."""
        failpoint.hit("learners.extract")
        staged = Staged()
        copies = staged.copies
        for item in items:
            copy = item.once(self.read)
            key = tenant_id, _ = copy.row[:2]
            if copy.evidence is not None:
                staged.name((tenant_id, copy.row[3]), (tenant_id, copy.row[4]), copy.evidence, copy.seq)
            elif (target := copy.voids or (copy.assures[0] if copy.assures else None)) is not None:
                staged.phantoms.add((tenant_id, target))
            before = copies.get(key)
            if before is None or copy.seq < before.seq:
                copies[key] = copy
        staged.phantoms -= copies.keys()
        return staged

    def _authority(self, item: StatementAt) -> str:
        text = self._authorities.get(item.authority_key)
        if text is None:
            if len(self._authorities) >= _REMEMBERED:
                self._authorities.clear()
            text = self._authorities[item.authority_key] = authority_text(item.authority)
        return text


async def meet(conn: Connection, staged: Staged, quick: QuickCopy) -> Places:
    """Bring the evidence rows up to date with the run and lock them; return the places where what counts changed."""
    places = Places()
    standing, arrived, freed = dict(staged.copies), set[Key](), set[Key]()
    if not await _add(conn, staged, quick):
        arrived, freed = await _replace(conn, standing, places)
    came = places.came
    for key, copy in standing.items():
        if copy.fact is None:
            continue
        pair = copy.row[0], copy.row[3], copy.row[4]
        if key in arrived:
            places.change(pair, copy.fact.at, copy.seq)
        elif pair in came:
            came[pair].append(copy.fact)
        else:
            came[pair] = [copy.fact]
    await _judge(conn, standing, arrived, freed, places)
    return places


async def _add(conn: Connection, staged: Staged, quick: QuickCopy) -> bool:
    """Add and lock the rows of a run; return whether all are new."""
    phantoms = staged.phantoms | await _assured_by(conn, {(key[0], copy.voids) for key, copy in staged.copies.items() if copy.voids is not None})
    phantoms -= staged.copies.keys()
    rows = [staged.copies[key].row for key in sorted(staged.copies, key=lambda key: (key[0], key[1].int))]
    rows += [(*key, NO_SEQ, None, None, None, None, None, None, None) for key in phantoms]
    if not rows or (not phantoms and await quick.add(conn, rows)):
        return True
    await conn.copy_records_to_table("run_evidence", records=rows, columns=COLUMNS)
    return bool(await conn.fetchval(_sql.upsert) == len(rows))


async def _replace(conn: Connection, standing: dict[Key, Copy], places: Places) -> tuple[set[Key], set[Key]]:
    """Let the least copy of each id stand, taking those that fall out of `standing`.

    Return the ids whose rows were there before (phantoms, later copies), and whom the copies that fell had voided or assured, locked.
    """
    arrived, fallen = set[Key](), set[Key]()
    for tenant_id, id_, seq, stands, ifi, activity, at, packed in await conn.fetch(_sql.met):
        key = (tenant_id, id_)
        if seq > stands:
            standing.pop(key, None)  # of a run folded one by one, what came before in the transaction is met again
            continue
        arrived.add(key)
        if stands != NO_SEQ:
            fallen.add(key)
            if ifi is not None:
                places.change((tenant_id, ifi, activity), at, stands)
                places.fallen.append((key, (tenant_id, ifi, activity), packed))
    if arrived:
        await conn.execute(_sql.replace)
    freed = set[Key]()
    if fallen:
        freed = {(row["tenant_id"], row["target"]) for row in await conn.fetch(_sql.forget, *columns(fallen))}
        await _lock(conn, freed)
    return arrived, freed


async def _judge(conn: Connection, standing: dict[Key, Copy], arrived: set[Key], freed: set[Key], places: Places) -> None:
    """Judge again which statements are voided and how well assured they are, wherever a void, an assurance or a target changed."""
    voids = [(key[0], copy.voids, key[1], copy.seq, copy.authority, copy.trusted) for key, copy in standing.items() if copy.voids is not None]
    assurances = [(key[0], copy.assures[0], key[1], copy.seq, copy.assures[1]) for key, copy in standing.items() if copy.assures is not None]
    if voids:
        await conn.execute(_sql.add_voids, *columns(voids))
    if assurances:
        await conn.execute(_sql.add_assurances, *columns(assurances))
    judged = arrived | freed | {(each[0], each[1]) for each in voids}
    if judged:
        await conn.execute(_sql.judge_voided, *columns(judged))
    shaken = await _assured_by(conn, judged)
    await _lock(conn, shaken - standing.keys())
    judged |= shaken | {(each[0], each[1]) for each in assurances}
    places.judged |= judged
    if judged:
        for tenant_id, ifi, activity, at, seq in await conn.fetch(_sql.judge_assured, *columns(judged)):
            places.change((tenant_id, ifi, activity), at, seq)


async def _assured_by(conn: Connection, assuring: set[Key]) -> set[Key]:
    """Return the targets of the assurances that these statements give."""
    if not assuring:
        return set()
    return {(row["tenant_id"], row["target"]) for row in await conn.fetch(_sql.assured_by, *columns(assuring))}


async def _lock(conn: Connection, keys: set[Key]) -> None:
    if keys:
        await conn.execute(_sql.lock, *columns(keys))


async def prepare(conn: Connection) -> None:
    """Make the temporary table of a run."""
    await conn.execute(_sql.stage)
