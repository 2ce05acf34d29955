"""Whom deciders are to evaluate again, because of what and once up to which instant all is folded: rows of the queue, which belongs to no version.

Only the version in use queues. Which keys anybody reads is remembered for each tenant; a run that changes that has its tenant to itself, so what is
remembered under a mark that still stands is exact.
"""
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.core import vocabulary
from services.core.errors import InvalidProgramme
from services.core.evidence import ATTEMPTED, Facts, unpack
from services.core.keys import key128
from services.core.rules.course import structure
from services.core.rules.language import parse
from services.core.rules.wake_keys import ANY, COMPLETION, NO_ACTIVITY, key_of_programme, keys_around, keys_of, keys_of_activity
from services.core.timeline import stored_of
from services.projector.projections import learners_ledger
from services.projector.projections.learners_bodies import array
from services.projector.projections.learners_identity import Concerned
from services.projector.projections.learners_ledger import Said
from services.projector.projections.learners_places import Key, Pair, Places, columns
from services.projector.projections.learners_programmes import Change
from services.projector.run import RecordAt
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
_sql = Statements(Path(__file__).with_suffix(".sql"))
_MOST_AROUND = 10_000


_Around = tuple[str, str | None, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class InUse:
    """What anybody in a tenant reads."""

    mark: UUID | None
    keys: frozenset[int] = frozenset()
    """The fact keys of all programmes ever published."""
    courses: frozenset[UUID] = frozenset()
    """The activities that were described as courses."""
    _around: dict[_Around, frozenset[int]] = field(default_factory=dict)
    """Those of `keys` that statements answer to by what is around their activities, as it was worked out for some."""

    def woken(self, pair: Pair, said: Facts) -> list[tuple[int, UUID]]:
        """Return what a statement about this IFI and activity may change: (key, activity) of the queue."""
        found: list[tuple[int, UUID]] = []
        if self.keys:
            around = self._answers(said)
            found = [(key, NO_ACTIVITY) for key in around]
            found += [(key, NO_ACTIVITY) for key in keys_of_activity(pair[2], vocabulary.verb(said.verb)) if key in self.keys and key not in around]
        if said.klass != ATTEMPTED and (said.kind is None or said.kind == "course" or pair[2] in self.courses):
            found.append((COMPLETION, pair[2]))
        return found

    def _answers(self, said: Facts) -> frozenset[int]:
        place = (said.verb, said.kind, said.under, said.category, said.other)
        found = self._around.get(place)
        if found is None:
            if len(self._around) >= _MOST_AROUND:
                self._around.clear()
            found = self._around[place] = self.keys.intersection(keys_around(said, vocabulary.verb(said.verb)))
        return found


_NOTHING = InUse(None)


class Queue:
    """The rows that a run adds to the queue."""

    def __init__(self) -> None:
        """None yet."""
        self._came: dict[tuple[int, UUID, int, UUID], tuple[int, int, UUID]] = {}
        self._rows: dict[tuple[int, UUID, int, UUID, int], UUID] = {}

    def came(self, place: tuple[int, UUID, int, UUID], due: int, at: int, cause: UUID) -> None:
        """Queue a new statement: those of one run are one row, for evaluating once all of them are folded says no less."""
        before = self._came.get(place)
        if before is not None:
            due, at, cause = (due, min(at, before[1]), cause) if due > before[0] else (before[0], min(at, before[1]), before[2])
        self._came[place] = due, at, cause

    def add(self, place: tuple[int, UUID, int, UUID], due: int, cause: UUID) -> None:
        """Queue anything else."""
        self._rows[*place, due] = cause

    async def put(self, conn: Connection) -> None:
        """Write the rows, sorted."""
        rows: list[tuple[Any, ...]] = [(*place, due, at, cause) for place, (due, at, cause) in self._came.items() if (*place, due) not in self._rows]
        rows += [(*place, None, cause) for place, cause in self._rows.items()]
        if rows:
            await conn.execute(_sql.queue, *columns(rows))


class Waking:
    """Queues what runs change, and remembers which keys are in use."""

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._known: dict[int, InUse] = {}

    async def in_use(self, conn: Connection, tenants: Iterable[int]) -> dict[int, InUse]:
        """Return what is read in each of these tenants, in which the run has its turn; nothing at all if this version is not in use."""
        found = {}
        for tenant_id, mark in await conn.fetch(_sql.marks, sorted(tenants)):
            known = _NOTHING if mark is None else self._known.get(tenant_id, _NOTHING)
            if known.mark != mark:
                known = self._known[tenant_id] = await _read(conn, tenant_id, mark)
            found[tenant_id] = known
        return found

    async def wake(  # noqa: PLR0913 - what a run may hold
        self, conn: Connection, in_use: dict[int, InUse], *, places: Places, links: Sequence[Concerned], ledger: Sequence[Said],
        changes: Sequence[Change], courses: Sequence[tuple[RecordAt, UUID]],
    ) -> None:
        """Queue whatever a run of the version in use changed, at its end."""
        queue = Queue()
        _came(queue, in_use, places)
        await _judged(conn, queue, in_use, places)
        for tenant_id, ifi, due, link in links:
            queue.add((tenant_id, ifi, ANY, NO_ACTIVITY), due, link)
        await _decided(conn, queue, in_use, ledger)
        await queue.put(conn)
        await _sweep(conn, changes, courses)


async def mark(conn: Connection, tenants: set[int]) -> None:
    """Note that what is in use in these tenants, which the run has to itself, changes."""
    await conn.execute(_sql.mark, sorted(tenants))


async def _read(conn: Connection, tenant_id: int, mark: UUID) -> InUse:
    keys = set(await conn.fetchval(_sql.keys, tenant_id))
    for row in await conn.fetch(_sql.units, tenant_id):
        described = structure(orjson.loads(row["course"]))
        with contextlib.suppress(InvalidProgramme):  # said when it was folded
            keys |= keys_of(parse(row["programme"]), {} if described is None else {described.iri: described})
    return InUse(mark, frozenset(keys), frozenset(await conn.fetchval(_sql.courses, tenant_id)))


def _came(queue: Queue, in_use: dict[int, InUse], places: Places) -> None:
    """Queue the statements that came and to which nothing else happened."""
    judged = places.judged
    for pair, rows in places.came.items():
        tenant_id, ifi, _ = pair
        known = in_use[tenant_id]
        for row in rows:
            if (tenant_id, row.statement) not in judged:
                for key, activity in known.woken(pair, row.facts):
                    queue.came((tenant_id, ifi, key, activity), stored_of(row.seq), row.at, row.statement)


async def _judged(conn: Connection, queue: Queue, in_use: dict[int, InUse], places: Places) -> None:
    """Queue the statements to which more happened, once for each instant at which something did, for those whom they were about before too."""
    if not places.judged:
        return
    about: dict[Key, list[tuple[Pair, bytes]]] = {}
    for key, pair, packed in places.fallen:
        about.setdefault(key, []).append((pair, packed))
    for tenant_id, statement, seq, ifi, activity, packed, later in await conn.fetch(_sql.touched, *columns(places.judged)):
        each = about.get((tenant_id, statement), [])
        if ifi is not None:
            each.append(((tenant_id, ifi, activity), packed))
        dues = {stored_of(seq), *map(stored_of, later)}
        for pair, facts in each:
            for woken, course in in_use[tenant_id].woken(pair, unpack(facts)):
                for due in dues:
                    queue.add((tenant_id, pair[1], woken, course), due, statement)


async def _decided(conn: Connection, queue: Queue, in_use: dict[int, InUse], ledger: Sequence[Said]) -> None:
    """Queue the matters of decisions, accepted or not, and the programmes that read what they awarded; note decisions as folded."""
    if not ledger:
        return
    for matter, entry, _, _ in ledger:
        own = (COMPLETION, key128(matter.iri)) if matter.kind == learners_ledger.COURSE else (key_of_programme(matter.iri), NO_ACTIVITY)
        queue.add((matter.tenant_id, matter.ifi, *own), stored_of(entry.seq), entry.id)
    await conn.execute(_sql.folded, *columns([(said.matter.tenant_id, said.entry.id, said.entry.seq) for said in ledger]))
    await conn.execute(_sql.tell)
    awarded = [said for said in ledger if said.matter.kind == learners_ledger.PROGRAMME and in_use[said.matter.tenant_id].keys]
    if not awarded:
        return
    for number, read in await conn.fetch(_sql.read_by, *columns([(said.matter.tenant_id, said.matter.iri) for said in awarded])):
        matter, entry, _, _ = awarded[number - 1]
        if read in in_use[matter.tenant_id].keys:
            queue.add((matter.tenant_id, matter.ifi, read, NO_ACTIVITY), stored_of(entry.seq), entry.id)


async def _sweep(conn: Connection, changes: Sequence[Change], courses: Sequence[tuple[RecordAt, UUID]]) -> None:
    """Queue everybody for the programmes and courses that changed, and once more for when a version comes into force."""
    keys: dict[int, set[int]] = {}
    activities: dict[int, set[UUID]] = {}
    dues: dict[int, int] = {}
    for tenant_id, seq, iri, _ in changes:
        keys.setdefault(tenant_id, set()).add(key_of_programme(iri))
        dues[tenant_id] = max(dues.get(tenant_id, 0), stored_of(seq))
    for record, activity in courses:
        activities.setdefault(record.tenant_id, set()).add(activity)
        dues[record.tenant_id] = max(dues.get(record.tenant_id, 0), stored_of(record.seq))
    if not dues:
        return
    if courses:
        for tenant_id, iri in await conn.fetch(_sql.of_courses, *columns([(record.tenant_id, activity) for record, activity in courses])):
            keys.setdefault(tenant_id, set()).add(key_of_programme(iri))
    rows: list[tuple[Any, ...]] = [
        (tenant_id, due, None, array(sorted(keys.get(tenant_id, ()))), array(sorted(activities.get(tenant_id, ())))) for tenant_id, due in dues.items()]
    rows += [(each.tenant_id, dues[each.tenant_id], each.effective, array([key_of_programme(each.iri)]), "{}")
             for each in changes if each.effective is not None]
    await conn.execute(_sql.sweep, *columns(rows))
