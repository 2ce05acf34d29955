"""The small text formats of xAPI: what they take, what they refuse, and that hostile text costs linear time."""

import time
from datetime import UTC, datetime

import pytest

from services.core import syntax
from services.core.timeline import micros


@pytest.mark.parametrize("text", ["http://a", "act:x", "urn:uuid:6d51", "https://a.example/å?q=1#f", "tag:example.org,2026:x", "x-y+z.1:abc", "data:,"])
def test_an_absolute_iri_is_an_iri(text: str) -> None:
    assert syntax.is_iri(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "should fail",
        "ab=c://should.fail.com",
        "should.fail.com",
        "http:",
        "1a:b",
        ":a",
        "http://a b",
        "http://a\x00",
        "http://a\\b",
        "http://a\n",
        "http://{a}",
        "äb:c",
    ],
)
def test_what_has_no_valid_scheme_or_holds_a_forbidden_character_is_no_iri(text: str) -> None:
    assert not syntax.is_iri(text)


@pytest.mark.parametrize(
    "text",
    [
        "de",
        "en-US",
        "de-DE",
        "zh-Hant",
        "zh-Hans-CN",
        "sr-Latn-RS",
        "sr-Cyrl",
        "es-MX",
        "ase",
        "cmn",
        "ja",
        "tlh",
        "fr-CA",
        "x-klingon",
        "i-default",
        "de-1901",
        "und",
        "en-a-bbb",
    ],
)
def test_a_language_tag_has_the_shape_of_rfc_5646(text: str) -> None:
    assert syntax.is_language_tag(text)


@pytest.mark.parametrize(
    "text",
    ["", "something", "a12345678", "s-something", "zh-something-ccc", "en-something-AU", "a-b-c", "en_US", "en-", "-en", "x", "e", "én", "en-US\n", "1-US"],
)
def test_another_shape_is_no_language_tag(text: str) -> None:
    assert not syntax.is_language_tag(text)


def test_a_uuid_is_hex_digits_of_either_case_and_of_any_version() -> None:
    assert syntax.is_uuid("6d5104a4-87fe-5e5c-b7ab-588370717558")
    assert syntax.is_uuid("6D5104A4-87FE-0E5C-07AB-588370717558")
    for text in ("6d5104a4-87fe-5e5c-b7ab-5883707175581", "Md5104a4-87fe-5e5c-b7ab-588370717558", "6d5104a487fe5e5cb7ab588370717558", ""):
        assert not syntax.is_uuid(text)


