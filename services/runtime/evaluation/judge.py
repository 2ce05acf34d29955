"""One learner, one matter, one moment: what holds, and which entries the ledger lacks. Pure: deciders, previews, explanations and doctors share it."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import msgspec

from services.core.decide import (
    INPUT_REVOKED,
    INPUT_VOIDED,
    LAPSED,
    RULE_CHANGED,
    SUPERSEDED,
    Change,
    Proposed,
    Unmet,
    course_change,
    first_entry,
    is_for_review,
    next_change,
)
from services.core.evidence import ATTEMPTED, Facts
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import NOTHING, Award, Evidence, Fact
from services.core.rules.outcome import Input, Outcome
from services.core.rules.tree import Credentials, leaves_of
from services.core.timeline import stored_of
from services.core.transcript import Row, fold
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.load import COURSE, PROGRAMME, Barred, Course, Holding, Person
from services.runtime.evaluation.moment import Moment

_MOST_STEPS = 64
Known = TypeVar("Known", Fact, Award)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a learner has in a matter."""

    kind: str
    matter: str
    holdings: tuple[Holding, ...]
    """All awards of the learner in it, open and closed, in the order in which they were issued."""
    proposed: tuple[Proposed, ...] = ()
    """What the ledger lacks: at most one entry for each award."""
    version: Version | None = None
    """Of a programme: the version that judges the award issued last of those held, else the last one in force then; None: it cannot be read."""
    outcome: Outcome | None = None
    """What that version says."""
    status: str | None = None
    """Of a course: `passed` or `completed`, None: neither."""
    next_change_at: int | None = None
    """When this has to be judged again if nothing new comes; None: never."""

    @property
    def held(self) -> tuple[Holding, ...]:
        """Return the awards that are open: active or suspended."""
        return tuple(holding for holding in self.holdings if not holding.held.closed)

    @property
    def gains(self) -> bool:
        """Whether an entry is lacking by which the learner gains what they did not have."""
        return any(entry.change.state in {"issued", "reinstated"} for entry in self.proposed)

    @property
    def loses(self) -> bool:
        """Whether an entry is lacking by which the learner loses what they had."""
        return any(entry.change.state in {"suspended", "expired", "revoked"} for entry in self.proposed)


def judge_programme(person: Person, iri: str, catalog: Catalog, moment: Moment) -> Judgement:
    """Judge a programme. The person's facts are those that the versions concerned read, or more."""
    return _Judge(person, iri, catalog, moment).judge()


def for_review(person: Person, iri: str, catalog: Catalog, moment: Moment) -> frozenset[tuple[UUID, int]]:
    """Return the open awards of a programme (IFI, n) that are left to people: the rule is not met and says so, or a later version is not met and says so.

    The person's facts are those that the versions concerned read, the last one among them, or more.
    """
    return _Judge(person, iri, catalog, moment).for_review()


def judge_course(person: Person, course: Course, moment: Moment) -> Judgement:
    """Judge whether an activity is a course that the learner has completed. The person's facts are those about it, or more.

    Unless it was described as a course, statements that call it something else do not count.
    """
    rows = [fact for fact in person.about(course.activity) if _may_complete(fact.said, course) and fact.at <= moment.as_of]
    holdings = _in_order(person.of(COURSE, course.iri))
    is_course = course.described or any(fact.said.kind == "course" for fact in rows)
    line = fold([Row(fact.statement, fact.seq, fact.at, fact.level, fact.said) for fact in rows]) if is_course else None
    deciding: Input | None = None
    if line is not None and line.status in {"passed", "completed"}:
        first = next(fact for fact in rows if fact.statement.bytes == line.statements[0])
        deciding = Input("statement", first.statement, first.at, first.seq, first.ifi)
    status = None if line is None or deciding is None else line.status
    standing = {str(fact.statement) for fact in rows}

    def changed(holding: Holding | None) -> Change | None:
        stands = holding is None or all(given.get("statement") in standing for given in holding.held.inputs)
        return course_change(None if holding is None else holding.held, status, deciding, SUPERSEDED if stands else INPUT_VOIDED, moment.as_of)

    held = [holding for holding in holdings if not holding.held.closed]
    proposed = [_next(holding, change, is_credential=False) for holding in held if (change := changed(holding)) is not None]
    if not held and deciding is not None and (change := changed(None)) is not None:
        proposed.append(Proposed(COURSE, course.iri, deciding.ifi, 1 + _count(holdings, deciding.ifi), 1, change, is_credential=False))
    return Judgement(COURSE, course.iri, tuple(holdings), tuple(proposed), status=status)


