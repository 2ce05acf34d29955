"""The side of a copy that gives: the log in Postgres, its records with their keys and in their places, and its end."""
import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from services.core import envelope
from services.core.sequence import Placed, Sequence
from services.runtime.log import NewRecord
from services.runtime.postgres import GENESIS_LOCK, Statements

COPY_LOCK = 0x7465_7374_0003
"""Advisory lock: held while a log is copied."""
RUN_RECORDS, RUN_BYTES = 500, 4 << 20
_PATIENCE_S, _PAUSE_S = 1.0, 0.1
_BEFORE_ALL = -(2**62)
_sql = Statements(Path(__file__).with_suffix(".sql"))


class CopyRefused(Exception):
    """The log is not carried over, or not yet; the sentence says why. What was copied stays, and the same command goes on from there."""


@dataclass(frozen=True, slots=True)
class Original:
    """A record as the log in Postgres has it, in its place."""

    key: bytes
    value: bytes
    placed: Placed

    def carried(self, partitions: int) -> NewRecord:
        """Return what a log of so many partitions takes over."""
        placed, found = self.placed, self.placed.envelope
        if found.kind == "genesis":
            value = envelope.encode("genesis", body={**(found.body or {}), "partitions": partitions}, stored=placed.first)
        else:
            value = self.value if found.stored is not None else envelope.carry(self.value, placed.first)
        return NewRecord(placed.partition, self.key, value, max(1, len(found.statements)), placed.first)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a partition: the next offset, and the instant that everything to come is stored after."""

    partition: int
    next_offset: int
    last_stored: int


@dataclass(frozen=True, slots=True)
class Stand:
    """A cursor, and the digest of the record before it."""

    name: str
    version: int
    partition: int
    tail: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """The log in Postgres, read over one connection that holds the lock of copies."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    log_id: UUID
    partitions: int

    @classmethod
    async def of(cls, connection: "asyncpg.Connection[asyncpg.Record]") -> "Source":
        """Return the log of a migrated database. Raises CopyRefused where there is none, or somebody else copies it."""
        if not await connection.fetchval(_sql.lock, COPY_LOCK):
            raise CopyRefused("Another `testamur log copy` is at work on this database.")
        row = await connection.fetchrow(_sql.identity)
        if row is None:
            raise CopyRefused("There is no log to copy yet: with TESTAMUR_KAFKA set the first start makes one in Kafka.")
        if row["kind"] != "postgres":
            raise CopyRefused("The log of this installation is in Kafka already.")
        return cls(connection, row["log_id"], row["partitions"])

    async def ends(self) -> dict[int, int]:
        """Return how many records each partition has now."""
        return {row["partition"]: row["next_offset"] for row in await self.connection.fetch(_sql.ends)}

    def sequence(self, partition: int, offset: int = 0) -> Sequence:
        """Return a reading head before a record. Records tell their own instants, so it may begin anywhere."""
        return Sequence(partition, self.log_id, offset, _BEFORE_ALL)

    async def read(self, sequence: Sequence, limit: int = RUN_RECORDS) -> list[Original]:
        """Return a run of records from where `sequence` stands, which moves on behind them; none at the end. Raises Halted."""
        rows = await self.connection.fetch(_sql.records, sequence.partition, sequence.next_offset, limit, RUN_BYTES)
        return [Original(row["key"], row["value"], sequence.place(row["offset"], row["ts"], row["value"])) for row in rows]

    async def check_unused(self) -> None:
        """Raise CopyRefused when any other process of Testamur is connected to the database; one that has just ended gets a moment to be gone."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while users := [row["application_name"] for row in await self.connection.fetch(_sql.users)]:
            if asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(_PAUSE_S)
                continue
            raise CopyRefused(
                f"All that is there is copied, but Testamur still uses the log ({', '.join(sorted(set(users)))}). Stop it, every node of it, and give the same "
                "command again: it takes what has come since, compares everything, and then hands the log over.")

    async def close_with_ticks(self) -> None:
        """Append to each partition a record that says how far time has passed, so that its last record tells all that was promised."""
        await self.connection.execute(_sql.close, uuid4(), envelope.encode("tick"))

    async def freeze(self) -> list[Head]:
        """Within a transaction: let nobody open the log, append to it or let its time pass; return its ends."""
        await self.connection.execute(_sql.keep_out, GENESIS_LOCK)
        await self.check_unused()
        return [Head(row["partition"], row["next_offset"], row["last_stored"]) for row in await self.connection.fetch(_sql.freeze)]

    async def cursors(self) -> list[tuple[str, int, int, int]]:
        """Return name, version, partition and position of each cursor that has moved."""
        return [(row["name"], row["version"], row["partition"], row["position"]) for row in await self.connection.fetch(_sql.cursors)]

    async def hand_over(self, partitions: int, stands: Iterable[Stand], added: Iterable[tuple[Head, bytes]]) -> None:
        """Within the transaction that froze it: say that the log is in Kafka. `added` are the ends of partitions there were none of, and their tails."""
        stands, added = list(stands), list(added)
        await self.connection.execute(_sql.hand_over, partitions)
        await self.connection.execute(
            _sql.set_tails, [each.name for each in stands], [each.version for each in stands], [each.partition for each in stands],
            [each.tail for each in stands])
        heads = [head for head, _ in added]
        await self.connection.execute(
            _sql.add_cursors, self.log_id, [head.partition for head in heads], [head.next_offset for head in heads], [head.last_stored for head in heads],
            [tail for _, tail in added])
        await self.connection.execute(_sql.forget_heads)
