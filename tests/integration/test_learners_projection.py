"""The learners projection on a real Postgres: worlds come out as their truth says, links part again, trust is in the record, big pairs stay right."""
import random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from services.core.actor import identity, ifi
from services.core.search_text import matches
from services.core.timeline import NO_SEQ
from services.core.transcript import finish, unpack_line
from services.projector.projections import learners_blocks
from services.projector.projections.learners import LearnersProjection
from services.projector.run import StatementAt
from services.runtime.failpoint import FAILPOINTS, FailpointHit
from tests import reference_fold
from tests.folding import HASHES, TENANT, At, apply, authority, clear, copies_of, course_at, dump, folding, link_at, links_of, run_of, statement_at, transcripts
from tests.worlds import World, truth_of, world

Connection = asyncpg.Connection
STORED = 217_000_000_000_000
LMS, REGISTRAR = authority("lms@example.org"), authority("registrar@example.org", "lrs:void", "lrs:assure")
ADA, EDX = {"mbox": "mailto:ada@example.org", "name": "Ada"}, {"account": {"homePage": "https://edx.example.org", "name": "7"}}
COURSE = "https://a.example.org/course"
ADL = "http://adlnet.gov/expapi/verbs/"


def told(actor: dict[str, Any], verb: str, **members: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "actor": actor, "verb": {"id": verb if ":" in verb else ADL + verb}, "object": {"id": COURSE}, **members}


def about(statement: dict[str, Any]) -> dict[str, Any]:
    return {"objectType": "StatementRef", "id": statement["id"]}


def placed(*statements: tuple[dict[str, Any], Any], start: int = STORED) -> list[At]:
    return [statement_at(statement, start + number, 0, by) for number, (statement, by) in enumerate(statements)]


async def lines(connection: "Connection[asyncpg.Record]") -> list[tuple[str, int, int]]:
    """Return (status, identity level, evidence) of every entry."""
    found = [unpack_line(row["line"]) for row in await connection.fetch("select line from entry order by first_at")]
    return [(line.status, line.level, line.evidence) for line in found]


def records_of(found: World, seed: int) -> list[At]:
    """Return a world as records in two partitions, its links and courses among them, in an order of folding that is not that of the log."""
    records: list[At] = [statement_at(each, STORED + number, number % 2, LMS) for number, each in enumerate(found.accepted)]
    records += [link_at(UUID(int=number + 1, version=4), (each["a"], each["b"]), STORED + 10**6 + number, 0) for number, each in enumerate(found.links)]
    records += [course_at(each, STORED + 2 * 10**6 + number, 1) for number, each in enumerate(found.courses)]
    random.Random(seed).shuffle(records)
    return records


@pytest.mark.parametrize("arguments", [(1, 2500), (4, 1200, "CCC", "GGG")])
async def test_a_shuffled_world_comes_out_as_its_truth_and_the_reference_fold_say(database: str, arguments: tuple[Any, ...]) -> None:
    found = world(*arguments)
    records = records_of(found, seed=7)
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        for start in range(0, len(records), 700):
            await apply(connection, projection, records[start:start + 700])

        learner_of = {row["key"]: row["learner"] for row in await connection.fetch("select key, learner from ifi")}
        entries = {(row["learner"], row["iri"]): row for row in await connection.fetch(
            "select learner, activity.iri, line, body from entry join activity on key = activity left join course on course.activity = entry.activity")}
        agents = {person["person"]: person["identifiers"] for person in found.persons}
        for result in found.results:
            who = identity(ifi(agents[result["person"]][result["platform"]]) or "") or ""
            row = entries[learner_of[HASHES.ifi(TENANT, who)], result["course"]]
            entry = finish(unpack_line(row["line"]), orjson.loads(row["body"]))
            statuses, *expected = truth_of(result)
            assert entry["status"] in statuses
            assert [entry["grade"], entry["score"]["best"], entry["credits"]] == expected
        said, expected_said = await transcripts(connection), reference_fold.fold(copies_of(records), links_of(records))
        assert said.entries == expected_said.entries
        assert (said.people, said.names, said.activities) == (expected_said.people, expected_said.names, expected_said.activities)


