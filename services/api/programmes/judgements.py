"""Learners judged at the moment a request asks about, by what the tables say was known then. Reads no clock: now is the latest instant folded."""
import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from services.api import learners
from services.api.context import Api
from services.api.moments import Moment as Asked
from services.api.pieces import Pieces
from services.core.errors import NotFound
from services.runtime.callers.auth import Caller
from services.runtime.evaluation.catalog import Catalog, Catalogs, Version
from services.runtime.evaluation.judge import Judgement, for_review, judge_programme
from services.runtime.evaluation.load import Members, Person, activities_of, load_facts, load_members, load_people
from services.runtime.evaluation.moment import Moment

_SQL = Pieces(Path(__file__).with_name("moment.sql"), Path(learners.__file__).with_suffix(".sql"))
_BEFORE_ALL = -1
_MANY_FACTS = 1000
"""With more of them a judgement leaves the event loop to others."""


class Judgements:
    """Those of a process, which remembers the programmes it has read."""

    def __init__(self, api: Api) -> None:
        """`api` gives the rows."""
        self._api = api
        self._catalogs = Catalogs()

    async def moment(self, caller: Caller, asked: Asked) -> Moment:
        """Return the moment a request asks about: everything folded, unless it says otherwise. Raises Unavailable."""
        floor = self._api.learners_through
        sql = _SQL.compose("now")
        row = await self._api.rows(caller.tenant_id).fetchrow(sql.text)
        self._api.check_folded(floor, row["through"])
        reached: int = row["reached"]
        known = reached if asked.known_at is None else max(min(asked.known_at, reached), _BEFORE_ALL)
        return Moment(known, known if asked.as_of is None else asked.as_of)

    async def catalog(self, caller: Caller, moment: Moment, courses: Iterable[UUID] = ()) -> Catalog:
        """Return the programmes of the moment; `courses` are keys of cmi5 courses that none of them may name."""
        return await self._catalogs.at(self._api.rows(caller.tenant_id), caller.tenant_id, moment, more_courses=courses)

    async def members(self, caller: Caller, ifis: Iterable[UUID], moment: Moment) -> list[Members]:
        """Return the learners that these IFIs belonged to."""
        return await load_members(self._api.rows(caller.tenant_id), caller.tenant_id, ifis, moment.known)

    async def person(self, caller: Caller, key: UUID, moment: Moment, catalog: Catalog) -> Person:
        """Return the learner with the member `key`, without facts. Raises NotFound."""
        found = await self.members(caller, [key], moment)
        if not found:
            raise NotFound("No learner has this id.")
        return (await self.people(caller, found, moment, catalog))[0]

    async def people(self, caller: Caller, members: Sequence[Members], moment: Moment, catalog: Catalog) -> list[Person]:
        """Return learners without facts."""
        return await load_people(self._api.rows(caller.tenant_id), caller.tenant_id, members, moment, catalog)

    async def with_facts(self, caller: Caller, people: Sequence[Person], moment: Moment, versions: Iterable[Version]) -> None:
        """Give learners the facts that these versions read."""
        await load_facts(self._api.rows(caller.tenant_id), caller.tenant_id, people, moment, activities_of(versions))

    async def named(self, caller: Caller, people: Sequence[Members]) -> list[dict[str, Any]]:
        """Return how learners are shown in lists."""
        sql = _SQL.compose("named")
        keys = [ifi for members in people for ifi in members.ifis]
        rows = {row["key"]: row for row in await self._api.rows(caller.tenant_id).fetch(sql.text, *sql.args({"tenant": caller.tenant_id, "keys": keys}))}
        return [_listed(members, [rows[ifi] for ifi in members.ifis if ifi in rows]) for members in people]


async def judge(person: Person, iri: str, catalog: Catalog, moment: Moment) -> Judgement:
    """Judge a learner, whose facts are loaded, beside the event loop where there are many of them."""
    if len(person.facts) > _MANY_FACTS:
        return await asyncio.to_thread(judge_programme, person, iri, catalog, moment)
    return judge_programme(person, iri, catalog, moment)


async def left_to_people(person: Person, iri: str, catalog: Catalog, moment: Moment) -> frozenset[tuple[UUID, int]]:
    """Return the open awards (IFI, n) of a learner, whose facts are loaded, that wait for somebody to look at them."""
    if len(person.facts) > _MANY_FACTS:
        return await asyncio.to_thread(for_review, person, iri, catalog, moment)
    return for_review(person, iri, catalog, moment)


def _listed(members: Members, rows: Sequence[Any]) -> dict[str, Any]:
    names = [(row["name_seq"], row["name"]) for row in rows if row["name"] is not None]
    return {"id": str(members.learner), "agents": [orjson.Fragment(row["agent"]) for row in rows], "name": max(names)[1] if names else None}
