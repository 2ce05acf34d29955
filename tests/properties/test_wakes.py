"""Nothing that changes what is known of somebody goes unnoticed: in whatever order records are folded, each instant at which it changes is a due."""
import asyncio
import os
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.timeline import stored_of
from services.projector.projections.learners import LearnersProjection
from tests.folding import HASHES, apply, clear, folding, record_at
from tests.ledger_bodies import programme_body
from tests.properties.records import ACTIVITIES, NOW, record_sets

pytestmark = pytest.mark.timeout(1800 if os.environ.get("TESTAMUR_SOAK") else 300)
MANY = 500 if os.environ.get("TESTAMUR_SOAK") else 30
READS_ALL = programme_body(requires={"any": [{"statement": {"activity": activity}} for activity in ACTIVITIES]})
Known = dict[UUID, frozenset[tuple[UUID, int]]]


class Tables:
    """What the tables say of evidence, in instants."""

    def __init__(self, rows: list[asyncpg.Record], assurances: list[asyncpg.Record]) -> None:
        self.rows = [(row["statement_id"], row["ifi"], stored_of(row["seq"]), _instant(row["voided"])) for row in rows]
        self.ends = {row["statement_id"]: _instant(row["voided"]) for row in rows}
        self.assurances = [(row["target"], row["assuring"], stored_of(row["seq"]), row["level"]) for row in assurances]

    def known(self, now: int) -> Known:
        """Return the standing statements about each IFI and how well each was assured, as known at an instant."""
        found: dict[UUID, set[tuple[UUID, int]]] = {}
        for statement, ifi, stored, voided in self.rows:
            if ifi is not None and stored <= now < voided:
                levels = [level for target, assuring, since, level in self.assurances if target == statement and since <= now < self.ends[assuring]]
                found.setdefault(ifi, set()).add((statement, max(levels, default=0)))
        return {ifi: frozenset(each) for ifi, each in found.items()}


def _instant(seq: int | None) -> int:
    return 2**63 if seq is None else stored_of(seq)


@settings(max_examples=MANY, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_each_instant_at_which_something_is_known_of_an_ifi_is_a_due_of_it(database: str, data: st.DataObject) -> None:
    records = data.draw(record_sets(links=False))
    order = data.draw(st.permutations(records))

    async def work() -> None:
        projection = LearnersProjection(HASHES)
        async with folding(database, projection) as connection:
            await clear(connection)
            await connection.execute("delete from wake; delete from sweep")
            await apply(connection, projection, [record_at("programme.published", READS_ALL, NOW - 10, 0)])
            for record in order:
                await apply(connection, projection, [record])
            dues = {(row["ifi"], row["due"]) for row in await connection.fetch("select ifi, due from wake where key not in (0, -1)")}
            tables = Tables(await connection.fetch("select * from evidence where seq < 9223372036854775807"), await connection.fetch("select * from assurance"))
        before: Known = {}
        for now in range(NOW, NOW + len(records) + 1):
            known = tables.known(now)
            for ifi in known.keys() | before.keys():
                assert known.get(ifi) == before.get(ifi) or (ifi, now) in dues
            before = known

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(work())