async def test_a_link_joins_two_transcripts_and_its_unlink_parts_them_again(database: str) -> None:
    link = uuid4()
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, placed((told(ADA, "registered"), LMS), (told(EDX, "passed"), LMS)))
        await connection.execute("update ifi set linked = true")  # as a link leaves them for good
        apart = await dump(connection)
        await apply(connection, projection, [link_at(link, (ADA, EDX), STORED + 10, 0)])
        assert await lines(connection) == [("passed", 0, 2)]
        await apply(connection, projection, [link_at(link, None, STORED + 20, 0)])
        again = await dump(connection)

    assert {table: rows for table, rows in again.items() if table != "link"} == {table: rows for table, rows in apart.items() if table != "link"}


async def test_a_link_from_a_record_without_the_scope_joins_nobody(database: str) -> None:
    record = link_at(uuid4(), (ADA, EDX), STORED + 10, 0)
    record.envelope.scopes.clear()
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, [*placed((told(ADA, "registered"), LMS), (told(EDX, "passed"), LMS)), record])

        assert await connection.fetchval("select count(*) from learner") == 2


async def test_a_link_with_a_placeholder_joins_nobody(database: str) -> None:
    unknown = {"mbox": "mailto:unknown@example.com"}
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, [link_at(uuid4(), (ADA, unknown), STORED, 0), link_at(uuid4(), (EDX, unknown), STORED + 1, 0)])

        assert await connection.fetchval("select count(*) from learner") == 2


async def test_an_assurance_counts_until_it_is_voided_itself_in_any_order(database: str) -> None:
    passed = told(ADA, "passed")
    verified = told(EDX, "https://w3id.org/xapi/tla/verbs/verified", object=about(passed))
    voided = told(EDX, "voided", object=about(verified))
    records = placed((passed, LMS), (verified, REGISTRAR), (voided, REGISTRAR))
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        for record, expected in zip(records, ([("passed", 0, 1)], [("passed", 2, 1)], [("passed", 0, 1)]), strict=True):
            await apply(connection, projection, [record])
            assert await lines(connection) == expected
        forward = await dump(connection)
        await connection.execute("truncate ifi, learner, evidence, void, assurance, activity, entry")
        for record in reversed(records):
            await apply(connection, projection, [record])

        assert await dump(connection) == forward


async def test_an_assurance_from_a_record_without_the_scope_has_no_effect(database: str) -> None:
    passed = told(ADA, "passed")
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, placed((passed, LMS), (told(EDX, "https://w3id.org/xapi/tla/verbs/verified", object=about(passed)), LMS)))

        assert await lines(connection) == [("passed", 0, 1)]


async def test_anothers_statement_is_voided_only_by_a_record_with_the_scope(database: str) -> None:
    passed = told(ADA, "passed")
    other = authority("other@example.org")
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, placed((passed, LMS), (told(EDX, "voided", object=about(passed)), other)))
        assert await lines(connection) == [("passed", 0, 1)]
        await apply(connection, projection, placed((told(EDX, "voided", object=about(passed)), REGISTRAR), start=STORED + 5))
        assert await lines(connection) == []


async def test_an_earlier_copy_takes_the_place_of_a_later_one_with_all_it_did(database: str) -> None:
    passed = told(ADA, "passed")
    void = told(EDX, "voided", object=about(passed))
    instead = told(EDX, "completed", id=void["id"])
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, placed((passed, LMS), (void, LMS), start=STORED + 10))
        assert await lines(connection) == []
        await apply(connection, projection, placed((instead, LMS)))

        assert sorted(await lines(connection)) == [("completed", 0, 1), ("passed", 0, 1)]
        assert await connection.fetchval("select count(*) from void") == 0


async def test_the_target_of_a_void_waits_as_a_phantom(database: str) -> None:
    passed = told(ADA, "passed")
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, placed((told(EDX, "voided", object=about(passed)), LMS)))

        assert await connection.fetchval("select seq from evidence where statement_id = $1", UUID(passed["id"])) == NO_SEQ


@pytest.mark.parametrize("most_rows", [256, 8])
async def test_a_pair_that_outgrows_many_blocks_says_what_one_fold_of_all_its_rows_says(database: str, most_rows: int) -> None:
    chance = random.Random(3)
    verbs = ["attempted", "experienced", "completed", "failed"]
    statements = [(told(ADA, chance.choice(verbs), timestamp=f"2026-01-{1 + chance.randrange(28):02}T00:00:00Z"), LMS) for _ in range(1200)]
    voids = [(told(EDX, "voided", object=about(statement)), LMS) for statement, _ in chance.sample(statements, 60)]
    records = placed(*statements, *voids)
    chance.shuffle(records)
    projection = LearnersProjection(HASHES, most_rows=most_rows)
    async with folding(database, projection) as connection:
        for start in range(0, len(records), 90):
            await apply(connection, projection, records[start:start + 90])

        assert (await transcripts(connection)).entries == reference_fold.fold(copies_of(records)).entries
        blocks = await connection.fetch("select n from block")
        assert sum(block["n"] for block in blocks) == len(statements)
        assert max(block["n"] for block in blocks) <= learners_blocks.largest(len(statements), most_rows)
        assert len(blocks) <= 4 * len(statements) / learners_blocks.largest(len(statements), most_rows)


