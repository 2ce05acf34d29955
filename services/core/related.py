"""What a statement says beside its verb, object and result that rules ask about: the activities it was done in, and the artifacts that came with it."""
from typing import Any

from services.core.keys import key64
from services.core.parts import once
from services.core.vocabulary import SIGNATURE

Related = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
MOST_RELATED = 256
"""How many context activities are kept of one statement, of all kinds together."""

_MASTERY = "https://w3id.org/xapi/cmi5/context/extensions/masteryscore"
_NONE: tuple[int, ...] = ()
_NOTHING = (_NONE, _NONE, _NONE)


def related(context: dict[str, Any]) -> Related:
    """Return key64 of the parents and groupings, of the categories and of the other context activities, each once and in their order."""
    activities = context.get("contextActivities")
    return once(activities, _by_kind) if activities else _NOTHING


def _by_kind(activities: dict[str, Any]) -> Related:
    get = activities.get
    parent, grouping, category, other = _keys(get("parent")), _keys(get("grouping")), _keys(get("category")), _keys(get("other"))
    under = tuple(dict.fromkeys(parent + grouping)) if parent and grouping else parent or grouping
    if len(under) + len(category) + len(other) > MOST_RELATED:
        under = under[:MOST_RELATED]
        category = category[:MOST_RELATED - len(under)]
        other = other[:MOST_RELATED - len(under) - len(category)]
    return under, category, other


def artifacts(attachments: list[dict[str, Any]]) -> int:
    """Return how many attachments are no signature of the statement itself."""
    return sum(each["usageType"] != SIGNATURE for each in attachments)


def mastery(extensions: dict[str, Any]) -> float | None:
    """Return the score that a launch of a cmi5 unit asked for; None if it asked for none."""
    score = extensions.get(_MASTERY)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        return None
    return float(score)


def _keys(listed: Any) -> tuple[int, ...]:
    """Return key64 of the activities of one kind, each once; an older sender gives a lone one without a list."""
    if not listed:
        return _NONE
    if isinstance(listed, dict):
        return (key64(listed["id"]),)
    if len(listed) == 1:
        return (key64(listed[0]["id"]),)
    return tuple(dict.fromkeys([key64(one["id"]) for one in listed]))
