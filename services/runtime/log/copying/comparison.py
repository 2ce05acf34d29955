"""Whether a copy says what its original says: each record's place, its `stored`, who sent it, and every byte of its statements."""
from services.core.envelope import Envelope
from services.core.errors import Halted
from services.core.sequence import Placed, Sequence
from services.runtime.log import LogRecord
from services.runtime.log.copying.source import CopyRefused, Original, Source
from services.runtime.log.copying.target import Target


class Comparison:
    """One partition of both logs, read side by side from the first record; it goes on where it stopped."""

    def __init__(self, source: Source, target: Target, partition: int) -> None:
        """Nothing is read yet."""
        self._source, self._target, self.partition = source, target, partition
        self._ours, self._theirs = Sequence(partition, source.log_id, 0, 0), Sequence(partition, source.log_id, 0, 0)

    @property
    def done(self) -> int:
        """How many records were found equal."""
        return self._theirs.next_offset

    @property
    def last(self) -> int:
        """The instant of the last statement found equal."""
        return self._theirs.head

    async def step(self) -> int:
        """Compare the next run; return how many statements it held. Raises CopyRefused at the first difference."""
        originals, statements = await self._source.read(self._ours), 0
        while originals:
            copies = await self._target.read(self.partition, self._theirs.next_offset, len(originals))
            for original, copy in zip(originals, copies, strict=False):
                check_equal(original, _placed(self._target, self._theirs, copy), self._target.topic)
                statements += len(original.placed.envelope.statements)
            originals = originals[len(copies):]
        return statements


async def check_begun(source: Source, target: Target, partition: int, end: int) -> None:
    """Look at the first and the last record of what a partition of the topic holds already. Raises CopyRefused unless they are copies of ours."""
    for offset in sorted({0, end - 1}):
        originals = await source.read(source.sequence(partition, offset), 1)
        if not originals:
            raise _foreign(target.topic, partition, offset)
        [copy] = await target.read(partition, offset, 1)
        check_equal(originals[0], _placed(target, source.sequence(partition, offset), copy), target.topic)


def check_equal(original: Original, copy: Placed, topic: str) -> None:
    """Raise CopyRefused unless the copy says what the original says."""
    ours = original.placed
    if (ours.offset, ours.first, ours.last) != (copy.offset, copy.first, copy.last) or _said(ours.envelope) != _said(copy.envelope):
        raise _foreign(topic, ours.partition, ours.offset)


def _placed(target: Target, sequence: Sequence, copy: LogRecord) -> Placed:
    try:
        return sequence.place(copy.offset, copy.timestamp, copy.value)
    except Halted as error:
        raise _foreign(target.topic, copy.partition, copy.offset) from error


def _said(envelope: Envelope) -> tuple[object, ...]:
    """Return all that a record says, but for its `stored`, and for what a genesis says of the number of partitions."""
    body = {name: value for name, value in (envelope.body or {}).items() if envelope.kind != "genesis" or name != "partitions"}
    return (
        envelope.kind, envelope.batch, envelope.tenant, envelope.authority, envelope.credential, envelope.scopes, envelope.received, envelope.xapi, body,
        [(statement.id, statement.fp, bytes(statement.raw)) for statement in envelope.statements])


def _foreign(topic: str, partition: int, offset: int) -> CopyRefused:
    return CopyRefused(
        f"The topic {topic} holds something else than this log at offset {offset} of partition {partition}: take a topic that is empty, or delete this one.")
