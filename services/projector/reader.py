"""Reading a partition for several projections at once: each record is fetched, placed and parsed once, and forgotten when all have folded it."""
import asyncio
import contextlib
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from asyncpg.pgproto.pgproto import UUID  # equal to the common one, and cheaper to hash, to compare and to send

from services.core.actor import authority_text
from services.core.errors import Halted, LogUnavailable
from services.core.keys import key64
from services.core.sequence import Placed, Sequence
from services.core.timeline import seq_of
from services.projector.run import Authority, ReadsAhead, RecordAt, StatementAt
from services.projector.tenants import Tenants
from services.runtime.log import Log, LogRecord

MAX_RECORDS = 500
MAX_BYTES = 4 << 20
MAX_STATEMENTS = 2000
"""What one run may hold."""
READ_RECORDS, READ_BYTES, READ_STATEMENTS = MAX_RECORDS // 2, MAX_BYTES // 2, MAX_STATEMENTS // 2
"""What is read at once: half a run, so that there is room to read what comes next while a run is folded."""
_KEPT_BYTES = 16 << 20
_ONE_S = 5.0
_BARE = frozenset({"tick", "genesis"})


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the log, ready to fold."""

    offset: int
    first: int
    last: int
    items: list[StatementAt]
    other: RecordAt | None
    value: bytes


class PartitionReader:
    """One partition, read for those who said where they are. Bounded: about 16 MiB of records at most are kept for those who lag."""

    def __init__(self, log: Log, partition: int, tenants: Tenants, ahead: tuple[ReadsAhead, ...] = ()) -> None:
        """Nothing is read before the first `read`; those of `ahead` are let read each statement as soon as it is there."""
        self._log, self._partition, self._tenants, self._ahead = log, partition, tenants, ahead
        self._kept: dict[int, Record] = {}
        self._bytes = 0
        self._places: dict[Hashable, int] = {}
        self._fetches: dict[int, asyncio.Task[list[Record]]] = {}

    async def read(self, who: Hashable, offset: int, head: int, wait_s: float) -> list[Record]:
        """Return a bounded run of records from `offset`, none if none came within `wait_s`; `who` has folded all before it, up to the instant `head`.

        Raises Halted at a record that cannot be placed (never before those that can are given), and what the log raises.
        """
        self._places[who] = offset
        self._forget_folded()
        if offset not in self._kept:
            fetch = self._fetches.get(offset)
            if fetch is None or fetch.done():  # one that just ended would answer at once, again and again, and nothing else would ever get its turn
                fetch = self._fetches[offset] = asyncio.create_task(self._fetch(offset, head, wait_s))
                fetch.add_done_callback(lambda done: self._fetched(offset, done))
            return _bounded(await asyncio.shield(fetch))
        run = [self._kept[offset]]
        while len(run) < READ_RECORDS and (record := self._kept.get(offset + len(run))):
            run.append(record)
        return _bounded(run)

    def bare(self, record: LogRecord, head: int) -> Record:
        """Return a tick that did not have to be read, placed after all up to the instant `head`. Raises Halted as `read` does."""
        placed = Sequence(self._partition, self._log.log_id, record.offset, head).place(record.offset, record.timestamp, record.value)
        return Record(placed.offset, placed.first, placed.last, [], None, record.value)

    def leave(self, who: Hashable) -> None:
        """Keep nothing for `who` any more."""
        self._places.pop(who, None)
        self._forget_folded()

    async def one(self, offset: int, stored: int) -> Placed:
        """Return a record that was folded before, placed at `stored` again. Raises Halted when the log ends before it, LogUnavailable when it does not come."""
        record = await self.raw(offset)
        placed = Sequence(self._partition, self._log.log_id, offset, -(2**62)).place(record.offset, record.timestamp, record.value)
        return replace(placed, first=stored)

    async def raw(self, offset: int) -> LogRecord:
        """Return a record that was folded before, as the log has it. Raises as `one` does."""
        if (await self._log.end(self._partition)).next_offset <= offset:
            raise Halted(self._partition, offset, "the log ends before a record that was folded: it was truncated or replaced")
        records = await self._log.read(self._partition, offset, max_records=1, max_bytes=1, wait_s=_ONE_S)
        if not records:
            raise LogUnavailable(f"record {offset} of partition {self._partition} did not come")
        return records[0]

    async def _fetch(self, offset: int, head: int, wait_s: float) -> list[Record]:
        found = await self._log.read(self._partition, offset, max_records=READ_RECORDS, max_bytes=READ_BYTES, wait_s=wait_s)
        sequence = Sequence(self._partition, self._log.log_id, offset, head)
        records: list[Record] = []
        for record in found:
            try:
                placed = sequence.place(record.offset, record.timestamp, record.value)
                records.append(await self._build(placed, record.value))
                await self._read_ahead(records[-1])
            except Halted:
                if not records:
                    raise
                break
        for ready in records:
            if ready.offset not in self._kept:
                self._kept[ready.offset] = ready
                self._bytes += len(ready.value)
        while self._bytes > _KEPT_BYTES:
            self._drop(next(iter(self._kept)))
        return records

    async def _read_ahead(self, record: Record) -> None:
        """Have each statement parsed and read, while Postgres folds what came before, and let go of what was parsed."""
        for item in record.items:
            with contextlib.suppress(Exception):  # it fails again in the fold, which knows what to do about it
                for projection in self._ahead:
                    projection.read_ahead(item)
            item.forget_doc()
        await asyncio.sleep(0)

    def _fetched(self, offset: int, fetch: "asyncio.Task[list[Record]]") -> None:
        if self._fetches.get(offset) is fetch:
            del self._fetches[offset]
        if not fetch.cancelled():
            fetch.exception()  # whoever waits has it; if nobody does any more, the next read meets it again

    async def _build(self, placed: Placed, value: bytes) -> Record:
        envelope = placed.envelope
        if envelope.kind in _BARE:
            return Record(placed.offset, placed.first, placed.last, [], None, value)
        if envelope.tenant is None:
            raise Halted(placed.partition, placed.offset, f"a record of kind {envelope.kind} without a tenant")
        tenant_id = await self._tenants.id(envelope.tenant)
        if envelope.kind == "statements":
            return Record(placed.offset, placed.first, placed.last, statements_of(placed, tenant_id), None, value)
        other = RecordAt(envelope.kind, tenant_id, envelope.tenant, seq_of(placed.first, placed.partition), envelope, placed.offset)
        return Record(placed.offset, placed.first, placed.last, [], other, value)

    def _forget_folded(self) -> None:
        least = min(self._places.values(), default=None)
        for offset in [offset for offset in self._kept if least is None or offset < least]:
            self._drop(offset)

    def _drop(self, offset: int) -> None:
        self._bytes -= len(self._kept.pop(offset).value)


def statements_of(placed: Placed, tenant_id: int) -> list[StatementAt]:
    """Return the statements of a record in their places. Raises Halted for one that lacks what every such record has."""
    envelope, partition = placed.envelope, placed.partition
    if envelope.authority is None:
        raise Halted(partition, placed.offset, "a record of statements without an authority")
    try:
        authority = authority_of(envelope.authority, envelope.scopes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Halted(partition, placed.offset, f"an authority that is nobody: {error!r}") from error
    tenant, xapi = envelope.tenant or "", envelope.xapi or "2.0.0"
    offset, first = placed.offset, placed.first
    try:
        return [
            StatementAt(tenant_id, tenant, seq_of(first + idx, partition), UUID(one.id.bytes), bytes.fromhex(one.fp), bytes(one.raw), authority, xapi,
                        offset, idx)
            for idx, one in enumerate(envelope.statements)
        ]
    except ValueError as error:
        raise Halted(partition, placed.offset, "a fingerprint that is not hexadecimal") from error


def authority_of(agent: dict[str, Any], scopes: list[str]) -> Authority:
    """Return who vouches; equal ones are one object, for there are few."""
    text = orjson.dumps((agent, scopes))
    known = _authorities.get(text)
    if known is None:
        if len(_authorities) > 4096:
            _authorities.clear()
        known = _authorities[text] = Authority(agent, orjson.dumps(agent), key64(authority_text(agent)), tuple(scopes))
    return known


def _bounded(records: list[Record]) -> list[Record]:
    statements = size = 0
    for count, record in enumerate(records):
        statements += len(record.items)
        size += len(record.value)
        if count and (statements > READ_STATEMENTS or size > READ_BYTES):
            return records[:count]
    return records


_authorities: dict[bytes, Authority] = {}
