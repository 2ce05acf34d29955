"""Random small histories of one learner, where everything that can meet does: equal times, ends of months, 29 February, one thing under several names.

Facts and awards are the plain dicts of the naive reading (tests/reference_match.py); the functions below them make of those what the services read.
"""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from hypothesis import strategies as st

from services.core import evidence
from services.core.keys import key128
from services.core.rules import language
from services.core.rules.course import CourseStructure, structure
from services.core.rules.evaluate import evaluate
from services.core.rules.facts import Award, Evidence, Fact
from services.core.rules.outcome import Outcome
from services.core.rules.tree import Programme
from tests.properties import rules_programmes as universe
from tests.properties.rules_fitting import awards_wanted, fits, reads
from tests.properties.rules_programmes import Focus, programmes
from tests.reference_calendar import instant_of, moment
from tests.reference_cmi5 import CATEGORY
from tests.reference_rules import Reading

ALL = Focus()
INSTANTS = [instant_of(day) for day in universe.DAYS]
IFIS = [UUID(int=number, version=4) for number in (1, 2)]
MASTERY = "https://w3id.org/xapi/cmi5/context/extensions/masteryscore"
SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"
_UNITS: list[dict[str, Any]] = [
    {"id": universe.AU1, "type": "au", "moveOn": "Passed", "masteryScore": 0.7}, {"id": universe.AU1, "type": "au", "moveOn": "Completed"},
    {"id": universe.AU1, "type": "au", "moveOn": "CompletedAndPassed", "masteryScore": 0.7}, {"id": universe.AU1, "type": "au"},
    {"id": universe.AU2, "type": "au", "moveOn": "CompletedOrPassed", "publisher": universe.PUBLISHER},
    {"id": universe.AU2, "type": "au", "moveOn": "Passed", "publisher": universe.PUBLISHER},
]


