"""One projector process: it holds its fair share of the cursors, folds them all, gives them back when it stops, and decides. Any number may run at once."""
import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from services.core.keys import KeyedHash
from services.projector.decider.decider import Decider
from services.projector.office import Office
from services.projector.projections.learners import LearnersProjection
from services.projector.projections.statements import StatementsProjection
from services.projector.run import Projection
from services.projector.turns import Turns
from services.projector.wanted import listen_for_wanted
from services.runtime import failpoint
from services.runtime.log import Log
from services.runtime.postgres import open_pool
from services.runtime.secret import resolve_secret
from services.runtime.settings import Settings
from services.runtime.telemetry import settle_garbage_collector


def make_projections(settings: Settings) -> list[Projection]:
    """Return a fold of each kind there is."""
    return [StatementsProjection(), LearnersProjection(KeyedHash(resolve_secret(settings)))]


async def run_projector(  # noqa: PLR0913 - what a process is given
    settings: Settings, dsn: str, log: Log, owner: UUID, stop: asyncio.Event, ready: Callable[[], object], *, projections: Sequence[Projection] | None = None,
) -> None:
    """Fold and decide until `stop`; call `ready` once every partition is in somebody's hands and folded to the end seen at the start.

    `owner` is new for each process. Leases are given back at the end: within 5 s, whatever the servers do. The database is migrated.
    """
    failpoint.FAILPOINTS.arm(settings.failpoints)
    settle_garbage_collector()
    pool = await open_pool(dsn, min=0, max=2, application_name="testamur projector", reset=False)
    try:
        folds, turns = list(projections or make_projections(settings)), Turns()
        office = Office(dsn, log, owner, folds, pool, turns=turns)
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(listen_for_wanted(dsn, office.want, office.hurry))
            if any(fold.name == "learners" for fold in folds):
                group.create_task(Decider(dsn, log, KeyedHash(resolve_secret(settings)), turns).keep(stop))
            try:
                await office.keep(stop, ready)
            finally:
                listener.cancel()
    finally:
        pool.terminate()
