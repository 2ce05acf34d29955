"""GET /v1/learners/{id}/programmes/{slug}/explain: why a learner has what a programme asks for, or has not, as JSON or as a page for people."""
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from schemas.api_programmes import Explained
from services.api import learners, transcripts
from services.api.context import Api, add_read, answers, json_answer, read_params
from services.api.moments import PARAMETERS as MOMENT
from services.api.moments import Moment as Asked
from services.api.moments import learner_at, moment_of
from services.api.pieces import Pieces
from services.api.programmes import entries, explain_page
from services.api.programmes.entries import instant
from services.api.programmes.judgements import Judgements, judge, left_to_people
from services.core.errors import NotFound, Unavailable
from services.core.evidence import unpack
from services.core.rules import cmi5
from services.core.rules.facts import Award, Fact
from services.core.rules.match import Known
from services.core.rules.outcome import Explained as Node
from services.core.rules.outcome import Input, Outcome
from services.core.rules.tree import Cmi5, Statements, Sum, nodes
from services.core.timeline import rfc3339, stored_of
from services.core.transcript import issuer
from services.runtime.callers.auth import Caller
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.load import Person, activities_of
from services.runtime.evaluation.moment import Moment

PATH = "/v1/learners/{id}/programmes/{slug}/explain"
_SQL = Pieces(Path(__file__).with_suffix(".sql"), Path(transcripts.__file__).with_suffix(".sql"), Path(learners.__file__).with_suffix(".sql"))
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class _Case:
    """One learner and one programme at one moment."""

    caller: Caller
    moment: Moment
    catalog: Catalog
    person: Person
    version: Version
    outcome: Outcome


