"""Cut a request body into the exact bytes of its statements, and read each of them strictly.

What two parsers may read differently is refused with a pointer: duplicate keys, U+0000, lone surrogates, NaN, numbers of more than 40 digits.
"""
import json
from collections import Counter
from functools import cache
from typing import Any

import msgspec
import orjson

from services.core.errors import BadRequest, TooLarge

MAX_DEPTH = 64
MAX_STATEMENTS = 500
MAX_STATEMENT_BYTES = 1 << 20
MAX_DIGITS = 40
MAX_REQUEST_VALUES = 1_000_000
"""How many values all statements of a request may hold: what they cost is bounded by their number more than by their bytes."""

_BLANK = b" \t\n\r"
_slices = msgspec.json.Decoder(list[msgspec.Raw])
_GUARDED_BYTES = 1 << 18
# Every digit and point becomes 0: of a number longer than 40 characters at least five sit at multiples of 8.
_DIGITS_TO_ZERO = bytes(48 if byte in b"0123456789." else 1 for byte in range(256))
_LONG = b"0" * (MAX_DIGITS + 1)


def split(
    body: bytes, *, max_depth: int = MAX_DEPTH, max_statements: int = MAX_STATEMENTS, max_statement_bytes: int = MAX_STATEMENT_BYTES,
) -> tuple[list[bytes], bool]:
    """Return the slices of the statements, no white space around them, and whether the body was an array of statements.

    Only the frame is read here; `load` (and so `check`) reads the inside of each slice. Raises BadRequest and TooLarge, with a pointer.
    """
    if body[:3] == b"\xef\xbb\xbf":
        raise BadRequest("The body begins with a byte order mark; send UTF-8 without one.")
    text = body.strip(_BLANK)
    if len(text) > MAX_REQUEST_VALUES and most_values(text) > MAX_REQUEST_VALUES:
        raise TooLarge(f"The request holds more than {MAX_REQUEST_VALUES} values; send its statements in several requests.")
    if text[:1] == b"[":
        slices = _elements(text, max_depth, max_statements)
    elif text[:1] == b"{":
        slices = [text]
    else:
        raise BadRequest("The body is not a statement: send a JSON object, or an array of them.", pointer="")
    is_array = text[:1] == b"["
    for index, part in enumerate(slices):
        if len(part) > max_statement_bytes:
            raise TooLarge(f"A statement has {len(part)} bytes; this server takes {max_statement_bytes}.", pointer=f"/{index}" if is_array else "")
    return slices, is_array


