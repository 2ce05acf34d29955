"""StatementRefs followed while folding: whoever refers to a statement is found by its keys too, and so on up the chain (xAPI Communication 2.1.3).

`statement_via` is determined by the set of statements. A statement has at most 256 rows in it, whatever it leads to: 8 for each of 16 others, and 2 for
each of `MOST_FURTHER` keys. What it has of a nearer one never depends on who is behind that: it stays found as the chain grows.

Who comes first leaves a phantom of its target, as a voiding statement does, so only runs that hold a StatementRef, or an id that was there before, come here.
Such a run locks all that its changed statements lead to before it reads what they say: of two runs that meet in one chain the second sees what the first has
written.
"""
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from services.core.statement_keys import Keys, Via, registration_key
from services.projector.projections.statements_links import keys_of_row
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
Key = tuple[int, UUID]
_Found = tuple[int, tuple[Via, ...]]

_sql = Statements(Path(__file__).with_suffix(".sql"))
_COLUMNS = ("key", "seq", "whole", "tenant_id", "kind", "hops")
_COPIED_AT_ONCE = 20_000
"""Each command has its deadline, and any number may have referred to what arrives late."""
_FOLLOWED_AT_ONCE = 5_000
_READ_AT_ONCE = 500
"""Statements that are referred to are parsed again, and may be large."""
MOST_FURTHER = 64
"""Agents and activities that all whom a statement leads to lend it together, besides what they hold in columns of their own (actor, authority, the activity
they are about): else a few bytes that refer to large groups would copy all their members."""


async def follow(
    conn: Connection, refer: Collection[Key], arrived: Collection[Key], left: Sequence[tuple[int, int]], locked: AbstractSet[Key],
) -> None:
    """Write the rows of all whose chains a run changed.

    `refer` are its statements whose object is a StatementRef, `arrived` those of its ids that were there before, as a phantom or another copy, `left`
    the places (tenant, `seq`) of such copies, and `locked` the ids it has locked.
    """
    chains = await lock_below(conn, {*refer, *arrived}, locked)
    if left:
        await conn.execute(_sql.forget, *_columns(left))
    if not arrived:
        await _write(conn, chains)
        return
    above = [(row["tenant_id"], row["id"]) for row in await conn.fetch(_sql.above, *_columns({*refer, *arrived}))]
    for n in range(0, len(above), _FOLLOWED_AT_ONCE):
        chains = await conn.fetch(_sql.chains, *_columns(above[n:n + _FOLLOWED_AT_ONCE]))
        if chains:
            await conn.execute(_sql.forget, *_columns({(row["tenant_id"], row["seq"]) for row in chains}))
            await _write(conn, chains)


async def lock_below(conn: Connection, changed: Collection[Key], locked: AbstractSet[Key]) -> list[asyncpg.Record]:
    """Lock what these lead to, again until nothing is new, and return their chains.

    A copy that falls is given here before another stands in its place: else a run that changes what it led to would write rows for it, which is gone.
    """
    while True:
        chains: list[asyncpg.Record] = await conn.fetch(_sql.chains, *_columns(changed))
        below = {(row["tenant_id"], row["id"]) for row in chains} - locked
        if not below:
            return chains
        await conn.execute(_sql.lock, *_columns(below))
        locked |= below


async def _write(conn: Connection, chains: Sequence[asyncpg.Record]) -> None:
    ids = {(row["tenant_id"], row["id"]) for row in chains}
    if not ids:
        return
    reached = await _reached(conn, list(ids))
    rows = _rows(chains, reached)
    while chunk := list(islice(rows, _COPIED_AT_ONCE)):
        await conn.copy_records_to_table("statement_via", records=chunk, columns=_COLUMNS)


class _Reached(NamedTuple):
    """A statement that others refer to: its place, who vouches for it, and what it is found by, as keys with the kinds of each."""

    seq: int
    authority: int
    own: list[_Found]
    """What its own columns hold: 7 rows at most."""
    further: list[_Found]
    """Others, `MOST_FURTHER` at most: agents as `agent` finds them, activities, then other agents, in the order of their keys each."""


async def _reached(conn: Connection, ids: Sequence[Key]) -> dict[Key, _Reached]:
    """Return those of these statements that are there."""
    reached: dict[Key, _Reached] = {}
    for n in range(0, len(ids), _READ_AT_ONCE):
        for row in await conn.fetch(_sql.reached, *_columns(ids[n:n + _READ_AT_ONCE])):
            reached[row["tenant_id"], row["id"]] = _Reached(row["seq"], row["authority"], list(_own(row)), list(islice(_further(row), MOST_FURTHER)))
    return reached


def _rows(chains: Iterable[asyncpg.Record], reached: dict[Key, _Reached]) -> Iterator[tuple[int, ...]]:
    """Yield the rows of chains: each from the nearest on, up to a phantom or to where it has been."""
    for (tenant_id, _), chain in groupby(chains, key=itemgetter("tenant_id", "own")):
        whole, voices, been, spare = -(2**63), set[int](), set[UUID](), MOST_FURTHER
        for hops, row in enumerate(chain, 1):
            found = reached.get((tenant_id, row["id"]))
            if found is None or row["id"] in been:
                break
            been.add(row["id"])
            voices.add(found.authority)
            whole = max(whole, found.seq)
            further = found.further[:spare]
            spare -= len(further)
            for key, kinds in (*found.own, *further):
                for kind in kinds:
                    yield key, row["seq"], whole, tenant_id, int(kind), hops
            if len(voices) == 1:
                yield found.authority, row["seq"], whole, tenant_id, int(Via.AUTHORITY), hops


def _own(row: asyncpg.Record) -> Iterator[_Found]:
    """Yield the keys in the columns of a statement."""
    if row["actor"] is not None:
        yield row["actor"], (Via.AGENT, Via.RELATED_AGENT)
    if row["authority"] != row["actor"]:
        yield row["authority"], (Via.RELATED_AGENT,)
    yield row["verb"], (Via.VERB,)
    if row["activity"] is not None:
        yield row["activity"], (Via.ACTIVITY, Via.RELATED_ACTIVITY)
    if row["registration"] is not None:
        yield registration_key(row["registration"]), (Via.REGISTRATION,)


def _further(row: asyncpg.Record) -> Iterator[_Found]:
    """Yield the other keys of a statement, in an order that depends on nothing else."""
    keys: Keys = keys_of_row(row)
    for key in sorted(keys.agents):
        yield key, (Via.AGENT,) if key == row["authority"] else (Via.AGENT, Via.RELATED_AGENT)
    for key in sorted(keys.activities):
        yield key, (Via.RELATED_ACTIVITY,)
    for key in sorted(keys.related):
        yield key, (Via.RELATED_AGENT,)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows as the arrays that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]
