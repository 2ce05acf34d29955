"""Every reader of a text that a client may make as long as it likes: 100,000 hostile characters cost less than 5 ms of CPU, and no surprise."""
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from services.api import parameters
from services.api.cursor import Cursors
from services.core import document, syntax
from services.core.errors import LrsError
from services.core.keys import KeyedHash
from services.core.languages import Languages
from services.core.multipart import Limits, MultipartParser, boundary_of
from services.runtime import http
from services.runtime.callers.auth import Caller, basic_credentials
from services.runtime.forwarded import forwarded, trusted
from services.runtime.position import decode_position

HASHES = KeyedHash(b"a secret for tests")
CALLER = Caller("tenant", 1, "key", {}, frozenset())
CHARACTERS = 100_000
MOST_S = 0.005
Read = Callable[[str], Any]


def repeated(piece: str) -> str:
    """Return the piece again and again, to the length."""
    return (piece * (CHARACTERS // len(piece) + 1))[:CHARACTERS]


PIECES = (
    "a", "0", " ", "\t", "-", ",", ";", "=", '"', "\\", '\\"', "/", ":", ".", "%", "*", "é", "\U0001f600", "a-", "a,", "a;", "a=", '"a"', '"a",',
    'W/"a",', "en-", "en;q=0.1,", "q=", "q=1;", "wait=", "wait = ", "wait  ", "a b", "0:", "1Y", "P", "T1H", "@", "a@", "+00", "1.", "0000-", ";a=",
    ';a="', ";a=b", "; boundary=", 'boundary="', "Basic ", "Bearer ", "a.b.", "==", "A: b\r\n", "\r\n", "--b", "\r\n--b\r\n", "{", "[", '{"a":',
    "bytes=0-,", "0-1,", "%00", "%e2", "%u", "&", "a&", "a=b&", "for=", "for=a,", "127.0.0.1,", "[::",
)
STARTS = (
    "", "mailto:", "mailto:a@", "http://", "a:", "P", "PT", "P1Y", "2026-01-01T00:00:00.", "2026-01-01T00:00:00+", "en", "x", "i", "multipart/mixed",
    "multipart/mixed; boundary=", 'multipart/mixed; boundary="', "wait", "respond-async", "Basic ", "Bearer ", '"', 'W/"', "*", "bytes=", "1.0.", "{",
    '{"mbox":"',
)


def hostile() -> Iterator[str]:
    """Return every start with every piece after it, and with an end that makes a reader go back."""
    for start in STARTS:
        for piece in PIECES:
            yield (start + repeated(piece))[: CHARACTERS - 1] + "!"
            if not start:
                yield repeated(piece)


def _multipart(text: str) -> None:
    parser = MultipartParser(b"b", Limits())
    parser.feed(b"--b\r\n" + text.encode("utf-8", "replace"))
    parser.close()


def _behind_a_proxy(name: bytes) -> Read:
    proxies = trusted("127.0.0.1/32")
    return lambda text: forwarded(
        {"headers": [(name, text.encode("latin-1", "replace"))], "client": ("127.0.0.1", 1), "scheme": "http"}, proxies)


def _raw(read: Callable[[bytes], Any]) -> Read:
    return lambda text: read(text.encode("utf-8", "replace"))


READERS: dict[str, Read] = {
    "an IRI": syntax.is_iri,
    "a UUID": syntax.is_uuid,
    "a SHA-1": syntax.is_sha1,
    "a SHA-2": syntax.is_sha2,
    "a mailbox": syntax.is_mailbox,
    "a language tag": syntax.is_language_tag,
    "a timestamp": syntax.timestamp,
    "a duration": syntax.duration,
    "Accept-Language": Languages,
    "If-Match": lambda text: document.conditions(text, None),
    "If-None-Match": lambda text: document.conditions(None, text),
    "Content-Type of a document": document.checked_type,
    "Content-Type of statements": _raw(boundary_of),
    "a body of multipart/mixed": _multipart,
    "X-Experience-API-Version": lambda text: http.xapi_version(text + str(id(text))),
    "Prefer: wait": http.wait_s,
    "Prefer: respond-async": http.prefers_async,
    "Authorization": basic_credentials,
    "LRS-Min-Position": lambda text: decode_position(HASHES, UUID(int=1), text),
    "a cursor": lambda text: Cursors(HASHES).place("more", CALLER, "/", {"more": text}),
    "Forwarded": _behind_a_proxy(b"forwarded"),
    "X-Forwarded-For": _behind_a_proxy(b"x-forwarded-for"),
    "X-Forwarded-Host": _behind_a_proxy(b"x-forwarded-host"),
    "X-Forwarded-Prefix": _behind_a_proxy(b"x-forwarded-prefix"),
    "a query string": _raw(http.parse_query),
    "a UUID in the query": lambda text: parameters.uuid({"a": text}, "a"),
    "an instant in the query": lambda text: parameters.instant({"a": text}, "a"),
    "an IRI in the query": lambda text: parameters.iri({"a": text}, "a"),
    "a limit in the query": lambda text: parameters.limit({"limit": text}, 1),
    "a boolean in the query": lambda text: parameters.boolean({"a": text}, "a"),
    "an agent in the query": lambda text: parameters.agent({"agent": text}),
}


@pytest.mark.parametrize("name", READERS)
def test_no_text_takes_a_reader_long(name: str) -> None:
    read, slow = READERS[name], []
    for text in hostile():
        took = _took(read, text)
        if took > MOST_S and min(took, *(_took(read, text) for _ in range(3))) > MOST_S:
            slow.append((text[:30], text[-5:], took))
    assert slow == []


def _took(read: Read, text: str) -> float:
    """Return the seconds of CPU that reading takes."""
    begun = time.thread_time()
    with contextlib.suppress(LrsError):
        read(text)
    return time.thread_time() - begun
