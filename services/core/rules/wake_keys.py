"""Which statements and awards can touch which programmes: 64-bit keys that both sides make, so that no programme is evaluated for what it cannot read.

A clause asks under (verb or any, one thing that it names); a statement answers to (its verb, and any) with each of the things it has. A key that two
things share by chance costs an evaluation and changes nothing.
"""
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from uuid import UUID

from services.core.evidence import Facts
from services.core.keys import key64, key128
from services.core.rules.course import CourseStructure
from services.core.rules.facts import Award
from services.core.rules.tree import Cmi5, Credentials, Match, Programme, Statements, Sum, leaves_of

_ACTIVITY, _CATEGORY, _UNDER, _CONTEXT, _TYPE, _ANY = (key64(f"rules:{name}") for name in ("activity", "category", "under", "context", "type", "any"))
_ACHIEVEMENT, _ISSUER, _ALIGNMENT, _PROGRAMME = (key64(f"rules:{name}") for name in ("achievement", "issuer", "alignment", "programme"))
_ANY_VERB = 0

ANY = -1
"""The key of whatever may touch everything that is known of a learner: a link."""
COMPLETION = 0
"""The key, with an activity, of whether a course was completed."""
NO_ACTIVITY = UUID(int=0)
"""What stands beside every other key."""


def keys_of(programme: Programme, courses: Mapping[str, CourseStructure]) -> frozenset[int]:
    """Return the keys of what the clauses of a programme read; `courses` gives the structure of the cmi5 courses it names, by IRI."""
    found: set[int] = set()
    for leaf in leaves_of(programme.requires):
        if isinstance(leaf, Statements | Sum):
            found.update(_of_match(leaf.match))
        elif isinstance(leaf, Credentials):
            found.update(_of_credentials(leaf))
        else:
            found.update(_of_course(leaf, courses.get(leaf.course)))
    return frozenset(found)


def keys_of_fact(said: Facts, activity: UUID, verb: str) -> Iterable[int]:
    """Return the keys that a statement answers to: `activity` is key128 of its IRI, `verb` canonical."""
    return [*keys_of_activity(activity, verb), *keys_around(said, verb)]


def keys_of_activity(activity: UUID, verb: str) -> tuple[int, int]:
    """Return those of them that come of the activity alone."""
    thing = _of_activity(activity)
    return thing, thing ^ _of_verb(verb)


def keys_around(said: Facts, verb: str) -> Iterable[int]:
    """Return those of them that come of everything else: many statements about different activities share them."""
    things = [_ANY] if said.kind is None else [_ANY, _of_type(said.kind)]
    things += [key ^ _UNDER for key in said.under]
    things += [key ^ _CATEGORY for key in said.category]
    things += [key ^ _CONTEXT for keys in (said.under, said.category, said.other) for key in keys]
    own = _of_verb(verb)
    return [*things, *[thing ^ own for thing in things]]


def keys_of_award(award: Award) -> Iterable[int]:
    """Return the keys that a credential answers to: its achievement, each name of its issuer, each alignment."""
    yield key64(award.achievement) ^ _ACHIEVEMENT
    yield from (key64(name) ^ _ISSUER for name in award.issuers)
    yield from (key64(target) ^ _ALIGNMENT for target in award.alignments)


def key_of_programme(iri: str) -> int:
    """Return the key that wakes a programme itself: after its own decisions, revocations and timers."""
    return key64(iri) ^ _PROGRAMME


def _of_match(match: Match) -> Iterator[int]:
    """Give the keys of a clause on statements: each of its verbs, or any, with the most telling thing that it names."""
    if match.activities is not None:
        things = [_of_activity(activity) for activity in match.activities]
    elif match.competency is not None and match.competency_activity is not None:
        things = [match.competency ^ _CONTEXT, _of_activity(match.competency_activity)]
    elif match.category is not None:
        things = [match.category ^ _CATEGORY]
    elif match.under is not None:
        things = [match.under ^ _UNDER]
    else:
        things = [_ANY if match.kind is None else _of_type(match.kind)]
    verbs = [_ANY_VERB] if match.verbs is None else [_of_verb(verb) for verb in match.verbs]
    return (thing ^ verb for thing in things for verb in verbs)


def _of_credentials(clause: Credentials) -> Iterator[int]:
    """Give the keys of a clause on credentials: an award that it counts has the one thing of it that is looked for."""
    if clause.achievement is not None:
        yield key64(clause.achievement) ^ _ACHIEVEMENT
    elif clause.alignment is not None:
        yield key64(clause.alignment) ^ _ALIGNMENT
    else:
        yield from (key64(name) ^ _ISSUER for name in ([clause.issuer] if clause.issuer is not None else clause.issuers or ()))


def _of_course(clause: Cmi5, course: CourseStructure | None) -> Iterator[int]:
    yield _of_activity(key128(clause.course))
    for unit in course.units if course is not None else ():
        yield _of_activity(unit.activity)
        yield unit.publisher ^ _UNDER


def _of_activity(activity: UUID) -> int:
    return int.from_bytes(activity.bytes[:8], "big", signed=True) ^ _ACTIVITY


@lru_cache(maxsize=4096)
def _of_verb(verb: str) -> int:
    return key64(f"verb:{verb}")


@lru_cache(maxsize=4096)
def _of_type(kind: str) -> int:
    return key64(kind) ^ _TYPE
