"""`LRS-Position`: an opaque, unforgeable text that names where a write is, for a later read to wait for.

A mark is the Position of a record, or the `seq` of a statement that was there already. A token keeps the furthest mark of each kind in each partition.
"""
import base64
import binascii
import hmac
import struct
from collections.abc import Sequence
from uuid import UUID

from services.core.errors import BadRequest
from services.core.keys import KeyedHash
from services.core.timeline import partition_of_seq
from services.runtime.log import Position

Mark = Position | int
"""A record's place, or a statement's `seq`."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PURPOSE = "position"
_MAC_BYTES = 16
_LOG_BYTES = 8
_MARK = struct.Struct(">BBQ")
_RECORD, _SEQ = 0, 1
_MAX_TOKEN = 16 << 10


def encode_position(hashes: KeyedHash, log_id: UUID, marks: Sequence[Mark]) -> str:
    """Return the token of at least one mark in this log."""
    message = log_id.bytes[:_LOG_BYTES]
    if len(marks) == 1:  # as almost always
        message += _MARK.pack(*_place(marks[0]))
    else:
        furthest: dict[tuple[int, int], int] = {}
        for kind, partition, place in map(_place, marks):
            furthest[kind, partition] = max(place, furthest.get((kind, partition), 0))
        message += b"".join([_MARK.pack(*at, place) for at, place in furthest.items()])
    return binascii.b2a_base64(hashes.mac(_PURPOSE, message) + message, newline=False).translate(_URL_SAFE, b"=").decode()


def _place(mark: Mark) -> tuple[int, int, int]:
    """Return kind, partition and place of a mark. What is before 2020, by a clock that was wrong, is passed as soon as anything is."""
    return (_RECORD, mark.partition, mark.offset) if isinstance(mark, Position) else (_SEQ, partition_of_seq(mark), max(mark, 0))


def decode_position(hashes: KeyedHash, log_id: UUID, token: str) -> Sequence[Mark]:
    """Return the marks of a token. Raises BadRequest when it is not one of ours or is of another log."""
    if len(token) > _MAX_TOKEN:
        raise BadRequest("This is not a position that this server gave out.")
    try:
        whole = base64.b64decode(token.strip() + "=" * (-len(token.strip()) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("This is not a position that this server gave out.") from error
    mac, message = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
    marks = message[_LOG_BYTES:]
    if not hmac.compare_digest(hashes.mac(_PURPOSE, message), mac) or len(marks) % _MARK.size or not marks:
        raise BadRequest("This is not a position that this server gave out.")
    if message[:_LOG_BYTES] != log_id.bytes[:_LOG_BYTES]:
        raise BadRequest("This position is of another log.")
    return [Position(partition, place) if kind == _RECORD else place for kind, partition, place in _MARK.iter_unpack(marks)]

