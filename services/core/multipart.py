"""multipart/mixed (RFC 2046) as it arrives: bytes go in, in pieces of any size, and events come out. Linear in time; holds no more than a part's headers.

Strict, but for what real senders do: text before the first boundary, no space after the colon of a header, no line end after the last boundary.
"""
import re
from collections.abc import Callable
from dataclasses import dataclass

from services.core.errors import BadRequest, TooLarge

MAX_BOUNDARY = 70
MAX_TYPE = 1024
"""How many bytes of a Content-Type are read."""
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(rb"[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]*)))?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_PADDING = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of what is taken: parts, bytes and lines of one part's headers, and bytes before the first boundary."""

    parts: int = 101
    header_bytes: int = 8 << 10
    header_lines: int = 32
    preamble_bytes: int = 8 << 10


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins: its headers, by lower-case name."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartBytes:
    """The next bytes of the part, at least one."""

    content: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is complete."""


Event = PartBegins | PartBytes | PartEnds


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a Content-Type of multipart/mixed names, quoted or not. Raises BadRequest."""
    if len(content_type) > MAX_TYPE:
        raise BadRequest(f"The Content-Type has at most {MAX_TYPE} characters.")
    found: list[bytes] = []
    content_type = content_type.strip(b" \t")
    at = (content_type + b";").index(b";")
    while at < len(content_type):
        parameter = _PARAMETER.match(content_type, at)
        if parameter is None:
            raise BadRequest("The parameters of the Content-Type cannot be read.")
        at = parameter.end()
        if parameter[1] is not None and parameter[1].lower() == b"boundary":
            found.append(re.sub(rb"\\(.)", rb"\1", parameter[2]) if parameter[2] is not None else parameter[3])
    if len(found) != 1:
        raise BadRequest("The Content-Type multipart/mixed needs one parameter `boundary`.")
    if not _BOUNDARY.fullmatch(found[0]):
        raise BadRequest(f"The boundary of the Content-Type is 1 to {MAX_BOUNDARY} letters, digits and '()+_,-./:=? (and does not end with a space).")
    return found[0]


class MultipartParser:
    """One body. `feed` it, then `close` it; after an error it is done for."""

    def __init__(self, boundary: bytes, limits: Limits | None = None) -> None:
        """`boundary` is without its two hyphens."""
        self._mark = b"\r\n--" + boundary
        self._limits = limits or Limits()
        self._buffer = bytearray(b"\r\n")  # so that a boundary at the very beginning is like any other
        self._searched = self._skipped = self._parts = 0
        self._step: Callable[[list[Event]], bool] = self._preamble

    def feed(self, content: bytes) -> list[Event]:
        """Return what these bytes, after those before, make sure of. Raises BadRequest, or TooLarge for too many parts."""
        self._buffer += content
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def close(self) -> None:
        """The body is over. Raises BadRequest if it is not complete."""
        if self._step == self._preamble:
            raise BadRequest("The body does not have the boundary that its Content-Type names.")
        if self._step != self._epilogue:
            raise BadRequest("The body ends before its closing boundary.")

    def _preamble(self, _: list[Event]) -> bool:
        at = self._buffer.find(self._mark)
        passed = len(self._buffer) - len(self._mark) + 1 if at < 0 else at
        if self._skipped + passed > self._limits.preamble_bytes + 2:
            raise BadRequest("The body does not have the boundary that its Content-Type names at its beginning.")
        if at < 0:
            self._drop(passed)
            return False
        self._drop(at + len(self._mark))
        self._step = self._delimiter
        return True

    def _drop(self, count: int) -> None:
        if count > 0:
            self._skipped += count
            del self._buffer[:count]

    def _delimiter(self, _: list[Event]) -> bool:
        """What follows a boundary: two hyphens after the last, a line end after any other."""
        if self._buffer[:1] == b"-":
            if len(self._buffer) < 2:
                return False
            if self._buffer[1:2] == b"-":
                del self._buffer[:2]
                self._step = self._epilogue
                return True
        head = self._buffer[: _MAX_PADDING + 2]
        rest = head.lstrip(b" \t")
        padding = len(head) - len(rest)
        if padding <= _MAX_PADDING and len(rest) < 2 and b"\r\n".startswith(rest):
            return False
        if rest[:2] != b"\r\n":
            raise BadRequest("A boundary in the body is not followed by a line end (CRLF).")
        self._parts += 1
        if self._parts > self._limits.parts:
            raise TooLarge(f"The body may have at most {self._limits.parts} parts: the statements, and {self._limits.parts - 1} attachments.")
        del self._buffer[:padding]
        self._searched, self._step = 0, self._headers
        return True

    def _headers(self, events: list[Event]) -> bool:
        """The headers, from the line end before them to the empty line: its line end stays, for it may be that of the next boundary."""
        at = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self._buffer)
        if (at if at >= 0 else self._searched - 3) - 2 > self._limits.header_bytes:
            raise BadRequest(f"The headers of a part may have at most {self._limits.header_bytes} bytes.")
        if at < 0:
            return False
        events.append(PartBegins(self._read_headers(bytes(self._buffer[2:at]) if at else b"")))
        del self._buffer[: at + 2]
        self._step = self._first
        return True

    def _read_headers(self, block: bytes) -> dict[str, str]:
        lines = block.split(b"\r\n") if block else []
        if len(lines) > self._limits.header_lines:
            raise BadRequest(f"A part may have at most {self._limits.header_lines} headers.")
        found: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            key = name.decode("latin-1").lower()
            if not colon or not _NAME.fullmatch(name) or _CONTROL.search(value):
                raise BadRequest("A header of a part cannot be read: each is a name, a colon and a value, on one line.")
            if key in found:
                raise BadRequest(f"A part has the header {key!r} twice.")
            found[key] = value.strip(b" \t").decode("latin-1")
        return found

    def _first(self, _: list[Event]) -> bool:
        """The content begins after the line end, unless that belongs to the next boundary already (a part without content)."""
        if len(self._buffer) < len(self._mark) and self._mark.startswith(self._buffer):
            return False
        if not self._buffer.startswith(self._mark):
            del self._buffer[:2]
        self._step = self._content
        return True

    def _content(self, events: list[Event]) -> bool:
        at = self._buffer.find(self._mark)
        sure = at if at >= 0 else len(self._buffer) - len(self._mark) + 1
        if sure > 0:
            events.append(PartBytes(bytes(self._buffer[:sure])))
            del self._buffer[:sure]
        if at < 0:
            return False
        events.append(PartEnds())
        del self._buffer[: len(self._mark)]
        self._step = self._delimiter
        return True

    def _epilogue(self, _: list[Event]) -> bool:
        if self._buffer.strip(b" \t\r\n"):
            raise BadRequest("There is something after the closing boundary of the body.")
        self._buffer.clear()
        return False