def test_a_mailbox_is_mailto_and_one_address() -> None:
    assert syntax.is_mailbox("mailto:ada@example.org")
    for text in (
        "mailto:should.fail.com",
        "http://should.fail.com",
        "ada@example.org",
        "mailto:@example.org",
        "mailto:ada@",
        "mailto:a@b@c",
        "mailto:a @b.c",
        "mailto:a@b\n",
    ):
        assert not syntax.is_mailbox(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00+00:00"),
        ("2026-05-01t12:00:00.123456789z", "2026-05-01T12:00:00.123456+00:00"),
        ("2026-05-01T12:00:00,5+05:30", "2026-05-01T06:30:00.500000+00:00"),
        ("2026-05-01T12:00-0500", "2026-05-01T17:00:00+00:00"),
        ("2026-05-01T12:00:00+02", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01T12:00:00", "2026-05-01T12:00:00+00:00"),
        ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00+00:00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_timestamp_is_an_instant(text: str, same: str) -> None:
    assert syntax.timestamp(text) == micros(datetime.fromisoformat(same).astimezone(UTC))


@pytest.mark.parametrize(
    "text",
    [
        "01/011/2015",
        "should fail",
        "2026-05-01T12:00:00-00:00",
        "2026-05-01T12:00:00-0000",
        "2026-05-01T12:00:00-00",
        "2026-02-29T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-05-01T24:00:00Z",
        "2026-05-01T12:60:00Z",
        "2026-05-01T12:00:61Z",
        "2026-05-01T12:30:60Z",
        "2026-05-01",
        "20260501T120000Z",
        "2026-05-01T12:00:00.Z",
        "2026-05-01T12Z",
        "2026-05-01T12:00:00+24:00",
        "2026-05-01T12:00:00+1:00",
        "0000-05-01T12:00:00Z",
        "2026-05-01T12:00:00ZZ",
        "2026-05-01T12:00.5Z",
        "２026-05-01T12:00:00Z",
        "2026-05-01T12:00:00Z\n",
        "2026-05-01T12:00:00+",
        "-026-05-01T12:00:00Z",
    ],
)
def test_what_is_no_iso_8601_timestamp_is_refused(text: str) -> None:
    assert syntax.timestamp(text) is None


def test_the_ends_of_time_have_instants() -> None:
    first, last = syntax.timestamp("0001-01-01T00:00:00+23:59"), syntax.timestamp("9999-12-31T23:59:59.999999-23:59")
    assert first is not None
    assert last is not None
    assert first < 0 < last < 2**63


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H0M0.1S", 3600.1),
        ("PT4H35M59.14S", 16559.14),
        ("PT16559.14S", 16559.14),
        ("P3Y1M29DT4H35M59.14S", (3 * 365 + 30 + 29) * 86400 + 16559.14),
        ("P3Y", 3 * 365 * 86400),
        ("P4W", 28 * 86400),
        ("P1DT12H36M0.12567S", 86400 + 45360.12567),
        ("PT1,5H", 5400),
        ("PT0S", 0),
        ("P0.5W", 302400),
        ("P1.5D", 129600),
    ],
)
def test_a_duration_is_microseconds(text: str, seconds: float) -> None:
    assert syntax.duration(text) == round(seconds * 1_000_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1",
        "PA1H0M0S",
        "P4W1D",
        "P1D4W",
        "should fail",
        "PT1.5H3S",
        "P1.5DT1S",
        "P1DT",
        "PT1S1H",
        "P1H",
        "PT1D",
        "-P1D",
        "P1Y1Y",
        "PTS",
        "P.5D",
        "P1.D",
        "PT1S\n",
        "p1d",
        "P1M1Y",
    ],
)
def test_what_is_no_iso_8601_duration_is_refused(text: str) -> None:
    assert syntax.duration(text) is None


def test_a_duration_longer_than_anything_is_the_longest() -> None:
    assert syntax.duration("P" + "9" * 200 + "Y") == syntax.MAX_DURATION_US


@pytest.mark.parametrize(
    "reader", [syntax.is_iri, syntax.is_uuid, syntax.is_sha1, syntax.is_sha2, syntax.is_mailbox, syntax.is_language_tag, syntax.timestamp, syntax.duration]
)
def test_a_hostile_text_of_100000_characters_costs_less_than_5_ms(reader: object) -> None:
    n = 100_000
    hostile = [
        "a" * n,
        "a:" + "a" * n,
        "a-" * (n // 2),
        "mailto:" + "@" * n,
        "mailto:a@" + "a" * n + " ",
        "P" + "1Y" * (n // 2),
        "PT" + "9" * n + "S",
        "P1." + "0" * n,
        "2026-05-01T12:00:00." + "9" * n + "Z",
        "2026-05-01T" + ":" * n,
        "-" * n,
        "0" * n,
        "é" * n,
        "\x00" * n,
        "en" + "-a" * (n // 2),
        "a" * n + ":" + "<" * n,
    ]
    assert callable(reader)
    for text in hostile:
        took = min(_timed(reader, text) for _ in range(3))
        assert took < 0.025, (reader, text[:20], took)


def _timed(reader: object, text: str) -> float:
    started = time.process_time()
    reader(text)  # type: ignore[operator]
    return time.process_time() - started
