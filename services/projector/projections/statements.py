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
from services.core.parts import once
from services.core.scopes import grants
from services.core.splice import flags_of
from services.core.statement_keys import keys_of
from services.core.timeline import NO_SEQ
from services.core.vocabulary import VOIDED
from services.projector.projections.statements_definitions import Definitions, definitions_of
from services.projector.projections.statements_links import activity_rows, add_links, agent_rows, forget_links
from services.projector.projections.statements_via import follow, lock_below
from services.projector.quick_copy import QuickCopy
from services.projector.run import RecordAt, Run, StatementAt, hash_of_code
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
Key = tuple[int, UUID]

_sql = Statements(Path(__file__).with_suffix(".sql"))
_COLUMNS = ("tenant_id", "id", "seq", "fp", "actor", "verb", "activity", "registration", "authority", "voiding", "refers", "flags", "version", "raw")


class _Said(NamedTuple):
    """What is kept of a statement: its row, whom it voids, to whom it refers, and its rows in the tables of links."""

    row: tuple[Any, ...]
    target: UUID | None
    refers: UUID | None
    agents: bytes
    activities: bytes


@dataclass(slots=True)
class _Staged:
    """A run made ready: one copy of each id, the voids among them, and what fell or was touched on the way."""

    standing: dict[Key, StatementAt] = field(default_factory=dict)
    voids: dict[Key, UUID] = field(default_factory=dict)
    """Target of each copy that stands so far and voids."""
    refer: set[Key] = field(default_factory=set)
    """The copies that stand so far whose object is a StatementRef."""
    phantoms: set[Key] = field(default_factory=set)
    """Targets of all copies: those that fall leave their phantom too, so that their order does not show."""
    authorities: dict[tuple[int, int], StatementAt] = field(default_factory=dict)
    conflicts: list[tuple[int, UUID, int, bytes, int]] = field(default_factory=list)
    fallen: list[Key] = field(default_factory=list)
    arrived: list[Key] = field(default_factory=list)
    """Ids of the run whose row was there before, as a phantom or a later copy."""
    left: list[tuple[int, int]] = field(default_factory=list)
    """Where the copies that fell had stood: tenant and `seq`."""


class StatementsProjection:
    """The fold of all statements into `statement` and the tables beside it."""

    name = "statements"
    sets_aside = False

    def __init__(self) -> None:
        """Remembers which authorities are known, so that few runs write them."""
        self.code_hash = hash_of_code(sys.modules[__name__])
        self._authorities: dict[tuple[int, int], int] = {}
        self._quick = QuickCopy("statement", _COLUMNS)
        self._definitions = Definitions()

    async def prepare(self, conn: Connection) -> None:
        """Make the temporary table of a run, and forget what was seen over another connection: a crash of Postgres takes back what it had not yet on disk."""
        self._authorities.clear()
        self._definitions.forget()
        await conn.execute(_sql.stage)

    def read_ahead(self, item: StatementAt) -> None:
        """Make the row of a statement."""
        item.once(_said)
        item.once(definitions_of)

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold a run; return how many copies of other content lost."""
        if not run.items:
            return 0
        staged = _stage(run.items)
        touched = set[Key]() if await self._add(conn, staged) else await self._meet(conn, staged)
        said = [one.once(_said) for one in staged.standing.values()]
        await add_links(conn, (each.agents for each in said), (each.activities for each in said))
        await self._judge(conn, staged, touched)
        if staged.conflicts:
            await conn.execute(_sql.add_conflicts, *_columns(staged.conflicts))
        await self._add_authorities(conn, staged)
        if staged.refer or staged.arrived:
            await follow(conn, staged.refer, staged.arrived, staged.left, {*staged.standing, *staged.phantoms})
        await self._definitions.fold(conn, run.items)
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
                staged.refer.discard(key)
            if stands_fp is not None and fp != stands_fp:
                staged.conflicts.append((tenant_id, id_, seq, fp, stands) if stands < seq else (tenant_id, id_, stands, stands_fp, seq))
        fallen = _columns(staged.fallen)
        if fallen:
            await lock_below(conn, staged.fallen, {*staged.standing, *staged.phantoms})
            staged.left = await forget_links(conn, fallen)
        if staged.arrived:
            await conn.execute(_sql.replace)
        if not fallen:
            return set()
        freed = {(row["tenant_id"], row["target"]) for row in await conn.fetch(_sql.forget_voids, *fallen)}
        if freed:
            await conn.execute(_sql.lock, *_columns(freed))
        return freed

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
        said = one.once(_said)
        if said.refers is not None:
            staged.phantoms.add((one.tenant_id, said.refers))
        authority = (one.tenant_id, one.authority_key)
        first = staged.authorities.get(authority)
        if first is None or one.seq < first.seq:
            staged.authorities[authority] = one
        before = standing.get(key)
        if before is not None:
            one, falls = (one, before) if one.seq < before.seq else (before, one)  # noqa: PLW2901 - the one that stands
            if one.fp != falls.fp:
                staged.conflicts.append((one.tenant_id, one.id, falls.seq, falls.fp, one.seq))
            said = one.once(_said)
            staged.voids.pop(key, None)
            staged.refer.discard(key)
        standing[key] = one
        if said.refers is not None:
            staged.refer.add(key)
        if said.target is not None:
            staged.voids[key] = said.target
    staged.phantoms -= standing.keys()
    return staged


def _said(one: StatementAt) -> _Said:
    doc, tenant_id, seq, vouching = one.doc, one.tenant_id, one.seq, one.authority_at
    actor = once(doc["actor"], _actor)
    verb, voids = once(doc["verb"], _verb)
    activity, refers = once(doc["object"], _object)
    target = refers if voids else None
    keys = keys_of(doc, actor, activity, vouching.agent, vouching.key)
    row = (
        tenant_id, one.id, seq, one.fp, actor, verb, activity, context.get("registration") if (context := doc.get("context")) else None,
        vouching.key, target, refers, flags_of(doc), "1.0.0" if one.xapi.startswith("1.") else "2.0.0", one.raw,
    )
    return _Said(row, target, refers, agent_rows(keys, seq, tenant_id), activity_rows(keys, seq, tenant_id))


def _actor(actor: dict[str, Any]) -> int | None:
    ifi = once(actor, actors.ifi)
    return None if ifi is None else key64(ifi)


def _verb(verb: dict[str, Any]) -> tuple[int, bool]:
    """Return the key of a verb, and whether it is the one that voids."""
    return key64(verb["id"]), verb["id"] == VOIDED


def _object(object_: dict[str, Any]) -> tuple[int | None, UUID | None]:
    """Return the key of an activity, or the statement that is referred to: only such a reference can void another."""
    kind = object_.get("objectType", "Activity")
    return key64(object_["id"]) if kind == "Activity" else None, pgproto.UUID(object_["id"]) if kind == "StatementRef" else None


def _by_id(one: StatementAt) -> tuple[int, int]:
    return one.tenant_id, one.id.int


def _phantom(key: Key) -> tuple[Any, ...]:
    return (*key, NO_SEQ, *(None,) * 8, 0, None, None)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]
