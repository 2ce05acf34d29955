"""The fold of programmes: which publications count, retirements, and the sweeps by which everybody is evaluated again."""
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio

from services.core.keys import key128
from services.core.rules.language import parse
from services.core.rules.wake_keys import key_of_programme, keys_of
from services.core.timeline import rfc3339, seq_of
from services.projector.projections.learners import LearnersProjection
from tests.folding import HASHES, At, apply, course_at, dump, folding, record_at
from tests.ledger_bodies import COURSE, iri_of, programme_body, retirement_body

Connection = asyncpg.Connection
NOW = 217_000_000_000_000


@pytest_asyncio.fixture
async def connection(database: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
    async with folding(database, LearnersProjection(HASHES)) as conn:
        yield conn


def published(number: int, body: dict[str, Any] | None = None, *, partition: int = 0, **members: Any) -> At:
    return record_at("programme.published", body or programme_body(**members), NOW + number, partition, "lrs:manage")


def retired(number: int, slug: str = "welding", partition: int = 0) -> At:
    return record_at("programme.retired", retirement_body(slug), NOW + number, partition, "lrs:manage")


async def fold(connection: "Connection[asyncpg.Record]", *runs: list[At]) -> None:
    for run in runs:
        await apply(connection, LearnersProjection(HASHES), run)


async def sweeps(connection: "Connection[asyncpg.Record]") -> list[tuple[int, Any, Any]]:
    rows = await connection.fetch("select due, keys, activities from sweep order by id")
    return [(row["due"] - NOW, row["keys"], row["activities"]) for row in rows]


@pytest.mark.parametrize("together", [True, False])
async def test_a_version_counts_if_it_is_above_those_that_count_before_it(connection: "Connection[asyncpg.Record]", together: bool) -> None:
    versions = [("welding", 2), ("welding", 2), ("crane", 1), ("welding", 1), ("welding", 5), ("welding", 4)]
    records = [published(number, slug=slug, version=version, partition=int(slug == "crane")) for number, (slug, version) in enumerate(versions)]
    await fold(connection, *([records] if together else [[record] for record in records]))

    rows = await connection.fetch("select slug, version, accepted, keys from programme order by seq")
    assert [tuple(row)[:3] for row in rows] == [
        ("welding", 2, True), ("welding", 2, False), ("crane", 1, True), ("welding", 1, False), ("welding", 5, True), ("welding", 4, False)]
    assert [bool(row["keys"]) for row in rows] == [True, False, True, False, True, False]


async def test_a_publication_is_kept_with_all_that_is_asked_of_it(connection: "Connection[asyncpg.Record]") -> None:
    body = programme_body(requires={"all": [{"statement": {"verb": "passed", "activity": COURSE}}, {"cmi5": {"course": "https://a.example.org/unit"}}]},
                          effective="2031-01-01T00:00:00Z")
    await fold(connection, [published(0, body)])

    [row] = await connection.fetch("select * from programme")
    assert (row["iri"], row["slug"], row["title"], row["rule"], row["retired"]) == (iri_of("welding"), "welding", "Welding", body["rule"], None)
    assert rfc3339(row["effective"]) == "2031-01-01T00:00:00.000000Z"
    assert orjson.loads(row["body"]) == body
    assert row["courses"] == [key128("https://a.example.org/unit")]
    assert set(row["keys"]) == keys_of(parse(orjson.dumps(body["programme"])), {})
    assert len(row["award_keys"]) == 1 + 3  # its achievement, and the names of its issuer


async def test_what_cannot_be_read_does_not_count_and_stops_nobody(connection: "Connection[asyncpg.Record]") -> None:
    broken = programme_body(version=9, requires={"oracle": {}})
    await fold(connection, [published(0, broken), record_at("programme.published", {"iri": 7}, NOW + 1, 0), published(2), published(3, version=2**40)])

    assert [tuple(row) for row in await connection.fetch("select version, accepted from programme order by seq")] == [
        (9, False), (1, True), (2**31 - 1, False)]
    assert len(await sweeps(connection)) == 1


async def test_a_retirement_ends_what_was_published_before_it_and_nothing_after(connection: "Connection[asyncpg.Record]") -> None:
    await fold(connection, [published(0), published(1, slug="crane")], [published(2, version=2), retired(3), retired(4)])
    await fold(connection, [published(5, version=3)], [retired(6)])

    rows = await connection.fetch("select slug, version, retired from programme order by seq")
    assert [tuple(row) for row in rows] == [
        ("welding", 1, seq_of(NOW + 3, 0)), ("crane", 1, None), ("welding", 2, seq_of(NOW + 3, 0)), ("welding", 3, seq_of(NOW + 6, 0))]


async def test_runs_make_the_rows_that_one_run_makes(connection: "Connection[asyncpg.Record]") -> None:
    records = [published(0), published(1, version=3), retired(2), published(3, version=2), published(4, version=4), retired(5), published(6, version=9)]
    found = []
    for runs in ([records], [[each] for each in records], [records[:3], records[3:]], [records[3:], records[:3]], [[each] for each in reversed(records)]):
        await connection.execute("delete from programme; delete from retirement")
        await fold(connection, *runs)
        found.append((await dump(connection))["programme"])

    assert all(each == found[0] for each in found)


async def test_a_publication_that_comes_late_is_judged_where_it_was_stored_and_what_changes_sweeps(connection: "Connection[asyncpg.Record]") -> None:
    welding = key_of_programme(iri_of("welding"))
    await fold(connection, [published(10, version=2)], [retired(15)], [published(20, version=3)], [published(30, version=7)])
    await connection.execute("delete from sweep")

    await fold(connection, [published(5, version=5, partition=1)])

    rows = await connection.fetch("select version, accepted, title, keys, retired from programme order by seq")
    assert [tuple(row)[:3] for row in rows] == [(5, True, "Welding"), (2, False, ""), (3, False, ""), (7, True, "Welding")]
    assert [bool(row["keys"]) for row in rows] == [True, False, False, True]
    assert [row["retired"] for row in rows] == [seq_of(NOW + 15, 0), seq_of(NOW + 15, 0), None, None]
    assert await sweeps(connection) == [(20, [welding], [])]

    await fold(connection, [retired(12, partition=1)])
    assert [row["retired"] for row in await connection.fetch("select retired from programme order by seq")][:3] == [
        seq_of(NOW + 12, 1), seq_of(NOW + 12, 1), None]


async def test_everybody_is_evaluated_again_for_what_was_published_retired_or_described(connection: "Connection[asyncpg.Record]") -> None:
    welding, crane = key_of_programme(iri_of("welding")), key_of_programme(iri_of("crane"))
    await fold(connection, [published(0, slug="crane", requires={"cmi5": {"course": COURSE}}), published(1)])
    assert await sweeps(connection) == [(1, sorted([crane, welding]), [])]

    await fold(connection, [published(2)], [retired(3)])  # the first does not count
    assert (await sweeps(connection))[1:] == [(3, [welding], [])]

    await fold(connection, [course_at({"id": COURSE}, NOW + 4, 0), course_at({"id": "https://a.example.org/other"}, NOW + 5, 0)])
    assert (await sweeps(connection))[2:] == [(5, [crane], sorted([key128(COURSE), key128("https://a.example.org/other")]))]


async def test_a_sweep_waits_for_all_that_was_folded_before_it_and_one_more_for_the_day_the_version_comes_into_force(
    connection: "Connection[asyncpg.Record]",
) -> None:
    key = key_of_programme(iri_of("welding"))
    for partition, stored in enumerate((NOW + 50, NOW + 70)):
        await connection.execute(
            "insert into projection_cursor (name, version, partition, log_id, last_stored) values ('learners', 1, $1, $2, $3)", partition, uuid4(), stored)
    await fold(
        connection, [published(10)], [published(11, version=2, effective=rfc3339(NOW + 60))], [published(80, version=3, effective=rfc3339(NOW + 10**12))])

    assert await sweeps(connection) == [(70, [key], []), (70, [key], []), (80, [key], []), (10**12, [key], [])]


async def test_a_version_that_is_not_in_use_sweeps_nobody(connection: "Connection[asyncpg.Record]") -> None:
    await connection.execute("update projection set state = 'building' where name = 'learners'")
    await fold(connection, [published(0)], [course_at({"id": COURSE}, NOW + 4, 0)])

    assert await sweeps(connection) == []
    assert await connection.fetchval("select count(*) from programme") == 1
