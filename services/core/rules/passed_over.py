"""What is about the same as a clause asks for and yet does not count, and why: so many for each reason, in words."""
from collections import Counter
from collections.abc import Iterator, Mapping

from services.core.evidence import LEVELS
from services.core.rules.facts import Award, Fact
from services.core.rules.leaves import Gathering, Leaf
from services.core.rules.match import Known, is_about, issuer, matches, reads, says, verb_fits
from services.core.rules.tree import Cmi5, Credentials, LeafNode, Match, Statements, Sum

OF_THE_LAST, REVOKED_BY_HAND = "from before the last award ended", "from before an award was revoked by hand"
MOST_SEEN = 2000
"""How many of a learner's statements are looked through for each clause: the latest."""


def of_leaf(node: LeafNode, gathering: Gathering, whole: Leaf, counting: Leaf, gone: Mapping[str, int]) -> tuple[str, ...]:
    """Return why what is near does not count for a leaf: `whole` ever counted for it, `counting` what does now, `gone` cannot any more (how many, by why)."""
    reasons: Counter[str]
    if isinstance(node, Cmi5):
        reasons = Counter()
    elif isinstance(node, Credentials):
        counted = {id(award) for award in counting.items}
        reasons = Counter(", ".join(_of_award(node, award)) for award in gathering.awards if id(award) not in counted and reads(node, award, at_any_time=True))
    else:
        counted = {id(fact) for fact in whole.items}
        reasons = Counter(", ".join(_of_fact(node, fact)) for fact in _near(node.match, gathering.known) if id(fact) not in counted)
        reasons["too long ago"] += len(whole.items) - len(counting.items)
    reasons.update(gone)
    return tuple(f"{count} {reason}" for reason, count in sorted(reasons.items()) if count)


def _near(match: Match, known: Known) -> Iterator[Fact]:
    """Give the facts about the same activities with the same verbs; of a clause that names neither, nothing is near."""
    if match.activities is not None:
        facts = [fact for activity in match.activities for fact in known.of(activity)]
    elif any(given is not None for given in (match.verbs, match.under, match.category, match.competency, match.kind)):
        facts = known.facts
    else:
        return
    yield from (fact for fact in facts[-MOST_SEEN:] if verb_fits(match, fact) and is_about(match, fact))


def _of_fact(node: Statements | Sum, fact: Fact) -> Iterator[str]:
    match, said = node.match, fact.said
    if matches(match, fact):
        yield "without an amount" if isinstance(node, Sum) else "without a registration"
        return
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
    yield from _when(match, fact)


def _when(match: Match, fact: Fact) -> Iterator[str]:
    if match.since is not None and fact.at < match.since:
        yield "too early"
    if match.until is not None and fact.at >= match.until:
        yield "too late"
    if match.registration is not None and (fact.said.registration or "").lower() != match.registration:
        yield "in another registration"


def _of_award(node: Credentials, award: Award) -> Iterator[str]:
    if award.revoked:
        yield "revoked"
    elif node.active and award.suspended:
        yield "suspended"
    elif reads(node, award):
        yield "expired"
    if node.since is not None and award.since < node.since:
        yield "too early"
    if node.until is not None and award.since >= node.until:
        yield "too late"
