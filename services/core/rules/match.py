"""Which facts a clause reads: a statement counts if every member given in its match holds."""
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from uuid import UUID

from services.core import transcript, vocabulary
from services.core.evidence import Facts
from services.core.keys import key64
from services.core.rules.facts import Award, Fact
from services.core.rules.tree import Credentials, Match

_FAMILIES = ("http://w3id.org", "https://w3id.org")
CMI5_CATEGORIES = frozenset(key64(home + "/xapi/cmi5/context/categories/cmi5") for home in _FAMILIES)
issuer = lru_cache(maxsize=16384)(transcript.issuer)
"""The authority of a record as rules name it."""


class Known:
    """The facts of a learner by event time, and by activity."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        """In any order: what is asked gets them by (at, seq)."""
        self.facts = sorted(facts, key=_position)
        self._of: dict[UUID, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self._of[fact.activity].append(fact)

    def of(self, activity: UUID) -> Sequence[Fact]:
        """Return the facts about an activity."""
        return self._of.get(activity, ())

    def matching(self, match: Match) -> list[Fact]:
        """Return the facts that match."""
        activities = match.activities
        if activities is None:
            return [fact for fact in self.facts if matches(match, fact)]
        if len(activities) == 1:
            return [fact for fact in self.of(next(iter(activities))) if matches(match, fact)]
        found = [fact for activity in activities for fact in self.of(activity) if matches(match, fact)]
        found.sort(key=_position)
        return found


def matches(match: Match, fact: Fact) -> bool:
    """Return whether every member of the match but `activities` holds for the fact."""
    said = fact.said
    if not verb_fits(match, fact):
        return False
    if match.level > fact.level or match.evidence > said.artifacts:
        return False
    if match.authorities is not None and issuer(said.authority) not in match.authorities:
        return False
    if match.score_gte is not None and (said.scaled is None or said.scaled < match.score_gte):
        return False
    return is_about(match, fact) and _when(match, fact) and (match.success is None or says(said, success=match.success))


def verb_fits(match: Match, fact: Fact) -> bool:
    """Return whether the verb is one of those asked for."""
    return match.verbs is None or vocabulary.verb(fact.said.verb) in match.verbs


def is_about(match: Match, fact: Fact) -> bool:
    """Return whether the fact is about what is asked for, by its type, its context and its competency; its activity is not looked at."""
    said = fact.said
    if match.category is not None and match.category not in said.category:
        return False
    if match.under is not None and match.under not in said.under:
        return False
    if match.kind is not None and match.kind != said.kind:
        return False
    wanted = match.competency
    return wanted is None or fact.activity == match.competency_activity or wanted in said.under or wanted in said.category or wanted in said.other


def _when(match: Match, fact: Fact) -> bool:
    if (match.since is not None and fact.at < match.since) or (match.until is not None and fact.at >= match.until):
        return False
    return match.registration is None or (fact.said.registration is not None and fact.said.registration.lower() == match.registration)


def says(said: Facts, *, success: bool) -> bool:
    """Return whether a statement tells of success, or of failure: by its result, or by its verb."""
    return said.success is success or vocabulary.verb(said.verb) == ("passed" if success else "failed")


def reads(clause: Credentials, award: Award, *, at_any_time: bool = False) -> bool:
    """Return whether a clause on credentials is about this award, whatever its state; `at_any_time`, whatever its date, too."""
    if clause.achievement is not None and clause.achievement != award.achievement:
        return False
    if clause.alignment is not None and clause.alignment not in award.alignments:
        return False
    if clause.issuer is not None and clause.issuer not in award.issuers:
        return False
    if clause.issuers is not None and clause.issuers.isdisjoint(award.issuers):
        return False
    return at_any_time or ((clause.since is None or award.since >= clause.since) and (clause.until is None or award.since < clause.until))


def _position(fact: Fact) -> tuple[int, int]:
    return fact.at, fact.seq
