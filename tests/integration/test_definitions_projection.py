"""The table of definitions beside the statements: what is known is not written again, what was lost is, and runs that define the same things go on together."""
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from services.projector.projections.statements_definitions import DAY_US, Definitions
from services.projector.run import StatementAt
from services.runtime.postgres import connect
from tests.folding import authority, statement_at

LMS = authority("lms@example.org", "define")


def defining(*names: str, stored: int, partition: int = 0) -> StatementAt:
    """Return a statement that defines activities of these names."""
    others = [{"id": f"https://example.org/{name}", "definition": {"name": {"en": name}}} for name in names]
    return statement_at(
        {"id": str(uuid4()), "actor": {"mbox": "mailto:ada@example.org"}, "verb": {"id": "https://example.org/v"}, "object": {"id": "https://example.org/o"},
         "context": {"contextActivities": {"other": others}}}, stored, partition, LMS)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    conn = await connect(dsn, search_path="statements_1, testamur")
    try:
        yield conn
    finally:
        await conn.close()


async def fold(conn: Any, definitions: Definitions, items: Sequence[StatementAt]) -> None:
    async with conn.transaction():
        await definitions.fold(conn, items)


async def test_a_definition_sent_again_on_its_day_is_neither_written_nor_looked_up(database: str) -> None:
    definitions = Definitions()
    async with connected(database) as conn:
        rows = "select *, xmin::text from definition"
        await fold(conn, definitions, [defining("a", stored=1)])
        first = await conn.fetch(rows)
        await fold(conn, definitions, [defining("a", stored=2)])  # is met in the table, and remembered
        asked: list[str] = []
        with conn.query_logger(lambda query: asked.append(query.query)):
            await definitions.fold(conn, [defining("a", stored=3), defining("a", stored=DAY_US - 1)])
        assert asked == []
        assert await conn.fetch(rows) == first
        await fold(conn, definitions, [defining("a", stored=DAY_US)])
        assert [(row["day"], row["seq"]) for row in await conn.fetch(rows)] == [(1, 1 << 8)]


async def test_what_a_crash_of_postgres_took_back_is_written_again_though_it_was_known(database: str) -> None:
    definitions = Definitions()
    sent = [[defining("a", stored=1)], [defining("a", "b", stored=2)]]
    async with connected(database) as conn:
        for run in (*sent, *sent):
            await fold(conn, definitions, run)
        before = await conn.fetch("select * from definition")
        await conn.execute("truncate statements_1.definition")  # its commits do not wait for the disk
        definitions.forget()
        for run in sent:
            await fold(conn, definitions, run)
        assert await conn.fetch("select * from definition") == before


async def test_runs_that_define_the_same_things_at_once_in_any_order_wait_for_each_other_and_agree(database: str) -> None:
    names = [f"a/{number}" for number in range(40)]

    async def work(partition: int) -> None:
        definitions = Definitions()
        async with connected(database) as conn:
            for day in range(8):
                items = [defining(*names[::(-1) ** partition], stored=day * DAY_US + partition, partition=partition)]
                await fold(conn, definitions, items)

    async with asyncio.timeout(20):
        await asyncio.gather(*(work(partition) for partition in range(4)))
    async with connected(database) as conn:
        assert [tuple(row) for row in await conn.fetch("select day, seq, count(*) from definition group by 1, 2")] == [(7, 0, len(names))]
