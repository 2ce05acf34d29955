"""How the system stands: `testamur status`, readiness and metrics, all from the cursors and the log's end."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from services.core.timeline import rfc3339
from services.runtime.log import Log
from services.runtime.postgres import Statements

_sql = Statements(Path(__file__).with_suffix(".sql"))
_COUNT_S = 60.0
Pool: TypeAlias = "asyncpg.Pool[Any]"


async def status(pool: Pool, log: Log) -> dict[str, Any]:
    """Return the members of `status --json`. `lag` is in records, `end` is an offset, `halted` the reason or null.

    Raises LogUnavailable when the log cannot say where it ends.
    """
    ends = await ends_of(log)
    cursors = await pool.fetch(_sql.cursors)
    counts = await pool.fetchrow(_sql.counts, timeout=_COUNT_S)
    assert counts is not None
    halted = {row["partition"]: f"{row['name']}: {row['halted']}" for row in cursors if row["halted"]}
    return {
        "statements": counts["statements"],
        "learners": counts["learners"],
        "consistent_through": through_of(cursors),
        "partitions": [{"partition": partition, "end": end, "halted": halted.get(partition)} for partition, end in sorted(ends.items())],
        "projections": [
            {"name": name, "version": version, "lag": sum(lag_of(ends, [row for row in cursors if row["name"] == name]).values())}
            for name, version in sorted({(row["name"], row["version"]) for row in cursors})
        ],
        "dead_letters": await pool.fetchval(_sql.dead_letters),
        "conflicts": counts["conflicts"],
        "quarantined": await quarantined_of(pool),
        "decisions": await decisions_of(pool),
    }


async def ends_of(log: Log) -> dict[int, int]:
    """Return the end of each partition."""
    return {partition: (await log.end(partition)).next_offset for partition in range(log.partitions)}


async def cursors_of(pool: Pool) -> Sequence[asyncpg.Record]:
    """Return every cursor of the active projections; a projection without any has one row of nulls."""
    return await pool.fetch(_sql.cursors)


async def dead_letters_of(pool: Pool) -> int:
    """Return how many statements are set aside."""
    count: int = await pool.fetchval(_sql.dead_letters)
    return count


async def quarantined_of(pool: Pool) -> int:
    """Return how many invalid statements wait in quarantine."""
    count: int = await pool.fetchval(_sql.quarantined)
    return count


async def decisions_of(pool: Pool) -> dict[str, Any]:
    """Return how many evaluations wait, how many decisions are on their way, and for how many seconds of the log's time the first has waited."""
    row = await pool.fetchrow(_sql.decisions, timeout=_COUNT_S)
    assert row is not None
    return {"waiting": row["waiting"] or 0, "under_way": row["under_way"], "behind_s": (row["behind"] or 0) / 1e6}


def through_of(cursors: Sequence[asyncpg.Record]) -> str | None:
    """Return Consistent-Through, None before any partition was begun."""
    through = cursors[0]["through"] if cursors else None
    return None if through is None else rfc3339(through)


def lag_of(ends: Mapping[int, int], cursors: Sequence[asyncpg.Record]) -> dict[int, int]:
    """Return how many records of each partition one projection has yet to fold."""
    positions = {row["partition"]: row["position"] for row in cursors}
    return {partition: max(0, end - (positions.get(partition) or 0)) for partition, end in ends.items()}


def unready(ends: Mapping[int, int], cursors: Sequence[asyncpg.Record]) -> list[str]:
    """Return why the system is not ready: a partition that nobody holds, that stands still, or that is not folded up to `ends`."""
    names = {row["name"] for row in cursors}
    reasons = [f"{name}: there is no active version" for name in ("statements", "learners") if name not in names]
    held = {(row["name"], row["partition"]): row for row in cursors}
    for name in sorted(names):
        for partition, end in sorted(ends.items()):
            row = held.get((name, partition))
            if row is not None and row["halted"]:
                reasons.append(f"{name}: partition {partition} stands still: {row['halted']}")
            elif row is None or not row["owned"]:
                reasons.append(f"{name}: no worker holds partition {partition}")
            elif row["position"] < end:
                reasons.append(f"{name}: partition {partition} is folded to {row['position']} of {end}")
    return reasons
