"""Numbers that a statement gives: scores, durations, hours and measures, exact so that sums are the same in any order."""
import math
import re
from decimal import Decimal
from typing import Any

from services.core.keys import key64
from services.core.syntax import duration

HOUR = 1_000_000
"""Hours, and every other measure, are kept in millionths."""

MAX_DURATION = 100 * 366 * 86400 * 10**6
MAX_HOURS = 10**6
MOST_MEASURES = 32
MAX_MEASURE = 10**12

_SHORT = re.compile(r"PT(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})(?:\.([0-9]{1,6}))?S)?")
"""The durations that senders use, of which `PT` alone is none; any other form is read by hand."""


def scaled_score(score: dict[str, Any]) -> float | None:
    """Return the scaled score: as sent, else made of raw, min and max; None if neither can be had."""
    scaled = score.get("scaled")
    if scaled is None:
        raw, low, high = score.get("raw"), score.get("min"), score.get("max")
        if raw is None or low is None or high is None or not high > low:
            return None
        scaled = (raw - low) / (high - low)
    return float(scaled) + 0.0 if math.isfinite(scaled) else None


def lasted(result: dict[str, Any]) -> int | None:
    """Return the duration of a result that has one, in microseconds; None for one that is longer than anything lasts."""
    text = result["duration"]
    short = _SHORT.fullmatch(text)
    if short is not None and len(text) > 2:
        hours_, minutes, seconds, fraction = short.groups()
        return (int(hours_ or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)) * 1_000_000 + (int(fraction.ljust(6, "0")) if fraction else 0)
    found = duration(text)
    return None if found is None or found > MAX_DURATION else found


def hours(value: Any) -> int:
    """Return what a pd-hours extension says in millionths of an hour, 0 for what is no number of hours."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_HOURS:
        return _millionths(value)
    return 0


def measures(*extensions: dict[str, Any] | None) -> dict[int, int] | None:
    """Return the numbers among extensions, by key64 of their IRI and in millionths; of one IRI the first, at most 32 in all. None: there are none."""
    found: dict[int, int] = {}
    for each in extensions:
        for iri, value in each.items() if each else ():
            kind = type(value)
            if (kind is float or kind is int) and -MAX_MEASURE <= value <= MAX_MEASURE and len(found) < MOST_MEASURES:
                found.setdefault(key64(iri), _millionths(value))
    return found or None


def _millionths(value: float) -> int:
    return int((Decimal(repr(value)) * HOUR).to_integral_value())
