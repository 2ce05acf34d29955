"""Hand-written readers of xAPI's small text formats: IRIs, UUIDs, language tags, mailboxes, timestamps, durations.

Each reads its text once, from left to right, without a backtracking regular expression: hostile input costs linear time.
The compiled schemas in `schemas/xapi` say the same with patterns; a property test keeps the two together.
"""
from datetime import datetime

from services.core.timeline import EPOCH

_FORBIDDEN = frozenset(map(chr, [*range(0x21), *range(0x7F, 0xA0)])) | frozenset('<>"{}|\\^`')
_MAILBOX_FORBIDDEN = frozenset(map(chr, [*range(0x21), *range(0x7F, 0xA0)])) | {"@"}
_SCHEME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.")
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
_SECOND_US = 1_000_000
_DATE_UNITS = {"Y": 365 * 86400, "M": 30 * 86400, "D": 86400}
_TIME_UNITS = {"H": 3600, "M": 60, "S": 1}
MAX_DURATION_US = 2**53
"""Longer durations are read as this (285 years): nothing that sums them can overflow."""


def is_iri(text: str) -> bool:
    """Return whether `text` is an absolute IRI: a scheme, a colon, and something without blanks or forbidden characters (RFC 3987)."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest and scheme and scheme[0].isascii() and scheme[0].isalpha()
                and _SCHEME.issuperset(scheme) and _FORBIDDEN.isdisjoint(rest))


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID as 8-4-4-4-12 hex digits of either case, of any version (RFC 4122)."""
    return (len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-"
            and _HEX.issuperset(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]))


def is_sha1(text: str) -> bool:
    """Return whether `text` is a SHA-1 sum: 40 hex digits of either case."""
    return len(text) == 40 and _HEX.issuperset(text)


def is_sha2(text: str) -> bool:
    """Return whether `text` is a SHA-2 sum in hex (SHA-224, 256, 384 or 512)."""
    return len(text) in (56, 64, 96, 128) and _HEX.issuperset(text)


def is_mailbox(text: str) -> bool:
    """Return whether `text` is `mailto:` and one e-mail address."""
    if not text.startswith("mailto:"):
        return False
    local, at, domain = text[7:].partition("@")
    return bool(local and at and domain and _MAILBOX_FORBIDDEN.isdisjoint(local) and _MAILBOX_FORBIDDEN.isdisjoint(domain))


def is_language_tag(text: str) -> bool:
    """Return whether `text` has the shape of an RFC 5646 language tag of at most 16 subtags; `x-…` and `i-…` are tags too."""
    if not text.isascii() or len(text) > 16 * 9:
        return False
    primary, *others = text.split("-")
    if len(others) > 15:
        return False
    if not (primary.isalpha() and (2 <= len(primary) <= 8 or (primary in "xXiI" and others))):
        return False
    return all(len(subtag) <= 8 and subtag.isalnum() for subtag in others)


def timestamp(text: str) -> int | None:
    """Return the instant of an ISO 8601 timestamp (extended format), rounded down to microseconds; None if it is none.

    Seconds, their fraction and the offset may be left out (no offset: UTC); the offset -00:00 is refused (xAPI Data 4.5), a leap second is the next.
    """
    if len(text) < 16 or len(text) > 255 or not text.isascii() or text[10] not in "Tt ":
        return None
    clock, sign, zone = _offset_apart(text[11:])
    offset_s = _offset_s(sign, zone)
    parsed = _clock_us(clock)
    if offset_s is None or parsed is None or text[4] != "-" or text[7] != "-":
        return None
    year, month, day = text[:4], text[5:7], text[8:10]
    if not _DIGITS.issuperset(year + month + day):
        return None
    try:
        date = datetime(int(year), int(month), int(day))  # noqa: DTZ001 - the offset is taken off below, where nothing can overflow
    except ValueError:
        return None
    return (date - _NAIVE_EPOCH).days * 86400 * _SECOND_US + parsed - offset_s * _SECOND_US


def _offset_apart(text: str) -> tuple[str, str, str]:
    """Return the clock, the sign of the offset (`Z` for UTC, empty for none) and its digits."""
    if text[-1] in "Zz":
        return text[:-1], "Z", ""
    for sign in "+-":
        clock, found, zone = text.partition(sign)
        if found:
            return clock, sign, zone
    return text, "", ""


def _offset_s(sign: str, zone: str) -> int | None:
    if sign in ("", "Z"):
        return 0
    digits = zone[:2] + zone[3:] if len(zone) == 5 and zone[2] == ":" else zone
    if len(digits) not in (2, 4) or not _DIGITS.issuperset(digits):
        return None
    hours, minutes = int(digits[:2]), int(digits[2:] or "0")
    seconds = hours * 3600 + minutes * 60
    if hours > 23 or minutes > 59 or (sign == "-" and seconds == 0):
        return None
    return -seconds if sign == "-" else seconds


def _clock_us(text: str) -> int | None:
    """Return the microseconds of `hh:mm[:ss[.fraction]]` since midnight."""
    whole, point, fraction = text.replace(",", ".", 1).partition(".")
    parts = whole.split(":")
    if len(parts) not in (2, 3) or any(len(part) != 2 or not _DIGITS.issuperset(part) for part in parts):
        return None
    if point and (len(parts) == 2 or not fraction or not _DIGITS.issuperset(fraction)):
        return None
    hours, minutes, seconds = int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) == 3 else 0
    if hours > 23 or minutes > 59 or seconds > (60 if minutes == 59 else 59):
        return None
    return ((hours * 60 + minutes) * 60 + seconds) * _SECOND_US + int(fraction[:6].ljust(6, "0") if fraction else 0)


def duration(text: str) -> int | None:
    """Return the microseconds of an ISO 8601 duration (`P3Y1M29DT4H35M59.14S` or `P4W`), at most MAX_DURATION_US; None if it is none.

    A year counts as 365 days and a month as 30. Only the last number may have a fraction, of which six digits are kept.
    """
    if len(text) < 3 or text[0] != "P" or len(text) > 255:
        return None
    if text[-1] == "W":
        return _part_us(text[1:-1], 7 * 86400, last=True)
    date, time_mark, clock = text[1:].partition("T")
    if (time_mark and not clock) or (not date and not clock):
        return None
    first = _parts_us(date, _DATE_UNITS, last=not clock)
    second = _parts_us(clock, _TIME_UNITS, last=True)
    return None if first is None or second is None else min(first + second, MAX_DURATION_US)


def _parts_us(text: str, units: dict[str, int], *, last: bool) -> int | None:
    total, start, left = 0, 0, list(units)
    for end, letter in enumerate(text):
        if letter in units:
            if letter not in left:
                return None
            del left[: left.index(letter) + 1]
            part = _part_us(text[start:end], units[letter], last=last and end + 1 == len(text))
            if part is None:
                return None
            total, start = total + part, end + 1
    return total if start == len(text) else None


def _part_us(number: str, unit_s: int, *, last: bool) -> int | None:
    whole, point, fraction = number.replace(",", ".", 1).partition(".")
    if not whole or not _DIGITS.issuperset(whole) or (point and (not last or not fraction or not _DIGITS.issuperset(fraction))):
        return None
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return min((int(whole) * _SECOND_US + micros) * unit_s, MAX_DURATION_US)
