"""Documents in Postgres. Each change is decided on the row while it is locked, so it is right whatever other processes do to the same document."""
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.api.xapi.document_places import Context, Place
from services.core import document
from services.core.document import Document
from services.core.errors import TooLarge, Unavailable
from services.runtime.postgres import Connection, Statements
from services.runtime.tenant_rows import TenantRows

MAX_DOCUMENTS = 50_000
"""In one context (an activity, an agent, or both): a list of ids has no pages."""
_READ_S = 5.0
_CHANGE_S = 8.0
_AT_ONCE = 4
_TRIES = 20
_sql = Statements(Path(__file__).with_suffix(".sql"))

Decide = Callable[[Document | None, str | None], Document | None]
"""Gives the document as it is to be (None: there is to be none) for the one there is and its tag; raises to leave it as it is."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is stored; `updated` is an instant."""

    document: Document
    etag: str
    updated: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left."""

    etag: str
    updated: int


class DocumentStore:
    """The documents of all tenants."""

    def __init__(self, rows: TenantRows) -> None:
        """Of the connections behind `rows` writes take a few at most: those that wait for one document must not keep readers waiting."""
        self._rows = rows
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, place: Place) -> Stored | None:
        """Return a document. Raises what `transient` calls passing, TimeoutError too."""
        async with asyncio.timeout(_READ_S):
            row = await self._rows.of(place.context.tenant_id).fetchrow(_sql.read, *place.key())
        return None if row is None else Stored(Document(row["content"], row["content_type"]), row["etag"], row["updated"])

    async def ids(self, context: Context, since: int | None) -> tuple[list[str], int | None]:
        """Return the ids of a context's documents changed after an instant, each once and sorted, and when the last of them was changed."""
        async with asyncio.timeout(_READ_S):
            row = await self._rows.of(context.tenant_id).fetchrow(_sql.ids, *context.key(), context.registration, since)
        assert row is not None  # it is an aggregate
        return sorted(row["ids"]), row["updated"]

    async def change(self, place: Place, decide: Decide, *, whole: bool) -> Written | None:
        """Make of a document what `decide` says, which is given its content where that is wanted `whole`. Return None when there is no document then.

        Raises what `decide` raises, TooLarge for one document too many, and what `transient` calls passing: then it may have happened.
        """
        async with self._transaction(place.context) as connection:
            for _ in range(_TRIES):
                row = await connection.fetchrow(_sql.lock, *place.key(), whole)
                if row is None:
                    after = decide(None, None)
                    if after is None:
                        return None
                    made = await self._make(connection, place, after)
                    if made is not None:
                        return made
                    continue  # somebody made it meanwhile
                after = decide(Document(row["content"], row["content_type"]), row["etag"])
                if after is None:
                    await connection.execute(_sql.remove, *place.key())
                    return None
                tag = document.etag(after.content)
                updated = await connection.fetchval(_sql.replace, *place.key(), after.content, after.content_type, tag)
                return Written(tag, updated)
        raise Unavailable("This document is made and removed all the time; repeat the request a little later.")

    async def remove_all(self, context: Context) -> None:
        """Remove all documents of a context."""
        async with self._transaction(context) as connection:
            await connection.execute(_sql.remove_all, *context.key(), context.registration)

    @asynccontextmanager
    async def _transaction(self, context: Context) -> AsyncIterator[Connection]:
        async with asyncio.timeout(_CHANGE_S), self._turns, self._rows.of(context.tenant_id).acquire() as connection, connection.transaction():
            yield connection

    async def _make(self, connection: Connection, place: Place, new: Document) -> Written | None:
        """Store a new document; return None if there is one."""
        context, tag = place.context, document.etag(new.content)
        if await connection.fetchval(_sql.beside, *context.key(), MAX_DOCUMENTS) >= MAX_DOCUMENTS:
            raise TooLarge(f"There are {MAX_DOCUMENTS} documents here already, and there may be no more.")
        updated = await connection.fetchval(
            _sql.make, *place.key(), place.id, context.agent_ifi, context.activity_id, new.content, new.content_type, tag)
        return None if updated is None else Written(tag, updated)