def _may_complete(said: Facts, course: Course) -> bool:
    """Return whether a statement counts for the completion of a course: just those wake it (services/projector/projections/learners_wakes.py)."""
    return said.klass != ATTEMPTED and (course.described or said.kind is None or said.kind == "course")


class _Judge:
    """One programme of one learner."""

    __slots__ = ("_as_of", "_awards", "_barred", "_catalog", "_facts", "_iri", "_person")

    def __init__(self, person: Person, iri: str, catalog: Catalog, moment: Moment) -> None:
        barred = [one for one in person.barred if one.programme == iri]
        self._person, self._iri, self._catalog, self._as_of = person, iri, catalog, moment.as_of
        self._facts, self._awards, self._barred = person.facts, list(person.awards), NOTHING
        if barred:
            self._facts, facts = _parted(person.facts, barred)
            self._awards, awards = _parted(person.awards, barred)
            self._barred = Evidence(facts, awards)

    def judge(self) -> Judgement:
        """Judge what is held, and what could be if nothing is."""
        holdings = _in_order(self._person.of(PROGRAMME, self._iri))
        held = [holding for holding in holdings if not holding.held.closed]
        if held:
            return self._judge_held(holdings, held)
        version = self._catalog.latest.get(self._iri)
        if version is None:
            return Judgement(PROGRAMME, self._iri, tuple(holdings))
        after, outcome = self._next(version, self._last_end(holdings, version))
        proposed: tuple[Proposed, ...] = ()
        if self._iri in self._catalog.retired:
            return Judgement(PROGRAMME, self._iri, tuple(holdings), (), version, outcome)
        if (change := first_entry(version.programme, outcome)) is not None and outcome.tipping is not None:
            ifi = outcome.tipping.ifi
            proposed = (Proposed(
                PROGRAMME, self._iri, ifi, 1 + _count(holdings, ifi), 1, change, is_credential=version.achievement is not None, after=after),)
        return Judgement(PROGRAMME, self._iri, tuple(holdings), proposed, version, outcome, next_change_at=outcome.next_change_at)

    def for_review(self) -> frozenset[tuple[UUID, int]]:
        """Return the awards that are left to people."""
        return frozenset(
            (holding.ifi, holding.held.n) for holding in self._person.of(PROGRAMME, self._iri) if not holding.held.closed and self._is_for_review(holding))

    def _is_for_review(self, holding: Holding) -> bool:
        version, last = self._catalog.judging(self._iri, holding.held.version), self._catalog.latest.get(self._iri)
        if version is None or last is None:
            return False
        outcome = self._evaluate(version, holding.after)
        if is_for_review(holding.held, version.programme, outcome, self._as_of, lambda: self._unmet(holding, version)):
            return True
        return last.seq > version.seq and last.programme.on.rule_changed == "review" and not self._evaluate(last, holding.after).met

    def _next(self, version: Version, after: int | None) -> tuple[int | None, Outcome]:
        """Return what the version says of the award to come, and the end of the one before it.

        What was over before it was known is passed over like one that was given and expired: who met the rule long ago can meet it again.
        """
        outcome = self._evaluate(version, after)
        for _ in range(_MOST_STEPS):
            if not outcome.expired or outcome.valid_until is None or (after is not None and outcome.valid_until <= after):
                break
            later = self._evaluate(version, outcome.valid_until)
            if not later.met:  # the one that is over is what there is to explain
                break
            after, outcome = outcome.valid_until, later
        return after, outcome

    def _judge_held(self, holdings: list[Holding], held: list[Holding]) -> Judgement:
        proposed: list[Proposed] = []
        due: list[int | None] = []
        judged: tuple[Version | None, Outcome | None] = None, None
        for holding in held:
            due.append(holding.held.valid_until)
            version = self._catalog.judging(self._iri, holding.held.version)
            if version is None:
                judged = None, None
                continue
            outcome = self._evaluate(version, holding.after)
            judged = version, outcome
            due.append(outcome.next_change_at)
            change = next_change(holding.held, version.programme, outcome, self._as_of, lambda of=holding, by=version: self._unmet(of, by))  # type: ignore[misc]
            if change is not None:
                proposed.append(_next(holding, change, is_credential=holding.held.credential is not None))
        coming = min((instant for instant in due if instant is not None and instant > self._as_of), default=None)
        return Judgement(PROGRAMME, self._iri, tuple(holdings), tuple(proposed), *judged, next_change_at=coming)

    def _evaluate(self, version: Version, after: int | None, as_of: int | None = None) -> Outcome:
        at = self._as_of if as_of is None else as_of
        return evaluate(version.programme, Evidence(self._facts, self._awards), self._catalog.courses, at, after, self._barred)

    def _last_end(self, holdings: Iterable[Holding], version: Version) -> int | None:
        """Return the end of the last award that expired, where awards are good for a length of time."""
        if version.programme.validity is None or version.programme.validity.length is None:
            return None
        ends = [holding.held.ended for holding in holdings if holding.held.state == "expired" and holding.held.ended is not None]
        return max(ends, default=None)

    def _unmet(self, holding: Holding, version: Version) -> Unmet:
        """Return why the rule of a held award is not met."""
        if self._is_withdrawn(holding, version):
            return Unmet(INPUT_REVOKED)
        own = self._catalog.versions.get((self._iri, holding.held.version))
        if own is not None and own.number != version.number and self._evaluate(own, holding.after).met:
            return Unmet(RULE_CHANGED)
        if (lapse := self._lapse(holding, version)) is not None:
            return Unmet(LAPSED, lapse)
        return Unmet(INPUT_VOIDED)

    def _is_withdrawn(self, holding: Holding, version: Version) -> bool:
        """Return whether a clause is not met because credentials were revoked or suspended since the rule was last said to be met (ADR 19)."""
        gone = {
            other.held.credential for other in self._person.holdings
            if other.held.credential is not None and other.held.state in {"revoked", "suspended"} and stored_of(other.held.last_seq) > holding.met}
        if not gone:
            return False
        back = [
            award._replace(ended=None, suspended=False, revoked=False, valid_until=None) if award.credential in gone else award for award in self._awards]
        return any(
            self._grants(version, leaf, holding.after, back) and not self._grants(version, leaf, holding.after, self._awards)
            for leaf in leaves_of(version.programme.requires) if isinstance(leaf, Credentials))

    def _grants(self, version: Version, leaf: Credentials, after: int | None, awards: list[Award]) -> bool:
        """Return whether these awards are what a clause asks for."""
        return evaluate(msgspec.structs.replace(version.programme, requires=leaf), Evidence((), awards), {}, self._as_of, after).met

    def _lapse(self, holding: Holding, version: Version) -> int | None:
        """Return from when on the rule was not met for time alone, by the evidence there is now; None if that never met it since the award began."""
        at = holding.held.since
        outcome = self._evaluate(version, holding.after, at)
        if not outcome.met:
            return None
        for _ in range(_MOST_STEPS):
            if outcome.lapse is None or outcome.lapse > self._as_of:
                break
            at = outcome.lapse
            outcome = self._evaluate(version, holding.after, at)
            if not outcome.met:
                return at
        return self._as_of


def _next(holding: Holding, change: Change, *, is_credential: bool) -> Proposed:
    return Proposed(holding.kind, holding.matter, holding.ifi, holding.held.n, holding.held.k + 1, change, is_credential)


def _in_order(holdings: Iterable[Holding]) -> list[Holding]:
    return sorted(holdings, key=lambda holding: holding.held.issued_seq)


def _count(holdings: Iterable[Holding], ifi: UUID) -> int:
    return max((holding.held.n for holding in holdings if holding.ifi == ifi), default=0)


def _parted(evidence: Iterable[Known], barred: Sequence[Barred]) -> tuple[list[Known], list[Known]]:
    """Return what counts, and what is barred."""
    counting: list[Known] = []
    gone: list[Known] = []
    for each in evidence:
        (gone if any(each.seq <= one.seq and each.ifi in one.ifis for one in barred) else counting).append(each)
    return counting, gone
