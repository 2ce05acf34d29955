"""Definitions of activities, as part of the statements projection: one row for each definition of each activity ever sent (docs/adr/0008).

A row says on which day it was last sent and with which statement first, over all copies of all statements, voided ones too, whose record carries `define`: a
maximum and a minimum, so order, runs and repetition do not show. One sent before costs a look into a dictionary.
"""
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from asyncpg.pgproto.pgproto import UUID  # cheap to hash, to compare and to send

from services.core.definitions import Defined, in_activities, in_object, text_of
from services.core.keys import key128
from services.core.parts import once
from services.core.scopes import grants
from services.projector.run import StatementAt
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

DAY_US = 86_400_000_000
_MOST_KNOWN = 65_536
_MOST_SEEN = 16_384
_SEEN_BYTES = 2048
"""Longer definitions are read anew each time: what is remembered stays within some 32 MiB."""
_sql = Statements(Path(__file__).with_suffix(".sql"))
_may_define = lru_cache(maxsize=4096)(grants)


class Definition:
    """A definition of an activity, whoever sent it: the keys of its row and its text."""

    __slots__ = ("activity", "hash", "key", "text")

    def __init__(self, iri: str, text: bytes) -> None:
        """`text` is the one text of all equal definitions (services/core/definitions.py: text_of)."""
        self.activity, self.text = UUID(key128(iri).bytes), text
        self.hash = UUID(hashlib.blake2b(text, digest_size=16).digest())
        self.key = self.activity.bytes + self.hash.bytes  # its hash is computed once, those of UUIDs each time


Key = tuple[int, bytes]
Sent = dict[Key, tuple[int, int, Definition]]
_seen: dict[tuple[str, bytes], Definition] = {}


class Definitions:
    """Folds the definitions that statements carry into the table `definition`."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[Key, tuple[int, int]] = {}

    def forget(self) -> None:
        """Forget what the table was seen to hold: a crash of Postgres takes back what it had not yet on disk."""
        self._known.clear()

    async def fold(self, conn: Connection, items: Iterable[StatementAt]) -> None:
        """Bring the table up to these statements. Called last in a run: all partitions write the same few rows, sorted."""
        sent: Sent = {}
        for one in items:
            if not (defined := one.once(definitions_of)):
                continue
            day, seq = one.stored // DAY_US, one.seq
            for definition in defined:
                key = (one.tenant_id, definition.key)
                place = self._known.get(key)
                if place is None or place[0] < day or place[1] > seq:
                    before = sent.get(key, (day, seq))
                    sent[key] = (max(day, before[0]), min(seq, before[1]), definition)
        if sent:
            await self._add(conn, sent)

    async def _add(self, conn: Connection, sent: Sent) -> None:
        """Write what the table does not say yet. Remembered is only what was found there, so committed, not what is written now."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        asked = [(tenant_id, one.activity, one.hash, day, seq) for (tenant_id, _), (day, seq, one) in sent.items()]
        for tenant_id, activity, hash_, day, seq in await conn.fetch(_sql.known, *_columns(asked)):
            key = (tenant_id, activity.bytes + hash_.bytes)
            self._known[key] = (day, seq)
            del sent[key]
        if sent:
            rows = [(tenant_id, one.activity, one.hash, day, seq, one.text) for (tenant_id, _), (day, seq, one) in sent.items()]
            await conn.execute(_sql.add, *_columns(rows))


def definitions_of(one: StatementAt) -> tuple[Definition, ...]:
    """Return what a statement defines; nothing when its record must not define."""
    if not _may_define(one.scopes, "define"):
        return ()
    doc = one.doc
    found, context = once(doc["object"], _of_object), doc.get("context")
    if context is None or (activities := context.get("contextActivities")) is None:
        return found
    return found + once(activities, _of_activities)


def _of_object(object_: dict[str, Any]) -> tuple[Definition, ...]:
    return _made(in_object(object_))


def _of_activities(activities: dict[str, Any]) -> tuple[Definition, ...]:
    return _made(in_activities(activities))


def _made(found: Defined) -> tuple[Definition, ...]:
    return tuple([_definition(iri, definition) for iri, definition in found])


def _definition(iri: str, definition: dict[str, Any]) -> Definition:
    written = orjson.dumps(definition)
    seen = _seen.get((iri, written))
    if seen is None:
        seen = Definition(iri, text_of(definition))
        if len(written) <= _SEEN_BYTES:
            if len(_seen) >= _MOST_SEEN:
                _seen.clear()
            _seen[iri, written] = seen
    return seen


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