def load(raw: bytes, *, max_depth: int | None = MAX_DEPTH) -> Any:
    """Return what these bytes of JSON say, read strictly. Raises BadRequest with a pointer into them.

    `max_depth` None leaves the depth, up to 254, to the caller. A number below the smallest double is read as zero; its bytes are kept.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _unreadable(raw, error) from error
    try:
        again = orjson.dumps(value)
    except orjson.JSONEncodeError as error:  # deeper than it writes, which is 254
        raise too_deep(max_depth or 254) from error
    if (again != raw and _leaves_doubt(raw, again)) or (b"\\" in again and again.find(b"\\u0000", again.find(b"\\")) >= 0):
        _read_slowly(raw)
    if max_depth is not None and raw.count(b"{") + raw.count(b"[") > max_depth and is_deeper(value, max_depth):
        raise too_deep(max_depth)
    return value


def most_values(raw: bytes) -> int:
    """Return how many values this text of JSON holds at most."""
    return raw.count(b",") + raw.count(b"{") + raw.count(b"[") + 1


def is_deeper(value: Any, depth: int) -> bool:
    """Return whether objects and arrays are nested more than `depth` deep."""
    level = [value]
    for _ in range(depth + 1):
        level = [node for node in level if type(node) in (dict, list)]
        if not level:
            return False
        level = [child for node in level for child in (node.values() if type(node) is dict else node)]
    return True


def too_deep(max_depth: int) -> BadRequest:
    """Return the refusal of a value nested too deep."""
    return BadRequest(f"The JSON is nested more than {max_depth} deep.", pointer="")


def _elements(text: bytes, max_depth: int, max_statements: int) -> list[bytes]:
    try:
        if len(text) > _GUARDED_BYTES:
            _guard(max_statements).decode(text)
        slices = _slices.decode(text)
    except RecursionError as error:
        raise too_deep(max_depth) from error
    except msgspec.ValidationError as error:
        raise _too_many(max_statements) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if len(slices) > max_statements:
        raise _too_many(max_statements)
    return [bytes(part) for part in slices]


def _too_many(max_statements: int) -> TooLarge:
    return TooLarge(f"The request holds more than {max_statements} statements; send them in several requests.")


@cache
def _guard(max_statements: int) -> "msgspec.json.Decoder[Any]":
    """Return a decoder that stops at the first element too many, before a hostile body of millions of them fills the memory."""
    fields: list[tuple[str, Any, Any]] = [(f"s{index}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for index in range(max_statements)]
    return msgspec.json.Decoder(msgspec.defstruct("Guard", fields, array_like=True, forbid_unknown_fields=True))


def _leaves_doubt(raw: bytes, again: bytes) -> bool:
    r"""Return whether what was written out again (`again`) leaves a doubt about what was sent, so that the slow reading must settle it.

    A duplicate key is lost when read, and its colon with it: equal numbers of colons, escaped ones (`\u003a`) among them, prove that there is none.
    """
    return (raw.count(b":") + _escaped_colons(raw) != again.count(b":")
            or (b"00000" in raw[::8].translate(_DIGITS_TO_ZERO) and _LONG in raw.translate(_DIGITS_TO_ZERO)))


def _escaped_colons(raw: bytes) -> int:
    escape_at = raw.find(b"\\")
    if escape_at < 0 or raw.find(b"\\u003", escape_at) < 0:
        return 0
    alone = raw.replace(b"\\\\", b"")  # what follows an escaped backslash is no escape
    return alone.count(b"\\u003a") + alone.count(b"\\u003A")


def _unreadable(raw: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    if "depth limit" in str(error):
        return BadRequest("The JSON is nested too deep.", pointer="")
    if raw[:3] == b"\xef\xbb\xbf":
        return BadRequest("The JSON begins with a byte order mark; send UTF-8 without one.", pointer="")
    return BadRequest(f"This is not JSON: {error}.", pointer="")


class _Twice(dict[str, Any]):
    """An object with a key given twice."""

    key = ""


class _LongNumber:
    """A number with more digits than we take."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(key for key, _ in pairs)
    twice = _Twice(members)
    twice.key = next(key for key in members if counts[key] > 1)
    return twice


def _number(text: str) -> Any:
    digits = sum(character.isdigit() for character in text.lower().partition("e")[0])
    return _LongNumber() if digits > MAX_DIGITS else 0


def _read_slowly(raw: bytes) -> None:
    """Raise BadRequest at the first thing of `raw` that `load` refuses and orjson lets pass."""
    try:
        tree = json.loads(raw, object_pairs_hook=_members, parse_int=_number, parse_float=_number)
    except (RecursionError, ValueError) as error:
        raise BadRequest("The JSON is nested too deep.", pointer="") from error
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        pointer, node = stack.pop()
        if isinstance(node, _Twice):
            raise BadRequest(f"The key {node.key!r} is given twice.", pointer=f"{pointer}/{escape(node.key)}")
        if isinstance(node, _LongNumber):
            raise BadRequest(f"A number has more than {MAX_DIGITS} digits.", pointer=pointer)
        if isinstance(node, str) and "\x00" in node:
            raise BadRequest("A string holds the character U+0000.", pointer=pointer)
        if isinstance(node, dict):
            if any("\x00" in key for key in node):
                raise BadRequest("A key holds the character U+0000.", pointer=pointer)
            stack.extend(reversed([(f"{pointer}/{escape(key)}", child) for key, child in node.items()]))
        elif isinstance(node, list):
            stack.extend(reversed([(f"{pointer}/{index}", child) for index, child in enumerate(node)]))


def escape(key: str) -> str:
    """Return a key as a token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
