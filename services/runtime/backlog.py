"""What this process put into the log and nobody has folded yet; when it is too much, writes are pushed back rather than lag let grow."""
from collections import deque

from services.core.errors import Overloaded
from services.runtime.log import Position

MAX_RECORDS = 4096
MAX_BYTES = 64 << 20


class Backlog:
    """The unfolded records of each partition: offsets tell how many there are, whoever wrote them; bytes are counted for this process's own."""

    def __init__(self, *, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        """`max_records` a partition and `max_bytes` in all may be unfolded."""
        self._max_records, self._max_bytes = max_records, max_bytes
        self._ends: dict[int, int] = {}
        self._folded: dict[int, int] = {}
        self._pending: dict[int, deque[tuple[int, int]]] = {}
        self._bytes = 0

    def note(self, position: Position, size: int) -> None:
        """Take note of a record that was appended."""
        partition, offset = position.partition, position.offset
        self._ends[partition] = max(offset + 1, self._ends.get(partition, 0))
        if offset >= self._folded.get(partition, 0):
            self._pending.setdefault(partition, deque()).append((offset, size))
            self._bytes += size

    def fold(self, partition: int, position: int) -> None:
        """Take note that offsets below `position` are folded."""
        self._folded[partition] = position
        pending = self._pending.get(partition)
        while pending and pending[0][0] < position:
            self._bytes -= pending.popleft()[1]

    def lag(self) -> dict[int, int]:
        """Return how many records of each partition this process knows to be unfolded."""
        return {partition: max(0, end - self._folded.get(partition, 0)) for partition, end in self._ends.items()}

    def check_room(self, partition: int) -> None:
        """Raise Overloaded when too much is unfolded."""
        if self._ends.get(partition, 0) - self._folded.get(partition, 0) >= self._max_records or self._bytes >= self._max_bytes:
            raise Overloaded
