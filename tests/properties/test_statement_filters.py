"""GET /xapi/statements gives what a filter by hand gives: for any statements, in any order of arrival and any partitions, and for any question."""
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.timeline import rfc3339, seq_of
from services.runtime.migrate import VIEWS
from services.runtime.postgres import connect
from services.web import create_app
from tests.integration.api_service import STATEMENTS
from tests.integration.folding import fold_statements
from tests.integration.projecting import AUTHORITY, OTHER_AUTHORITY, record
from tests.reference_filter import VOIDED, Query, Said, answer
from tests.servers.in_process import Web, settings_for, web_process
from tests.servers.postgres import run_now

IDS = [str(UUID(int=number)) for number in range(1, 9)]
REGISTRATIONS = [str(UUID(int=number)) for number in (101, 102)]
VERBS = ["https://example.org/verbs/did", "https://example.org/verbs/read"]
ACTIVITIES = [f"https://example.org/activity/{name}" for name in "abc"]
PEOPLE: tuple[dict[str, Any], ...] = ({"mbox": "mailto:ada@example.org"}, {"account": {"homePage": "https://home.example.org", "name": "bob"}}, {"openid": "https://eve.example.org/"})
ADA, BOB, EVE = PEOPLE
TEAM = {"objectType": "Group", "mbox": "mailto:team@example.org", "member": [BOB]}
CROWD = {"objectType": "Group", "member": [ADA, EVE]}
OAUTH = {"objectType": "Group", "member": [EVE, {"mbox": "mailto:app@example.org"}]}
CURSOR = "insert into projection_cursor (name, version, partition, log_id, last_stored) values ('statements', 1, 0, gen_random_uuid(), $1)"
PLACES = ("parent", "grouping", "category", "other")

agents = st.sampled_from(PEOPLE)
actors = st.sampled_from([ADA, BOB, EVE, TEAM, CROWD])
activities = st.sampled_from(ACTIVITIES).map(lambda iri: {"id": iri})
refs = st.sampled_from(IDS).map(lambda id_: {"objectType": "StatementRef", "id": id_})
groups = st.sampled_from([TEAM, CROWD])
contexts = st.fixed_dictionaries({}, optional={
    "registration": st.sampled_from(REGISTRATIONS), "instructor": actors, "team": groups,
    "contextActivities": st.dictionaries(st.sampled_from(PLACES), st.one_of(activities, st.lists(activities, min_size=1, max_size=2)), max_size=2),
    "contextAgents": st.lists(agents.map(lambda agent: {"objectType": "contextAgent", "agent": agent}), max_size=1),
    "contextGroups": st.lists(groups.map(lambda group: {"objectType": "contextGroup", "group": group}), max_size=1),
})
about = st.one_of(activities, agents.map(lambda agent: {**agent, "objectType": "Agent"}), groups)
substatements = st.builds(
    lambda actor, verb, object_, context: {"objectType": "SubStatement", "actor": actor, "verb": {"id": verb}, "object": object_, "context": context},
    actors, st.sampled_from(VERBS), st.one_of(about, refs), contexts)
plain = st.builds(
    lambda id_, actor, verb, object_, context: {"id": id_, "actor": actor, "verb": {"id": verb}, "object": object_, "context": context},
    st.sampled_from(IDS), actors, st.sampled_from(VERBS), st.one_of(about, refs, refs, refs, substatements), contexts)
voids = st.builds(lambda id_, actor, target: {"id": id_, "actor": actor, "verb": {"id": VOIDED}, "object": target}, st.sampled_from(IDS), agents, refs)
sent = st.tuples(
    st.integers(0, 2), st.lists(st.one_of(plain, plain, plain, voids), min_size=1, max_size=3),
    st.sampled_from([AUTHORITY, AUTHORITY, OTHER_AUTHORITY, OAUTH]), st.booleans())
Sent = tuple[int, list[dict[str, Any]], dict[str, Any], bool]


def copies_of(history: list[Sent]) -> list[Said]:
    """Return every statement sent, in its place: record n is stored from 1000 (n + 1) on."""
    return [Said(doc["id"], seq_of(1000 * (n + 1) + idx, partition), doc, authority, may_void)
            for n, (partition, docs, authority, may_void) in enumerate(history) for idx, doc in enumerate(docs)]


