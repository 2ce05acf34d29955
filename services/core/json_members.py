"""JSON taken apart and put together by members and elements without touching their text: what is not looked at keeps its very bytes, numbers included."""
from collections.abc import Callable, Mapping

import msgspec
import orjson

Members = dict[str, bytes]
"""An object: the JSON text of each member by its name, in the order of the text."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_names = msgspec.json.Encoder()


def members(text: bytes) -> Members:
    """Return the members of a JSON object. Raises msgspec.MsgspecError for anything else."""
    return {name: bytes(value) for name, value in _object.decode(text).items()}


def joined(found: Mapping[str, bytes]) -> bytes:
    """Return the JSON object that has these members."""
    return b"{" + b",".join([_names.encode(name) + b":" + value for name, value in found.items()]) + b"}"


def each(text: bytes, rewrite: Callable[[bytes], bytes]) -> bytes:
    """Return the JSON array of what `rewrite` makes of each element; a lone object counts as an array of one. Raises msgspec.MsgspecError for anything else."""
    if text[:1] == b"{":
        return b"[" + rewrite(text) + b"]"
    return b"[" + b",".join([rewrite(bytes(one)) for one in _array.decode(text)]) + b"]"


def string(text: bytes) -> str:
    """Return the string that a JSON text is."""
    return str(orjson.loads(text))