@dataclass(frozen=True)
class World:
    """A programme and what is known of one learner."""

    programme: dict[str, Any]
    facts: tuple[dict[str, Any], ...]
    awards: tuple[dict[str, Any], ...]
    courses: dict[str, Any]
    last_end: int | None
    pick: int
    """Which of the instants at which anything may change are asked about."""

    def reading(self, kind: type[Reading] = Reading) -> Reading:
        """Return what the rules say by the naive reading."""
        return kind(self.programme, self.facts, self.awards, self.courses, self.last_end)

    @cached_property
    def read(self) -> Programme:
        """The programme as the services read it."""
        return language.parse(orjson.dumps(self.programme))

    @cached_property
    def known(self) -> tuple[list[Fact], list[Award]]:
        """The facts and awards as the services keep them."""
        return [fact_of(fact) for fact in self.facts], [award_of(award) for award in self.awards]

    @cached_property
    def structures(self) -> dict[str, CourseStructure]:
        """The courses as the services read them."""
        found = {iri: structure({"id": iri, "name": {"en": "Course"}, "cmi5": described}) for iri, described in self.courses.items()}
        return {iri: course for iri, course in found.items() if course is not None}

    def outcome(self, as_of: int) -> Outcome:
        """Return what the services say at an instant."""
        return evaluate(self.read, Evidence(*self.known), self.structures, as_of, self.last_end)

    def instants(self, most: int = 8) -> list[int]:
        """Return some of the instants at which anything may change, and of those just before."""
        reading = self.reading()
        ends = [end for instant in reading.critical if (end := reading.answer(instant).valid_until) is not None]
        every = sorted({instant - before for instant in (*reading.critical, *ends) for before in (0, 1)})
        step = -(-len(every) // most)
        return every[self.pick % step::step] if every else INSTANTS[:1]

    def without(self, ids: Sequence[str]) -> "World":
        """Return the same world without some facts and awards."""
        facts, awards = (tuple(each for each in some if each["id"] not in ids) for some in (self.facts, self.awards))
        fewer = replace(self, facts=facts, awards=awards)
        vars(fewer)["read"] = self.read
        return fewer


@st.composite
def worlds(draw: st.DrawFn, focus: Focus = ALL) -> World:
    programme = draw(programmes(focus))
    seqs = draw(st.permutations(range(13)))
    courses: dict[str, Any] = {universe.COURSE: {"children": draw(_structures())}} if reads(programme, "cmi5") and draw(st.integers(0, 9)) else {}
    wanted = fits(programme)
    named = awards_wanted(programme)
    many, given = draw(st.sampled_from((2, 3, 4, 5, 6, 7, 8))), draw(st.sampled_from((0, 1, 2, 3, 4, 5))) if named else 0
    days = [instant_of(day) for day in focus.days]
    times = _times(draw(st.sampled_from((days, days[:8], days[8:14] or days))))
    facts = tuple(draw(_facts(_turn(wanted, number), seq, times, focus.noise, cmi5=bool(courses))) for number, seq in enumerate(seqs[:many]))
    awards = tuple(draw(_awards(_turn(named, number), seq, times)) for number, seq in enumerate(seqs[8:8 + given]))
    last_end = draw(st.sampled_from([None, *INSTANTS])) if "for" in programme.get("validity", {}) else None
    return World(programme, facts, awards, courses, last_end, draw(st.integers(0, 60)))


_seldom = st.sampled_from((False, False, False, False, True))


def _times(near: list[int]) -> st.SearchStrategy[int]:
    return st.builds(lambda at, off: at + off, st.sampled_from(near), st.sampled_from((0, 0, 0, 0, -1, 1)))


def _turn(wanted: list[dict[str, Any]], number: int) -> dict[str, Any] | None:
    return wanted[number % len(wanted)] if wanted else None


@st.composite
def _facts(
    draw: st.DrawFn, wanted: dict[str, Any] | None, seq: int, times: st.SearchStrategy[int], noise: Sequence[str], *, cmi5: bool,
) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "id": str(UUID(int=100 + seq, version=4)), "ifi": draw(st.sampled_from(IFIS)), "at": draw(times), "seq": seq,
        "activity": draw(st.sampled_from((universe.A, universe.B, universe.C))), "verb": draw(st.sampled_from(_VERBS)), "type": None,
        "parent": [], "grouping": [], "category": [], "other": [], "success": None, "score": None, "authority": draw(st.sampled_from(universe.AUTHORITIES)),
        "level": 0, "evidence": 0, "registration": None, "measures": {}, "duration": None, "mastery": None,
    }
    if cmi5 and (not wanted or draw(st.booleans())):
        return fact | draw(_launches())
    if wanted and draw(st.integers(0, 5)):
        fact |= wanted
        if fact["measures"]:
            fact["measures"] = dict.fromkeys(fact["measures"], draw(_amounts))
        if fact["grouping"] and draw(st.booleans()):
            fact["parent"], fact["grouping"] = fact["grouping"], []
    for member in draw(st.lists(st.sampled_from(noise or sorted(_MEMBERS)), max_size=1)):
        fact[member] = draw(_MEMBERS[member])
    return fact


@st.composite
def _launches(draw: st.DrawFn) -> dict[str, Any]:
    """Return what a fact about a cmi5 course, or a launch of one of its units, says."""
    said: dict[str, Any] = {
        "activity": draw(st.sampled_from((universe.COURSE, universe.AU1, universe.AU1, universe.AU2, universe.LAUNCH, universe.LAUNCH))),
        "verb": draw(st.sampled_from(_TOLD)),
        "registration": draw(st.sampled_from((*universe.REGISTRATIONS, universe.REGISTRATIONS[0], universe.REGISTRATIONS[0].upper(), None))),
        "score": draw(st.sampled_from((None, 0.6, 0.7, 0.9))), "mastery": draw(st.sampled_from((None, 0.5, 0.9))),
    }
    if said["activity"] == universe.LAUNCH:
        said |= {draw(st.sampled_from(("parent", "grouping"))): [universe.PUBLISHER], "category": draw(st.sampled_from(([], [CATEGORY], [CATEGORY])))}
    return said


