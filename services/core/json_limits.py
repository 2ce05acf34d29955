"""How much of a thing one JSON value may hold, whatever its schema says: hostile input stays within what every later step can bear."""
from typing import Any

from services.core.errors import BadRequest
from services.core.json_slices import escape

MAX_NODES = 20_000
MAX_STRING_BYTES = 256 << 10
MAX_KEY_BYTES = 4 << 10
UNMEASURED_BYTES = 20 << 10
"""A text this short is not measured: it holds fewer values and no such string, and a long key in it does no harm."""


def check_limits(raw: bytes, value: Any) -> None:
    """Raise BadRequest, with a pointer, for a key or a string of `value` that is too long, and for more values than we take. `raw` is its text."""
    if len(raw) > UNMEASURED_BYTES and _leaves_doubt(raw) and not _holds(value):
        _refuse(value)


def _leaves_doubt(raw: bytes) -> bool:
    """Return whether the text alone does not show that all is well. Without escaped quotes no string is longer than the space between two quotes."""
    return raw.count(b",") + raw.count(b"{") + raw.count(b"[") > MAX_NODES or b'\\"' in raw or max(map(len, raw.split(b'"'))) > MAX_KEY_BYTES


def _holds(value: Any) -> bool:
    nodes, level = 0, [value]
    while level:
        nodes += len(level)
        if nodes > MAX_NODES or any(type(node) is str and _longer(node, MAX_STRING_BYTES) for node in level):
            return False
        inner: list[Any] = []
        for node in level:
            if type(node) is dict:
                if any(_longer(key, MAX_KEY_BYTES) for key in node):
                    return False
                inner += node.values()
            elif type(node) is list:
                inner += node
        level = inner
    return True


def _refuse(value: Any) -> None:
    """Raise BadRequest about the first fault in the order of the document."""
    stack: list[tuple[str, Any]] = [("", value)]
    nodes = 0
    while stack:
        pointer, node = stack.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise BadRequest(f"A statement holds more than {MAX_NODES} values.", pointer="")
        if isinstance(node, str) and _longer(node, MAX_STRING_BYTES):
            raise BadRequest(f"A string has more than {MAX_STRING_BYTES >> 10} KiB.", pointer=pointer)
        if isinstance(node, dict):
            if any(_longer(key, MAX_KEY_BYTES) for key in node):
                raise BadRequest(f"A key has more than {MAX_KEY_BYTES >> 10} KiB.", pointer=pointer)
            stack += reversed([(f"{pointer}/{escape(key)}", child) for key, child in node.items()])
        elif isinstance(node, list):
            stack += reversed([(f"{pointer}/{index}", child) for index, child in enumerate(node)])


def _longer(text: str, most: int) -> bool:
    """Return whether a text has more than `most` bytes of UTF-8."""
    return len(text) * 4 > most and len(text.encode()) > most
