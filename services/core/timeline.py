"""Instants as integers, and `seq`, the one order of all statements.

An instant is microseconds since 2020-01-01T00:00:00Z (negative before); `seq` is the instant a statement was stored << 8 | its partition.
"""
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_PARTITIONS = 256
NO_SEQ = 2**63 - 1
"""The `seq` of a phantom row: above every real one, so that whatever arrives stands."""


def micros(moment: datetime) -> int:
    """Return the instant of an aware datetime."""
    return (moment - EPOCH) // MICROSECOND


def moment(instant: int) -> datetime:
    """Return the aware UTC datetime of an instant."""
    return EPOCH + timedelta(microseconds=instant)


def rfc3339(instant: int) -> str:
    """Return an instant as RFC 3339 in UTC, always with six fractional digits; one outside the years 1 to 9999 as the nearest second within."""
    second, fraction = divmod(instant, 1_000_000)
    return f"{_second(second)}.{fraction:06d}Z"


_FIRST_SECOND = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
_LAST_SECOND = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
"""An offset takes a timestamp of the first or last hours that have a date to where there is none."""


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    # A page's statements were stored in few seconds, and strftime is most of what splicing one costs.
    return (EPOCH + timedelta(seconds=max(_FIRST_SECOND, min(second, _LAST_SECOND)))).isoformat()[:19]


def seq_of(stored: int, partition: int) -> int:
    """Return the place of a statement stored at `stored` in the one order of all statements."""
    return stored << 8 | partition


def stored_of(seq: int) -> int:
    """Return the instant at which the statement with this `seq` was stored."""
    return seq >> 8


def partition_of_seq(seq: int) -> int:
    """Return the partition that holds the statement with this `seq`."""
    return seq & 0xFF


def greatest_seq(stored: int) -> int:
    """Return the greatest `seq` of anything stored at or before `stored`."""
    return stored << 8 | 0xFF

