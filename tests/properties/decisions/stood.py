"""What stood was decided: each state of the naive reading that lasts for a second of log time, and the difference of the partitions' clocks, while a decider
keeps up with the log is in the ledger by then, whatever comes of it later.

A state is what the rule in force says, at T, of what was stored up to T. DESIGN 6 asks for no more than this: awards that a clause reads count once they are
in the ledger, as the end of the last award does, and the end that one that is held followed when it was issued; an evaluation that closes an award opens none,
so what is to come after an award that ends begins to stand when that has ended in the ledger; of a retired programme nothing new is awarded, so what is to come
of it begins to stand when it is published again; whoever was ever linked may hold two awards, each with a beginning of its own. What a publication or a
description leads to stands from when its sweep is due: once T has passed all that was folded before anybody could know of it, and that may be the partitions'
difference later (ADR 16).
"""
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.properties.decisions import held, oracle
from tests.properties.decisions.held import IRIS, Due, assert_course, assert_programme, awards_by
from tests.properties.decisions.oracle import Known, Placed, Said
from tests.properties.decisions.programmes import COURSE
from tests.reference_fold import Identity, Person
from tests.reference_match import means, means_award
from tests.reference_rules import Answer, Reading

SECOND = 1_000_000
Entry = Mapping[str, Any]
State = tuple[Any, ...]
"""Of a programme since when and until when each award is held or the next is to be, and whether that has to wait till it is published again; of a course how
it was completed; None: neither.
"""
Folded = tuple[int, ...]
"""The instant up to which each partition was folded: T is the least of them."""


class NotDecidedError(AssertionError):
    """A state stood long enough, and the ledger does not say so."""


class _Readings:
    """Readings of rules over facts and awards, each made once; what a clause cannot mean is left out."""

    def __init__(self) -> None:
        self._readings: dict[tuple[Any, ...], Reading] = {}
        self._answers: dict[tuple[Any, ...], Answer] = {}

    def answer(self, version: Said, facts: Sequence[Said], awards: Sequence[Said], end: int | None, at: int) -> Answer:
        """Return what a version of a programme says at an instant of the award to come after an end."""
        place = (
            version["seq"], end, tuple((fact["seq"], fact["level"]) for fact in facts),
            *((award["id"], award["seq"], *(award[name] for name in ("since", "ended", "valid_until", "state"))) for award in awards))
        reading = self._readings.get(place)
        if reading is None:
            reading = self._readings[place] = Reading(version["programme"], facts, awards, {}, end)
        segment = *place, bisect_right(reading.critical, at)
        found = self._answers.get(segment)
        if found is None:
            found = self._answers[segment] = reading.answer(at)
        return replace(found, expired=reading.lasts is not None and found.valid_until is not None and at >= found.valid_until)


class _OverTime:
    """The naive reading of a log, and its ledger, as log time goes on."""

    def __init__(self, records: Sequence[Placed], entries: Sequence[Entry]) -> None:
        self.now = Known(0)
        self._records, self._entries, self._taken = sorted(records, key=lambda placed: placed.seq), entries, 0
        self._ids = {str(row["id"]) for row in entries}
        self._readings = _Readings()
        self._known: dict[tuple[str, Person], tuple[list[Said], list[Said], list[Said]]] = {}
        self.sweeps = _Sweeps(self._records)
        self.people: set[Person] = set()

    def go_on(self, folded: Folded) -> bool:
        """Take in all that was stored up to T, and stand there; return whether that is later than before."""
        self.sweeps.go_on(folded)
        through = min(folded)
        if through <= self.now.through:
            return False
        self.now.through, before = through, self._taken
        while self._taken < len(self._records) and self._records[self._taken].stored <= through:
            oracle.take(self.now, self._records[self._taken], lambda placed: placed.said["batch"] in self._ids)
            self._taken += 1
        if self._taken != before:
            self._read()
        self.decided = awards_by((row for row in self._entries if row["known_at"] <= through), self._who)
        return True

    def _read(self) -> None:
        """Work out what does not depend on the instant alone."""
        now = self.now
        self.people, self.moved = set(now.people().values()), now.ever_linked()
        self._who: dict[str, Identity] = {oracle.text_of(each): each for each in now.everybody}
        self._facts = now.facts()
        self._awards = awards_by((row for row in self._entries if row["seq"] >> 8 <= now.through), self._who)
        self.versions = {iri: versions[-1] for iri in IRIS.values() if (versions := now.versions(iri))}
        self.retired = {iri for iri in self.versions if now.is_retired(iri)}
        self._courses = {person: oracle.completed(now, COURSE, person) for person in self.people}
        self._known.clear()

    def due(self) -> Iterator[tuple[tuple[str, Person], Due | str | None]]:
        """Give what everybody should have in every matter: of a course how it was completed."""
        for person in self.people:
            yield (COURSE, person), self._courses[person]
            for iri in self.versions:
                yield (iri, person), self._due(iri, person)

    def _due(self, iri: str, person: Person) -> Due:
        """Return what should become of a person's awards of a programme."""
        version = self.versions[iri]
        if (iri, person) not in self._known:
            self._known[iri, person] = self._read_by(iri, version["programme"]["requires"], person)
        facts, awards, mine = self._known[iri, person]
        return held.due(mine, lambda end: self._readings.answer(version, facts, awards, end, self.now.through), self.now.through)

    def _read_by(self, iri: str, rule: Said, person: Person) -> tuple[list[Said], list[Said], list[Said]]:
        """Return what counts for a programme of what a person did and was given, and the awards of it."""
        cut, clauses = self.now.cut_offs(iri), list(_clauses(rule))
        facts = [fact for fact in self._facts if fact["ifi"] in person and fact["seq"] > cut.get(fact["ifi"], -1)
                 and any(means(fact, clause) for reads, clause in clauses if reads == "statements")]
        mine = [award for award in self._awards if award["ifi"] in person]
        awards = [award for award in mine if award["achievement"] and award["seq"] > cut.get(award["ifi"], -1)
                  and any(means_award(award, clause) for reads, clause in clauses if reads == "credentials")]
        return facts, awards, [award for award in mine if award["matter"] == iri]


