"""What this process put into the log and not every projection has folded yet; when it is too much, writes are pushed back rather than lag let grow."""
from collections import deque
from typing import NamedTuple

from services.core.errors import Overloaded
from services.runtime.log import Position

MAX_RECORDS = 4096
"""Records of a partition, whoever wrote them: what a projector reads in a few seconds, and keeps a process honest that has written none of them."""
MAX_STATEMENTS = 10_000
"""Statements of this process: a few seconds' work of a projector on two cores, so that no transcript lags further however long the load lasts."""
MAX_BYTES = 64 << 20
"""Bytes of this process: what readers and folds of large statements are let hold."""
AWAY_TIMES = 3
"""While Postgres is away nothing is folded, and this many times as much may wait: a short absence stops no write, and what a long one leaves behind is folded
within the half minute that a start may take."""


class _Pending(NamedTuple):
    offset: int
    size: int
    statements: int


class Backlog:
    """The unfolded records of each partition, by the projection that is furthest behind there.

    Offsets tell how many records there are, whoever wrote them; statements and bytes are counted for this process's own.
    """

    def __init__(self, *, max_records: int = MAX_RECORDS, max_statements: int = MAX_STATEMENTS, max_bytes: int = MAX_BYTES) -> None:
        """`max_records` a partition, and `max_statements` and `max_bytes` in all, may be unfolded."""
        self._max_records, self._max_statements, self._max_bytes = max_records, max_statements, max_bytes
        self._ends: dict[int, int] = {}
        self._folded: dict[int, int] = {}
        self._pending: dict[int, deque[_Pending]] = {}
        self._statements = self._bytes = 0

    def note(self, position: Position, size: int, statements: int = 1) -> None:
        """Take note of a record that was appended, and of how many statements it holds (1 for a record of another kind)."""
        partition, offset = position.partition, position.offset
        self._ends[partition] = max(offset + 1, self._ends.get(partition, 0))
        if offset >= self._folded.get(partition, 0):
            self._pending.setdefault(partition, deque()).append(_Pending(offset, size, statements))
            self._statements += statements
            self._bytes += size

    def fold(self, partition: int, position: int) -> None:
        """Take note that all projections have folded the offsets below `position`."""
        self._folded[partition] = position
        pending = self._pending.get(partition)
        while pending and pending[0].offset < position:
            folded = pending.popleft()
            self._statements -= folded.statements
            self._bytes -= folded.size

    def lag(self) -> dict[int, int]:
        """Return how many records of each partition this process knows to be unfolded."""
        return {partition: max(0, end - self._folded.get(partition, 0)) for partition, end in self._ends.items()}

    def check_room(self, partition: int, times: int = 1) -> None:
        """Raise Overloaded when too much is unfolded: `times` as much as may be."""
        records = self._ends.get(partition, 0) - self._folded.get(partition, 0)
        if records >= times * self._max_records or self._statements >= times * self._max_statements or self._bytes >= times * self._max_bytes:
            raise Overloaded
