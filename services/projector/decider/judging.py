"""Judging the learners of one batch, bounded by statements and time: who is too much for any batch is set apart, who cannot be judged is left in the queue."""
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from services.core.decision import decision_body, decision_record
from services.core.keys import partition_of
from services.projector.decider import metrics
from services.projector.decider.deciding import Deciding
from services.projector.decider.matters import Matters, Waking, course_activities, matters_of, versions_for
from services.projector.decider.timers import Timer, set_timers
from services.projector.decider.under_way import Decided
from services.runtime.evaluation.catalog import Catalog
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
    load_people,
)
from services.runtime.evaluation.moment import Moment
from services.runtime.log import NewRecord

Connection = asyncpg.Connection
_MOST_WHOLE = 25
"""Of so many learners all statements are in memory at once."""
MOST_FACTS = 50_000
"""So many statements are in memory at once, but for those of a learner who is judged alone."""
MOST_ASKED = 20_000
"""Of all IFIs of a group statements about all its activities are asked for: so many pairs at most, but for a group of one learner."""
_BATCH_S = 1.0
"""After so long a batch judges nobody any more."""
_LEARNER_S = 1.0
"""Who takes longer is judged alone. Nothing is asked of Postgres meanwhile, which ends the session after some seconds of that."""
_FAILED_S = 60.0
_log = structlog.get_logger()


class _TooLong(Exception):
    """A learner takes more time than a batch has for one."""


class Judging:
    """The judging of one batch: learners in, decisions out, and who of them is done with."""

    def __init__(
        self, conn: Connection, deciding: Deciding, tenant_id: int, tenant: str, moment: Moment, *, alone: bool,
    ) -> None:
        self._conn, self._deciding, self._tenant_id, self._tenant, self._moment, self._alone = conn, deciding, tenant_id, tenant, moment, alone
        self._turn = deciding.turn_apart if alone else deciding.turn
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
            if matters := matters_of(person, _merged(mine), catalog):
                named = None if matters.everything else activities_of(versions_for(person, matters.programmes, catalog))
                todo.append(_Todo(person, matters, named, {row.cause for row in mine if row.cause is not None}))
            else:
                self.done.update(person.members.ifis)
            await asyncio.sleep(0)  # nobody rests where nothing is asked of Postgres for long
        metrics.SKIPPED.inc(len(people) - len(todo))
        whole, parts = [one for one in todo if one.named is None], [one for one in todo if one.named is not None]
        groups = [*_few(parts), *(whole[start:start + _MOST_WHOLE] for start in range(0, len(whole), _MOST_WHOLE))]
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
        spent = 0.0
        todo: list[Callable[[], Judgement]] = [partial(judge_programme, person, iri, catalog, self._moment) for iri in sorted(matters.programmes)]
        todo += [partial(judge_course, person, courses[activity], self._moment) for activity in sorted(matters.courses) if activity in courses]
        for judge in todo:
            if self._alone:
                yield await asyncio.to_thread(judge)
                await self._conn.execute("select 1")  # Postgres sees that somebody is there
                continue
            if spent > _LEARNER_S:
                raise _TooLong
            began = time.monotonic()
            found = judge()
            spent += time.monotonic() - began
            yield found
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


def _merged(rows: Iterable[Waking]) -> Iterable[Waking]:
    """Return one row for all that woke an IFI for the same: of the earliest event, of none if anything else happened."""
    found: dict[tuple[UUID, int, UUID], Waking] = {}
    for row in rows:
        before = found.setdefault(row[:3], row)
        if before.at is not None and (row.at is None or row.at < before.at):
            found[row[:3]] = row
    return found.values()


def _few(parts: Sequence["_Todo"]) -> list[list["_Todo"]]:
    """Part learners so that IFIs times activities, which is what is asked for, does not multiply: what each has done may be nobody else's."""
    groups: list[list[_Todo]] = []
    ifis, about = 0, set[UUID]()
    for one in parts:
        more = (one.named or frozenset()) | one.matters.courses
        if not groups or (ifis + len(one.person.members.ifis)) * len(about | more) > MOST_ASKED:
            groups.append([])
            ifis, about = 0, set()
        groups[-1].append(one)
        ifis += len(one.person.members.ifis)
        about |= more
    return groups


@dataclass(frozen=True, slots=True)
class _Todo:
    """A learner to be judged: what of, by statements about which activities (None: about any), and what led to it."""

    person: Person
    matters: Matters
    named: frozenset[UUID] | None
    causes: set[UUID]
