"""What is about the same as a clause asks for and yet does not count, and why: so many for each reason, in words."""
from collections import Counter
from collections.abc import Iterable, Iterator

from services.core.evidence import LEVELS
from services.core.rules.facts import Award, Fact
from services.core.rules.leaves import Gathering, Leaf
from services.core.rules.match import Known, is_about, issuer, reads, says, verb_fits
from services.core.rules.tree import Cmi5, Credentials, LeafNode, Match


def of_leaf(node: LeafNode, gathering: Gathering, whole: Leaf, counting: Leaf) -> tuple[str, ...]:
    """Return why what is near does not count for a leaf: `whole` is what ever counted for it, `counting` what does now."""
    if isinstance(node, Cmi5):
        return ()
    if isinstance(node, Credentials):
        reasons = Counter(reason for award in gathering.awards for reason in _of_award(node, award))
    else:
        reasons = Counter(reason for fact in _near(node.match, gathering.known) for reason in _of_fact(node.match, fact))
        reasons["too long ago"] = len(whole.items) - len(counting.items)
    return tuple(f"{count} {reason}" for reason, count in sorted(reasons.items()) if count)


def _near(match: Match, known: Known) -> Iterable[Fact]:
    """Give the facts about the same activities, with the same verbs."""
    facts = known.facts if match.activities is None else [fact for activity in match.activities for fact in known.of(activity)]
    return (fact for fact in facts if verb_fits(match, fact) and is_about(match, fact))


def _of_fact(match: Match, fact: Fact) -> Iterator[str]:
    said = fact.said
    if match.score_gte is not None and (said.scaled is None or said.scaled < match.score_gte):
        yield "without a score" if said.scaled is None else f"with a score below {match.score_gte}"
    if match.success is not None and not says(said, success=match.success):
        yield "without success" if match.success else "without failure"
    if match.level > fact.level:
        yield f"with the learner's identity {'not known' if not fact.level else f'only {LEVELS[fact.level]}'}"
    if match.authorities is not None and issuer(said.authority) not in match.authorities:
        yield "by another authority"
    if match.evidence > said.artifacts:
        yield "with too few pieces of work attached"
    if match.since is not None and fact.at < match.since:
        yield "too early"
    if match.until is not None and fact.at >= match.until:
        yield "too late"
    if match.registration is not None and (said.registration or "").lower() != match.registration:
        yield "in another registration"


def _of_award(node: Credentials, award: Award) -> Iterator[str]:
    if not reads(node, award, at_any_time=True):
        return
    if award.revoked:
        yield "revoked"
    elif node.active and award.suspended:
        yield "suspended"
    if node.since is not None and award.since < node.since:
        yield "too early"
    if node.until is not None and award.since >= node.until:
        yield "too late"