class Explanations:
    """Explains."""

    def __init__(self, api: Api, judgements: Judgements) -> None:
        """`judgements` is shared with the lists of programmes."""
        self._api, self._judgements = api, judgements

    async def get(self, request: Request) -> Response:
        """Explain how a learner stands with a programme at a moment: clause by clause, with the statements each rests on.

        Where no version was known yet at `known_at`, the first there was explains.
        """
        caller = await self._api.caller(request, "lrs:read")
        params = read_params(request, MOMENT)
        key = learners.learner_id(request.path_params["id"])
        asked = moment_of(params)
        await self._api.until_folded(request)
        who = await learner_at(self._api, caller, key, asked)
        case = await self._case(caller, key, request.path_params["slug"], asked)
        said = await self._said(case, asked)
        if not explain_page.wants_page(request.headers.get("accept")):
            return json_answer(said, through=who.through, headers={"Vary": "Accept"})
        [learner] = await self._judgements.named(caller, [case.person.members])
        return explain_page.answer(said, case.version.programme, learner, through=who.through, incomplete=who.incomplete)

    async def _case(self, caller: Caller, key: UUID, slug: str, asked: Asked) -> _Case:
        moment = await self._judgements.moment(caller, asked)
        catalog = await self._catalog(caller, slug, moment)
        latest = catalog.of_slug(slug)
        if latest is None:
            raise NotFound("No programme in force has this slug.")
        iri = latest.programme.iri
        person = await self._judgements.person(caller, key, moment, catalog)
        await self._judgements.with_facts(caller, [person], moment, [version for (of, _), version in catalog.versions.items() if of == iri])
        judgement = await judge(person, iri, catalog, moment)
        if judgement.version is None or judgement.outcome is None:
            raise Unavailable("The version of the programme that judges this award cannot be read by this version of Testamur.")
        return _Case(caller, moment, catalog, person, judgement.version, judgement.outcome)

    async def _catalog(self, caller: Caller, slug: str, moment: Moment) -> Catalog:
        """Return the programmes of the moment; where this one was not published yet then, with the first version there ever was."""
        catalog = await self._judgements.catalog(caller, moment)
        if catalog.of_slug(slug) is not None:
            return catalog
        now = await self._judgements.catalog(caller, await self._judgements.moment(caller, Asked(None, None)))
        first = next((version for version in now.versions.values() if version.programme.slug == slug), None)
        return catalog if first is None else catalog.proposing(first)

    async def _said(self, case: _Case, asked: Asked) -> dict[str, Any]:
        programme, outcome = case.version.programme, case.outcome
        values = {"tenant": case.caller.tenant_id, "ifis": list(case.person.members.ifis), "known": case.moment.known}
        sql = _SQL.compose("links_then")
        links = await self._api.rows(case.caller.tenant_id).fetch(sql.text, *sql.args(values))
        tree = await asyncio.to_thread(lambda: outcome.worded)  # of a learner with much evidence it takes a while
        return {
            "programme": programme.iri, "version": programme.version, "state": _state(outcome), "since": instant(outcome.since),
            "valid_until": instant(outcome.valid_until), "next_change_at": instant(outcome.next_change_at), "lapses_at": instant(outcome.lapse),
            **asked.members(),
            "progress": outcome.progress, "unmet": list(outcome.unmet),
            "tree": _Tree(case.person.facts, case.person.awards).clause(tree),
            "links": [learners.link_members(link) for link in links],
            "voids": await self._voids(case, values), "awards": await self._awards(case), "differences": _differences(case),
        }

    async def _voids(self, case: _Case, values: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what was voided and would count for some clause if it were not."""
        activities = activities_of([case.version])
        sql = _SQL.compose("voided", about=() if activities is None else ("about",))
        rows = await self._api.rows(case.caller.tenant_id).fetch(sql.text, *sql.args({**values, "activities": list(activities or ())}))
        facts = {row["statement_id"]: _voided(row) for row in rows}
        counting = _would_count(case, list(facts.values()))
        return [{
            "statement": str(row["statement_id"]), "assures": row["assures"] and str(row["assures"]),
            "voided_by": [str(id_) for id_ in row["voided_by"][:_MOST_SHOWN]], "stored": rfc3339(stored_of(row["voided"])),
        } for row in rows if row["statement_id"] in counting][:_MOST_SHOWN]

    async def _awards(self, case: _Case) -> list[dict[str, Any]]:
        """Return the learner's awards of the programme as the ledger had them."""
        iri = case.version.programme.iri
        of = await entries.of_awards(self._api, case.caller, case.person.members.ifis, iri, case.moment.known, case.moment.as_of)
        given = {(holding.ifi, holding.held.n): holding.held.credential for holding in case.person.holdings if holding.matter == iri}
        waiting = await left_to_people(case.person, iri, case.catalog, case.moment)
        return [{
            "n": n, "credential": (credential := given.get((ifi, n))) and str(credential), "state": (it := entries.standing(history)).state,
            "review": (ifi, n) in waiting and not it.closed, "history": entries.history(history),
        } for (ifi, _, n), history in of.items()]


class _Tree:
    """Shows the nodes of an outcome with what they rest on."""

    def __init__(self, facts: Sequence[Fact], awards: Sequence[Award]) -> None:
        self._facts = {fact.statement: fact for fact in facts}
        self._awards = {award.credential: award for award in awards}

    def clause(self, node: Node) -> dict[str, Any]:
        """Return a node and those under it."""
        shown: dict[str, Any] = {
            "op": node.op, "label": node.label, "asks": node.asks, "met": node.met, "again": node.again, "progress": node.progress,
            "amount": msgspec.structs.asdict(node.amount), "lacks": node.lacks, "passed_over": list(node.passed_over),
            "statements": [self._statement(each) for each in node.inputs if each.kind == "statement"],
        }
        if node.op == "credential":
            shown["credentials"] = [
                {"id": str(each.id), "since": rfc3339(each.at), "stored": rfc3339(stored_of(each.seq))} for each in node.inputs if each.kind == "credential"]
        return {**shown, "of": [self.clause(child) for child in node.of]}

    def _statement(self, given: Input) -> dict[str, Any]:
        authority = issuer(self._facts[given.id].said.authority)
        return {"id": str(given.id), "stored": rfc3339(stored_of(given.seq)), "timestamp": rfc3339(given.at), "authority": authority}


def _state(outcome: Outcome) -> str:
    if not outcome.met:
        return "unsatisfied"
    return "expired" if outcome.expired else "satisfied"


def _voided(row: Any) -> Fact:
    said = unpack(row["facts"])
    return Fact(row["statement_id"], row["seq"], row["at"], row["ifi"], row["activity"], max(said.level, row["assured"] or 0), said)


def _would_count(case: _Case, facts: list[Fact]) -> set[UUID]:
    """Return which of these statements some clause would count."""
    known, found = Known(facts), set[UUID]()
    for node in nodes(case.version.programme.requires):
        if isinstance(node, Cmi5) and (course := case.catalog.courses.get(node.course)) is not None:
            found |= {fact.statement for fact, _ in cmi5.about(course, known)}
        elif isinstance(node, Statements | Sum):
            found |= {fact.statement for fact in known.matching(node.match)}
    return found


def _differences(case: _Case) -> list[dict[str, Any]]:
    """Return where the LMS of a cmi5 course says otherwise than its units do."""
    known: Known | None = None
    found: list[dict[str, Any]] = []
    for node in nodes(case.version.programme.requires):
        course = case.catalog.courses.get(node.course) if isinstance(node, Cmi5) else None
        if course is not None:
            known = known or Known(fact for fact in case.person.facts if fact.at <= case.moment.as_of)
            found += [{
                "registration": registration, "activity": activity, "recomputed": satisfied,
                "says": "Its units satisfy it; the LMS has not said so." if satisfied else "The LMS says that it is satisfied; by its units it is not.",
            } for registration, activity, satisfied in cmi5.differences(course, known)]
    return found[:_MOST_SHOWN]


def router(api: Api, judgements: Judgements) -> APIRouter:
    """Return the route of this file."""
    routes = APIRouter(tags=["programmes"])
    page: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
    described = answers(Explained, "Clause by clause; a page for people where `Accept` prefers text/html.")
    described[200]["content"] = page
    add_read(
        routes, PATH, Explanations(api, judgements).get, summary="Why, or why not", operation_id="getExplanation", parameters=MOMENT, responses=described)
    return routes
