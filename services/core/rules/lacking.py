"""What would meet a node that is not met, in words."""
import math
from collections.abc import Sequence

from services.core.rules.cmi5 import Nearest
from services.core.rules.narrative import length, shortened
from services.core.rules.outcome import Amount, Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Credentials, Node, Statements, Sum
from services.core.timeline import rfc3339

_MOST_NAMED = 20
_MILLION = 10**6
_NOISE = 1e-6
"""Of sums and products of fractions, in millionths."""
_MIDNIGHT = "T00:00:00.000000Z"
_ANOTHER = {"different authorities": "another authority", "different issuers": "another issuer", "different achievements": "another achievement"}
_MOVE_ON = {
    "Passed": "to be passed", "Completed": "to be completed", "CompletedAndPassed": "to be completed and passed",
    "CompletedOrPassed": "to be completed or passed", "NotApplicable": "to be begun",
}


def of_leaf(node: Statements | Credentials | Sum, amount: Amount, so_far: Sequence[str], as_of: int) -> str:
    """Return what a leaf lacks. `so_far` are the different values that count already, where they are names."""
    over = _over(node.until if isinstance(node, Credentials) else node.match.until, as_of)
    more, had = _missing(amount), f"{number(amount.got)} of {number(amount.wanted)} so far"
    if isinstance(node, Sum):
        return f"{more} {'hours' if amount.unit == 'hours' else f'of {amount.unit}'} more; {had}{over}"
    if amount.wanted == 1:
        return shortened(node.asks) + over
    if so_far:
        other = _ANOTHER[amount.unit] if more == "1" else amount.unit.replace("different", "other")
        return f"{more} more, of {other} than {_listed(so_far, ', ')}; {had}{over}"
    unit = amount.unit.removesuffix("s") if more == "1" and not node.distinct else amount.unit
    return f"{more} more{', of' if node.distinct else ''} {unit}; {had}{over}"


def of_course(nearest: Nearest | None) -> str:
    """Return what a cmi5 course lacks; None of one whose units are not known."""
    if nearest is None:
        return "a description of the course: its units are not known"
    units = _listed([f"{unit.iri} ({_MOVE_ON[unit.move_on]})" for unit in nearest.open])
    where = "in one registration" if nearest.registration is None else f"in the registration {nearest.registration}; or all its units in another registration"
    return f"{units}, {where}"


def of_group(node: Node, of: Sequence[Explained], amount: Amount) -> str:
    """Return what a node lacks of the nodes under it."""
    if isinstance(node, AnyOf):
        return f"one of these: {_listed([_named(child) for child in of])}"
    if isinstance(node, AtLeast) and node.by_issuer:
        wanted = number(amount.wanted)
        return f"{wanted} of these, of {wanted} different issuers; {number(amount.got)} so far: {_listed([_named(child) for child in of])}"
    open_ = [_named(child) for child in of if not child.met]
    if isinstance(node, AtLeast):
        return f"{_missing(amount)} more of these: {_listed(open_)}"
    assert isinstance(node, All)
    parts = [name for child in of for name in ([f"{child.label}, once more"] if child.again else [] if child.met else [_named(child)])]
    order = ", in this order" if node.sequence and len(parts) > 1 else ""
    return f"{_listed(parts)}{order}{_apart(node, beside=bool(parts))}"


def number(amount: float) -> str:
    """Return an amount as people write it, to six decimals, rounded down."""
    return _written(math.floor(amount * _MILLION + _NOISE))


def _missing(amount: Amount) -> str:
    """Return how much is wanted still, rounded up: what is not met lacks something."""
    return _written(math.ceil((amount.wanted - amount.got) * _MILLION - _NOISE))


def _written(millionths: int) -> str:
    return f"{millionths / _MILLION:.6f}".rstrip("0").rstrip(".")


def _over(until: int | None, as_of: int) -> str:
    """Return what is to be said where the time is over of which something counts."""
    if until is None or as_of < until:
        return ""
    return f"; its time is over: nothing new counts, only what happened before {rfc3339(until).removesuffix(_MIDNIGHT)} and is not on record yet"


def _apart(node: All, *, beside: bool) -> str:
    """Return what is to be said of parts that must come within a time of each other: `beside` others that lack."""
    if node.within is None:
        return ""
    span = length(node.within.text)
    return f"; all within {span}, so what is met may have to come again" if beside else f"the same within {span}: its parts are met, but too far apart"


def _named(child: Explained) -> str:
    """Return how a part is called among others: by its label, a group without one by what it lacks."""
    return f"({child.lacks})" if child.of and child.label == child.asks and child.lacks else child.label


def _listed(names: Sequence[str], between: str = "; ") -> str:
    left_out = len(names) - _MOST_NAMED
    return between.join([*names[:_MOST_NAMED], *([f"and {left_out} more"] if left_out > 0 else [])])
