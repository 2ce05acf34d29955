"""The statements of a file, one after the other, as the bytes they are: NDJSON, JSON arrays, either of them gzipped.

A line without an id gets one here, made from its bytes and from how often these bytes came before in the file. So a file imported again, after a crash or
because it has grown, stores each line once.
"""
import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson

from services.data_dir import Refused

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_CUT_OFF = "The array ends in the middle: its closing bracket is missing."
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One statement to send: the `ordinal`th of the file, in line `number` (in an array: the `number`th); `position` is how many bytes of the file are read."""

    ordinal: int
    number: int
    raw: bytes
    position: int
    id: str | None
    """None when this is not a JSON object: it is sent alone, and the server says what is wrong."""
    version: str
    fault: str | None = None
    """Why there is nothing to send, where something is missing: it is refused here."""


def read(path: Path) -> Iterator[Line]:
    """Give the statements of a file. Raises OSError, or Refused for damaged gzip."""
    seen: Counter[bytes] = Counter()
    ordinal = 0
    with path.open("rb") as file:
        content: Any = gzip.GzipFile(fileobj=file) if file.read(2) == _GZIP else file
        file.seek(0)
        pieces = _pieces(content)
        while True:
            try:
                found = next(pieces, None)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise Refused(f"{path} is damaged after statement {ordinal:,}: {error}. Run the same command again once it is whole.") from error
            if found is None:
                return
            number, raw = found
            for piece in [piece for _, piece in _elements(raw)] if raw.startswith(b"[") else [raw]:
                ordinal += 1
                yield _line(ordinal, number, piece, file.tell(), seen) if piece else Line(ordinal, number, b"", file.tell(), None, "1.0.3", _CUT_OFF)


def _pieces(content: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Cut a file into lines, or into the elements of the array that it is."""
    first, number = content.readline().removeprefix(_BOM), 1
    while first and not first.strip():
        first, number = content.readline(), number + 1
    if _is_array(first) or first.strip() == b"{":
        yield from _elements(first + content.read())
        return
    for line, raw in enumerate(chain([first], content), number):
        if stripped := raw.strip():
            yield line, stripped


def _is_array(first: bytes) -> bool:
    """Return whether a file is one array: it begins with `[`, and its first line is not a whole array, for then each line is one."""
    if not first.lstrip().startswith(b"["):
        return False
    try:
        orjson.loads(first)
    except ValueError:
        return True
    return False


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut arrays into their elements, and what is outside of arrays into objects; nothing is left out, however broken. An end that is missing is empty."""
    number = start = 0
    cut_off = False
    for begin, end, cut_off in _cuts(content):  # noqa: B007 - what the last one says
        if piece := content[start:begin].strip():
            number += 1
            yield number, piece
        start = end
    if cut_off:
        yield number + 1, b""


def _cuts(content: bytes) -> Iterator[tuple[int, int, bool]]:
    """Give where one piece ends and where the next one begins, and at last whether an array ends after a piece and before its bracket."""
    depth, in_array = 0, False
    for token in _TOKEN.finditer(content):
        mark = token.group()
        if depth == 0 and mark in (b"[", b"{"):
            in_array = mark == b"["
            yield token.start(), token.end() if in_array else token.start(), False
        elif depth == 1 and in_array and mark in (b",", b"]"):
            yield token.start(), token.end(), False
        elif depth == 1 and not in_array and mark == b"}":
            yield token.end(), token.end(), False
        depth += (mark in (b"[", b"{")) - (depth > 0 and mark in (b"]", b"}"))
    yield len(content), len(content), depth == 1 and in_array


def _line(ordinal: int, number: int, raw: bytes, position: int, seen: Counter[bytes]) -> Line:
    try:
        statement = orjson.loads(raw)
    except ValueError:
        statement = None
    if not isinstance(statement, dict):
        return Line(ordinal, number, raw, position, None, "1.0.3")
    if "id" in statement:
        return Line(ordinal, number, raw, position, str(statement["id"]).lower(), _version(statement))
    digest = hashlib.blake2b(raw, digest_size=16).digest()
    made = str(UUID(bytes=hashlib.blake2b(digest + seen[digest].to_bytes(8, "big"), digest_size=16, person=b"testamur import").digest(), version=4))
    seen[digest] += 1
    completed = b'{"id":"%s"%s%s' % (made.encode(), b"," if statement else b"", raw[1:].lstrip())
    return Line(ordinal, number, completed, position, made, _version(statement))


def _version(statement: dict[str, Any]) -> str:
    """Return the xAPI version to send a statement as: 2.0.0 where it says so or uses what 1.0.3 does not have."""
    context = statement.get("context")
    newer = isinstance(context, dict) and ("contextAgents" in context or "contextGroups" in context)
    return "2.0.0" if newer or str(statement.get("version", "")).startswith("2") else "1.0.3"
