"""Whether a learner has what a programme asks for, since when and until when, and why: a pure function of a set of facts and awards."""
from collections.abc import Iterable, Mapping

from services.core.rules.calendar import FIRST, add, subtract
from services.core.rules.course import CourseStructure
from services.core.rules.done import Moment
from services.core.rules.explained import Explaining
from services.core.rules.facts import NOTHING, Award, Evidence, Fact
from services.core.rules.intervals import met_when
from services.core.rules.leaves import Gathering, Leaf
from services.core.rules.match import Known
from services.core.rules.order import Slices, first_of
from services.core.rules.outcome import Explained, Input, Outcome
from services.core.rules.passed_over import OF_THE_LAST, REVOKED_BY_HAND
from services.core.rules.tree import LeafNode, Node, Programme, leaves_of
from services.core.rules.windows import FOREVER
from services.core.rules.witness import Witnesses, inputs
from services.core.rules.worded import Wording


def evaluate(
    programme: Programme, evidence: Evidence, courses: Mapping[str, CourseStructure], as_of: int, last_end: int | None = None, barred: Evidence = NOTHING,
) -> Outcome:
    """Return what the programme says of a learner with this evidence, in whatever order it comes.

    `courses` gives the structure of cmi5 courses by IRI; `last_end` is the valid_until of the learner's last award of this programme that expired under
    `validity: {for: …}`, None if there is none. Facts and awards of after `as_of` do not count, but for what may change. `barred` counts no more, for an award
    was revoked by hand after it; it is only named in words.
    """
    facts, awards = evidence
    if programme.validity is None or programme.validity.length is None:
        last_end = None
    bound = FIRST if last_end is None else subtract(last_end, programme.renewal.open) if programme.renewal.open else last_end
    renewed = last_end is not None
    gathering = _gathered(evidence, courses, bound, as_of, renewed=renewed)
    known = gathering.known
    clauses = leaves_of(programme.requires)
    leaves = {id(leaf): gathering.leaf(leaf) for leaf in clauses}
    moment = Moment({key: leaf.at(as_of) for key, leaf in leaves.items()})
    done = moment.done(programme.requires)
    runs = _runs(programme.requires, leaves, done)
    coming = [instant for run in runs for instant in run if as_of < instant < FOREVER]
    coming += _promised(clauses, facts, awards, courses, as_of, renewed=renewed)

    def explain() -> Explained:
        return Explaining(moment, known, courses).explain(programme.requires)

    def word(tree: Explained) -> Explained:
        gone = {OF_THE_LAST: _gathered(evidence, courses, FIRST, min(as_of, bound - 1), renewed=renewed),
                REVOKED_BY_HAND: _gathered(barred, courses, FIRST, as_of, renewed=renewed)}
        return Wording(moment, leaves, gathering, as_of, gone).put(programme.requires, tree)

    def rest() -> tuple[Input, ...]:
        return inputs(Witnesses(moment, known, courses).of(programme.requires, first_of(done))) if done else ()

    if not done:
        return Outcome(
            met=False, since=None, valid_until=None, expired=False, lapse=None, next_change_at=min(coming, default=None), explain=explain, rest=rest, word=word)
    begun, ended = next(run for run in runs if run[0] <= as_of < run[1])
    since, lapse = _since(programme, begun, last_end), ended if ended < FOREVER else None
    valid_until = _valid_until(programme, since, lapse)
    if valid_until is not None:
        ends = [valid_until, *(subtract(valid_until, ahead) for ahead in programme.renewal.remind)]
        coming += [instant for instant in ends if instant > as_of]
    return Outcome(
        met=True, since=since, valid_until=valid_until, expired=valid_until is not None and as_of >= valid_until, lapse=lapse,
        next_change_at=min(coming, default=None), explain=explain, rest=rest, word=word)


def _runs(requires: Node, leaves: Mapping[int, Leaf], done: Slices) -> list[tuple[int, int]]:
    """Return from when to when it is met by what has come, however often."""
    if any(leaf.ends is not None for leaf in leaves.values()):
        return met_when(requires, leaves)
    return [(first_of(done)[0], FOREVER)] if done else []


def _gathered(evidence: Evidence, courses: Mapping[str, CourseStructure], first: int, last: int, *, renewed: bool) -> Gathering:
    """Gather the evidence of these instants."""
    known = Known(fact for fact in evidence.facts if first <= fact.at <= last)
    awards = sorted((award for award in evidence.awards if first <= award.since <= last), key=_position)
    return Gathering(known, awards, courses, renewed=renewed)


def _promised(
    clauses: Iterable[LeafNode], facts: Iterable[Fact], awards: Iterable[Award], courses: Mapping[str, CourseStructure], as_of: int, *, renewed: bool,
) -> list[int]:
    """Return when each clause will first read something of after `as_of`."""
    later, promised = [fact for fact in facts if fact.at > as_of], [award for award in awards if award.since > as_of]
    if not later and not promised:
        return []
    ahead = Gathering(Known(later), sorted(promised, key=_position), courses, renewed=renewed)
    return [at for leaf in clauses if (at := ahead.first(leaf)) is not None]


def _since(programme: Programme, begun: int, last_end: int | None) -> int:
    """Return when the award begins: no sooner than the last one ended, and then at once unless the time of grace is over."""
    if last_end is None:
        return begun
    grace = programme.renewal.grace
    return last_end if begun <= (add(last_end, grace) if grace else last_end) else begun


def _valid_until(programme: Programme, since: int, lapse: int | None) -> int | None:
    if programme.validity is None:
        return None
    return lapse if programme.validity.length is None else add(since, programme.validity.length)


def _position(award: Award) -> tuple[int, int]:
    return award.since, award.seq