_TOLD = (universe.PASSED, universe.COMPLETED, universe.PASSED, universe.COMPLETED, universe.FAILED, universe.WAIVED, universe.SATISFIED)
_VERBS = (universe.PASSED, universe.W3ID + "passed", universe.PASSED, universe.COMPLETED, universe.FAILED, universe.WAIVED, universe.SATISFIED, universe.DANCED)
_contexts = st.lists(st.sampled_from((universe.PARENT, universe.PROFILE, universe.ITEM)), max_size=2, unique=True)
_amounts = st.sampled_from(("2.5", "0.1", "1", "1.5", "4", "-2"))
_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "parent": _contexts, "grouping": _contexts, "category": _contexts, "other": _contexts, "type": st.sampled_from((*universe.COURSES, universe.DANCED)),
    "success": st.booleans(), "score": st.sampled_from((0.4, 0.5, 0.7, 1.0)), "authority": st.sampled_from(universe.AUTHORITIES), "level": st.integers(1, 3),
    "evidence": st.integers(1, 2), "registration": st.sampled_from((*universe.REGISTRATIONS, universe.REGISTRATIONS[0].upper())),
    "measures": st.dictionaries(st.sampled_from(universe.MEASURES), _amounts, max_size=2),
    "duration": st.sampled_from((1, 3_600_000_000, 5_400_000_000, 9_000_000_000)), "mastery": st.sampled_from((0.0, 0.65, 0.9)),
}


@st.composite
def _awards(draw: st.DrawFn, wanted: dict[str, Any] | None, seq: int, times: st.SearchStrategy[int]) -> dict[str, Any]:
    since = draw(times)
    later = st.sampled_from([None, None, *(instant for instant in INSTANTS if instant > since)])
    found = {
        "id": str(UUID(int=200 + seq, version=4)), "ifi": draw(st.sampled_from(IFIS)), "achievement": draw(st.sampled_from(universe.GIVEN)),
        "issuer": draw(st.sampled_from(universe.ISSUERS)), "alignment": draw(st.lists(st.sampled_from(universe.TARGETS), max_size=2, unique=True)),
        "since": since, "seq": seq, "ended": draw(later), "valid_until": draw(later), "revoked": draw(_seldom), "suspended": draw(_seldom),
    }
    return found | (wanted or {}) if draw(st.integers(0, 2)) else found


@st.composite
def _structures(draw: st.DrawFn) -> list[dict[str, Any]]:
    units = [draw(st.sampled_from(_UNITS[:4])), *draw(st.lists(st.sampled_from(_UNITS[4:]), max_size=1))]
    blocks: list[dict[str, Any]] = [{"id": universe.HOME + "block", "type": "block", "children": units[1:]}, units[0]]
    return blocks if len(units) > 1 and draw(st.booleans()) else units


def fact_of(plain: dict[str, Any]) -> Fact:
    """Return a fact as the services keep it, by way of the statement that says it."""
    authority = plain["authority"]
    text = f"mbox:{authority}" if isinstance(authority, str) else "account:" + " ".join(authority)
    said = evidence.facts_of(statement_of(plain), at=plain["at"], authority=text, trusted=False)
    return Fact(UUID(plain["id"]), plain["seq"], plain["at"], plain["ifi"], key128(plain["activity"]), plain["level"], said)


def statement_of(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the statement that says what a plain fact says."""
    result: dict[str, Any] = {"extensions": {iri: float(text) for iri, text in plain["measures"].items()}}
    context: dict[str, Any] = {"contextActivities": {kind: [{"id": iri} for iri in plain[kind]] for kind in ("parent", "grouping", "category", "other")}}
    if plain["success"] is not None:
        result["success"] = plain["success"]
    if plain["score"] is not None:
        result["score"] = {"scaled": plain["score"]}
    if plain["duration"] is not None:
        result["duration"] = f"PT{plain['duration'] // 10**6}.{plain['duration'] % 10**6:06}S"
    if plain["registration"] is not None:
        context["registration"] = plain["registration"]
    if plain["mastery"] is not None:
        context["extensions"] = {MASTERY: plain["mastery"]}
    target: dict[str, Any] = {"id": plain["activity"]} | ({"definition": {"type": plain["type"]}} if plain["type"] is not None else {})
    attachments = [{"usageType": "https://x.example/portfolio"}] * plain["evidence"] + [{"usageType": SIGNATURE}]
    return {"id": plain["id"], "verb": {"id": plain["verb"]}, "object": target, "result": result, "context": context, "attachments": attachments,
            "timestamp": moment(plain["at"]).isoformat()}


def award_of(plain: dict[str, Any]) -> Award:
    """Return an award as the services keep it."""
    return Award(UUID(plain["id"]), "", plain["achievement"], plain["issuer"], tuple(plain["alignment"]), plain["ifi"], plain["seq"], plain["since"],
                 plain["ended"], plain["suspended"], plain["revoked"], plain["valid_until"])
