"""When a cmi5 course was completed: each of its units by its own moveOn, all in one registration (cmi5, 9.6 and 10.2.4)."""
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.core import vocabulary
from services.core.keys import key128
from services.core.rules.course import CourseStructure, Unit
from services.core.rules.facts import Fact
from services.core.rules.match import CMI5_CATEGORIES, Known

_ASKED = {
    "Passed": frozenset({"passed"}), "Completed": frozenset({"completed"}), "CompletedAndPassed": frozenset({"passed", "completed"}),
    "CompletedOrPassed": frozenset({"passed", "completed"}), "NotApplicable": frozenset[str](),
}


class Attempt:
    """One registration in a course: what its facts, taken in order, make of each unit."""

    def __init__(self, units: tuple[Unit, ...]) -> None:
        self._units = units
        self._any = any(unit.move_on == "NotApplicable" for unit in units)
        self._had: dict[int, set[str]] = defaultdict(set)
        self.open = {place for place, unit in enumerate(units) if unit.move_on != "NotApplicable"}
        """Places of the units that are not satisfied yet."""
        self.counting: list[Fact] = []
        """Those that count for some unit: all of them if there is a unit that is satisfied as soon as the registration exists."""
        self.needed: list[Fact] = []
        """Those of them without which some unit would not be satisfied when it was."""
        self.completed_at: int | None = None
        """Index among those that count of the one that completes the course."""

    def take(self, fact: Fact, places: Iterable[int]) -> None:
        """Take in the next fact about the course, about the units in these places."""
        told = [self._take(place, fact) for place in places]
        if self._any or any(counts for counts, _ in told):
            self.counting.append(fact)
            if len(self.counting) == 1 or any(new for _, new in told):
                self.needed.append(fact)
            if self.completed_at is None and not self.open:
                self.completed_at = len(self.counting) - 1

    def _take(self, place: int, fact: Fact) -> tuple[bool, bool]:
        """Return whether the fact counts for a unit, and whether it says something new of it."""
        unit, verb = self._units[place], vocabulary.verb(fact.said.verb)
        new = place in self.open
        if verb == "waived":
            self.open.discard(place)
            return True, new
        if verb not in _ASKED[unit.move_on] or (verb == "passed" and not _mastered(fact, unit)):
            return False, False
        had = self._had[place]
        new = new and verb not in had
        had.add(verb)
        if unit.move_on != "CompletedAndPassed" or len(had) == 2:
            self.open.discard(place)
        return True, new


def attempts(course: CourseStructure, known: Known) -> dict[str, Attempt]:
    """Return the registrations of a learner in a course, by registration."""
    found: dict[str, Attempt] = {}
    for fact, places in about(course, known):
        if fact.said.registration:
            registration = fact.said.registration.lower()
            if registration not in found:
                found[registration] = Attempt(course.units)
            found[registration].take(fact, places)
    return found


def completions(course: CourseStructure, known: Known) -> list[Fact]:
    """Return the facts at which the course can be said to be completed, in order: in some registration, with every unit satisfied at or before it."""
    found = [fact for attempt in attempts(course, known).values() if attempt.completed_at is not None for fact in attempt.counting[attempt.completed_at:]]
    return sorted(found, key=lambda fact: (fact.at, fact.seq))


def witness(course: CourseStructure, known: Known, completion: Fact) -> list[Fact]:
    """Return facts that are enough for the course to be completed at one of its completions."""
    attempt = attempts(course, known)[(completion.said.registration or "").lower()]
    return [*attempt.needed, completion] if completion not in attempt.needed else attempt.needed


class Nearest(NamedTuple):
    """The registration in which a learner has come furthest."""

    registration: str | None
    """None: there is none yet."""
    open: list[Unit]
    """The units that are not satisfied."""
    counting: list[Fact]


def nearest(course: CourseStructure, known: Known) -> Nearest:
    """Return the registration in which the fewest units are open, and the facts that count in it."""
    tried = sorted(attempts(course, known).items(), key=lambda item: (len(item[1].open), item[0]))
    if not tried:
        return Nearest(None, list(course.units), [])
    registration, attempt = tried[0]
    return Nearest(registration, [course.units[place] for place in sorted(attempt.open)], attempt.counting)


def differences(course: CourseStructure, known: Known) -> list[tuple[str, str, bool]]:
    """Return where the LMS and the units differ: (registration, id of the course or block, whether it is satisfied by its units)."""
    parts = {course.iri: tuple(range(len(course.units))), **course.blocks}
    told: dict[str, set[str]] = defaultdict(set)
    for iri in parts:
        for fact in known.of(key128(iri)):
            if fact.said.registration and vocabulary.verb(fact.said.verb) == "satisfied":
                told[fact.said.registration.lower()].add(iri)
    tried = attempts(course, known)
    found = []
    for registration in sorted(told.keys() | tried.keys()):
        left = tried[registration].open if registration in tried else set(range(len(course.units)))
        for iri, places in parts.items():
            recomputed = left.isdisjoint(places)
            if recomputed is not (iri in told[registration]):
                found.append((registration, iri, recomputed))
    return found


def about(course: CourseStructure, known: Known) -> list[tuple[Fact, list[int]]]:
    """Return the facts about the course in order, each with the places of the units it is about: by their id, or launches under their publisher id."""
    by_activity: dict[object, list[int]] = defaultdict(list)
    by_publisher: dict[int, list[int]] = defaultdict(list)
    for place, unit in enumerate(course.units):
        by_activity[unit.activity].append(place)
        by_publisher[unit.publisher].append(place)
    found: list[tuple[Fact, list[int]]] = []
    for fact in known.facts:
        places = by_activity.get(fact.activity, [])
        if fact.said.under and not CMI5_CATEGORIES.isdisjoint(fact.said.category):
            places = places + [place for key in fact.said.under for place in by_publisher.get(key, ()) if place not in places]
        if places or fact.activity == course.activity:
            found.append((fact, places))
    return found


def _mastered(fact: Fact, unit: Unit) -> bool:
    mastery = unit.mastery if fact.said.mastery is None else fact.said.mastery
    return mastery is None or fact.said.scaled is None or fact.said.scaled >= mastery