class _Sweeps:
    """From when on everybody is to be judged for what was published or described."""

    def __init__(self, records: Sequence[Placed]) -> None:
        self._to_come = [placed for placed in records if _of_all(placed) is not None]
        self._dues: list[tuple[str | None, int, int]] = []

    def go_on(self, folded: Folded) -> None:
        """Note what is folded now: it is due once T has passed all that is."""
        self._dues += [(_of_all(placed), placed.stored, max(folded)) for placed in self._to_come if placed.stored <= folded[placed.partition]]
        self._to_come = [placed for placed in self._to_come if placed.stored > folded[placed.partition]]

    def begin(self, matter: str, began: int) -> int:
        """Return when deciders can begin with a state that began at T: when the sweep for what was said of its matter by then is due, if that is later."""
        return max((due for about, stored, due in self._dues if about == matter and stored <= began < due), default=began)


def assert_stood(records: Sequence[Placed], entries: Sequence[Entry], looks: Sequence[Sequence[Folded]], difference: int) -> int:
    """Return how many states stood long enough, each of which must have been decided. Raises NotDecidedError.

    `looks`: how far all was folded whenever a decider looked around, in order, one list for each time over which it kept up with the log. `difference`:
    that of the partitions' clocks, in microseconds.
    """
    then, found = _OverTime(records, entries), set()
    for kept_up in looks:
        stands: dict[tuple[str, Person], tuple[State, int]] = {}
        for folded in kept_up:
            if not then.go_on(folded):
                continue
            before, stands, through = stands, {}, min(folded)
            for place, due in then.due():
                state = (*due.values(), None in due and place[0] in then.retired) if isinstance(due, Mapping) else (due,)
                came, began = before.get(place, (state, through))
                stands[place] = state, began if came == state else through
                if through - then.sweeps.begin(place[0], stands[place][1]) >= SECOND + difference:
                    found.add((place, *stands[place]))
                    _assert_decided(then, place, due, stands[place][1])
    return len(found)


def _assert_decided(then: _OverTime, place: tuple[str, Person], due: Due | str | None, began: int) -> None:
    matter, person = place
    mine = [award for award in then.decided if award["matter"] == matter and award["ifi"] in person]
    once = not person & then.moved
    try:
        if isinstance(due, Mapping):
            assert_programme(mine, due, retired=matter in then.retired, once=once)
        else:
            assert_course(mine, due, once=once)
    except AssertionError as error:
        raise NotDecidedError(f"{matter} of {set(person)} from {began} to {then.now.through}: {error}") from error


def _of_all(placed: Placed) -> str | None:
    """Return the matter in which a record concerns everybody, if it does."""
    kind, body = placed.said["kind"], placed.said.get("body", {})
    return str(body["iri"]) if kind == "programme.published" else str(body["course"]["id"]) if kind == "course.described" else None


def _clauses(node: Said) -> Iterator[tuple[str, Said]]:
    """Give the clauses of a rule, and whether they read statements or credentials."""
    for operator, clause in node.items():
        if operator in {"statement", "sum"}:
            yield "statements", clause if operator == "statement" else clause.get("match", {})
        elif operator == "credential":
            yield "credentials", clause
        elif operator in {"all", "any", "at_least"}:
            for child in clause if isinstance(clause, list) else clause["of"]:
                yield from _clauses(child)
