"""What is folded together: the oldest records of all partitions at hand, bounded in number, statements and bytes."""
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from services.projector.cursor import Cursor, Step
from services.projector.reader import MAX_BYTES, MAX_RECORDS, MAX_STATEMENTS, Record


@dataclass(frozen=True, slots=True)
class Part:
    """What a run holds of one partition: at least one record, from the cursor's position on."""

    cursor: Cursor
    records: Sequence[Record]

    @property
    def has_content(self) -> bool:
        """Whether there is more in it than ticks."""
        return any(record.items or record.other for record in self.records)

    def step(self) -> Step:
        """Return where it brings the cursor."""
        last = self.records[-1]
        return Step(self.cursor, last.offset + 1, last.last, hashlib.sha256(last.value).digest())


def next_run(waiting: Iterable[tuple[Cursor, Sequence[Record], int | None]]) -> list[Part]:
    """Return the next run. For each partition: its cursor, the records there, and the offset from which on nothing may be folded yet.

    The partition that is furthest behind goes first, so that none is ever left behind by the others; a first record is taken whatever its size.
    """
    found: list[Part] = []
    count = statements = size = 0
    for cursor, records, limit in sorted(waiting, key=lambda each: each[1][0].first):
        taken: list[Record] = []
        for record in records:
            if limit is not None and record.offset >= limit:
                break
            count, statements, size = count + 1, statements + len(record.items), size + len(record.value)
            if count > 1 and (count > MAX_RECORDS or statements > MAX_STATEMENTS or size > MAX_BYTES):
                break
            taken.append(record)
        if taken:
            found.append(Part(cursor, taken))
    return found


def wanted_by(*runs: Iterable[Record]) -> int | None:
    """Return what all partitions have to pass, so that what was stored in these records can be seen. A tick wants nothing."""
    return max((record.last for record in chain.from_iterable(runs) if record.items or record.other), default=None)
