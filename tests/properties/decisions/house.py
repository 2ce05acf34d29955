"""The house that a history happens to: Postgres, a fold that lags as it is told, deciders that race and fall over, and a cut-over now and then."""
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.commands.doctor_decisions import evaluated_again
from services.projector.building import Build, put_in_use
from services.projector.decider import under_way
from services.projector.decider.decider import Decider
from services.projector.decider.under_way import Decided
from services.projector.projections.learners import LearnersProjection
from services.runtime.evaluation.catalog import Catalogs
from services.runtime.evaluation.judge import judge_course, judge_programme
from services.runtime.evaluation.load import load_courses, load_facts, load_members, load_people
from services.runtime.evaluation.moment import Moment
from services.runtime.migrate import VIEWS, create_version, ensure_cursors, replace_views, schema_of
from services.runtime.postgres import connect
from tests.properties.decisions.history import HASHES, TENANT, History
from tests.properties.decisions.simulation import TENANT_ID, FaultyLog, Fold

SECOND = 1_000_000
UNVERSIONED = ("wake", "sweep", "timer", "under_way_ifi", "under_way")
LEDGER = ("programme", "retirement", "decision", "award", "revocation")
_MOST_ROUNDS = 400
_PATIENCE = 3
Connection = asyncpg.Connection
Rows = dict[str, list[tuple[Any, ...]]]


