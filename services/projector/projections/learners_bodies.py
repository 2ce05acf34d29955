"""Bodies of records other than statements: read as what they must be, and written where Postgres keeps JSON."""
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import orjson
import structlog

from services.projector.run import RecordAt

Body = TypeVar("Body", bound=msgspec.Struct)
_log = structlog.get_logger()


def bodies(records: Iterable[RecordAt], kind: str, body: type[Body]) -> list[tuple[RecordAt, Body]]:
    """Return the records of a kind with what they say, in the one order of `seq`. One that says something else has no effect, which is loud."""
    found = []
    for record in records:
        if record.kind == kind:
            try:
                found.append((record, msgspec.convert(record.envelope.body, body)))
            except msgspec.ValidationError as error:
                _log.error("a record without effect", kind=kind, offset=record.offset, seq=record.seq, reason=str(error))
    found.sort(key=_seq)
    return found


def document(value: Any) -> str:
    """Return a value as JSON for a `jsonb` column, which takes no NUL."""
    text = orjson.dumps(value)
    return (orjson.dumps(_without_nul(value)) if b"\\u0000" in text else text).decode()


def plain(text: str) -> str:
    """Return a text for a `text` column, which takes no NUL."""
    return text.replace("\0", "\ufffd")


def array(values: Sequence[Any]) -> str:
    """Return an array as Postgres writes one: of several arrays as arguments `unnest` would make a single row of elements."""
    return "{" + ",".join(map(str, values)) + "}"


def _seq(found: tuple[RecordAt, Any]) -> int:
    return found[0].seq


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(name): _without_nul(each) for name, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list) else value
