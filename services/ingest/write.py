"""A checked batch becomes one record of the log, and its sender learns what stands (docs/adr/0001-log-decides.md).

Look up, append, wait until visible, look again only if a fold met a losing copy meanwhile. What is refused before the append was never written.
"""
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from services.core.envelope import encode_statements
from services.core.errors import Conflict, LogUnavailable, Unavailable
from services.core.keys import partition_of
from services.core.timeline import rfc3339, stored_of
from services.ingest.lookup import Lookup, Standing
from services.ingest.quarantine import Quarantine
from services.ingest.statements import Batch, Incoming
from services.runtime import telemetry
from services.runtime.callers.auth import Caller
from services.runtime.failpoint import hit
from services.runtime.log import NewRecord
from services.runtime.position import Mark
from services.runtime.state import State

VISIBLE_S = 2.0
Keep = Callable[[], Awaitable[None]]
"""Keeps what has to be durable before the statements that refer to it. Raises Unavailable."""


class Written(msgspec.Struct, eq=False):
    """What a write came to: where to wait for it, whether it was seen to be visible just now, and how many of its statements wait in quarantine."""

    marks: list[Mark]
    visible: bool
    aside: int


class LostRace(Conflict):
    """Another statement was stored first under the id of at least one of these statements."""

    def __init__(self, marks: list[Mark], *, pointer: str, stands: list[str], conflicts: list[str], aside: int) -> None:
        """`stands` are the ids of the request that hold what it said, `conflicts` the others; `marks` say where to wait for what was appended.

        `aside` statements of the request are in quarantine.
        """
        super().__init__(pointer=pointer, stands=stands, conflicts=conflicts)
        self.marks, self.aside = marks, aside
        self.outcome = "partial" if stands else "rejected"


class Writer:
    """Writes the batches of one process."""

    def __init__(self, state: State, *, visible_s: float = VISIBLE_S) -> None:
        """`visible_s` bounds the wait for visibility."""
        self._state, self._visible_s = state, visible_s
        self._lookup = Lookup(state.rows)
        self._quarantine = Quarantine(state)

    async def write(self, caller: Caller, version: str, batch: Batch, *, wait: bool, keep: Keep | None = None) -> Written:
        """Write what is not there yet and return once visible (without `wait`: once durable). What the batch sets aside is in quarantine before that.

        `keep` is called before anything of the batch is kept, but not for one that is refused because of what stands or for want of room.
        Raises Conflict (nothing written), LostRace, Overloaded, Unavailable, TooLarge or LogUnavailable.
        """
        if not batch.statements:
            if keep is not None:
                await keep()
            return Written([], visible=False, aside=await self._quarantine.keep(caller, version, batch))
        visibility = self._state.visibility
        conflicts = visibility.conflicts
        new = batch.statements
        marks: list[Mark] = []
        if (ids := [statement.id for statement in new if not statement.made]) and (standing := await self._look_up(caller, batch, ids)):
            new = [statement for statement in new if statement.id not in standing]
            marks += [found.seq for found in standing.values()]
            telemetry.INGEST_STATEMENTS.add(len(standing), "duplicate")
        hit("ingest.after_lookup")
        if keep is not None:
            if new:
                self._state.visibility.check_room(self._partition(caller, batch.who)[1])
            await keep()
        aside = await self._quarantine.keep(caller, version, batch) if batch.aside else 0
        if new:
            marks.append(await self._append(caller, version, batch.who, new))
            telemetry.INGEST_STATEMENTS.add(len(new), "stored")
        visible = wait and await self._until_visible(marks)
        if visible and visibility.conflicts != conflicts:
            await self._ask_what_stands(caller, batch, marks, aside)
        hit("ingest.before_reply")
        return Written(marks, visible=visible and bool(new), aside=aside)

    async def _look_up(self, caller: Caller, batch: Batch, ids: list[UUID]) -> dict[UUID, Standing]:
        """Return what stands for `ids`, those of its ids that somebody else may have. Raises Conflict when it is something else."""
        statements = batch.statements
        try:
            found = await self._find(caller, ids)
            if _different(statements, found) and any(stored_of(one.seq) > self._state.visibility.through for one in found.values()):
                # What Consistent-Through has not passed may still be replaced by an earlier copy.
                await self._state.visibility.until_visible([one.seq for one in found.values()], self._visible_s)
                found = await self._find(caller, ids)
        except Unavailable:
            if self._state.settings.kafka is None:
                raise
            telemetry.INGEST_LOOKUP_SKIPPED.add(1)
            return {}
        different = _different(statements, found)
        if different:
            telemetry.INGEST_CONFLICTS.add(1, "lookup")
            raise Conflict(pointer=_pointer(batch, different[0]), conflicts=[statement.text for statement in different])
        return found

    async def _find(self, caller: Caller, ids: list[UUID]) -> dict[UUID, Standing]:
        found = await self._lookup.find(caller.tenant_id, ids)
        return {id_: found[id_] for id_ in ids if id_ in found} if found else {}

    async def _append(self, caller: Caller, version: str, who: str, new: Sequence[Incoming]) -> Mark:
        state = self._state
        key, partition = self._partition(caller, who)
        state.visibility.check_room(partition)
        value = encode_statements(
            batch=new[0].id if new[0].made else state.new_id(), tenant=caller.tenant, authority=caller.authority, credential=caller.key,
            scopes=sorted(caller.scopes), received=rfc3339(state.now()), xapi=version,
            statements=[(statement.id, statement.fp.hex(), statement.raw) for statement in new],
        )
        started = time.perf_counter()
        try:
            [position] = await state.log.append([NewRecord(partition, key, value, count=len(new))])
        except LogUnavailable as error:
            if error.outcome == "unknown":
                telemetry.INGEST_UNKNOWN.add(1)
            raise
        hit("ingest.acked")
        telemetry.LOG_APPEND_DURATION.add(time.perf_counter() - started)
        state.visibility.backlog.note(position, len(value), len(new))
        return position

    def _partition(self, caller: Caller, who: str) -> tuple[bytes, int]:
        key = self._state.hashes.partition_key(caller.tenant, who)
        return key, partition_of(key, self._state.log.partitions)

    async def _until_visible(self, marks: Sequence[Mark]) -> bool:
        visibility = self._state.visibility
        if visibility.any_halted or visibility.away:
            return False
        visible = await visibility.until_visible(marks, self._visible_s)
        if not visible:
            telemetry.INGEST_NOT_VISIBLE.add(1)
        return visible

    async def _ask_what_stands(self, caller: Caller, batch: Batch, marks: list[Mark], aside: int) -> None:
        """Raise LostRace when another statement stands for one of the ids."""
        found = await self._find(caller, [statement.id for statement in batch.statements])
        lost = _different(batch.statements, found)
        if not lost:
            return
        telemetry.INGEST_CONFLICTS.add(1, "race")
        losers = {statement.id for statement in lost}
        raise LostRace(
            marks, pointer=_pointer(batch, lost[0]),
            stands=[statement.text for statement in batch.statements if statement.id not in losers], conflicts=[statement.text for statement in lost],
            aside=aside,
        )


def _different(statements: Sequence[Incoming], found: dict[UUID, Standing]) -> list[Incoming]:
    return [statement for statement in statements if statement.id in found and found[statement.id].fp != statement.fp] if found else []


def _pointer(batch: Batch, which: Incoming) -> str:
    return f"{batch.place(which)}/id"
