"""What would meet a node that is not met, in words."""
from collections.abc import Sequence

from services.core.rules.cmi5 import Nearest
from services.core.rules.narrative import length
from services.core.rules.outcome import Amount, Explained
from services.core.rules.tree import All, AnyOf, AtLeast, Credentials, Node, Statements, Sum
from services.core.timeline import rfc3339

_MOST_NAMED = 20
_ANOTHER = {"different authorities": "another authority", "different issuers": "another issuer", "different achievements": "another achievement"}
_MOVE_ON = {
    "Passed": "to be passed", "Completed": "to be completed", "CompletedAndPassed": "to be completed and passed",
    "CompletedOrPassed": "to be completed or passed", "NotApplicable": "to be begun",
}


def of_leaf(node: Statements | Credentials | Sum, amount: Amount, so_far: Sequence[str], as_of: int) -> str:
    """Return what a leaf lacks. `so_far` are the different values that count already, where they are names."""
    more, had = number(amount.wanted - amount.got), f"{number(amount.got)} of {number(amount.wanted)} so far"
    until = node.until if isinstance(node, Credentials) else node.match.until
    over = ""
    if until is not None and until <= as_of:
        over = f"; its time is over: nothing new counts, only what happened before {rfc3339(until)[:10]} and is not on record yet"
    if isinstance(node, Sum):
        return f"{more} {'hours' if amount.unit == 'hours' else f'of {amount.unit}'} more; {had}{over}"
    if amount.wanted == 1:
        return node.asks + over
    if so_far:
        other = _ANOTHER[amount.unit] if more == "1" else amount.unit.replace("different", "other")
        return f"{more} more, of {other} than {_listed(so_far, ', ')}; {had}{over}"
    unit = amount.unit.removesuffix("s") if more == "1" and not node.distinct else amount.unit
    return f"{more} {'' if node.distinct else 'more '}{unit}; {had}{over}"


def of_course(nearest: Nearest | None) -> str:
    """Return what a cmi5 course lacks; None of one whose units are not known."""
    if nearest is None:
        return "its units are not known: nobody has described the course"
    units = _listed([f"{unit.iri} ({_MOVE_ON[unit.move_on]})" for unit in nearest.open])
    where = "in one registration" if nearest.registration is None else f"in the registration {nearest.registration}; or all its units in another registration"
    return f"{units}, {where}"


def of_group(node: Node, of: Sequence[Explained], amount: Amount) -> str:
    """Return what a node lacks of the nodes under it."""
    open_ = [child.label for child in of if not child.met]
    if isinstance(node, AnyOf):
        return f"one of these: {_listed(open_)}"
    if isinstance(node, AtLeast):
        others = ", of another issuer than those that count" if node.by_issuer else ""
        more = number(amount.wanted - amount.got)
        return f"{more} more of these: {_listed(open_)}{others}" if open_ else f"{more} more{others}"
    if isinstance(node, All) and not open_:
        return _rearranged(node, of)
    return _listed([*open_, *(f"{child.label}, once more, after that" for child in of if child.again)])


def number(amount: float) -> str:
    """Return an amount as people write it, to six decimals."""
    return f"{amount:.6f}".rstrip("0").rstrip(".")


def _rearranged(node: All, of: Sequence[Explained]) -> str:
    """Return what is lacking where each part is met, but too early or too far from others."""
    again = [child.label for child in of if child.again]
    if again:
        return f"{_listed(again)}: once more, after what comes before in the order"
    assert node.within is not None
    order = ", in this order" if node.sequence else ""
    return f"each part is met, but not within {length(node.within.text)} of each other{order}: some have to come again"


def _listed(names: Sequence[str], between: str = "; ") -> str:
    left_out = len(names) - _MOST_NAMED
    return between.join([*names[:_MOST_NAMED], *([f"and {left_out} more"] if left_out > 0 else [])])