class Frozen:
    """A decider that stops before it notes what it decided, in the middle of its transaction."""

    def __init__(self, decider: Decider, conn: Connection) -> None:
        """Not begun yet."""
        self._decider, self._conn = decider, conn
        self._there, self._go_on = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[bool] | None = None

    async def begin(self) -> bool:
        """Decide up to there; return whether it got there."""
        real = under_way.add

        async def add(conn: Connection, tenant_id: int, decided: Sequence[Decided]) -> None:
            if conn is self._conn:
                self._there.set()
                await self._go_on.wait()
            await real(conn, tenant_id, decided)

        under_way.add = add
        try:
            self._task = asyncio.create_task(self._decider.round(self._conn))
            there = asyncio.create_task(self._there.wait())
            await asyncio.wait({self._task, there}, return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
        finally:
            under_way.add = real
        if self._task.done():
            self._task.result()
        return self._there.is_set()

    async def end(self, *, alive: bool) -> None:
        """Go on, or be cancelled where it is."""
        assert self._task is not None
        if alive:
            self._go_on.set()
            await self._task
        else:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class House:
    """One database, one log, the version of the learners projection in use, and two deciders."""

    def __init__(self, dsn: str, log: FaultyLog, conns: tuple[Connection, Connection, Connection]) -> None:
        """`conns`: one for the fold, whose search path is set here, and two for deciders."""
        self.log, self.dsn = log, dsn
        self._fold_conn, *self._decider_conns = conns
        self._deciders = [Decider(dsn, log, HASHES) for _ in self._decider_conns]
        self.version = 1
        self.fold = self._fold(1)
        self._frozen: Frozen | None = None

    def _fold(self, version: int) -> Fold:
        return Fold(self._fold_conn, self.log, LearnersProjection(HASHES), version)

    @property
    def is_frozen(self) -> bool:
        """Whether a decider stands still in the middle of its transaction."""
        return self._frozen is not None

    async def reach(self, version: int) -> None:
        """Have the fold's connection write to a version."""
        await self._fold_conn.execute(f"set search_path to {schema_of('learners', version)}, testamur")

    async def decide(self, who: int) -> bool:
        """Let one decider do one round of work: the other one, if this one is frozen."""
        awake = who if self._frozen is None else 1
        return bool(await self._deciders[awake].round(self._decider_conns[awake]))

    async def race(self) -> None:
        """Let both decide at once, those that are not frozen."""
        await asyncio.gather(*(self.decide(who) for who in range(2 if self._frozen is None else 1)))

    async def freeze(self) -> None:
        """Let the first decider stop in the middle of its transaction, with all its locks, if it has anything to decide."""
        if self._frozen is None:
            frozen = Frozen(self._deciders[0], self._decider_conns[0])
            if await frozen.begin():
                self._frozen = frozen

    async def thaw(self, *, alive: bool) -> None:
        """Let it go on, or be gone with its transaction rolled back."""
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            await frozen.end(alive=alive)

    async def cut_over(self) -> None:
        """Build the next version beside the one in use, as far as that is, and put it in use: whoever is frozen with the version's lock is gone by then."""
        await self.thaw(alive=False)
        old, new = self.version, self.version + 1
        conn = self._fold_conn
        await create_version(conn, "learners", new)
        await ensure_cursors(conn, "learners", new, self.log.log_id, self.log.partitions)
        await self.reach(new)
        building = self._fold(new)
        await building.follow(self.fold)
        async with conn.transaction():
            await put_in_use(conn, Build("learners", old, new, ()))
        await conn.execute(f"drop schema {schema_of('learners', old)} cascade")
        self.version, self.fold = new, self._fold(new)
        self.fold.take_over(building)

    async def rest(self) -> None:
        """Let everything come to rest: what is late lands, all is folded, time passes, and deciders do all there is to do."""
        await self.thaw(alive=True)
        idled = 0
        for _ in range(_MOST_ROUNDS):
            await self.log.land()
            await self.fold.catch_up()
            self.log.now += 1 if idled < _PATIENCE else SECOND // 2  # the clock of some partition is behind
            worked = await self.decide(0)
            await self.fold.catch_up()
            if not worked and await self.is_idle():
                return
            idled = 0 if worked else idled + 1
        raise AssertionError("it does not come to rest")

    async def is_idle(self) -> bool:
        """Return whether nothing is queued, due or under way."""
        through = await self.through()
        following = await self._fold_conn.fetchval("select min(at) from timer")
        return not await self.waits() and (following is None or following > through)

    async def waits(self) -> bool:
        """Return whether anything waits for T to pass it, or for a decider: time alone may bring more."""
        return bool(await self._fold_conn.fetchval("select exists (select from wake) or exists (select from sweep) or exists (select from under_way)"))

    async def through(self) -> int:
        """Return T."""
        return int(await self._fold_conn.fetchval("select min(last_stored) from projection_cursor where name = 'learners' and version = $1", self.version))

    async def ledger(self) -> Rows:
        """Return every column of every row that publications and decisions made."""
        return {table: sorted(map(tuple, await self._fold_conn.fetch(f"select t.* from {table} t")), key=repr) for table in LEDGER}

    async def folded_anew(self) -> Rows:
        """Return what the same records are folded into from the beginning, in another version that is thrown away."""
        new = self.version + 1
        await create_version(self._fold_conn, "learners", new)
        await ensure_cursors(self._fold_conn, "learners", new, self.log.log_id, self.log.partitions)
        await self.reach(new)
        await self._fold(new).catch_up()
        found = await self.ledger()
        await self.reach(self.version)
        await self._fold_conn.execute(f"drop schema {schema_of('learners', new)} cascade; delete from projection where version = {new}")
        return found

    async def awards(self) -> list[dict[str, Any]]:
        """Return all awards with the identity of their IFI."""
        return [dict(row) for row in await self._fold_conn.fetch(
            "select a.*, i.identity from award a join ifi i on i.tenant_id = a.tenant_id and i.key = a.ifi order by a.issued_seq")]

    async def entries(self) -> list[dict[str, Any]]:
        """Return all entries that count, in the one order."""
        return [dict(row) for row in await self._fold_conn.fetch(
            "select d.*, d.body ->> 'after' as after, i.identity from decision d join ifi i on i.tenant_id = d.tenant_id and i.key = d.ifi"
            " where d.accepted order by d.seq")]

    async def evaluated_again(self) -> list[tuple[bool, str]]:
        """Return what `testamur doctor` says of every decision: whether it would be made again, on what was known then."""
        return [said async for said in evaluated_again(self._decider_conns[1], HASHES, every=True)]

    async def lacking(self) -> list[Any]:
        """Return the entries that a fresh evaluation of everybody in every matter would add to the ledger now."""
        conn, moment = self._decider_conns[1], Moment.at(await self.through())
        catalog = await Catalogs().at(conn, TENANT_ID, moment)
        ifis = [row["key"] for row in await conn.fetch("select key from ifi where tenant_id = $1", TENANT_ID)]
        people = await load_people(conn, TENANT_ID, await load_members(conn, TENANT_ID, ifis, moment.known), moment, catalog)
        await load_facts(conn, TENANT_ID, people, moment, None)
        courses = await load_courses(conn, TENANT_ID, {fact.activity for person in people for fact in person.facts}, moment.known)
        programmes = [judge_programme(person, iri, catalog, moment) for person in people for iri in catalog.latest]
        return [entry for judged in (*programmes, *(judge_course(person, course, moment) for person in people for course in courses.values()))
                for entry in judged.proposed]

    async def revoke_one(self, history: History) -> None:
        """Revoke by hand an award that is there, closed or not."""
        awards = [row for row in await self.awards() if row["credential"] is not None]
        if awards:
            row = history.chance.choice(awards)
            await self.log.append([history.revoke(UUID(bytes=row["credential"].bytes), row["matter"], row["identity"], row["n"])])


@asynccontextmanager
async def house(dsn: str, log: FaultyLog) -> AsyncIterator[House]:
    """Give an empty house in a migrated database, with an empty log, and leave nothing behind."""
    under_way.LEFT_BEHIND = timedelta()  # whoever finds a decision left behind need not wait here: no append lasts
    conns = [await connect(dsn, search_path="testamur") for _ in range(3)]
    made = House(dsn, log, (conns[0], conns[1], conns[2]))
    try:
        await conns[0].execute("insert into tenant (name) values ($1) on conflict do nothing", TENANT)
        await ensure_cursors(conns[0], "learners", 1, log.log_id, log.partitions)
        await made.reach(1)
        await LearnersProjection(HASHES).prepare(conns[0])
        yield made
    finally:
        await _empty(conns[0], made.version)
        for conn in conns:
            await conn.close(timeout=5)


async def _empty(conn: Connection, version: int) -> None:
    """Bring the database back to an empty first version."""
    await conn.execute("set search_path to testamur")
    if version > 1:
        await conn.execute(f"drop schema {schema_of('learners', version)} cascade; delete from projection where name = 'learners'")
        await create_version(conn, "learners", 1)
        await conn.execute("update projection set state = 'active' where name = 'learners'")
        await replace_views(conn, "learners", 1)
    tables = [f"learners_1.{table}" for table in {*VIEWS["learners"].values(), "waking"}]
    await conn.execute("".join(f"delete from {table};" for table in (*tables, *UNVERSIONED)) + "delete from projection_cursor where name = 'learners'")
