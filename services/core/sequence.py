"""`stored`: the strictly rising instants that the log's own order gives to statements.

A `Sequence` walks one partition record by record. What it cannot account for (a gap, a foreign log, an unknown envelope, a carried `stored` not above
the head) raises Halted: a partition never skips.
"""
from dataclasses import dataclass
from uuid import UUID

from schemas.envelope import Envelope
from services.core import envelope as envelopes
from services.core.errors import Halted


@dataclass(frozen=True, slots=True)
class Placed:
    """A record in its place: statement i of it is stored at `first + i`; `last` is the head after it."""

    partition: int
    offset: int
    first: int
    last: int
    envelope: Envelope


@dataclass(slots=True)
class Sequence:
    """The reading head of one partition: the next offset expected, and the last instant given out (`head`)."""

    partition: int
    log_id: UUID
    next_offset: int
    head: int

    def place(self, offset: int, timestamp: int, value: bytes) -> Placed:
        """Give the next record its instants. Raises Halted."""
        if offset != self.next_offset:
            raise Halted(self.partition, self.next_offset, f"the log gave offset {offset} instead")
        try:
            envelope = envelopes.decode(value)
        except envelopes.UnknownEnvelope as error:
            raise Halted(self.partition, offset, str(error)) from error
        self._check_genesis(offset, envelope)
        first = self._first(offset, timestamp, envelope)
        last = first + max(1, len(envelope.statements)) - 1
        self.next_offset, self.head = offset + 1, last
        return Placed(self.partition, offset, first, last, envelope)

    def _first(self, offset: int, timestamp: int, envelope: Envelope) -> int:
        if envelope.stored is None:
            return max(timestamp, self.head + 1)
        if envelope.stored <= self.head:
            raise Halted(self.partition, offset, "a carried `stored` is not above what the partition has already given out")
        return envelope.stored

    def _check_genesis(self, offset: int, envelope: Envelope) -> None:
        if envelope.kind != "genesis":
            if offset == 0:
                raise Halted(self.partition, 0, "the partition does not begin with a genesis record")
            return
        if (envelope.body or {}).get("log") != str(self.log_id):
            raise Halted(self.partition, offset, "a genesis record of another log")
