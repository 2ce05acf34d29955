"""The statements projection: the searchable store, one row for each statement id. Its rows are determined by the set of statements alone.

Of two copies of an id the one with the least `seq` stands. A void meets its target in any order: whichever comes first leaves a phantom row for the
other to lock, and `voided` is judged again, in a later statement, whenever a void, its target or its standing copy changes.
"""
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto

from services.core import actor as actors
from services.core.keys import key64
from services.core.scopes import grants
from services.core.splice import flags_of
from services.core.timeline import NO_SEQ
from services.core.vocabulary import VOIDED
from services.projector.quick_copy import QuickCopy
from services.projector.run import RecordAt, Run, StatementAt, hash_of_code
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
Key = tuple[int, UUID]

_sql = Statements(Path(__file__).with_suffix(".sql"))
_COLUMNS = ("tenant_id", "id", "seq", "fp", "actor", "verb", "activity", "registration", "authority", "voiding", "flags", "version", "raw")
_AGENT_COLUMNS = ("tenant_id", "agent", "seq", "id")


class _Said(NamedTuple):
    """What is kept of a statement: its row, whom it voids, and the other agents it is found by."""

    row: tuple[Any, ...]
    target: UUID | None
    agents: tuple[int, ...]


@dataclass(slots=True)
class _Staged:
    """A run made ready: one copy of each id, the voids among them, and what fell or was touched on the way."""

    standing: dict[Key, StatementAt] = field(default_factory=dict)
    voids: dict[Key, UUID] = field(default_factory=dict)
    """Target of each copy that stands so far and voids."""
    phantoms: set[Key] = field(default_factory=set)
    """Targets of all copies: those that fall leave their phantom too, so that their order does not show."""
    authorities: dict[tuple[int, int], StatementAt] = field(default_factory=dict)
    conflicts: list[tuple[int, UUID, int, bytes, int]] = field(default_factory=list)
    fallen: list[Key] = field(default_factory=list)
    arrived: list[Key] = field(default_factory=list)
    """Ids of the run whose row was there before, as a phantom or a later copy."""


