"""Whether a learner has what a programme asks for, since when and until when, and why: a pure function of a set of facts and awards."""
from collections.abc import Mapping, Sequence

from services.core.rules.calendar import FIRST, add, subtract
from services.core.rules.course import CourseStructure
from services.core.rules.done import Moment
from services.core.rules.explained import Explaining, unmet
from services.core.rules.facts import Award, Fact
from services.core.rules.intervals import met_when
from services.core.rules.leaves import Gathering
from services.core.rules.match import Known
from services.core.rules.order import first_of
from services.core.rules.outcome import Outcome
from services.core.rules.tree import Programme, leaves_of
from services.core.rules.windows import FOREVER
from services.core.rules.witness import Witnesses, inputs


def evaluate(
    programme: Programme, facts: Sequence[Fact], awards: Sequence[Award], courses: Mapping[str, CourseStructure], as_of: int,
    last_end: int | None = None,
) -> Outcome:
    """Return what the programme says of a learner with these facts and awards, in whatever order they come.

    `courses` gives the structure of cmi5 courses by IRI; `last_end` is the valid_until of the learner's last award of this programme that expired under
    `validity: {for: …}`, None if there is none. Facts and awards of after `as_of` do not count, but for what may change.
    """
    if programme.validity is None or programme.validity.length is None:
        last_end = None
    bound = FIRST if last_end is None else subtract(last_end, programme.renewal.open) if programme.renewal.open else last_end
    known = Known(fact for fact in facts if bound <= fact.at <= as_of)
    counting = sorted((award for award in awards if bound <= award.since <= as_of), key=_position)
    gathering = Gathering(known, counting, courses, renewed=last_end is not None)
    clauses = leaves_of(programme.requires)
    leaves = {id(leaf): gathering.leaf(leaf) for leaf in clauses}
    moment = Moment({key: leaf.at(as_of) for key, leaf in leaves.items()})
    done = moment.done(programme.requires)
    if all(leaf.ends is None for leaf in leaves.values()):
        runs = [(first_of(done)[0], FOREVER)] if done else []
    else:
        runs = met_when(programme.requires, leaves)
    tree = Explaining(moment, known, courses).explain(programme.requires)
    coming = [instant for run in runs for instant in run if as_of < instant < FOREVER]
    later, promised = [fact for fact in facts if fact.at > as_of], [award for award in awards if award.since > as_of]
    if later or promised:
        gathering = Gathering(Known(later), sorted(promised, key=_position), courses, renewed=last_end is not None)
        coming += [at for leaf in clauses if (at := gathering.first(leaf)) is not None]
    if not done:
        return Outcome(
            met=False, since=None, valid_until=None, expired=False, lapse=None, next_change_at=min(coming, default=None), inputs=(), tipping=None,
            progress=tree.progress, tree=tree, unmet=tuple(unmet(tree)),
        )
    begun, ended = next(run for run in runs if run[0] <= as_of < run[1])
    since, lapse = _since(programme, begun, last_end), ended if ended < FOREVER else None
    valid_until = _valid_until(programme, since, lapse)
    if valid_until is not None:
        ends = [valid_until, *(subtract(valid_until, ahead) for ahead in programme.renewal.remind)]
        coming += [instant for instant in ends if instant > as_of]
    rests_on = inputs(Witnesses(moment, known, courses).of(programme.requires, first_of(done)))
    return Outcome(
        met=True, since=since, valid_until=valid_until, expired=valid_until is not None and as_of >= valid_until, lapse=lapse,
        next_change_at=min(coming, default=None), inputs=rests_on, tipping=rests_on[-1], progress=1.0, tree=tree, unmet=(),
    )


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
