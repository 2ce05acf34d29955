"""One batch: learners of one tenant taken from the queue under locks, judged at T, and what the ledger lacks committed as decisions under way.

A batch is bounded by statements and time: what is judged when they run out is committed, the rest stays in the queue, and who is too much for any batch is
judged alone, in a thread, by a connection that is allowed to take its time.
"""
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog

from services.core.decision import decision_body, decision_record
from services.core.keys import KeyedHash, partition_of
from services.projector.decider import metrics, under_way
from services.projector.decider.apart import Apart
from services.projector.decider.matters import Matters, Waking, course_activities, matters_of, versions_for
from services.projector.decider.pace import Pace, Portion
from services.projector.decider.timers import Timer, set_timers
from services.projector.decider.turn import Turn
from services.projector.decider.under_way import Decided
from services.runtime import failpoint
from services.runtime.evaluation.catalog import Catalog, Catalogs
from services.runtime.evaluation.judge import Judgement, judge_course, judge_programme
from services.runtime.evaluation.load import (
    PROGRAMME,
    Course,
    Members,
    Person,
    TooManyFacts,
    activities_of,
    load_courses,
    load_facts,
    load_members,
    load_people,
)
from services.runtime.evaluation.moment import Moment
from services.runtime.log import NewRecord
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
MOST_LEARNERS = 200
_MOST_ROWS = 20_000
_WINDOW = 2_000
"""Of so many rows, longest due first, the learners of a batch are found."""
_MOST_WHOLE = 25
"""Of so many learners all statements are in memory at once."""
MOST_FACTS = 50_000
"""So many statements are in memory at once, but for those of a learner who is judged alone."""
_BATCH_S = 1.0
"""After so long a batch judges nobody any more."""
_USUAL_S = 0.5
"""A batch takes as many learners as are judged in this time: what else was read of others would have to be read again."""
_LEARNER_S = 1.0
"""Who takes longer is judged alone. Nothing is asked of Postgres meanwhile, which ends the session after some seconds of that."""
_FAILED_S = 60.0

_sql = Statements(Path(__file__).with_name("queue.sql"))
_log = structlog.get_logger()


class Replaced(Exception):
    """The version in use is not of this code, or is just being replaced: nothing may be decided."""


class _TooLong(Exception):
    """A learner takes more time than a batch has for one."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What all batches of a decider share."""

    hashes: KeyedHash
    partitions: int
    fingerprint: str
    turn: Turn = field(default_factory=Turn)
    """That of whoever judges batches."""
    catalogs: Catalogs = field(default_factory=Catalogs)
    failed: dict[UUID, float] = field(default_factory=dict)
    """IFIs of learners whom this code could not judge, and when they are tried again."""
    apart: Apart = field(default_factory=Apart)
    paces: dict[int, Pace] = field(default_factory=dict)
    """Those of the sweeps that go on, by tenant."""
    portion: Portion = field(default_factory=lambda: Portion(MOST_LEARNERS, MOST_LEARNERS, _USUAL_S))
    """How many learners a batch takes."""


async def through(conn: Connection, fingerprint: str) -> int:
    """Return T, and keep the version in use in use until the transaction ends. Raises Replaced."""
    found = await conn.fetchval(_sql.through, fingerprint)
    if found is None:
        raise Replaced
    return int(found)


async def decide(conn: Connection, deciding: Deciding, tenant_id: int, tenant: str, alone: Sequence[UUID] = ()) -> tuple[int, list[Decided]]:
    """Decide about the learners who wait longest, in a transaction of its own; return how many were taken, and the decisions to append now.

    `alone`: about the learner of these IFIs, however long it takes. Raises Replaced, or whatever went wrong, with nothing changed: `apart.fail` then
    has those in hand judged alone.
    """
    began = time.monotonic()
    if not alone:
        deciding.apart.put_down()
    async with conn.transaction():
        members, now = await _take(conn, deciding, tenant_id, alone)
        if not members:
            return 0, []
        catalog = await deciding.catalogs.at(conn, tenant_id, Moment.at(now))
        if not alone:
            deciding.apart.take_up(tenant_id, members)
        rows = [Waking(*row) for row in await conn.fetch(_sql.rows, tenant_id, [ifi for one in members for ifi in one.ifis], now, _MOST_ROWS)]
        batch = _Batch(conn, deciding, tenant_id, tenant, Moment.at(now), alone=bool(alone))
        decided = await batch.judge(members, rows, catalog)
        await under_way.add(conn, tenant_id, decided)
        if done := [(*row[:5], row.place) for row in rows if row.ifi in batch.done]:
            await conn.execute(_sql.forget, tenant_id, *map(list, zip(*done, strict=True)))
        failpoint.hit("decider.before_commit")
    if not alone:
        deciding.apart.put_down()
        judged, took = sum(one.learner in batch.done for one in members), time.monotonic() - began
        deciding.portion.judged(judged, took)
        if pace := deciding.paces.get(tenant_id):
            pace.judged(judged, took)
    failpoint.hit("decider.after_commit")
    return len(members), decided


