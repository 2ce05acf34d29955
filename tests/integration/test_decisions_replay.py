"""Programmes and the ledger through the real projector: a replay makes the rows that were folded live, wakes nobody, and sweeps once it is in use."""
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from services.core import envelope
from services.core.keys import KeyedHash
from services.core.timeline import stored_of
from services.projector.checksum import checksum
from services.projector.office import Office
from services.projector.projections.learners import LearnersProjection
from services.projector.projections.statements import StatementsProjection
from services.projector.replay import replay_projection
from services.projector.run import Projection
from services.runtime.log import Log, NewRecord
from services.runtime.log.memory_log import MemoryLog
from services.runtime.postgres import connect, open_pool
from tests.integration.projecting import append, fetch, record, statement, until_folded, voiding
from tests.ledger_bodies import COURSE, decision_body, programme_body, retirement_body, revocation_body

HASHES = KeyedHash(b"a secret of tests")
PASSED = "http://adlnet.gov/expapi/verbs/passed"
DETERMINED = ("programme", "retirement", "decision", "award", "revocation")


def learners() -> LearnersProjection:
    return LearnersProjection(HASHES)


def other(kind: Any, body: dict[str, Any], partition: int) -> NewRecord:
    """Return a record of any other kind than `statements`."""
    return NewRecord(partition, b"key", envelope.encode(kind, body=body, batch=uuid4(), tenant="default", scopes=["lrs:manage"]))


def who(number: int) -> str:
    return f"openid:https://openid.example.org/{number}"


async def fill(log: Log, now: int, people: int, n: int = 1) -> None:
    """Append publications, statements, voids and what deciders that race might say of people, each in the partition of one person."""
    await append(log, other("programme.published", programme_body(version=n), 0),
                 other("programme.published", programme_body(slug="crane", version=n, award=False), 1))
    for number in range(people):
        partition, id_ = number % log.partitions, uuid4()
        issued = decision_body(who(number), "issued", now, n=n, credential=str(UUID(int=n * 1000 + number, version=4)))
        await append(
            log, record(partition, statement(id_, verb=PASSED, activity=COURSE, actor=str(number))), other("decision", issued, partition),
            other("decision", issued, partition), other("decision", {**issued, "id": str(uuid4())}, partition))
        if number % 3 == 0:
            await append(log, record((partition + 1) % log.partitions, voiding(uuid4(), id_)))
        if number % 2 == 0:
            await append(log, other("credential.revoked", revocation_body(who(number), n), partition))
    await append(log, other("programme.retired", retirement_body("crane"), 1))


@asynccontextmanager
async def folding(dsn: str, log: Log, *projections: Projection) -> AsyncIterator[None]:
    """Fold with workers of our own, as a projector process does, but decide nothing: what is queued stays."""
    pool = await open_pool(dsn, min=0, max=2, application_name="tests", reset=False)
    stop = asyncio.Event()
    work = asyncio.create_task(Office(dsn, log, uuid4(), list(projections), pool).keep(stop, lambda: None))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await work
        pool.terminate()


async def wakes(dsn: str) -> int:
    return int((await fetch(dsn, "select count(*) from wake"))[0][0])


async def test_a_replay_makes_the_rows_of_programmes_and_the_ledger_that_were_folded_live_and_a_sweep_of_everybody(database: str) -> None:
    log = MemoryLog(3)
    async with folding(database, log, StatementsProjection(), learners()):
        now = 0
        for round_ in range(3):
            await fill(log, now, 12, round_ + 1)
            await until_folded(database, log, "learners")
            now = stored_of((await fetch(database, "select max(seq) from decision"))[0][0])
        queued = await wakes(database)
        assert queued
        rows = await fetch(database, "select n, state, accepted, count(*) from decision group by 1, 2, 3 order by 1, 2, 3")
        assert [tuple(row) for row in rows] == [
            (1, "issued", False, 24), (1, "issued", True, 12), (1, "revoked", True, 6),
            (2, "issued", False, 30), (2, "issued", True, 6), (2, "revoked", True, 6),
            (3, "issued", False, 30), (3, "issued", True, 6), (3, "revoked", True, 6)]
        issued = await fetch(database, "select issued_seq & 255, count(*) from award where credential is not null group by 1 order by 1")
        assert [tuple(row) for row in issued] == [(partition, 8) for partition in range(3)]
        await fetch(database, "delete from sweep")
        under_way = (await fetch(database, "select id, min(seq) as seq from decision group by id order by 2 limit 1"))[0]
        await fetch(database, "insert into under_way (tenant_id, id, ifis, key, partition, value) values (1, $1, '{}', '', 0, '')", under_way["id"])

        report = await replay_projection(database, log, learners(), lambda *_: None)

        assert report.differences == {}
        assert report.cut_over
        assert set(DETERMINED) <= report.after.keys()
        assert all(report.before[table] == report.after[table] and not report.after[table].startswith("0 rows") for table in DETERMINED)
        assert await wakes(database) == queued
        [sweep] = await fetch(database, "select due, keys, activities, after, tenant_id from sweep")
        assert (sweep["keys"], sweep["activities"], sweep["after"], sweep["tenant_id"]) == (None, None, None, 1)
        assert sweep["due"] >= now
        assert (await fetch(database, "select folded from under_way"))[0][0] == under_way["seq"]

        await append(log, record(0, statement(uuid4(), verb=PASSED, activity=COURSE, actor="new")))
        await until_folded(database, log, "learners")
        assert await wakes(database) == queued + 2  # the programmes' key, and that of what may be a course


async def test_rows_of_one_partition_after_the_other_are_those_of_all_at_once(database: str) -> None:
    log = MemoryLog(2)
    await fill(log, 0, 10)
    async with folding(database, log, learners()):
        await until_folded(database, log, "learners")
    conn = await connect(database)
    live = await checksum(conn, "learners", 1)
    await conn.close()
    async with folding(database, log, learners()):
        async with asyncio.timeout(60):
            report = await replay_projection(database, log, learners(), lambda *_: None)
    assert {table: report.after[table] for table in DETERMINED} == {table: live[table] for table in DETERMINED}
