"""Rows whose keys are nearly always new, straight into their table: half the work of the sure way, which first meets them with what is there."""
from collections.abc import Sequence
from typing import Any

import asyncpg

Connection = asyncpg.Connection
_MOST_CAREFUL = 32


class QuickCopy:
    """COPY into one table. Copies of statements come in bursts, when a sender tries again: after one it lets some runs pass, for a vain try costs both ways."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        """The table has a primary key, and its columns' order is that of the rows."""
        self._table, self._columns = table, columns
        self._careful = self._caution = 0

    async def add(self, conn: Connection, rows: list[tuple[Any, ...]]) -> bool:
        """Add and lock all rows, sorted by their key, inside the caller's transaction; if any is there already, or one is to be expected, add none.

        Return whether they were added.
        """
        if self._careful:
            self._careful -= 1
            return False
        try:
            async with conn.transaction():
                await conn.copy_records_to_table(self._table, records=rows, columns=self._columns)
        except asyncpg.UniqueViolationError:
            self._careful = self._caution = min(_MOST_CAREFUL, self._caution * 2 or 1)
            return False
        self._caution = 0
        return True
