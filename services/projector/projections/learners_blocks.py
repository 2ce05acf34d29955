"""Blocks: a pair with more evidence than one fold should read is kept summed up in blocks, in event order, of 256 rows at most; of more where it has much.

Only the blocks in which something changed are read and summed up again; a line is then the merge of the summaries. Where blocks begin depends on the
order of arrival; what they amount to together does not.
"""
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path
from typing import Any

import asyncpg

from services.core.evidence import unpack
from services.core.transcript import MOST_STATEMENTS, Row, Summary, merge, pack_summary, summarise, unpack_summary
from services.projector.projections.learners_places import Pair, Places, columns
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
MOST_ROWS = 256
FIRST = (-(2**63), -(2**63))
"""Where the first block of a pair begins."""
_END = (2**63 - 1, 2**63 - 1)

_sql = Statements(Path(__file__).with_suffix(".sql"))


Fact = tuple[Row, bool]
"""An evidence row as read for a fold, and whether it is voided."""


Piece = tuple[tuple[int, int], int, Summary]
"""A block: where it begins, how many rows it has, what its standing ones amount to."""


@dataclass(slots=True)
class Blocks:
    """The blocks of one pair, in order: where each begins and what its standing rows amount to."""

    starts: list[tuple[int, int]] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """How many rows each has, voided ones too."""

    def span(self, index: int) -> tuple[int, int, int, int]:
        """Return where a block begins and ends."""
        return (*self.starts[index], *(self.starts[index + 1] if index + 1 < len(self.starts) else _END))

    def touched(self, places: Iterable[tuple[int, int]]) -> list[int]:
        """Return the blocks that these places lie in."""
        return sorted({bisect_right(self.starts, place) - 1 for place in places})

    def put(self, index: int, pieces: Sequence[Piece]) -> None:
        """Put a block's pieces in its place."""
        self.starts[index:index + 1], self.sizes[index:index + 1], self.summaries[index:index + 1] = map(list, zip(*pieces, strict=True))

    def summary(self) -> Summary:
        """Return what all of them amount to."""
        return merge(self.summaries)

    def naming(self, klass: int) -> list[int]:
        """Return the first blocks that have as many rows of a class as a line names."""
        chosen, count = [], 0
        for index, summary in enumerate(self.summaries):
            standing = summary.classes.get(klass)
            if standing is not None:
                chosen.append(index)
                count += standing.n
                if count >= MOST_STATEMENTS:
                    break
        return chosen


async def load(conn: Connection, pairs: Sequence[Pair]) -> dict[Pair, Blocks]:
    """Return the blocks of those of the pairs that have any."""
    found: dict[Pair, Blocks] = {}
    for tenant_id, ifi, activity, at, seq, n, summary in await conn.fetch(_sql.load, *columns(pairs)):
        blocks = found.setdefault((tenant_id, ifi, activity), Blocks())
        blocks.starts.append((at, seq))
        blocks.sizes.append(n)
        blocks.summaries.append(unpack_summary(summary))
    return found


async def refresh(conn: Connection, found: dict[Pair, Blocks], places: Places, most_rows: int) -> None:
    """Sum up again the blocks that the places lie in, and split those that have too many rows."""
    wanted = [(pair, index) for pair, blocks in found.items() for index in blocks.touched(places.of(pair))]
    if not wanted:
        return
    facts: list[list[Fact]] = [[] for _ in wanted]
    spans = [(*pair, *found[pair].span(index)) for pair, index in wanted]
    for n, statement, seq, at, assured, voided, packed in await conn.fetch(_sql.rows, *columns(spans)):
        facts[n - 1].append((Row(statement, seq, at, assured, unpack(packed)), voided))
    written: list[tuple[Any, ...]] = []
    for (pair, index), rows in zip(reversed(wanted), reversed(facts), strict=True):  # from the end, so that indexes stay true
        blocks = found[pair]
        pieces = split(rows, blocks.starts[index], largest(sum(blocks.sizes), most_rows), tail=index + 1 == len(blocks.starts))
        blocks.put(index, pieces)
        written += [(*pair, *start, n, pack_summary(summary)) for start, n, summary in pieces]
    await conn.execute(_sql.put, *columns(written))


async def make(conn: Connection, outgrown: dict[Pair, list[Fact]], most_rows: int) -> dict[Pair, Blocks]:
    """Cut pairs that outgrew one block, given all their rows, into blocks."""
    made: dict[Pair, Blocks] = {}
    written: list[tuple[Any, ...]] = []
    for pair, rows in outgrown.items():
        pieces = split(rows, FIRST, largest(len(rows), most_rows), tail=True)
        made[pair] = Blocks([start for start, _, _ in pieces], [summary for _, _, summary in pieces], [n for _, n, _ in pieces])
        written += [(*pair, *start, n, pack_summary(summary)) for start, n, summary in pieces]
    if written:
        await conn.execute(_sql.put, *columns(written))
    return made


async def named(conn: Connection, wanted: Sequence[tuple[Blocks, Pair, int]]) -> list[list[tuple[int, int, bytes]]]:
    """Return for each of (blocks, pair, class) the (at, seq, id) of its earliest standing rows of that class."""
    earliest: list[list[tuple[int, int, bytes]]] = [[] for _ in wanted]
    spans = [(place, *pair, *blocks.span(index), klass) for place, (blocks, pair, klass) in enumerate(wanted) for index in blocks.naming(klass)]
    if spans:
        for place, at, seq, statement in await conn.fetch(_sql.named, *columns(spans)):
            earliest[place].append((at, seq, statement.bytes))
    return earliest


def largest(rows: int, least: int) -> int:
    """Return how many rows a block may have of a pair with so many: `least`, and where there is much as many as makes blocks and rows of one grow alike.

    A fold merges all summaries and reads the rows of a block at least, and merging one costs as much as reading some sixteen rows.
    """
    return max(least, isqrt(rows * least // 16))


def split(rows: list[Fact], start: tuple[int, int], most_rows: int, *, tail: bool) -> list[Piece]:
    """Return the blocks that rows make, the first beginning at `start`.

    The last block of a pair is cut into full ones, for most evidence arrives in event order; any other at the median.
    """
    rows.sort(key=lambda fact: (fact[0].at, fact[0].seq))
    count = -(-len(rows) // most_rows) or 1
    size = most_rows if tail else -(-len(rows) // count)
    pieces = []
    for begin in range(0, max(len(rows), 1), size or 1):
        piece = rows[begin:begin + size]
        first = start if begin == 0 else (piece[0][0].at, piece[0][0].seq)
        pieces.append((first, len(piece), summarise(row for row, voided in piece if not voided)))
    return pieces