async def _take(conn: Connection, deciding: Deciding, tenant_id: int, alone: Sequence[UUID]) -> tuple[list[Members], int]:
    """Return learners that nobody else decides about, all of whose IFIs are locked, and T as read after that."""
    before = await through(conn, deciding.fingerprint)
    if alone:
        claimed = [row["ifi"] for row in await conn.fetch(_sql.lock, tenant_id, sorted(alone))]
    else:
        claimed = [row["ifi"] for row in await conn.fetch(_sql.claim, tenant_id, before, _WINDOW, deciding.portion.size, _not_now(deciding))]
    if not claimed:
        return [], before
    candidates = await load_members(conn, tenant_id, claimed, Moment.at(before).known)
    more = sorted({ifi for one in candidates for ifi in one.ifis} - set(claimed))
    locked = set(claimed)
    if more:
        locked |= {row["ifi"] for row in await conn.fetch(_sql.lock, tenant_id, more)}
    mine = [one for one in candidates if locked.issuperset(one.ifis)]
    now = await through(conn, deciding.fingerprint)
    if mine and now != before:
        again = set(await load_members(conn, tenant_id, [ifi for one in mine for ifi in one.ifis], Moment.at(now).known))
        mine = [one for one in mine if one in again]
    if mine:
        busy = await under_way.blocked(conn, tenant_id, [ifi for one in mine for ifi in one.ifis])
        mine = [one for one in mine if busy.isdisjoint(one.ifis)]
    metrics.AGAIN.inc(len(candidates) - len(mine))
    metrics.JUDGED.inc(len(mine))
    return mine, now


def _not_now(deciding: Deciding) -> list[UUID]:
    """Return whom no batch is to take for now."""
    now = time.monotonic()
    for ifi in [ifi for ifi, again in deciding.failed.items() if again <= now]:
        del deciding.failed[ifi]
    return [*deciding.failed, *deciding.apart.ifis]


