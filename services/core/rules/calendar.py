"""Spans of calendar time and instants a span apart: years and months as calendars have them, in UTC, saturating at the years 1 and 9999.

An instant is microseconds since 2020 (services/core/timeline.py).
"""
import calendar
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from services.core.timeline import EPOCH, micros

DAY = 86_400_000_000
FIRST = micros(datetime.min.replace(tzinfo=UTC))
"""The first instant of the year 1."""
LAST = micros(datetime.max.replace(tzinfo=UTC))
"""The last instant of the year 9999."""

_MOST_MONTHS, _MOST_DAYS = 1200, 36_525
_NEVER = 10**12
_SPAN = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,12})(?:\.([0-9]{1,6}))?S)?)?"
)


class Span(msgspec.Struct, frozen=True, gc=False):
    """A length of calendar time, more than nothing and at most a hundred years."""

    text: str
    """As it was written, in ISO 8601."""
    months: int
    days: int
    micros: int


def span(text: str) -> Span | None:
    """Return the span that an ISO 8601 duration says, None if it is no duration, is nothing, or is longer than P100Y."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:7])
    fraction = int((found[8] or "0").ljust(6, "0"))
    parts = Span(text, years * 12 + months, weeks * 7 + days, ((hours * 60 + minutes) * 60 + seconds) * 10**6 + fraction)
    length = parts.months / _MOST_MONTHS + parts.days / _MOST_DAYS + parts.micros / (_MOST_DAYS * DAY)
    return parts if 0 < length <= 1 else None


def add(instant: int, length: Span, times: int = 1) -> int:
    """Return the instant `times` such spans after this one: a day that the month lacks is its last, the time of day is kept."""
    return _moved(instant, length.months * times, length.days * times, length.micros * times)


def subtract(instant: int, length: Span) -> int:
    """Return the instant a span before this one, by the same rule."""
    return _moved(instant, -length.months, -length.days, -length.micros)


def _moved(instant: int, months: int, days: int, exact: int) -> int:
    day, clock = divmod(min(max(instant, FIRST), LAST), DAY)
    if months:
        day = _months_on(day, months)
    return min(max((day + days) * DAY + clock + exact, FIRST), LAST)


@lru_cache(maxsize=16384)
def _months_on(day: int, months: int) -> int:
    """Return the day so many months after a day, both as days since 2020; one before all days or after them where there is no such year."""
    date = EPOCH + timedelta(days=day)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return -_NEVER if year < 1 else _NEVER
    last = calendar.monthrange(year, month + 1)[1]
    return (datetime(year, month + 1, min(date.day, last), tzinfo=UTC) - EPOCH).days
