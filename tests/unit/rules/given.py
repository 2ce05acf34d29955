"""What a learner has, in few words: facts and awards on days of 2023, and the programmes beside this file."""
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.core import vocabulary
from services.core.evidence import Facts
from services.core.keys import key64, key128
from services.core.rules.course import CourseStructure
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import Award, Evidence, Fact
from services.core.rules.language import parse
from services.core.rules.outcome import Outcome
from services.core.rules.tree import Programme
from services.core.timeline import micros

COURSES = "https://courses.example.org/"
VERBS = "http://adlnet.gov/expapi/verbs/"
DAY = 86_400_000_000
NONE, ASSERTED, VERIFIED, PROCTORED = range(4)
_KEYED = ("under", "category", "other")


def day(text: str) -> int:
    """Return the instant at which a day begins, or of a time of it."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def fact(number: int, activity: str, when: str, *, verb: str = "passed", level: int = VERIFIED, authority: str = "account:https://lms.example.org lms",
         **said: Any) -> Fact:
    """Return a statement; `under`, `category` and `other` are IRIs, `type` is that of its activity."""
    iri = activity if "://" in activity else COURSES + activity
    for place in _KEYED:
        said[place] = tuple(key64(each) for each in said.get(place, ()))
    if "type" in said:
        said["kind"] = vocabulary.activity_type(said.pop("type"))
    return Fact(UUID(int=number), number << 8, day(when), UUID(int=7), key128(iri), level, Facts(0, VERBS + verb, authority, **said))


def award(number: int, achievement: str, since: str, **more: Any) -> Award:
    """Return an award of the university, unless `issuers` says otherwise."""
    more.setdefault("issuers", ("university", "https://university.example.org", "did:web:university.example.org"))
    more.setdefault("alignments", ())
    for name in ("ended", "valid_until"):
        if isinstance(more.get(name), str):
            more[name] = day(more[name])
    return Award(UUID(int=number), "", achievement, more.pop("issuers"), more.pop("alignments"), UUID(int=8), number << 8, day(since), **more)


def programme(name: str) -> Programme:
    """Return one of the programmes in the folder beside this file."""
    return parse((Path(__file__).parent / "programmes" / f"{name}.yaml").read_bytes())


def rule(requires: str, **more: str) -> Programme:
    """Return a programme that requires this, in YAML; `more` are other members, in YAML."""
    rest = "".join(f"{name}: {value}\n" for name, value in more.items())
    return parse(f"programme: https://lrs.example.org/programmes/p\nversion: 1\ntitle: P\n{rest}requires: {requires}\n")


def outcome(
    of: Programme, *known: Fact | Award, on: str, courses: dict[str, CourseStructure] | None = None, last_end: str | None = None,
    barred: Sequence[Fact | Award] = (),
) -> Outcome:
    """Return what a programme says of a learner at the beginning of a day, or at a time of it."""
    return evaluate(of, evidence(known), courses or {}, day(on), None if last_end is None else day(last_end), evidence(barred))


def evidence(known: Sequence[Fact | Award]) -> Evidence:
    """Return it sorted out."""
    return Evidence([each for each in known if isinstance(each, Fact)], [each for each in known if isinstance(each, Award)])