class _Batch:
    """The judging of one batch."""

    def __init__(
        self, conn: Connection, deciding: Deciding, tenant_id: int, tenant: str, moment: Moment, *, alone: bool,
    ) -> None:
        self._conn, self._deciding, self._tenant_id, self._tenant, self._moment, self._alone = conn, deciding, tenant_id, tenant, moment, alone
        self._turn = Turn(deciding.turn.turns) if alone else deciding.turn
        self._until = time.monotonic() + _BATCH_S
        self._began = False
        self.done: set[UUID] = set()
        """IFIs of those who need not be judged again for the rows that woke them."""

    async def judge(self, members: Sequence[Members], rows: Sequence[Waking], catalog: Catalog) -> list[Decided]:
        """Judge what the rows concern; set timers; return what was decided."""
        people = await load_people(self._conn, self._tenant_id, members, self._moment, catalog)
        of = {ifi: place for place, one in enumerate(members) for ifi in one.ifis}
        waking: list[list[Waking]] = [[] for _ in people]
        for row in rows:
            waking[of[row.ifi]].append(row)
        todo: list[_Todo] = []
        for person, mine in zip(people, waking, strict=True):
            if matters := matters_of(person, mine, catalog):
                named = None if matters.everything else activities_of(versions_for(person, matters.programmes, catalog))
                todo.append(_Todo(person, matters, named, {row.cause for row in mine if row.cause is not None}))
            else:
                self.done.update(person.members.ifis)
            await self._turn.give()
        metrics.SKIPPED.inc(len(people) - len(todo))
        whole, parts = [one for one in todo if one.named is None], [one for one in todo if one.named is not None]
        groups = [parts, *(whole[start:start + _MOST_WHOLE] for start in range(0, len(whole), _MOST_WHOLE))]
        return [decided for group in groups if group for decided in await self._judge(group, catalog)]

    @property
    def _is_over(self) -> bool:
        """Whether there is no time for more, now that somebody was judged."""
        return not self._alone and self._began and time.monotonic() > self._until

    async def _judge(self, group: Sequence["_Todo"], catalog: Catalog) -> list[Decided]:
        """Judge learners, as many at once as there is room for their statements."""
        if self._is_over:
            return []
        try:
            return await self._judge_loaded(group, catalog)
        except TooManyFacts:
            if len(group) == 1:
                self._began = True
                self._deciding.apart.add(self._tenant_id, [group[0].person.members])
                return []
        half = len(group) // 2
        return [*await self._judge(group[:half], catalog), *await self._judge(group[half:], catalog)]

    async def _judge_loaded(self, group: Sequence["_Todo"], catalog: Catalog) -> list[Decided]:
        """Judge learners all of whom have their statements loaded, or those about the activities named. Raises TooManyFacts."""
        people = [one.person for one in group]
        about: set[UUID] | None = set()
        for one in group:
            about = None if about is None or one.named is None else about | one.named | one.matters.courses
        await load_facts(self._conn, self._tenant_id, people, self._moment, about, None if self._alone else MOST_FACTS)
        for one in group:
            if one.matters.everything:
                one.matters.courses |= course_activities(one.person)
        courses = await load_courses(self._conn, self._tenant_id, {key for one in group for key in one.matters.courses}, self._moment.known)
        decided: list[Decided] = []
        timers: list[Timer] = []
        for one in group:
            if self._is_over:
                break
            found = await self._found(one, catalog, courses)
            timers += [(one.person.members.learner, each.kind, each.matter, each.next_change_at) for each in found if each.kind == PROGRAMME]
            decided += [made for judgement in found for made in self._decisions(one.person, judgement, one.causes)]
        await set_timers(self._conn, self._tenant_id, timers)
        return decided

    async def _found(self, one: "_Todo", catalog: Catalog, courses: dict[UUID, Course]) -> list[Judgement]:
        """Return what is found of a learner: nothing, if this cannot be judged here."""
        self._began = True
        try:
            found = [judgement async for judgement in self._judgements(one.person, one.matters, catalog, courses)]
        except _TooLong:
            self._deciding.apart.add(self._tenant_id, [one.person.members])
            return []
        except Exception:  # noqa: BLE001 - whatever it is: it is reported, and must not keep everyone else from being judged
            self._fail(one.person)
            return []
        finally:
            one.person.give([])
        self.done.update(one.person.members.ifis)
        return found

    async def _judgements(self, person: Person, matters: Matters, catalog: Catalog, courses: dict[UUID, Course]) -> AsyncIterator[Judgement]:
        until = time.monotonic() + _LEARNER_S
        todo: list[Callable[[], Judgement]] = [partial(judge_programme, person, iri, catalog, self._moment) for iri in sorted(matters.programmes)]
        todo += [partial(judge_course, person, courses[activity], self._moment) for activity in sorted(matters.courses) if activity in courses]
        for judge in todo:
            if self._alone:
                yield await asyncio.to_thread(judge)
                await self._conn.execute("select 1")  # Postgres sees that somebody is there
                continue
            if time.monotonic() > until:
                raise _TooLong
            yield judge()
            await self._turn.give()

    def _fail(self, person: Person) -> None:
        """Leave a learner who cannot be judged in the queue, loudly: everyone else moves on, and other code, or this one later, tries again."""
        _log.exception("a learner cannot be judged", tenant=self._tenant, learner=str(person.members.learner), known_at=self._moment.known_at)
        metrics.FAILED.inc()
        self._deciding.failed.update(dict.fromkeys(person.members.ifis, time.monotonic() + _FAILED_S))

    def _decisions(self, person: Person, judgement: Judgement, causes: Iterable[UUID]) -> list[Decided]:
        decided = []
        identities = dict(zip(person.members.ifis, person.members.identities, strict=True))
        for proposed in judgement.proposed:
            identity = identities[proposed.ifi]
            body = decision_body(self._deciding.hashes, self._tenant, identity, proposed, self._moment.known_at, causes)
            key = self._deciding.hashes.partition_key(self._tenant, identity)
            record = NewRecord(partition_of(key, self._deciding.partitions), key, decision_record(self._tenant, body))
            decided.append(Decided(self._tenant_id, UUID(body["id"]), person.members.ifis, record))
            metrics.DECISIONS.labels(proposed.kind, proposed.change.state).inc()
        return decided


@dataclass(frozen=True, slots=True)
class _Todo:
    """A learner to be judged: what of, by statements about which activities (None: about any), and what led to it."""

    person: Person
    matters: Matters
    named: frozenset[UUID] | None
    causes: set[UUID]