async def test_one_more_statement_about_a_big_pair_reads_one_block_of_it(database: str) -> None:
    at = [f"2026-01-01T00:{minute:02}:{second:02}Z" for minute in range(50) for second in range(60)]
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        records = placed(*((told(ADA, "experienced", timestamp=time), LMS) for time in at))
        await apply(connection, projection, records[:-1])
        before = await _rows_read(connection)
        await apply(connection, projection, records[-1:])

        assert await _rows_read(connection) - before < 2 * 256 + 50
        assert await lines(connection) == [("attempted", 0, len(at))]


async def _rows_read(connection: "Connection[asyncpg.Record]") -> int:
    await connection.execute("select pg_stat_force_next_flush()")
    return int(await connection.fetchval("select idx_tup_fetch + seq_tup_read from pg_stat_user_tables where relid = 'learners_1.evidence'::regclass"))


async def test_people_are_searched_by_the_last_name_they_were_given_and_by_their_mailbox(database: str) -> None:
    projection = LearnersProjection(HASHES)
    sum_of = (identity("mbox:mailto:ada@example.org") or "").removeprefix("sha1:")
    before, later = ({"mbox_sha1sum": sum_of, "name": name} for name in ("Åda Byron", "Åda Lovelace"))
    statements = placed((told(before, "passed"), LMS), (told(ADA, "failed"), LMS), (told(later, "passed"), LMS))
    async with folding(database, projection) as connection:
        for record in statements:
            await apply(connection, projection, [record])
        row = await connection.fetchrow("select * from ifi")

    assert row is not None
    assert (row["name"], row["has_mbox"], orjson.loads(row["agent"])["mbox"]) == ("Åda Lovelace", True, ADA["mbox"])
    assert matches(row["folded"], "ada lovelace ada@example.org")


async def test_every_description_of_a_course_is_kept(database: str) -> None:
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, [course_at({"id": COURSE, "credits": 3}, STORED, 0), course_at({"id": COURSE, "credits": 5}, STORED + 1, 0)])

        assert [orjson.loads(row["body"])["credits"] for row in await connection.fetch("select body from course order by seq")] == [3, 5]


async def test_statements_folded_one_by_one_in_one_transaction_end_as_they_do_in_one_run(database: str) -> None:
    stands, target = told(ADA, "failed"), told(ADA, "passed")
    void = told(EDX, "voided", object=about(target))
    before = placed((stands, LMS), (void, LMS))
    copy, other = {**stands, "verb": {"id": ADL + "passed"}}, told(ADA, "passed")
    again = placed((copy, LMS), (target, LMS), (other, LMS), start=STORED + 10)  # a copy that loses, then the target of a void
    projection = LearnersProjection(HASHES)
    async with folding(database, projection) as connection:
        await apply(connection, projection, before)
        async with connection.transaction():
            for record in again:
                async with connection.transaction():
                    await projection.apply(connection, run_of([record]))
        one_by_one = await dump(connection)
        await clear(connection)
        await apply(connection, projection, before)
        await apply(connection, projection, again)
        assert await dump(connection) == one_by_one


async def test_a_statement_that_cannot_be_folded_raises_and_its_actor_is_to_blame(database: str) -> None:
    record = placed((told(ADA, "passed"), LMS))[0]
    projection = LearnersProjection(HASHES)
    FAILPOINTS.arm("learners.extract=error")
    try:
        async with folding(database, projection) as connection:
            with pytest.raises(FailpointHit):
                await apply(connection, projection, [record])
            assert await connection.fetchval("select count(*) from evidence") == 0
    finally:
        FAILPOINTS.arm(None)

    assert isinstance(record, StatementAt)
    assert projection.blame(record) == HASHES.ifi(TENANT, identity("mbox:mailto:ada@example.org") or "")
