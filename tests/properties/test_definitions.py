"""Definitions of activities are determined by the set of statements sent with the right to define: any order, any runs, and repetition give the same rows,
and what is read of them is the last word on each member.
"""
from collections.abc import Sequence
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.definitions import merged, text_of
from services.core.json_members import joined
from services.core.keys import key128
from services.core.timeline import seq_of
from services.projector.projections.statements_definitions import DAY_US
from services.runtime.log import NewRecord
from services.runtime.postgres import connect
from tests.integration.folding import fold_statements
from tests.integration.projecting import record, statement
from tests.servers.postgres import run_now

IRIS = ["https://example.org/a", "https://example.org/b"]
Row = tuple[UUID, int, int, bytes]

definitions = st.fixed_dictionaries({}, optional={
    "name": st.dictionaries(st.sampled_from(["en", "sv"]), st.sampled_from(["1", "2"]), max_size=2), "type": st.sampled_from(["https://e.org/1", "https://e.org/2"]),
    "interactionType": st.sampled_from(["choice", "numeric"]), "correctResponsesPattern": st.sampled_from([["a"], ["1"]])})
activities = st.builds(lambda iri, definition: {"id": iri, "definition": definition}, st.sampled_from(IRIS), definitions)
statements = st.builds(
    lambda id_, one, others: (id_, one, others), st.integers(1, 5), st.one_of(activities, st.sampled_from([{"id": IRIS[0]}])), st.lists(activities, max_size=2))
sent = st.tuples(st.integers(0, 2), statements, st.sampled_from([("define",), ("all",), ("lrs:admin",), ("statements/write", "all/read")]), st.integers(0, 3))


def record_of(number: int, partition: int, said: Any, scopes: Sequence[str], day: int) -> NewRecord:
    """Return a record of one statement, stored on that day."""
    id_, object_, others = said
    raw = statement(UUID(int=id_), object=object_, context={"contextActivities": {"other": others}})
    return record(partition, raw, scopes=scopes, stored=day * DAY_US + number)


def expected(history: list[Any]) -> list[Row]:
    """Return the rows, said the plain way: everything that was defined, with its last day and its first seq."""
    rows: dict[tuple[UUID, bytes], tuple[int, int]] = {}
    for number, (partition, (_, object_, others), scopes, day) in enumerate(history):
        for one in [object_, *others]:
            if "definition" in one and scopes[0] != "statements/write":
                key, seq = (key128(one["id"]), text_of(one["definition"])), seq_of(day * DAY_US + number, partition)
                before = rows.get(key, (day, seq))
                rows[key] = (max(day, before[0]), min(seq, before[1]))
    return sorted((activity, day, seq, text) for (activity, text), (day, seq) in rows.items())


async def folded(dsn: str, batches: Sequence[Sequence[NewRecord]]) -> list[Row]:
    """Fold into empty tables; return what they hold."""
    conn = await connect(dsn)
    try:
        tables = await conn.fetch("select tablename from pg_tables where schemaname = 'statements_1'")
        await conn.execute("".join(f"delete from statements_1.{table[0]};" for table in tables))
        await fold_statements(dsn, *batches)
        return sorted(tuple(row) for row in await conn.fetch("select activity, day, seq, definition from definition"))
    finally:
        await conn.close()


@pytest.mark.timeout(240)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(sent, min_size=1, max_size=8), chance=st.randoms(use_true_random=False))
def test_any_order_any_runs_and_repetition_give_the_same_definitions(database: str, history: list[Any], chance: Random) -> None:
    history = [*history, *chance.choices(history, k=2)]  # sent again
    shuffled = [record_of(number, *one) for number, one in enumerate(history)]
    rows = expected(history)
    chance.shuffle(shuffled)
    cut = chance.randint(0, len(shuffled))
    assert run_now(lambda: folded(database, [[one] for one in shuffled])) == rows
    assert run_now(lambda: folded(database, [shuffled[:cut], shuffled[cut:]])) == rows


@given(st.lists(definitions, min_size=1, max_size=6))
def test_what_is_read_is_the_last_word_on_each_member(sent_in_order: list[dict[str, Any]]) -> None:
    made = orjson.loads(joined(merged([text_of(one) for one in sent_in_order])))
    for tag in ("en", "sv"):
        said = [one["name"][tag] for one in sent_in_order if tag in one.get("name", {})]
        assert made.get("name", {}).get(tag) == (said[-1] if said else None)
    types = [one["type"] for one in sent_in_order if "type" in one]
    assert made.get("type") == (types[-1] if types else None)
    since_typed = next((at for at in reversed(range(len(sent_in_order))) if "interactionType" in sent_in_order[at]), 0)
    patterns = [one["correctResponsesPattern"] for one in sent_in_order[since_typed:] if "correctResponsesPattern" in one]
    assert made.get("correctResponsesPattern") == (patterns[-1] if patterns else None)
