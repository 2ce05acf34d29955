"""The fold of decisions and revocations: which entries count, and the awards they make."""
import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest_asyncio

from services.core.timeline import seq_of
from services.projector.projections.learners import LearnersProjection
from tests.folding import HASHES, TENANT, At, apply, dump, folding, record_at, run_of
from tests.integration.projecting import until
from tests.ledger_bodies import COURSE, decision_body, iri_of, revocation_body

Connection = asyncpg.Connection
NOW = 217_000_000_000_000
ADA, BO = "openid:https://openid.example.org/ada", "openid:https://openid.example.org/bo"


@pytest_asyncio.fixture
async def connection(database: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
    async with folding(database, LearnersProjection(HASHES)) as conn:
        yield conn


async def fold(connection: "Connection[asyncpg.Record]", *records: At) -> None:
    """Fold each record in a run of its own."""
    for record in records:
        await apply(connection, LearnersProjection(HASHES), [record])


def decided(number: int, state: str, identity: str = ADA, partition: int = 0, **members: Any) -> At:
    """Return a decision stored at NOW + number, by default with knowledge of all before."""
    return record_at("decision", decision_body(identity, state, members.pop("known_at", NOW + number - 1), **members), NOW + number, partition)


def revoked(number: int, identity: str = ADA, n: int = 1, partition: int = 0) -> At:
    return record_at("credential.revoked", revocation_body(identity, n), NOW + number, partition, "lrs:manage")


async def ledger(connection: "Connection[asyncpg.Record]") -> list[tuple[str, int, int, bool]]:
    return [tuple(row) for row in await connection.fetch("select state, n, k, accepted from decision order by seq")]


async def award(connection: "Connection[asyncpg.Record]", n: int = 1) -> Any:
    return await connection.fetchrow("select * from award where n = $1", n)


async def test_a_life_of_an_award_is_told_in_its_entries_and_stands_in_its_row(connection: "Connection[asyncpg.Record]") -> None:
    credential, statement = uuid4(), uuid4()
    inputs: list[Any] = [{"statement": str(statement)}]
    await fold(
        connection,
        decided(10, "issued", since=NOW - 500, valid_until=NOW + 900, credential=str(credential), inputs=inputs, version=3, rule="abc"),
        decided(20, "updated", k=2, since=NOW - 400, valid_until=NOW + 950, credential=str(credential), inputs=inputs, version=4, rule="abd"),
        decided(30, "expiring", k=3, remind=NOW + 700, version=4, rule="abd"))

    row = await award(connection)
    assert (row["ifi"], row["kind"], row["matter"]) == (HASHES.ifi(TENANT, ADA), "programme", iri_of("welding"))
    assert (row["n"], row["k"], row["state"], row["closed"], row["ended"]) == (1, 3, "updated", False, None)
    assert (row["since"], row["valid_until"], row["reminded"]) == (NOW - 400, NOW + 950, NOW + 700)
    assert (row["version"], row["rule"], row["credential"]) == (4, "abd", credential)
    assert (row["issued_seq"], row["last_seq"]) == (seq_of(NOW + 10, 0), seq_of(NOW + 30, 0))
    assert orjson.loads(row["inputs"]) == inputs

    await fold(connection, decided(40, "expired", k=4, since=NOW + 950, version=4, rule="abd"))

    row = await award(connection)
    assert (row["state"], row["closed"], row["ended"], row["since"]) == ("expired", True, NOW + 950, NOW - 400)
    assert await ledger(connection) == [("issued", 1, 1, True), ("updated", 1, 2, True), ("expiring", 1, 3, True), ("expired", 1, 4, True)]


async def test_of_twins_the_first_counts_in_one_run_and_in_two(connection: "Connection[asyncpg.Record]") -> None:
    await apply(connection, LearnersProjection(HASHES), [decided(10, "issued", version=1), decided(11, "issued", version=2, known_at=NOW + 9)])
    await fold(connection, decided(20, "updated", k=2, version=3), decided(21, "updated", k=2, version=4, known_at=NOW + 19))

    assert await ledger(connection) == [("issued", 1, 1, True), ("issued", 1, 1, False), ("updated", 1, 2, True), ("updated", 1, 2, False)]
    assert (await award(connection))["version"] == 3


async def test_what_was_decided_before_the_entry_before_was_stored_has_no_effect(connection: "Connection[asyncpg.Record]") -> None:
    await fold(connection, decided(10, "issued"), decided(20, "updated", k=2, known_at=NOW + 9), decided(30, "updated", k=2, known_at=NOW + 10))

    assert await ledger(connection) == [("issued", 1, 1, True), ("updated", 1, 2, False), ("updated", 1, 2, True)]


async def test_after_a_closed_award_comes_the_next_one_and_nothing_else(connection: "Connection[asyncpg.Record]") -> None:
    await fold(
        connection, decided(10, "issued"), decided(20, "issued", n=2), decided(30, "revoked", k=2), decided(40, "reinstated", k=3),
        decided(50, "issued", n=3), decided(60, "issued", n=2))

    assert await ledger(connection) == [
        ("issued", 1, 1, True), ("issued", 2, 1, False), ("revoked", 1, 2, True), ("reinstated", 1, 3, False), ("issued", 3, 1, False), ("issued", 2, 1, True)]
    assert [(await award(connection, n))["closed"] for n in (1, 2)] == [True, False]


async def test_each_ifi_and_each_matter_has_awards_of_its_own(connection: "Connection[asyncpg.Record]") -> None:
    await apply(connection, LearnersProjection(HASHES), [
        decided(10, "issued"), decided(11, "issued", BO, partition=1), decided(12, "issued", slug="crane"), decided(13, "issued", course=COURSE),
        decided(14, "updated", course=COURSE, k=2, status="completed")])

    rows = await connection.fetch("select kind, matter, k, status, credential from award order by issued_seq")
    assert [(row["kind"], row["matter"], row["k"]) for row in rows] == [
        ("programme", iri_of("welding"), 1), ("programme", iri_of("welding"), 1), ("programme", iri_of("crane"), 1), ("course", COURSE, 2)]
    assert (rows[3]["status"], rows[3]["credential"]) == ("completed", None)


async def test_a_revocation_by_hand_is_an_entry_and_final(connection: "Connection[asyncpg.Record]") -> None:
    credential = str(uuid4())
    await fold(
        connection, revoked(5), decided(10, "issued", credential=credential, version=7, rule="abc"), revoked(20),
        decided(30, "updated", k=2, known_at=NOW + 15), revoked(40), decided(50, "issued", n=2, credential=str(uuid4())), revoked(60, n=1))

    assert await ledger(connection) == [
        ("revoked", 1, 0, False), ("issued", 1, 1, True), ("revoked", 1, 2, True), ("updated", 1, 2, False), ("revoked", 1, 0, False), ("issued", 2, 1, True),
        ("revoked", 1, 0, False)]
    first = await award(connection)
    assert (first["state"], first["closed"], first["ended"], first["version"]) == ("revoked", True, NOW + 20, 7)
    assert [tuple(row) for row in await connection.fetch("select seq, matter, n from revocation")] == [(seq_of(NOW + 20, 0), iri_of("welding"), 1)]
    assert await connection.fetchval("select reason from decision where seq = $1", seq_of(NOW + 20, 0)) == "cheated"


async def test_what_comes_late_is_judged_where_it_was_stored(connection: "Connection[asyncpg.Record]") -> None:
    credential = str(uuid4())
    await fold(
        connection, decided(20, "issued", version=2, known_at=NOW + 1), decided(30, "expired", k=2, version=2), decided(40, "issued", n=2, version=3),
        decided(50, "updated", n=2, k=2, version=3, known_at=NOW + 45))
    assert [(await award(connection, n))["k"] for n in (1, 2)] == [2, 2]

    await fold(connection, decided(10, "issued", version=1, credential=credential, partition=1), decided(25, "updated", k=2, version=1, partition=2))

    assert await ledger(connection) == [
        ("issued", 1, 1, True), ("issued", 1, 1, False), ("updated", 1, 2, True), ("expired", 1, 2, False), ("issued", 2, 1, False), ("updated", 2, 2, False)]
    row = await award(connection)
    assert (row["k"], row["state"], row["closed"], row["version"], row["issued_seq"]) == (2, "updated", False, 1, seq_of(NOW + 10, 1))
    assert str(row["credential"]) == credential
    assert await award(connection, 2) is None


async def test_a_revocation_by_hand_counts_from_when_what_it_revokes_is_there_and_not_when_that_was_closed_before(
    connection: "Connection[asyncpg.Record]",
) -> None:
    await fold(connection, revoked(30), revoked(40))
    assert await connection.fetchval("select count(*) from revocation") == 0

    await fold(connection, decided(10, "issued", partition=1, version=7))
    assert await ledger(connection) == [("issued", 1, 1, True), ("revoked", 1, 2, True), ("revoked", 1, 0, False)]
    assert [row["seq"] for row in await connection.fetch("select seq from revocation")] == [seq_of(NOW + 30, 0)]
    assert await connection.fetchval("select version from decision where seq = $1", seq_of(NOW + 30, 0)) == 7

    await fold(connection, decided(20, "expired", k=2, partition=1))
    assert await ledger(connection) == [("issued", 1, 1, True), ("expired", 1, 2, True), ("revoked", 1, 0, False), ("revoked", 1, 0, False)]
    assert await connection.fetchval("select count(*) from revocation") == 0
    assert [tuple(row) for row in await connection.fetch("select version, rule from decision where state = 'revoked'")] == [(0, ""), (0, "")]


async def test_what_comes_late_touches_no_row_that_stays_as_it_is(connection: "Connection[asyncpg.Record]") -> None:
    await fold(connection, decided(10, "issued"), decided(20, "updated", k=2), decided(30, "issued", BO))
    rows = "select xmin::text, tableoid::regclass::text, seq from decision union all select xmin::text, tableoid::regclass::text, n from award order by 2, 3"
    before = await connection.fetch(rows)

    await fold(connection, decided(15, "updated", k=3, partition=1))

    after = await connection.fetch(rows)
    assert set(map(tuple, before)) <= set(map(tuple, after))
    assert len(after) == len(before) + 1


async def test_two_runs_about_one_ledger_wait_for_each_other_whichever_comes_first(connection: "Connection[asyncpg.Record]", database: str) -> None:
    projection = LearnersProjection(HASHES)
    runs = [decided(20, "issued", version=2, partition=1), decided(21, "issued", BO, version=2, partition=1)], [
        decided(10, "issued", BO, version=1, known_at=NOW), decided(11, "issued", version=1, known_at=NOW)]
    async with folding(database, projection) as other:
        for first, second in (runs, runs[::-1]):
            await connection.execute("delete from decision; delete from award; delete from ledger")
            transaction = other.transaction()
            await transaction.start()
            await projection.apply(other, run_of(first))
            beside = asyncio.create_task(fold(connection, *second))

            async def waits() -> bool:
                return bool(await other.fetchval("select count(*) from pg_locks where not granted"))

            await until(waits)
            await transaction.commit()
            await beside
            assert [tuple(row) for row in await connection.fetch("select version, accepted from decision order by seq")] == [
                (1, True), (1, True), (2, False), (2, False)]
            assert [row["version"] for row in await connection.fetch("select version from award")] == [1, 1]


async def test_a_record_that_is_no_decision_has_no_effect_and_stops_nobody(connection: "Connection[asyncpg.Record]") -> None:
    odd: list[dict[str, Any]] = [
        {}, {"identity": ADA}, decision_body(ADA, "abolished", NOW), decision_body(ADA, "issued", NOW, n=2**40), decision_body(ADA, "issued", NOW, k=0),
        {**decision_body(ADA, "issued", NOW), "known_at": "yesterday"}, {**decision_body(ADA, "issued", NOW), "id": "7"}]
    records = [record_at(kind, body, NOW + number, 0) for number, body in enumerate(odd) for kind in ("decision", "credential.revoked")]
    await apply(connection, LearnersProjection(HASHES), [*records, decided(10, "issued")])

    assert await ledger(connection) == [("issued", 1, 1, True)]


async def test_a_reason_with_a_nul_is_kept_without_it(connection: "Connection[asyncpg.Record]") -> None:
    await fold(connection, decided(10, "issued", reason="a\0b"))

    assert await connection.fetchval("select reason from decision") == "a\ufffdb"
    assert await connection.fetchval("select body ->> 'reason' from decision") == "a\ufffdb"


async def test_a_decision_under_way_is_told_where_it_was_folded_first(connection: "Connection[asyncpg.Record]") -> None:
    id_, other = uuid4(), uuid4()
    await connection.execute("insert into tenant (name) values ('default')")
    for each in (id_, other):
        await connection.execute("insert into under_way (tenant_id, id, ifis, key, partition, value) values (1, $1, '{}', '', 0, '')", each)

    await fold(connection, decided(10, "issued", id=str(id_)), decided(20, "issued", id=str(id_)))

    folded = {row["id"]: row["folded"] for row in await connection.fetch("select id, folded from under_way")}
    assert folded == {id_: seq_of(NOW + 10, 0), other: None}


async def test_partitions_folded_in_any_turns_make_the_same_ledger(connection: "Connection[asyncpg.Record]") -> None:
    people = [ADA, BO]
    of: list[list[At]] = [[], []]
    for partition, who in enumerate(people):
        for number, (state, n, k) in enumerate([("issued", 1, 1), ("issued", 1, 1), ("revoked", 1, 2), ("updated", 1, 2), ("issued", 2, 1), ("expired", 2, 2)]):
            of[partition].append(decided(
                100 * number + partition, state, who, partition, n=n, k=k, credential=str(UUID(int=n, version=4)), id=str(UUID(int=number, version=4))))
    found = []
    for runs in ([of[0] + of[1]], [of[0], of[1]], [[each] for each in of[1] + of[0]], [of[1][:3] + of[0][:2], of[0][2:] + of[1][3:]]):
        await connection.execute("delete from decision; delete from award; delete from revocation")
        for run in runs:
            await apply(connection, LearnersProjection(HASHES), run)
        found.append(await dump(connection))

    assert found[0]["award"]
    assert all(each == found[0] for each in found)
