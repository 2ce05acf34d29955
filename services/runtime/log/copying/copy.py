"""A log carried from Postgres to Kafka: records keep partition, offset, bytes and `stored`, so cursors and answers stay what they are.

The topic itself tells where a copy stopped. Whatever is copied while Testamur runs is safe to take up again; the log is handed over only when nobody uses
it, after every record was compared, in one transaction that also takes away what appends need.
"""
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from services.runtime.failpoint import FAILPOINTS, hit
from services.runtime.log.copying.comparison import Comparison, check_begun
from services.runtime.log.copying.source import CopyRefused, Head, Source, Stand
from services.runtime.log.copying.target import Target, open_target
from services.runtime.postgres import connect
from services.runtime.settings import Settings

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how many records of how many it was done to."""
_TIMEOUT_S = 60.0
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Copied:
    """What was carried over: how many records and statements, into which topic."""

    records: int
    statements: int
    topic: str
    partitions: int


async def copy_log(settings: Settings, dsn: str, partitions: int | None, tell: Tell) -> Copied:
    """Carry the log of the migrated database at `dsn` into the topic that the settings name, and hand it over; return what was carried.

    `partitions` is how many a topic made here gets. Raises CopyRefused, TopicError, Halted, and LrsError while brokers do not answer.
    """
    FAILPOINTS.arm(settings.failpoints)
    connection = await connect(dsn, application_name="testamur log copy", command_timeout_s=_TIMEOUT_S, idle_in_transaction_s=_TIMEOUT_S)
    try:
        source = await Source.of(connection)
        tell(f"waiting for Kafka at {settings.kafka}", 0, sum((await source.ends()).values()))
        target = await open_target(settings, source.log_id, source.partitions, partitions)
        try:
            return await _Copy(source, target, tell).run()
        finally:
            await target.log.close()
    finally:
        connection.terminate()


class _Copy:
    """One attempt at it."""

    def __init__(self, source: Source, target: Target, tell: Tell) -> None:
        self._source, self._target, self._tell = source, target, tell
        self._ends: dict[int, int] = {}
        """How many records each partition of the topic has."""
        self._comparisons = [Comparison(source, target, partition) for partition in range(source.partitions)]
        self._statements = 0

    async def run(self) -> Copied:
        await self._examine()
        await self._carry()
        await self._source.check_unused()
        await self._compare()
        for _ in range(_TRIES):
            await self._source.close_with_ticks()
            await self._carry()
            await self._compare()
            if await self._hand_over():
                return Copied(sum(one.done for one in self._comparisons), self._statements, self._target.topic, self._target.partitions)
        raise CopyRefused("Something writes to the log still, though it is not connected under our name: stop it and give the same command again.")

    async def _examine(self) -> None:
        """Find where an earlier copy stopped. Raises CopyRefused for a topic that holds anything else."""
        self._ends = await self._target.settled_ends()
        for partition, end in self._ends.items():
            if partition >= self._source.partitions:
                await self._target.bare(partition)
            elif end:
                await check_begun(self._source, self._target, partition, end)

    async def _carry(self) -> None:
        """Append what the topic has not got yet."""
        ends = await self._source.ends()
        total, done = sum(ends.values()), sum(self._ends[partition] for partition in ends)
        for partition in ends:
            sequence = self._source.sequence(partition, self._ends[partition])
            while run := await self._source.read(sequence):
                await self._target.append(self._ends[partition], [original.carried(self._target.partitions) for original in run])
                self._ends[partition] = sequence.next_offset
                done += len(run)
                self._tell("copied", done, max(total, done))
                hit("log_copy.run")

    async def _compare(self) -> None:
        """Compare what was not compared yet."""
        total = sum(self._ends[partition] for partition in range(self._source.partitions))
        for one in self._comparisons:
            while (before := one.done) < self._ends[one.partition]:
                self._statements += await one.step()
                assert one.done > before, "there was something to compare"
                self._tell("compared", sum(each.done for each in self._comparisons), total)

    async def _hand_over(self) -> bool:
        """Hand the log over, if the source still ends where the copy does: within a transaction that keeps it so."""
        async with self._source.connection.transaction():
            heads = await self._source.freeze()
            if any((head.next_offset, head.last_stored) != (one.done, one.last) for head, one in zip(heads, self._comparisons, strict=True)):
                return False
            latest = max(head.last_stored for head in heads)
            added: list[tuple[Head, bytes]] = []
            for partition in range(self._source.partitions, self._target.partitions):
                head, value = await self._target.lift(partition, latest)
                added.append((head, _tail(value)))
            hit("log_copy.before_hand_over")
            await self._source.hand_over(self._target.partitions, await self._stands(), added)
        return True

    async def _stands(self) -> list[Stand]:
        """Return what each cursor has to remember of the copy it goes on with."""
        return [
            Stand(name, version, partition, _tail((await self._target.read(partition, position - 1, 1))[0].value))
            for name, version, partition, position in await self._source.cursors()]


def _tail(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
