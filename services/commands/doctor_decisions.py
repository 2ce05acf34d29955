"""Decisions evaluated again for `testamur doctor`: each at its own `known_at`, on what was known then, must say what it said."""
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.core.decision import decision_body
from services.core.keys import KeyedHash, key128
from services.runtime.evaluation.catalog import Catalog, Catalogs
from services.runtime.evaluation.judge import Judgement, judge_course, judge_programme
from services.runtime.evaluation.load import COURSE, Course, Person, load_courses, load_facts, load_members, load_people
from services.runtime.evaluation.moment import Moment, Rows
from services.runtime.postgres import Statements

SAMPLE = 500
AT_ONCE = 100
"""Learners whose statements are in memory at one time."""
_NOT_SAID_AGAIN = ("causes",)
"""Members of a decision that its evaluation does not give: what woke the learner."""
_TOLD = frozenset({"valid_until", "version", "status", "reason", "remind", "k", "inputs"})
_sql = Statements(Path(__file__).with_suffix(".sql"))


async def evaluated_again(connection: Rows, hashes: KeyedHash, *, every: bool) -> AsyncIterator[tuple[bool, str]]:
    """Yield a sentence for each decision that says something else now, and one about all of them; the first of each pair is whether it is as it should be."""
    [[there]] = await connection.fetch(_sql.count)
    rows = await connection.fetch(_sql.sample, None if every else SAMPLE)
    catalogs, differing = Catalogs(), 0
    for (tenant_id, known_at), several in groupby(rows, key=lambda row: (row["tenant_id"], row["known_at"])):
        moment, decisions = Moment.at(known_at), list(several)
        catalog = await catalogs.at(connection, tenant_id, moment)
        for start in range(0, len(decisions), AT_ONCE):
            async for sentence in _differing(connection, hashes, decisions[start:start + AT_ONCE], catalog, moment):
                differing += 1
                yield False, sentence
    evaluated = f"{len(rows):,} of {there:,} decisions evaluated again"
    yield not differing, f"{evaluated}: {differing:,} say something else now" if differing else f"{evaluated} say the same"


async def _differing(
    connection: Rows, hashes: KeyedHash, decisions: Sequence[asyncpg.Record], catalog: Catalog, moment: Moment,
) -> AsyncIterator[str]:
    """Yield what is to be said of decisions of one tenant and one moment that were decided otherwise than they would be."""
    tenant_id = decisions[0]["tenant_id"]
    members = await load_members(connection, tenant_id, {row["ifi"] for row in decisions}, moment.known)
    people = await load_people(connection, tenant_id, members, moment, catalog)
    await load_facts(connection, tenant_id, people, moment, None)
    activities = {key128(row["matter"]) for row in decisions if row["kind"] == COURSE}
    courses = await load_courses(connection, tenant_id, activities, moment.known)
    of = {ifi: person for person in people for ifi in person.members.ifis}
    for row in decisions:
        said = orjson.loads(row["body"])
        now = list(_said_now(hashes, row, _judged(of[row["ifi"]], row, catalog, courses, moment), moment)) if row["ifi"] in of else []
        if not any(_essence(said) == _essence(body) for body in now):
            yield _sentence(said, [body for body in now if (body["n"], body["identity"]) == (said["n"], said["identity"])])


def _judged(person: Person, row: asyncpg.Record, catalog: Catalog, courses: dict[UUID, Course], moment: Moment) -> Judgement | None:
    if row["kind"] != COURSE:
        return judge_programme(person, row["matter"], catalog, moment)
    course = courses.get(key128(row["matter"]))
    return None if course is None else judge_course(person, course, moment)


def _said_now(hashes: KeyedHash, row: asyncpg.Record, judgement: Judgement | None, moment: Moment) -> Iterator[dict[str, Any]]:
    """Give the decisions that the judgement would make, as records say them."""
    for proposed in () if judgement is None else judgement.proposed:
        if proposed.ifi == row["ifi"]:
            yield decision_body(hashes, row["tenant"], row["identity"], proposed, moment.known_at)


def _essence(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _NOT_SAID_AGAIN}


def _sentence(said: dict[str, Any], now: Sequence[dict[str, Any]]) -> str:
    told = "; ".join(
        f"{body['state']} since {body['since']}" + "".join(f", {name} {body[name]}" for name in said if body.get(name) != said[name] and name in _TOLD)
        for body in now) or "nothing"
    return f"decision {said['id']} ({said['matter']}: {said['state']} since {said['since']}, known at {said['known_at']}) evaluated again says {told}"