class StatementsProjection:
    """The fold of all statements into `statement` and the tables beside it."""

    name = "statements"
    sets_aside = False

    def __init__(self) -> None:
        """Remembers which authorities are known, so that few runs write them."""
        self.code_hash = hash_of_code(sys.modules[__name__])
        self._authorities: dict[tuple[int, int], int] = {}
        self._quick = QuickCopy("statement", _COLUMNS)

    async def prepare(self, conn: Connection) -> None:
        """Make the temporary table of a run, and forget what was seen over another connection: a crash of Postgres takes back what it had not yet on disk."""
        self._authorities.clear()
        await conn.execute(_sql.stage)

    def read_ahead(self, item: StatementAt) -> None:
        """Make the row of a statement."""
        item.once(_said)

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold a run; return how many copies of other content lost."""
        if not run.items:
            return 0
        staged = _stage(run.items)
        touched = set[Key]() if await self._add(conn, staged) else await self._meet(conn, staged)
        await self._add_agents(conn, staged)
        await self._judge(conn, staged, touched)
        if staged.conflicts:
            await conn.execute(_sql.add_conflicts, *_columns(staged.conflicts))
        await self._add_authorities(conn, staged)
        return len(staged.conflicts)

    def blame(self, item: StatementAt | RecordAt) -> None:  # noqa: ARG002 - the protocol's
        """Nothing is set aside here."""
        return

    async def _add(self, conn: Connection, staged: _Staged) -> bool:
        """Add and lock the rows of a run; return whether all are new."""
        rows = [one.once(_said).row for one in sorted(staged.standing.values(), key=_by_id)]
        if not staged.phantoms and await self._quick.add(conn, rows):
            return True
        rows += map(_phantom, staged.phantoms)
        await conn.copy_records_to_table("run_statement", records=rows, columns=_COLUMNS)
        return int((await conn.execute(_sql.upsert)).rsplit(" ", 1)[-1]) == len(rows)

    async def _meet(self, conn: Connection, staged: _Staged) -> set[Key]:
        """Let the least copy of each id stand; return whom the copies that fell had voided, locked."""
        met = await conn.fetch(_sql.met)
        if not met:
            return set()
        for tenant_id, id_, seq, fp, stands, stands_fp in met:
            key = (tenant_id, id_)
            if seq < stands:
                staged.arrived.append(key)
                if stands != NO_SEQ:
                    staged.fallen.append(key)
            else:
                del staged.standing[key]
                staged.voids.pop(key, None)
            if stands_fp is not None and fp != stands_fp:
                staged.conflicts.append((tenant_id, id_, seq, fp, stands) if stands < seq else (tenant_id, id_, stands, stands_fp, seq))
        if staged.arrived:
            await conn.execute(_sql.replace)
        if not staged.fallen:
            return set()
        fallen = _columns(staged.fallen)
        await conn.execute(_sql.forget_agents, *fallen)
        freed = {(row["tenant_id"], row["target"]) for row in await conn.fetch(_sql.forget_voids, *fallen)}
        if freed:
            await conn.execute(_sql.lock, *_columns(freed))
        return freed

    async def _add_agents(self, conn: Connection, staged: _Staged) -> None:
        rows = [(one.tenant_id, agent, one.seq, one.id) for one in staged.standing.values() for agent in one.once(_said).agents]
        if rows:
            await conn.copy_records_to_table("statement_agent", records=rows, columns=_AGENT_COLUMNS)

    async def _judge(self, conn: Connection, staged: _Staged, freed: set[Key]) -> None:
        if staged.voids:
            voiding = [staged.standing[key] for key in staged.voids]
            await conn.execute(_sql.add_voids, *_columns([
                (one.tenant_id, target, one.id, one.seq, one.authority_key, grants(one.scopes, "lrs:void"))
                for one, target in zip(voiding, staged.voids.values(), strict=True)
            ]))
        judged = {(key[0], target) for key, target in staged.voids.items()} | freed | set(staged.arrived)
        if judged:
            await conn.execute(_sql.judge, *_columns(judged))

    async def _add_authorities(self, conn: Connection, staged: _Staged) -> None:
        """Last, and only for those not known, for all partitions write the same few rows."""
        unknown = {key: one for key, one in staged.authorities.items() if self._authorities.get(key, NO_SEQ) > one.seq}
        if not unknown:
            return
        found = await conn.fetch(_sql.known_authorities, *_columns([(*key, one.seq) for key, one in unknown.items()]))
        for tenant_id, key, seq in found:
            self._authorities[tenant_id, key] = seq
            del unknown[tenant_id, key]
        if unknown:
            await conn.execute(_sql.add_authorities, *_columns([(*key, one.seq, one.authority_at.json) for key, one in unknown.items()]))


def _stage(items: list[StatementAt]) -> _Staged:
    staged = _Staged()
    standing = staged.standing
    for one in items:
        key = (one.tenant_id, one.id)
        target = one.once(_said).target
        if target is not None:
            staged.phantoms.add((one.tenant_id, target))
        authority = (one.tenant_id, one.authority_key)
        first = staged.authorities.get(authority)
        if first is None or one.seq < first.seq:
            staged.authorities[authority] = one
        before = standing.get(key)
        if before is not None:
            one, falls = (one, before) if one.seq < before.seq else (before, one)  # noqa: PLW2901 - the one that stands
            if one.fp != falls.fp:
                staged.conflicts.append((one.tenant_id, one.id, falls.seq, falls.fp, one.seq))
            target = one.once(_said).target
        standing[key] = one
        if target is not None:
            staged.voids[key] = target
        elif before is not None:
            staged.voids.pop(key, None)
    staged.phantoms -= standing.keys()
    return staged


def _said(one: StatementAt) -> _Said:
    row = _row(one)
    return _Said(row, row[_COLUMNS.index("voiding")], tuple(_other_agents(one)))


def _by_id(one: StatementAt) -> tuple[int, int]:
    return one.tenant_id, one.id.int


def _row(one: StatementAt) -> tuple[Any, ...]:
    doc = one.doc
    ifi, object_ = one.ifi, doc["object"]
    return (
        one.tenant_id, one.id, one.seq, one.fp,
        None if ifi is None else key64(ifi),
        key64(doc["verb"]["id"]),
        key64(object_["id"]) if object_.get("objectType", "Activity") == "Activity" else None,
        context.get("registration") if (context := doc.get("context")) else None,
        one.authority_key, _target(doc), flags_of(doc),
        "1.0.0" if one.xapi.startswith("1.") else "2.0.0",
        one.raw,
    )


def _phantom(key: Key) -> tuple[Any, ...]:
    return (*key, NO_SEQ, *(None,) * 7, 0, None, None)


def _target(doc: dict[str, Any]) -> UUID | None:
    """Return whom a statement voids: only the one verb does, and only with a reference to a statement."""
    if doc["verb"]["id"] != VOIDED or doc["object"].get("objectType") != "StatementRef":
        return None
    return pgproto.UUID(doc["object"]["id"])


def _other_agents(one: StatementAt) -> Iterable[int]:
    """Return the keys of the agents it is found by besides its actor's own IFI: the object, and the members of groups in both places."""
    doc = one.doc
    actor, object_ = doc["actor"], doc["object"]
    is_agent = object_.get("objectType") in ("Agent", "Group")
    if not is_agent and "member" not in actor:
        return ()
    agents = list(actor.get("member", ()))
    if is_agent:
        agents += [object_, *object_.get("member", ())]
    return {key64(ifi) for ifi in map(actors.ifi, agents) if ifi is not None and ifi != one.ifi}


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]
