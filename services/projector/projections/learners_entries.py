"""Entries: the lines of transcripts, folded again wherever their evidence or their learner changed."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from services.core.evidence import unpack
from services.core.transcript import MOST_STATEMENTS, Line, Row, Summary, line, merge, named, pack, summarise
from services.core.transcript import fold as fold_rows
from services.projector.projections import learners_blocks
from services.projector.projections.learners_blocks import Blocks, Fact
from services.projector.projections.learners_places import Key, Pair, Places, columns
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
Entry = tuple[int, UUID, UUID]
"""Tenant, learner and activity key."""

AT_ONCE = 2000
"""Entries folded together: each reads at most a block's rows for each IFI of its learner, and what this run added."""

_sql = Statements(Path(__file__).with_suffix(".sql"))


@dataclass(slots=True)
class _Part:
    """What one of the learner's IFIs has to say: all its rows, or its blocks."""

    pair: Pair
    rows: list[Fact] = field(default_factory=list)
    blocks: Blocks | None = None

    def summary(self) -> Summary:
        return self.blocks.summary() if self.blocks is not None else summarise(row for row, voided in self.rows if not voided)


async def entries_of(conn: Connection, learners: set[Key]) -> set[Entry]:
    """Return every entry that learners have or should have, by the evidence of their IFIs."""
    if not learners:
        return set()
    return {(row[0], row[1], row[2]) for row in await conn.fetch(_sql.entries_of, *columns(learners))}


async def fold(conn: Connection, of: dict[Pair, Entry], more: set[Entry], places: Places, most_rows: int) -> None:
    """Fold again the entries of these pairs, which `places` says changes of, and `more`; `most_rows` says how many rows a block may have."""
    again = {of[pair] for pair in places.changed} | more
    fresh: dict[Entry, Pair] = {}
    for pair, rows in places.came.items():
        if fresh.setdefault(of[pair], pair) is not pair or len(rows) > most_rows:  # two IFIs of one learner, or what has to be cut into blocks
            again.add(of[pair])
    again |= await _begin(conn, {entry: pair for entry, pair in fresh.items() if entry not in again}, places)
    wanted = list(again)
    for start in range(0, len(wanted), AT_ONCE):
        await _fold(conn, wanted[start:start + AT_ONCE], places, most_rows)


async def _begin(conn: Connection, fresh: dict[Entry, Pair], places: Places) -> set[Entry]:
    """Make entries of what came, as if nothing stood there before; return those of which something did, left as they are.

    Half of all statements are the first about their learner and their activity: nothing has to be read for them.
    """
    if not fresh:
        return set()
    made = [_row(entry, folded, pair[1]) for entry, pair in fresh.items() if (folded := fold_rows(places.came[pair])) is not None]
    return fresh.keys() - {(row[0], row[1], row[2]) for row in await conn.fetch(_sql.begin, *columns(made))}


async def _fold(conn: Connection, entries: Sequence[Entry], places: Places, most_rows: int) -> None:
    put: list[tuple[Any, ...]] = []
    gone: list[Entry] = []
    for entry, folded in zip(entries, await _lines(conn, await _load(conn, entries, places, most_rows)), strict=True):
        if folded is not None:
            put.append(_row(entry, folded))
        else:
            gone.append(entry)
    if put:
        await conn.execute(_sql.put, *columns(put))
    if gone:
        await conn.execute(_sql.forget, *columns(gone))


def _row(entry: Entry, folded: Line, *more: Any) -> tuple[Any, ...]:
    return (*entry, folded.status, folded.first, pack(folded), *more)


async def _lines(conn: Connection, entries: list[list[_Part]]) -> list[Line | None]:
    """Return the line of each entry, None where nothing stands: of most from their few rows, of those with blocks from summaries."""
    blocked = [parts for parts in entries if any(part.blocks is not None for part in parts)]
    summaries = [merge(part.summary() for part in parts) for parts in blocked]
    statements = await _statements(conn, blocked, summaries) if blocked else []
    big = iter([line(summary, ids) if summary.n else None for summary, ids in zip(summaries, statements, strict=True)])
    return [next(big) if any(part.blocks is not None for part in parts) else fold_rows(list(_standing(parts))) for parts in entries]


async def _load(conn: Connection, entries: Sequence[Entry], places: Places, most_rows: int) -> list[list[_Part]]:
    """Return for each entry what each of its learner's IFIs has to say, its blocks brought up to date."""
    of: list[dict[UUID, _Part]] = [{} for _ in entries]
    blocked: list[_Part] = []
    for n, ifi, statement, seq, at, assured, voided, packed in await conn.fetch(_sql.rows, *columns(entries)):
        parts = of[n - 1]
        part = parts.get(ifi)
        if part is None:
            part = parts[ifi] = _Part((entries[n - 1][0], ifi, entries[n - 1][2]))
        if statement is None:
            blocked.append(part)
        else:
            part.rows.append((Row(statement, seq, at, assured, unpack(packed)), voided))
    if blocked:
        found = await learners_blocks.load(conn, [part.pair for part in blocked])
        await learners_blocks.refresh(conn, found, places, most_rows)
        for part in blocked:
            part.blocks = found[part.pair]
    await _outgrow(conn, [part for parts in of for part in parts.values() if len(part.rows) > most_rows], most_rows)
    return [list(parts.values()) for parts in of]


async def _outgrow(conn: Connection, outgrown: list[_Part], most_rows: int) -> None:
    if outgrown:
        made = await learners_blocks.make(conn, {part.pair: part.rows for part in outgrown}, most_rows)
        for part in outgrown:
            part.blocks, part.rows = made[part.pair], []


async def _statements(conn: Connection, parts: list[list[_Part]], summaries: list[Summary]) -> list[list[bytes]]:
    """Return for each entry the ids of the earliest statements that decide it."""
    earliest: list[list[tuple[int, int, bytes]]] = []
    wanted: list[tuple[Blocks, Pair, int]] = []
    owners: list[int] = []
    for number, (each, summary) in enumerate(zip(parts, summaries, strict=True)):
        klass = summary.deciding() if summary.n else 0
        earliest.append(named(_standing(each), klass))
        for part in each:
            if part.blocks is not None:
                wanted.append((part.blocks, part.pair, klass))
                owners.append(number)
    if wanted:
        for number, more in zip(owners, await learners_blocks.named(conn, wanted), strict=True):
            earliest[number] += more
        for number in set(owners):
            earliest[number] = sorted(earliest[number])[:MOST_STATEMENTS]
    return [[id_ for _, _, id_ in each] for each in earliest]


def _standing(parts: list[_Part]) -> Iterator[Row]:
    return (row for part in parts for row, voided in part.rows if not voided)
