"""Records for tests of folds: statements and links in their places, as the projector gives them, and what the projected tables say, comparable with
the reference fold."""
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from schemas.envelope import VERSION, Envelope
from services.core.keys import KeyedHash, key64
from services.core.timeline import seq_of
from services.core.transcript import Line, unpack_line
from services.projector.projections.learners import LearnersProjection
from services.projector.run import Authority, RecordAt, Run, StatementAt
from services.runtime.migrate import schema_of
from services.runtime.postgres import connect, transient
from tests import reference_fold

HASHES = KeyedHash(b"a secret for tests")
TENANT, TENANT_ID = "default", 1
TABLES = (
    "ifi", "learner", "link", "evidence", "void", "assurance", "activity", "entry", "course", "programme", "retirement", "ledger",
    "decision", "award", "revocation")
"""What must be equal for equal sets of records."""
CACHES = ("block", "waking")
"""What depends on runs."""

At = StatementAt | RecordAt


def authority(mailbox: str, *scopes: str) -> Authority:
    """Return an authority with these scopes."""
    agent = {"objectType": "Agent", "mbox": f"mailto:{mailbox}"}
    return Authority(agent, orjson.dumps(agent), key64(f"mbox:mailto:{mailbox}"), scopes)


def statement_at(statement: dict[str, Any], stored: int, partition: int, by: Authority) -> StatementAt:
    """Return a statement stored there and then."""
    raw = orjson.dumps(statement)
    return StatementAt(TENANT_ID, TENANT, seq_of(stored, partition), UUID(statement["id"]), raw[:16], raw, by, "2.0.0", stored, 0)


def link_at(id_: UUID, agents: Sequence[dict[str, Any]] | None, stored: int, partition: int) -> RecordAt:
    """Return a link of two agents, or its being taken back."""
    body: dict[str, Any] = {"id": str(id_), "by": {"mbox": "mailto:registrar@example.org"}}
    if agents is not None:
        body |= {"agents": list(agents), "reason": "tests"}
    return record_at("identity.linked" if agents is not None else "identity.unlinked", body, stored, partition, "lrs:link")


def course_at(course: dict[str, Any], stored: int, partition: int) -> RecordAt:
    """Return a description of a course."""
    return record_at("course.described", {"course": course}, stored, partition, "lrs:manage")


def record_at(kind: Any, body: dict[str, Any], stored: int, partition: int, *scopes: str) -> RecordAt:
    """Return a record of any other kind than `statements`."""
    envelope = Envelope(VERSION, kind, tenant=TENANT, scopes=list(scopes), body=body)
    return RecordAt(kind, TENANT_ID, TENANT, seq_of(stored, partition), envelope, stored)


def copies_of(records: Iterable[At]) -> list[reference_fold.Copy]:
    """Return the statements among records for the reference fold."""
    return [
        reference_fold.Copy(each.doc, each.stored, each.seq, "mbox:" + each.authority["mbox"], frozenset(each.scopes))
        for each in records if isinstance(each, StatementAt)
    ]


def links_of(records: Iterable[At]) -> list[reference_fold.Link]:
    """Return the links among records for the reference fold."""
    found = []
    for each in records:
        if isinstance(each, RecordAt) and each.kind.startswith("identity."):
            body = each.envelope.body or {}
            found.append(reference_fold.Link(body["id"], each.seq, tuple(body["agents"]) if "agents" in body else None))
    return found


def run_of(records: Sequence[At]) -> Run:
    """Return records as one run."""
    return Run([each for each in records if isinstance(each, StatementAt)], [each for each in records if isinstance(each, RecordAt)])


@contextlib.asynccontextmanager
async def folding(dsn: str, projection: LearnersProjection, version: int = 1) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Have a connection on which the projection can be applied."""
    connection = await connect(dsn, search_path=f"{schema_of('learners', version)},testamur")
    try:
        await projection.prepare(connection)
        yield connection
    finally:
        await connection.close(timeout=5)


async def apply(connection: "asyncpg.Connection[asyncpg.Record]", projection: LearnersProjection, records: Sequence[At]) -> int:
    """Fold records as one run, again if it was the victim of a deadlock; return how often it had to be."""
    for attempt in range(20):
        try:
            async with connection.transaction():
                await projection.apply(connection, run_of(records))
        except asyncpg.PostgresError as error:
            if not transient(error):
                raise
        else:
            return attempt
    raise AssertionError("the run was a victim of deadlocks 20 times")


async def clear(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Empty the projection's tables."""
    await connection.execute("".join(f"delete from {table};" for table in (*TABLES, *CACHES)))


async def dump(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[tuple[Any, ...]]]:
    """Return every column of every row of the projection."""
    return {table: sorted(map(tuple, await connection.fetch(f"select t.* from {table} t")), key=repr) for table in TABLES}


async def transcripts(connection: "asyncpg.Connection[asyncpg.Record]") -> reference_fold.Transcripts:
    """Return what the tables say in the words of the reference fold."""
    found = reference_fold.Transcripts()
    members: dict[UUID, set[reference_fold.Identity]] = {}
    for row in await connection.fetch("select learner, agent, name from ifi"):
        who = reference_fold.identity(orjson.loads(row["agent"]))
        assert who is not None
        members.setdefault(row["learner"], set()).add(who)
        if row["name"] is not None:
            found.names[who] = row["name"]
    people = {learner: frozenset(each) for learner, each in members.items()}
    assert {row["id"] for row in await connection.fetch("select id from learner")} == people.keys()
    found.people = set(people.values())
    iris = {}
    for row in await connection.fetch("select key, iri, name, type from activity"):
        iris[row["key"]] = row["iri"]
        found.activities[row["iri"]] = (row["name"], row["type"])
    for row in await connection.fetch("select learner, activity, status, first_at, line from entry"):
        line = unpack_line(row["line"])
        assert (line.status, line.first) == (row["status"], row["first_at"])
        found.entries[people[row["learner"]], iris[row["activity"]]] = members_of(line)
    return found


def members_of(line: Line) -> dict[str, Any]:
    """Return a line as the reference fold writes it."""
    named = {name: getattr(line, name) for name in line.__struct_fields__}
    return named | {"issuers": list(line.issuers), "statements": [str(UUID(bytes=id_)) for id_ in line.statements]}
