"""Folding given records straight into the statements projection, run by run, as workers would."""
from collections.abc import Sequence
from uuid import uuid4

from services.core.sequence import Sequence as Heads
from services.projector.projections.statements import StatementsProjection
from services.projector.reader import statements_of
from services.projector.run import Run, StatementAt
from services.runtime.log import NewRecord
from services.runtime.postgres import connect


def place(records: Sequence[NewRecord], clock: dict[int, int]) -> dict[int, list[StatementAt]]:
    """Give records without a genesis their places after what `clock` holds for their partition; return their statements by partition."""
    placed: dict[int, list[StatementAt]] = {}
    for one in records:
        head = clock.get(one.partition, 10_000)
        heads = Heads(one.partition, uuid4(), 1, -1)
        at = heads.place(1, one.carried_stored if one.carried_stored is not None else head, one.value)
        clock[one.partition] = max(head, at.last + 1)
        placed.setdefault(one.partition, []).extend(statements_of(at, 1))
    return placed


async def fold_statements(dsn: str, *batches: Sequence[NewRecord], version: int = 1, together: bool = False) -> int:
    """Fold batches one after the other, a run for each partition in a batch, or one for all of it; return how many conflicts were counted.

    `carried_stored` places a record.
    """
    conn = await connect(dsn, search_path=f"statements_{version}, testamur")
    conflicts, clock, projection = 0, dict[int, int](), StatementsProjection()
    try:
        await projection.prepare(conn)
        for batch in batches:
            placed = list(place(batch, clock).values())
            for items in [[item for each in placed for item in each]] if together else placed:
                async with conn.transaction():
                    conflicts += await projection.apply(conn, Run(items))
    finally:
        await conn.close()
    return conflicts
