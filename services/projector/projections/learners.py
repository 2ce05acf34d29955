"""The learners projection: who is who, evidence, transcripts, programmes, the ledger. Its rows are determined by the set of records, not by their order.

One order in each run's transaction keeps runs of other partitions from deadlocking with it and from losing a fold: turns in the tenants, evidence rows,
IFIs, links, learners, ledgers, each locked sorted; in statements after each lock what was touched is read and folded; what all runs share is written last.
"""
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.core import evidence as core_evidence
from services.core.actor import identity, ifi
from services.core.keys import KeyedHash, key128
from services.core.rules import language
from services.projector.projections import (
    learners_blocks,
    learners_entries,
    learners_evidence,
    learners_identity,
    learners_ledger,
    learners_programmes,
    learners_wakes,
)
from services.projector.projections.learners_evidence import Described, Extraction, Staged
from services.projector.projections.learners_identity import Concerned, Link
from services.projector.projections.learners_places import Key, Places, columns
from services.projector.projections.learners_programmes import Change
from services.projector.projections.learners_wakes import Waking
from services.projector.quick_copy import QuickCopy
from services.projector.run import RecordAt, Run, StatementAt, hash_of_code
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

_sql = Statements(Path(__file__).with_suffix(".sql"))


class LearnersProjection:
    """The fold of statements, links, courses, programmes and decisions into people, transcripts and awards."""

    name = "learners"
    sets_aside = True

    def __init__(self, hashes: KeyedHash, *, most_rows: int = learners_blocks.MOST_ROWS) -> None:
        """`hashes` makes the keys of IFIs, the same on all nodes; `most_rows` is how many evidence rows make a block."""
        self._most_rows = most_rows
        self.code_hash = hash_of_code(sys.modules[__name__], core_evidence, language)
        self._extraction = Extraction(hashes)
        self._quick = QuickCopy("evidence", learners_evidence.COLUMNS)
        self._waking = Waking()

    async def prepare(self, conn: Connection) -> None:
        """Make the temporary table of a run, and have all tables reached by their keys."""
        await conn.execute(_sql.by_keys)
        await learners_evidence.prepare(conn)

    def read_ahead(self, item: StatementAt) -> None:
        """See what a statement says."""
        item.once(self._extraction.read)

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold a run. Losing copies are the statements projection's to count: always 0."""
        held = _Held.of(run)
        tenants = {item.tenant_id for item in run.items} | held.tenants
        if not tenants:
            return 0
        staged = self._extraction.stage(run.items)
        said = learners_identity.stage_links(self._extraction, staged, held.links)
        await learners_identity.take_turn(conn, tenants, held.alone)
        changes, courses = await _change(conn, held)
        in_use = await self._waking.in_use(conn, tenants)
        places, links = await self._fold(conn, staged, said) if run.items or said else (Places(), [])
        ledger = await learners_ledger.fold(conn, self._extraction, held.entries) if held.entries else []
        if in_use:
            await self._waking.wake(conn, in_use, places=places, links=links, ledger=ledger, changes=changes, courses=courses)
        await _describe(conn, staged.activities)
        return 0

    async def _fold(self, conn: Connection, staged: Staged, said: list[tuple[RecordAt, Link]]) -> tuple[Places, list[Concerned]]:
        """Fold statements and links; return what changed in the evidence, and whom the links concern."""
        places = await learners_evidence.meet(conn, staged, self._quick)
        pairs = places.pairs()
        who = await _who(conn, said, staged, {(pair[0], pair[1]) for pair in pairs})
        of = {pair: (pair[0], who.learners[pair[0], pair[1]], pair[2]) for pair in pairs}
        await learners_entries.fold(conn, of, await learners_entries.entries_of(conn, who.changed), places, self._most_rows)
        return places, who.links

    def blame(self, item: StatementAt | RecordAt) -> UUID | None:
        """Return the key of the actor of a statement that is set aside, or of whom a decision is about, if it can still be told."""
        try:
            if isinstance(item, RecordAt):
                found = (item.envelope.body or {}).get("identity")
            else:
                text = ifi(item.doc["actor"])
                found = None if text is None else identity(text)
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
        return self._extraction.key(item.tenant, found) if isinstance(found, str) else None


@dataclass(slots=True)
class _Held:
    """The records of a run that are no statements, by what folds them."""

    links: list[RecordAt]
    courses: list[RecordAt]
    programmes: list[RecordAt]
    entries: list[RecordAt]

    @classmethod
    def of(cls, run: Run) -> "_Held":
        return cls(
            [record for record in run.others if learners_identity.names_identity(record)],
            [record for record in run.others if record.kind == "course.described"],
            [record for record in run.others if record.kind in learners_programmes.KINDS],
            [record for record in run.others if record.kind in learners_ledger.KINDS])

    @property
    def tenants(self) -> set[int]:
        return self.alone | {record.tenant_id for record in self.entries}

    @property
    def alone(self) -> set[int]:
        """The tenants that the run must have to itself: who is who changes there, or what wakes anybody."""
        return {record.tenant_id for record in (*self.links, *self.courses, *self.programmes)}


@dataclass(slots=True)
class _Who:
    """The learner of each IFI as it is now, the learners who gained or lost one, and whom links concern."""

    learners: dict[Key, UUID]
    changed: set[Key]
    links: list[Concerned]


async def _who(conn: Connection, said: list[tuple[RecordAt, Link]], staged: Staged, touched: set[Key]) -> _Who:
    """Make and lock the IFIs and learners concerned, and apply links."""
    who = await learners_identity.make_ifis(conn, staged.ifis, touched)
    found = _Who(who.learners, set(), [])
    if said:
        found.changed, found.links = await learners_identity.apply_links(conn, said)
        if found.changed and who.learners:
            found.learners = who.learners = await learners_identity.learners_of(conn, who.learners)
    await learners_identity.lock_learners(conn, who.shared() | found.changed)
    return found


async def _change(conn: Connection, held: _Held) -> tuple[list[Change], list[tuple[RecordAt, UUID]]]:
    """Fold programmes and courses, in tenants the run has to itself: what wakes anybody changes; return what did."""
    courses = [(record, key128(_described(record)["id"])) for record in held.courses]
    if courses:
        await conn.execute(_sql.add_courses, *columns([_course(record, activity) for record, activity in courses]))
    changes = await learners_programmes.fold(conn, held.programmes) if held.programmes else []
    if changed := {record.tenant_id for record in (*held.courses, *held.programmes)}:
        await learners_wakes.mark(conn, changed)
    return changes, courses


async def _describe(conn: Connection, activities: dict[Key, Described]) -> None:
    """Last of all: every learner of a course writes the same few rows."""
    if activities:
        await conn.execute(_sql.describe, *columns([
            (*key, one.iri, one.name, one.name_seq, one.type, one.type_seq) for key, one in activities.items()]))


def _described(record: RecordAt) -> dict[str, Any]:
    return dict((record.envelope.body or {})["course"])


def _course(record: RecordAt, activity: UUID) -> tuple[Any, ...]:
    course = _described(record)
    return record.tenant_id, activity, record.seq, course["id"], orjson.dumps(course, option=orjson.OPT_SORT_KEYS)
