"""Calendar arithmetic for the reference of the rules, on datetimes alone: what a person would do with a calendar on the wall.

Instants are microseconds since 2020-01-01T00:00:00Z, durations ISO 8601 texts. It imports nothing of the services.
"""
import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_PARTS = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


def instant(moment: datetime) -> int:
    """Return the instant of a datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(when: int) -> datetime:
    """Return the datetime of an instant."""
    return EPOCH + timedelta(microseconds=when)


def instant_of(said: str | date) -> int:
    """Return the instant that a date (its midnight in UTC) or a timestamp means."""
    if isinstance(said, str):
        said = datetime.fromisoformat(said) if "T" in said else date.fromisoformat(said)
    if not isinstance(said, datetime):
        said = datetime.combine(said, time())
    return instant(said if said.tzinfo is not None else said.replace(tzinfo=UTC))


def add(when: int, duration: str, times: int = 1) -> int:
    """Return the instant `times` durations later (earlier, if negative): months first, to the last day where there is none such, then days, then hours."""
    months, rest = _read(duration)
    try:
        return instant(_months_later(moment(when), months * times) + rest * times)
    except (OverflowError, ValueError):
        return instant(LAST if times > 0 else FIRST)


def subtract(when: int, duration: str) -> int:
    """Return the instant one duration earlier."""
    return add(when, duration, -1)


def cycle(when: int, duration: str, anchor: int) -> tuple[int, int]:
    """Return the begin and the end of the cycle that an instant is in; each is reckoned from the anchor."""
    n = 0
    while add(anchor, duration, n) > when:
        n -= 1
    while add(anchor, duration, n + 1) <= when:
        n += 1
    return add(anchor, duration, n), add(anchor, duration, n + 1)


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    if not 1 <= year <= 9999:
        raise OverflowError(year)
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def _read(duration: str) -> tuple[int, timedelta]:
    found = _PARTS.fullmatch(duration)
    assert found is not None, duration
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[:6])
    micros = int(Fraction(found.group(7) or 0) * 10**6)
    return years * 12 + months, timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, microseconds=micros)
