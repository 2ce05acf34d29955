"""Who would gain and who would lose by a new version of a programme: every learner of a tenant judged at one moment, some at a time."""
import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from services.api import learners
from services.api.context import Api
from services.api.moments import Moment as Asked
from services.api.pieces import Pieces
from services.api.programmes.judgements import Judgements, judge
from services.core.keys import key128
from services.core.rules.tree import Cmi5, Programme, achievement_of, nodes
from services.core.timeline import NO_SEQ
from services.runtime.callers.auth import Caller
from services.runtime.evaluation.catalog import Catalog, Version, alignments_of, issuers_of
from services.runtime.evaluation.judge import Judgement
from services.runtime.evaluation.load import Person
from services.runtime.evaluation.moment import Moment

_SQL = Pieces(Path(__file__).with_name("preview.sql"), Path(learners.__file__).with_suffix(".sql"))
_AT_ONCE = 100
_SLICE_S = 0.01
"""How long learners are judged before other requests get their turn."""


@dataclass(slots=True)
class Found:
    """What a page of learners added: those who gain and those who lose, as lists show them, and how many stay as they are."""

    done: int
    of: int
    gain: list[dict[str, Any]] = field(default_factory=list)
    lose: list[dict[str, Any]] = field(default_factory=list)
    same: int = 0


class Survey:
    """One version that is not published, judged over a tenant."""

    def __init__(self, api: Api, judgements: Judgements, caller: Caller, programme: Programme, issuer: dict[str, Any]) -> None:
        """`issuer` is as the version's record would have it."""
        self._api, self._judgements, self._caller = api, judgements, caller
        # held awards are judged by the new version, whatever its policy: what becomes of them is then for the policy to say
        self._programme = msgspec.structs.replace(programme, on=msgspec.structs.replace(programme.on, rule_changed="reevaluate"))
        self._version = Version(
            self._programme, NO_SEQ, achievement_of(programme, api.state.public_url), issuers_of(issuer), alignments_of(programme))
        self.at = 0
        """The instant everybody is judged at, once the first page came."""

    async def pages(self) -> AsyncGenerator[Found, None]:
        """Give what each page of learners adds. Raises Unavailable."""
        moment = await self._judgements.moment(self._caller, Asked(None, None))
        self.at = moment.known_at
        courses = [key128(node.course) for node in nodes(self._programme.requires) if isinstance(node, Cmi5)]
        catalog = (await self._judgements.catalog(self._caller, moment, courses)).proposing(self._version)
        rows, tenant = self._api.rows(self._caller.tenant_id), {"tenant": self._caller.tenant_id, "limit": _AT_ONCE}
        count, page = _SQL.compose("how_many"), _SQL.compose("surveyed")
        of, done, after = await rows.fetchval(count.text, *count.args(tenant)), 0, learners.NOBODY
        while found := await rows.fetch(page.text, *page.args({**tenant, "after": after})):
            done, after = done + len(found), found[-1]["learner"]
            yield await self._judged([row["learner"] for row in found if row["listed"]], moment, catalog, Found(done, max(of, done)))

    async def _judged(self, ids: list[UUID], moment: Moment, catalog: Catalog, page: Found) -> Found:
        """Judge learners and note in `page` what becomes of each."""
        members = await self._judgements.members(self._caller, ids, moment)
        people = await self._judgements.people(self._caller, members, moment, catalog)
        await self._judgements.with_facts(self._caller, people, moment, [self._version])
        gain, lose, since = list[Person](), list[Person](), time.perf_counter()
        for person in people:
            change = _change(await judge(person, self._programme.iri, catalog, moment))
            if change == 0:
                page.same += 1
            else:
                (gain if change > 0 else lose).append(person)
            if time.perf_counter() - since > _SLICE_S:
                await asyncio.sleep(0)
                since = time.perf_counter()
        named = await self._judgements.named(self._caller, [person.members for person in (*gain, *lose)]) if gain or lose else []
        page.gain, page.lose = named[: len(gain)], named[len(gain) :]
        return page


def _change(judgement: Judgement) -> int:
    """Return 1 for who would be given an award and holds none, -1 for who holds one and does not meet the new rule, else 0."""
    if not any(not holding.held.suspended for holding in judgement.held):
        return int(judgement.gains)
    return 0 if judgement.outcome is not None and judgement.outcome.met and not judgement.outcome.expired else -1
