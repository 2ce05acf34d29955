"""The evidence of a run: what its statements say, merged, and met with what is there: copies, voids and assurances in any order.

Every row a run may change is locked in one sorted statement first; rows that only the answer to it reveals are locked after (rare, and a deadlock over
those is a transient error that the run survives by being done again).
"""
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto

from services.core import evidence as facts
from services.core.actor import authority_text
from services.core.evidence import Evidence
from services.core.keys import KeyedHash, key128
from services.core.scopes import grants
from services.core.timeline import NO_SEQ
from services.projector.quick_copy import QuickCopy
from services.projector.run import StatementAt
from services.runtime import failpoint
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
Key = tuple[int, UUID]
"""Tenant and statement id, IFI key, learner id or activity key."""
Pair = tuple[int, UUID, UUID]
"""Tenant, IFI key and activity key."""

_sql = Statements(Path(__file__).with_suffix(".sql"))
COLUMNS = ("tenant_id", "statement_id", "seq", "ifi", "activity", "at", "authority", "voiding", "class", "facts")
_REMEMBERED = 65536


class Copy(NamedTuple):
    """One copy of a statement: its row, what it voids and what it assures (target, level), if that counts."""

    row: tuple[Any, ...]
    seq: int
    authority: int
    trusted: bool
    """Its record carries lrs:void."""
    voids: UUID | None
    assures: tuple[UUID, int] | None


class Said(NamedTuple):
    """What is kept of a statement: its copy, and what it is evidence of."""

    copy: Copy
    evidence: Evidence | None


@dataclass(slots=True)
class Named:
    """An IFI as the statements and links of a run name it: what holds of the set of them, whichever of their copies stand."""

    identity: str
    ifi: str
    name: str | None = None
    name_seq: int = -1

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


class Places:
    """Where the evidence of (IFI, activity) pairs changed: the pairs to fold, and the (at, seq) of what changed in each."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        """Begin with none."""
        self.of: dict[Pair, set[tuple[int, int]]] = {}

    def add(self, pair: Pair, at: int, seq: int) -> None:
        """Remember one."""
        found = self.of.get(pair)
        if found is None:
            self.of[pair] = {(at, seq)}
        else:
            found.add((at, seq))


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

    def read(self, item: StatementAt) -> Said:
        """Return what one statement says."""
        doc, seq = item.doc, item.seq
        evidence = facts.evidence_of(doc, ifi=item.ifi, stored=item.stored, authority=self._authority(item), scopes=item.scopes)
        voids = assures = None
        about: tuple[UUID | None, UUID | None, int | None, int | None, bytes | None] = (None,) * 5
        if evidence is not None:
            said = evidence.facts
            about = self.key(item.tenant, evidence.identity), self.activity(evidence.activity), evidence.at, said.klass, facts.pack(said)
        elif doc["object"].get("objectType") == "StatementRef":
            voids = facts.voids(doc)
            assures = facts.assures(doc) if voids is None and grants(item.scopes, "lrs:assure") else None
        row = (item.tenant_id, item.id, seq, about[0], about[1], about[2], item.authority_key, voids, about[3], about[4])
        return Said(Copy(row, seq, item.authority_key, voids is not None and grants(item.scopes, "lrs:void"), voids, assures), evidence)

    def stage(self, items: Iterable[StatementAt]) -> Staged:
        """Return what the statements of a run say, of several copies of one id the earliest."""
        staged = Staged()
        for item in items:
            failpoint.hit("learners.extract")
            self._add(staged, item)
        staged.phantoms -= staged.copies.keys()
        return staged

    def _add(self, staged: Staged, item: StatementAt) -> None:
        copy, evidence = item.once(self.read)
        tenant_id = item.tenant_id
        if evidence is not None:
            _name(staged, item, (tenant_id, copy.row[3]), (tenant_id, copy.row[4]), evidence)
        elif copy.voids is not None:
            staged.phantoms.add((tenant_id, copy.voids))
        elif copy.assures is not None:
            staged.phantoms.add((tenant_id, copy.assures[0]))
        key = (tenant_id, item.id)
        before = staged.copies.get(key)
        if before is None or copy.seq < before.seq:
            staged.copies[key] = copy

    def _authority(self, item: StatementAt) -> str:
        text = self._authorities.get(item.authority_key)
        if text is None:
            if len(self._authorities) >= _REMEMBERED:
                self._authorities.clear()
            text = self._authorities[item.authority_key] = authority_text(item.authority)
        return text


def _name(staged: Staged, item: StatementAt, who: Key, what: Key, evidence: Evidence) -> None:
    """Note how a statement names its actor and its activity."""
    named = staged.ifis.get(who)
    if named is None:
        named = staged.ifis[who] = Named(evidence.identity, evidence.ifi)
    named.add(evidence.ifi, evidence.name, item.seq)
    described = staged.activities.get(what)
    if described is None:
        described = staged.activities[what] = Described(evidence.activity)
    if evidence.activity_name is not None and item.seq > described.name_seq:
        described.name, described.name_seq = evidence.activity_name, item.seq
    if evidence.activity_type is not None and item.seq > described.type_seq:
        described.type, described.type_seq = evidence.activity_type, item.seq


async def meet(conn: Connection, staged: Staged, quick: QuickCopy) -> Places:
    """Bring the evidence rows up to date with the run and lock them; return the places where what counts changed."""
    places = Places()
    standing, arrived, freed = dict(staged.copies), set[Key](), set[Key]()
    if not await _add(conn, staged, quick):
        arrived, freed = await _replace(conn, standing, places)
    for copy in standing.values():
        if copy.row[3] is not None:
            places.add((copy.row[0], copy.row[3], copy.row[4]), copy.row[5], copy.seq)
    await _judge(conn, standing, arrived, freed, places)
    return places


async def _add(conn: Connection, staged: Staged, quick: QuickCopy) -> bool:
    """Add and lock the rows of a run; return whether all are new."""
    phantoms = staged.phantoms | await _assured_by(conn, {(key[0], copy.voids) for key, copy in staged.copies.items() if copy.voids is not None})
    phantoms -= staged.copies.keys()
    rows = [staged.copies[key].row for key in sorted(staged.copies, key=_in_order)]
    rows += [(*key, NO_SEQ, None, None, None, None, None, None, None) for key in phantoms]
    if not rows or (not phantoms and await quick.add(conn, rows)):
        return True
    await conn.copy_records_to_table("run_evidence", records=rows, columns=COLUMNS)
    return bool(await conn.fetchval(_sql.upsert) == len(rows))


def _in_order(key: Key) -> tuple[int, int]:
    return key[0], key[1].int


async def _replace(conn: Connection, standing: dict[Key, Copy], places: Places) -> tuple[set[Key], set[Key]]:
    """Let the least copy of each id stand, taking those that fall out of `standing`.

    Return the ids whose rows were there before (phantoms, later copies), and whom the copies that fell had voided or assured, locked.
    """
    arrived, fallen = set[Key](), set[Key]()
    for tenant_id, id_, seq, stands, ifi, activity, at in await conn.fetch(_sql.met):
        key = (tenant_id, id_)
        if seq > stands:
            standing.pop(key, None)  # of a run folded one by one, what came before in the transaction is met again
            continue
        arrived.add(key)
        if stands != NO_SEQ:
            fallen.add(key)
            if ifi is not None:
                places.add((tenant_id, ifi, activity), at, stands)
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
    if judged:
        for tenant_id, ifi, activity, at, seq in await conn.fetch(_sql.judge_assured, *columns(judged)):
            places.add((tenant_id, ifi, activity), at, seq)


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


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows, of which there must be some, as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]
