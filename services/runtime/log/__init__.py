"""The log: the append-only truth of which every table is a fold. Three implementations keep these promises, and one contract suite holds them to it.

Offsets of a partition begin at 0 and have no gaps; record 0 is a genesis record carrying the log's uuid. A record is readable only once it is
durable, in the order of its offset, and never changes. The log gives each record a timestamp; `services/core/sequence.py` makes `stored` of it.
"""
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec


class WrongLog(Exception):
    """The log cannot be the one that the settings ask for: it is another's, or not as it must be, or refuses us. The text is a sentence for the operator."""


class NewRecord(msgspec.Struct, frozen=True):
    """A record to append: `count` is how many instants it takes (its statements; 1 for any other kind)."""

    partition: int
    key: bytes
    value: bytes
    count: int = 1
    carried_stored: int | None = None
    """The `stored` of its first statement when it is carried over from another log; the envelope says the same."""


class Position(msgspec.Struct, frozen=True):
    """Where a record is."""

    partition: int
    offset: int


class LogRecord(msgspec.Struct, frozen=True):
    """A record as read: `timestamp` is the log's own clock, an instant of `services/core/timeline.py`."""

    partition: int
    offset: int
    timestamp: int
    value: bytes


class LogEnd(msgspec.Struct, frozen=True):
    """The first offset not yet written, and an instant below every `stored` still to come, where the log knows one without a record."""

    next_offset: int
    stored: int | None = None
    tick: LogRecord | None = None
    """The record that a tick has just become, where it became one: its writer need not read it."""


class Log(Protocol):
    """An append-only log of a fixed number of partitions. Every call ends within its deadline."""

    log_id: UUID
    partitions: int

    async def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append each record atomically; return where they are once all are durable, in the order given.

        Raises TooLarge (nothing written) for a record over the log's limit, and LogUnavailable with `outcome` "rejected" when certainly nothing
        was written, "unknown" otherwise.
        """
        ...

    async def read(self, partition: int, offset: int, *, max_records: int, max_bytes: int, wait_s: float) -> list[LogRecord]:
        """Return a run of records from `offset`: at least one if there is any, none when none came within `wait_s`.

        Raises Halted when the log ends before `offset` or the record there is not the one numbered so; LogUnavailable when the log cannot be read.
        """
        ...

    async def end(self, partition: int) -> LogEnd:
        """Return the end of a partition as of now."""
        ...

    async def tick(self, partitions: Sequence[int]) -> list[LogEnd]:
        """Make time pass in these partitions, in one go: every later record is stored after this moment. Return the end of each after it, in the order given.

        Where an answer's `stored` is None the tick is a record, which readers will meet.
        """
        ...

    async def close(self) -> None:
        """Let go of everything, within 3 seconds, whatever state the servers are in."""
        ...