def query_of(chance: Random, last: int) -> Query:
    """Return a random question of few filters, so that most have an answer."""
    bounds = [seq_of(1000 * n + more, 255) for n in range(1, last + 1) for more in range(3)]
    values: dict[str, list[Any]] = {
        "agent": [ADA, BOB, EVE, TEAM, AUTHORITY, OTHER_AUTHORITY], "verb": [*VERBS, VOIDED], "activity": ACTIVITIES, "registration": REGISTRATIONS,
        "since": bounds[:len(bounds) // 2 + 1], "until": bounds[len(bounds) // 2:]}
    chosen = chance.sample(sorted(values), chance.choice([0, 1, 1, 1, 2, 2, 3]))
    given: dict[str, Any] = {name: chance.choice(values[name]) for name in chosen}
    given |= {name: chance.random() < 0.5 for name in ("related_agents", "related_activities", "ascending")}
    return Query(**given, mine=AUTHORITY if chance.random() < 0.4 else None)


def params_of(query: Query) -> dict[str, str]:
    """Return the parameters that ask it."""
    params = {
        "agent": None if query.agent is None else orjson.dumps(query.agent).decode(),
        "verb": query.verb, "activity": query.activity, "registration": query.registration,
        "since": None if query.since is None else rfc3339(query.since >> 8), "until": None if query.until is None else rfc3339(query.until >> 8),
        **{name: "true" if getattr(query, name) else None for name in ("related_agents", "related_activities", "ascending")},
    }
    return {name: value for name, value in params.items() if value is not None}


async def ids_of(web: Web, key: tuple[str, str], params: dict[str, str]) -> list[str]:
    """Return what a list gives, all pages of it."""
    client, found, path = web.client(key), [], STATEMENTS
    while path:
        reply = await client.get(path, params=params or None)
        assert reply.status_code == 200, reply.text
        found += [each["id"] for each in reply.json()["statements"]]
        path, params = reply.json()["more"], {}
    await client.aclose()
    return found


async def ask(dsn: str, folder: Path, batches: list[list[Any]], history: list[Sent], chance: Random) -> None:
    """Fold and ask a few questions, as of some moment."""
    conn = await connect(dsn)
    await conn.execute("truncate " + ", ".join(f"statements_1.{table}" for table in VIEWS["statements"].values()))
    through = chance.choice([1000 * (len(history) + 1), 1000 * chance.randint(1, len(history)) + 1])
    await conn.execute("delete from projection_cursor")
    await conn.execute(CURSOR, through)
    await conn.close()
    await fold_statements(dsn, *batches)
    copies = copies_of(history)
    async with web_process(settings_for(folder), dsn) as web:
        web.app = create_app(web.state)
        everything = await web.key("statements/read")
        mine = await web.key("statements/write", "statements/read/mine", name="mine", authority=AUTHORITY)
        for _ in range(16):
            query = query_of(chance, len(history))
            limit = {"limit": str(chance.choice([0, 1, 2]))}
            found = await ids_of(web, everything if query.mine is None else mine, params_of(query) | limit)
            assert found == answer(copies, query, seq_of(through, 255)), query


@pytest.mark.timeout(240)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(sent, min_size=4, max_size=10), seed=st.integers(0, 2**32))
def test_any_question_about_any_statements_however_they_arrived_is_answered_as_by_hand(
    database: str, tmp_path: Path, history: list[Sent], seed: int,
) -> None:
    chance = Random(seed)
    records = [
        record(partition, *map(orjson.dumps, docs), authority=authority, scopes=("lrs:void",) if may_void else ("statements/write",), stored=1000 * (n + 1))
        for n, (partition, docs, authority, may_void) in enumerate(history)]
    queues = {partition: [one for one in records if one.partition == partition] for partition in range(3)}
    batches: list[list[Any]] = []
    while any(queues.values()):
        queue = chance.choice([queue for queue in queues.values() if queue])
        cut = chance.randint(1, len(queue))
        batches.append(queue[:cut])
        del queue[:cut]
    run_now(lambda: ask(database, tmp_path, batches, history, chance))
