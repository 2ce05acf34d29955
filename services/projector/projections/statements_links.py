"""The index rows of statements: agents and activities they are found by besides those in their own columns. Rows of a fixed width, packed here for COPY."""
import io
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from services.core import statement_keys
from services.core.statement_keys import Keys
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

_sql = Statements(Path(__file__).with_suffix(".sql"))
_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_AGENT, _ACTIVITY = struct.pack(">hi", 4, 8), struct.pack(">hi", 3, 8)
"""How a row begins: the number of its columns, and the width of the first, which is the key."""
_FEW = 16
_place = struct.Struct(">iqii").pack
_DIRECT, _RELATED = struct.pack(">i?", 1, False), struct.pack(">i?", 1, True)  # noqa: FBT003 - a column


def agent_rows(keys: Keys, seq: int, tenant_id: int) -> bytes:
    """Return a statement's rows of `statement_agent` in the binary format of COPY."""
    place = _place(8, seq, 4, tenant_id)
    related = _rows(_AGENT, keys.related, place + _RELATED)
    return _rows(_AGENT, keys.agents, place + _DIRECT) + related if keys.agents else related


def activity_rows(keys: Keys, seq: int, tenant_id: int) -> bytes:
    """Return a statement's rows of `related_activity` in the binary format of COPY."""
    return _rows(_ACTIVITY, keys.activities, _place(8, seq, 4, tenant_id))


def _rows(begin: bytes, keys: frozenset[int], end: bytes) -> bytes:
    """Return a row for each key; the rest of them is the same."""
    if not keys:
        return b""
    return end.join((_remembered if len(keys) <= _FEW else _begun)(begin, keys))


def _begun(begin: bytes, keys: frozenset[int]) -> tuple[bytes, ...]:
    """Return how the rows of these keys begin, and nothing after the last one."""
    return (*[begin + key.to_bytes(8, signed=True) for key in keys], b"")


_remembered = lru_cache(maxsize=16384)(_begun)
"""A sender uses the same few activities in statement after statement."""


async def add_links(conn: Connection, agents: Iterable[bytes], activities: Iterable[bytes]) -> None:
    """Add packed rows of statements that have none yet."""
    await _copy(conn, "statement_agent", ("agent", "seq", "tenant_id", "related"), b"".join(agents))
    await _copy(conn, "related_activity", ("activity", "seq", "tenant_id"), b"".join(activities))


def keys_of_row(row: asyncpg.Record) -> Keys:
    """Return the keys of a statement in the store: a row with `raw`, `actor`, `activity`, `authority`, and the authority's JSON as `agent`."""
    return statement_keys.keys_of(orjson.loads(row["raw"]), row["actor"], row["activity"], orjson.loads(row["agent"]), row["authority"])


async def forget_links(conn: Connection, ids: Sequence[Sequence[Any]]) -> list[tuple[int, int]]:
    """Delete the rows of copies about to be replaced, whose keys (`tenant_id` and `id`) are given as columns; return where they stood (tenant, seq)."""
    fallen = await conn.fetch(_sql.fallen, *ids)
    agents, activities = [], []
    for row in fallen:
        tenant_id, seq, keys = row["tenant_id"], row["seq"], keys_of_row(row)
        agents += [(key, seq, tenant_id, related) for related, found in ((False, keys.agents), (True, keys.related)) for key in found]
        activities += [(key, seq, tenant_id) for key in keys.activities]
    if agents:
        await conn.execute(_sql.forget_agents, *map(list, zip(*agents, strict=True)))
    if activities:
        await conn.execute(_sql.forget_activities, *map(list, zip(*activities, strict=True)))
    return [(row["tenant_id"], row["seq"]) for row in fallen]


async def _copy(conn: Connection, table: str, columns: tuple[str, ...], rows: bytes) -> None:
    if rows:
        await conn.copy_to_table(table, source=io.BytesIO(b"".join((_HEAD, rows, _END))), columns=columns, format="binary")
