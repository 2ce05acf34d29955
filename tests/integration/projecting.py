"""A log, a database and projectors for tests: records made in a line, projectors run and waited for, tables read back."""
import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr

from services.core import envelope
from services.core.vocabulary import VOIDED
from services.projector.main import run_projector
from services.projector.projections.statements import StatementsProjection
from services.projector.run import Projection
from services.runtime.log import Log, NewRecord, Position
from services.runtime.postgres import connect
from services.runtime.settings import Settings

SETTINGS = Settings(secret=SecretStr("a secret of tests"))
AUTHORITY = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": "tool"}}
OTHER_AUTHORITY = {"objectType": "Agent", "account": {"homePage": "https://lrs.example.org", "name": "another tool"}}
DEADLINE_S = 20.0
_PLACES = "select partition, position from projection_cursor join projection using (name, version) where state = 'active' and name = $1"


def statement(
    id_: UUID, *, actor: str = "ada", verb: str = "https://example.org/verbs/did", activity: str = "https://example.org/course", **more: Any,
) -> bytes:
    """Return the bytes of a plain statement."""
    return orjson.dumps({
        "id": id_, "actor": {"mbox": f"mailto:{actor}@example.org"}, "verb": {"id": verb}, "object": {"id": activity},
        "timestamp": "2026-01-01T00:00:00Z", **more,
    })


def voiding(id_: UUID, target: UUID) -> bytes:
    """Return the bytes of a statement that voids `target`."""
    return statement(id_, verb=VOIDED, object={"objectType": "StatementRef", "id": str(target)})


def record(
    partition: int, *statements: bytes, authority: dict[str, Any] = AUTHORITY, scopes: Sequence[str] = ("statements/write",), stored: int | None = None,
) -> NewRecord:
    """Return the record of a POST of these statements."""
    value = envelope.encode_statements(
        batch=uuid4(), tenant="default", authority=authority, credential="key", scopes=list(scopes), received="2026-01-01T00:00:00Z", xapi="1.0.3",
        statements=[(UUID(orjson.loads(raw)["id"]), hashlib.blake2b(raw, digest_size=16).hexdigest(), raw) for raw in statements])
    return NewRecord(partition, b"key", value, len(statements), stored)


async def append(log: Log, *records: NewRecord) -> list[Position]:
    """Append records."""
    return await log.append(records)


@asynccontextmanager
async def projector(
    dsn: str, log: Log, *, projections: Sequence[Projection] | None = None, ready: bool = True, failpoints: str | None = None,
) -> AsyncIterator[UUID]:
    """Run a projector of the statements projection (or those given), ready inside if asked; its owner is given."""
    stop, is_ready, owner = asyncio.Event(), asyncio.Event(), uuid4()
    settings = SETTINGS.model_copy(update={"failpoints": failpoints})
    work = asyncio.create_task(run_projector(settings, dsn, log, owner, stop, is_ready.set, projections=projections or [StatementsProjection()]))
    try:
        if ready:
            waiting = asyncio.create_task(is_ready.wait())
            await asyncio.wait({work, waiting}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if work.done():
                work.result()
            assert is_ready.is_set(), "the projector did not become ready"
        yield owner
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await work


async def until(look: Callable[[], Awaitable[Any]], deadline_s: float = DEADLINE_S) -> Any:
    """Poll until `look` gives something true, and return it."""
    deadline = time.monotonic() + deadline_s
    while not (found := await look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)  # noqa: TID251 - a poll with a deadline
    return found


async def fetch(dsn: str, sql: str, *arguments: Any) -> list[Any]:
    """Run one query on a connection of its own."""
    conn = await connect(dsn)
    try:
        return list(await conn.fetch(sql, *arguments))
    finally:
        await conn.close()


async def until_folded(dsn: str, log: Log, name: str = "statements") -> None:
    """Wait until the active version stands at the end of the log as it is now."""
    ends = {partition: (await log.end(partition)).next_offset for partition in range(log.partitions)}
    conn = await connect(dsn)

    async def folded() -> bool:
        rows = await conn.fetch(_PLACES, name)
        return len(rows) == len(ends) and all(row["position"] >= ends[row["partition"]] for row in rows)

    try:
        await until(folded)
    finally:
        await conn.close()
