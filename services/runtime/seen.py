"""One look at what is folded: Consistent-Through, and where each projection in use stands in each partition."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg


@dataclass(frozen=True, slots=True)
class CursorSeen:
    """Where one projection stood in one partition: offsets below `position` are folded, the last of them stored at `last_stored`."""

    position: int
    last_stored: int
    halted: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: Consistent-Through, cursors by projection and partition, and a figure that moves whenever a fold meets a losing copy."""

    through: int = 0
    cursors: dict[str, dict[int, CursorSeen]] = field(default_factory=dict)
    conflicts: tuple[int, int] = (0, 0)


def seen_in(rows: Sequence[asyncpg.Record]) -> Seen:
    """Return a look from the rows of its query."""
    cursors: dict[str, dict[int, CursorSeen]] = {}
    conflicts = version = through = 0
    for row in rows:
        cursors.setdefault(row["name"], {})[row["partition"]] = CursorSeen(row["position"], row["last_stored"], row["halted"])
        if row["name"] == "statements":
            conflicts, version, through = conflicts + row["conflicts"], row["version"], row["through"]
    return Seen(through, cursors, (version, conflicts))
