"""The learners projection: who is who, evidence and transcripts. Its rows are determined by the set of records alone, never by their order.

One order in each run's transaction keeps runs of other partitions from deadlocking with it and from losing a fold: turns in the tenants, evidence rows,
IFIs, links, learners, each locked sorted; then, in later statements, what was touched is read and folded; what all runs share is written last.
"""
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.core import evidence as core_evidence
from services.core import transcript as core_transcript
from services.core import vocabulary
from services.core.actor import identity, ifi
from services.core.keys import KeyedHash, key128
from services.projector.projections import learners_blocks, learners_entries, learners_evidence, learners_identity
from services.projector.projections.learners_evidence import Described, Extraction, Key, Staged, columns
from services.projector.quick_copy import QuickCopy
from services.projector.run import RecordAt, Run, StatementAt, hash_of_code
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

_sql = Statements(Path(__file__).with_suffix(".sql"))


class LearnersProjection:
    """The fold of statements, links and course descriptions into people and transcripts."""

    name = "learners"
    sets_aside = True

    def __init__(self, hashes: KeyedHash, *, most_rows: int = learners_blocks.MOST_ROWS) -> None:
        """`hashes` makes the keys of IFIs, the same on all nodes; `most_rows` is how many evidence rows make a block."""
        self._most_rows = most_rows
        self.code_hash = hash_of_code(
            sys.modules[__name__], learners_blocks, learners_entries, learners_evidence, learners_identity, core_evidence, core_transcript, vocabulary)
        self._extraction = Extraction(hashes)
        self._quick = QuickCopy("evidence", learners_evidence.COLUMNS)

    async def prepare(self, conn: Connection) -> None:
        """Make the temporary table of a run, and have all tables reached by their keys."""
        await conn.execute(_sql.by_keys)
        await learners_evidence.prepare(conn)

    def read_ahead(self, item: StatementAt) -> None:
        """See what a statement says."""
        item.once(self._extraction.read)

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold a run. Losing copies are the statements projection's to count: always 0."""
        records = [record for record in run.others if learners_identity.names_identity(record)]
        courses = [record for record in run.others if record.kind == "course.described"]
        if run.items or records:
            staged = self._extraction.stage(run.items)
            said = learners_identity.stage_links(self._extraction, staged, records)
            alone = {record.tenant_id for record in records}
            await learners_identity.take_turn(conn, {item.tenant_id for item in run.items}, alone)
            places = await learners_evidence.meet(conn, staged, self._quick)
            pairs = places.pairs()
            touched = {(pair[0], pair[1]) for pair in pairs}
            learners, changed = await _who(conn, said, staged, touched)
            of = {pair: (pair[0], learners[pair[0], pair[1]], pair[2]) for pair in pairs}
            await learners_entries.fold(conn, of, await learners_entries.entries_of(conn, changed), places, self._most_rows)
            await _describe(conn, staged.activities)
        if courses:
            await conn.execute(_sql.add_courses, *columns([_course(record) for record in courses]))
        return 0

    def blame(self, item: StatementAt | RecordAt) -> UUID | None:
        """Return the key of the actor of a statement that is set aside, if it can still be told."""
        if isinstance(item, RecordAt):
            return None
        try:
            text = ifi(item.doc["actor"])
            found = None if text is None else identity(text)
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
        return None if found is None else self._extraction.key(item.tenant, found)


async def _who(conn: Connection, said: list[Any], staged: Staged, touched: set[Key]) -> tuple[dict[Key, UUID], set[Key]]:
    """Make and lock the IFIs and learners concerned, apply links; return the learner of each IFI as it is now, and the learners who gained or lost one."""
    who = await learners_identity.make_ifis(conn, staged.ifis, touched)
    changed: set[Key] = set()
    if said:
        changed = await learners_identity.apply_links(conn, said)
        if changed and who.learners:
            who.learners = await learners_identity.learners_of(conn, who.learners)
    await learners_identity.lock_learners(conn, who.shared() | changed)
    return who.learners, changed


async def _describe(conn: Connection, activities: dict[Key, Described]) -> None:
    """Last of all: every learner of a course writes the same few rows."""
    if activities:
        await conn.execute(_sql.describe, *columns([
            (*key, one.iri, one.name, one.name_seq, one.type, one.type_seq) for key, one in activities.items()]))


def _course(record: RecordAt) -> tuple[Any, ...]:
    course = (record.envelope.body or {})["course"]
    return record.tenant_id, key128(course["id"]), record.seq, course["id"], orjson.dumps(course, option=orjson.OPT_SORT_KEYS)
