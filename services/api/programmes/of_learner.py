"""GET /v1/learners/{id}/programmes: every programme that can be had, and those of which the learner was given something, as the learner stands with each."""
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from schemas.api_programmes import LearnersProgrammes
from services.api import learners
from services.api.context import Api, add_read, answers, json_answer, read_params
from services.api.moments import PARAMETERS as MOMENT
from services.api.moments import learner_at, moment_of
from services.api.paging import PAGING, page_asked
from services.api.programmes import entries
from services.api.programmes.entries import Standing, instant
from services.api.programmes.judgements import Judgements, judge, left_to_people
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.judge import Judgement
from services.runtime.evaluation.load import PROGRAMME, Person

PATH = "/v1/learners/{id}/programmes"
PARAMETERS = (*MOMENT, *PAGING)


class LearnersStandings:
    """Says how a learner stands with programmes."""

    def __init__(self, api: Api, judgements: Judgements) -> None:
        """`judgements` is shared with explanations and previews."""
        self._api, self._judgements = api, judgements

    async def get(self, request: Request) -> Response:
        """Give a page of programmes in the order of their slugs."""
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, PARAMETERS)
        key = learners.learner_id(request.path_params["id"])
        asked, page = moment_of(params), page_asked(self._api.cursors, caller, request.scope["path"], params)
        await self._api.until_folded(request)
        who = await learner_at(self._api, caller, key, asked)
        moment = await self._judgements.moment(caller, asked)
        catalog = await self._judgements.catalog(caller, moment)
        person = await self._judgements.person(caller, key, moment, catalog)
        after = (str(page.after[0]), str(page.after[1])) if page.after else ("", "")
        listed = sorted((version for version in _concerned(catalog, person) if _place(version) > after), key=_place)[: page.wanted]
        versions, following = page.cut(listed, _place)
        await self._judgements.with_facts(caller, [person], moment, _reading(catalog, person, {version.programme.iri for version in versions}))
        awards = await entries.of_awards(self._api, caller, person.members.ifis, None, moment.known, moment.as_of)
        shown = []
        for version in versions:
            iri = version.programme.iri
            held = {(ifi, n): entries.standing(of) for (ifi, matter, n), of in awards.items() if matter == iri}
            waiting = await left_to_people(person, iri, catalog, moment)
            shown.append(_shown(version, await judge(person, iri, catalog, moment), held, waiting))
        return json_answer({"programmes": shown, "next": following}, through=who.through)


def state_of(judgement: Judgement, awards: Sequence[Standing]) -> tuple[str, int | None, int | None]:
    """Return how a learner stands, since when and until when: by the ledger, whose awards of the moment are given in order, else by what the rule says."""
    held = [one for one in awards if not one.closed]
    active = [one for one in held if one.state != "suspended"]
    if held:
        one = (active or held)[-1]
        return "satisfied" if active else "suspended", one.since, one.valid_until
    outcome = judgement.outcome
    if outcome is not None and outcome.met:
        return "expired" if outcome.expired else "satisfied", outcome.since, outcome.valid_until
    if awards and (last := awards[-1]).state == "expired":
        return "expired", last.since, last.valid_until
    return "unsatisfied", None, None


def _concerned(catalog: Catalog, person: Person) -> list[Version]:
    """Return the last version of each programme that can be had or of which something was given."""
    given = {holding.matter for holding in person.holdings if holding.kind == PROGRAMME}
    return [version for iri, version in catalog.latest.items() if iri not in catalog.retired or iri in given]


def _reading(catalog: Catalog, person: Person, iris: set[str]) -> list[Version]:
    """Return the versions by which these programmes may be judged: the last ones, and those under which something is held."""
    held = {(holding.matter, holding.held.version) for holding in person.holdings if holding.kind == PROGRAMME and not holding.held.closed}
    return [version for (iri, number), version in catalog.versions.items() if iri in iris and (version is catalog.latest[iri] or (iri, number) in held)]


def _place(version: Version) -> tuple[str, str]:
    return version.programme.slug, version.programme.iri


def _shown(latest: Version, judgement: Judgement, awards: Mapping[tuple[UUID, int], Standing], waiting: frozenset[tuple[UUID, int]]) -> dict[str, Any]:
    state, since, until = state_of(judgement, list(awards.values()))
    version = judgement.version or latest
    return {
        "slug": version.programme.slug, "title": version.programme.title, "version": version.number, "state": state,
        "since": instant(since), "valid_until": instant(until), "progress": 0.0 if judgement.outcome is None else judgement.outcome.progress,
        "review": any(award in waiting and not of.closed for award, of in awards.items()),
    }


def router(api: Api, judgements: Judgements) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["programmes"])
    add_read(
        routes, PATH, LearnersStandings(api, judgements).get, summary="A learner's programmes", operation_id="getLearnersProgrammes", parameters=PARAMETERS,
        responses=answers(LearnersProgrammes, "A page of programmes."))
    return routes
