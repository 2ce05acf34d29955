"""Programmes, learners and deciders for tests: records of every kind in a line, a fold with or without deciders, and what came of it."""
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson

from services.core import envelope
from services.core.actor import identity, ifi
from services.core.keys import KeyedHash, partition_of
from services.core.rules.language import parse
from services.core.rules.tree import achievement_of
from services.core.timeline import rfc3339
from services.projector.decider.decider import BY_KEYS
from services.projector.decider.deciding import Deciding
from services.projector.main import make_projections, run_projector
from services.projector.office import Office
from services.runtime.log import Log, NewRecord
from services.runtime.migrate import fingerprint_of
from services.runtime.postgres import connect, open_pool
from services.runtime.secret import resolve_secret
from tests.integration.projecting import AUTHORITY, DEADLINE_S, SETTINGS, append, fetch, record, until, until_folded, voiding

HASHES = KeyedHash(resolve_secret(SETTINGS))
HOME = "https://lrs.example.org"
PASSED, COMPLETED, FAILED = (f"http://adlnet.gov/expapi/verbs/{verb}" for verb in ("passed", "completed", "failed"))
FINGERPRINT = fingerprint_of("learners")
COURSE_TYPE = "http://adlnet.gov/expapi/activities/course"


def key_of(actor: str) -> bytes:
    """Return the log key of someone."""
    return HASHES.partition_key("default", f"{_identity(actor)}")


def ifi_of(actor: str) -> UUID:
    """Return the key of someone's IFI."""
    return HASHES.ifi("default", _identity(actor))


def _identity(actor: str) -> str:
    text = ifi(agent(actor))
    assert text is not None
    found = identity(text)
    assert found is not None
    return found


def agent(actor: str) -> dict[str, Any]:
    """Return someone as xAPI does."""
    return {"mbox": f"mailto:{actor}@example.org"}


def did(actor: str, activity: str, *, verb: str = PASSED, id_: UUID | None = None, timestamp: str | None = "2026-01-01T00:00:00Z", **more: Any) -> bytes:
    """Return a statement."""
    said: dict[str, Any] = {
        "id": id_ or uuid4(), "actor": agent(actor), "verb": {"id": verb}, "object": {"id": activity_of(activity)}, **more}
    return orjson.dumps(said | ({} if timestamp is None else {"timestamp": timestamp}))


def activity_of(name: str) -> str:
    """Return the IRI of an activity."""
    return f"https://courses.example.org/{name}"


def voids(target: bytes) -> bytes:
    """Return a statement that voids another one."""
    return voiding(uuid4(), id_of(target))


def id_of(statement: bytes) -> UUID:
    """Return the id of a statement."""
    return UUID(orjson.loads(statement)["id"])


def post(log: Log, *statements: bytes, actor: str = "ada", scopes: Sequence[str] = ("statements/write",)) -> NewRecord:
    """Return the record of a POST in the partition of an actor."""
    made = record(partition_of(key_of(actor), log.partitions), *statements, scopes=scopes)
    return NewRecord(made.partition, key_of(actor), made.value, made.count)


def programme(slug: str, requires: dict[str, Any], *, version: int = 1, award: bool = True, **more: Any) -> dict[str, Any]:
    """Return a programme."""
    return {
        "programme": f"{HOME}/programmes/{slug}", "version": version, "title": slug, **({"award": {"type": "Certificate"}} if award else {}),
        "requires": requires, **more}


def passes(activity: str, **more: Any) -> dict[str, Any]:
    """Return the clause that asks for passing something."""
    return {"statement": {"verb": "passed", "activity": activity_of(activity), **more}}


def publish(log: Log, document: dict[str, Any]) -> NewRecord:
    """Return the record of a publication."""
    text = orjson.dumps(document)
    read = parse(text)
    return other(log, "programme.published", {
        "slug": read.slug, "iri": read.iri, "version": read.version, "source": text.decode(), "programme": document, "rule": read.sha256,
        "effective": None if read.effective is None else rfc3339(read.effective),
        "issuer": {"slug": None, "name": "LRS", "url": HOME, "did": "did:web:lrs.example.org"}, "achievement": achievement_of(read, HOME),
    }, HASHES.partition_key("default", f"programme {read.iri}"))


def retire(log: Log, slug: str) -> NewRecord:
    """Return the record of a retirement."""
    iri = f"{HOME}/programmes/{slug}"
    return other(log, "programme.retired", {"slug": slug, "iri": iri, "by": AUTHORITY}, HASHES.partition_key("default", f"programme {iri}"))


def link(log: Log, id_: UUID, *actors: str) -> NewRecord:
    """Return the record of a link of two actors, or without any of its being taken back."""
    if not actors:
        return other(log, "identity.unlinked", {"id": str(id_), "by": AUTHORITY}, b"link")
    return other(log, "identity.linked", {"id": str(id_), "agents": [agent(actor) for actor in actors], "reason": "tests", "by": AUTHORITY}, b"link")


def describe(log: Log, activity: str, **more: Any) -> NewRecord:
    """Return the record of a course description."""
    return other(log, "course.described", {"course": {"id": activity_of(activity), **more}}, b"course")


def revoke(log: Log, award: asyncpg.Record, reason: str = "misconduct") -> NewRecord:
    """Return the record of a revocation by hand."""
    return other(log, "credential.revoked", {
        "credential": str(award["credential"]), "programme": award["matter"], "identity": award["identity"], "n": award["n"], "reason": reason, "by": AUTHORITY,
    }, HASHES.partition_key("default", award["identity"]))


def other(log: Log, kind: Any, body: dict[str, Any], key: bytes) -> NewRecord:
    """Return the record of any other kind."""
    value = envelope.encode(kind, batch=uuid4(), tenant="default", authority=AUTHORITY, credential="key", scopes=["lrs:admin"], body=body)
    return NewRecord(partition_of(key.ljust(8), log.partitions), key, value)


@asynccontextmanager
async def deciding(dsn: str, log: Log, failpoints: str | None = None) -> AsyncIterator[None]:
    """Run a whole projector, deciders and all, ready inside."""
    stop, ready = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(run_projector(SETTINGS.model_copy(update={"failpoints": failpoints}), dsn, log, uuid4(), stop, ready.set))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({work, waiting}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert ready.is_set(), "the projector did not become ready"
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await work


@asynccontextmanager
async def folding(dsn: str, log: Log) -> AsyncIterator[None]:
    """Fold, and decide nothing."""
    stop, ready = asyncio.Event(), asyncio.Event()
    pool = await open_pool(dsn, min=0, max=2, reset=False)
    office = Office(dsn, log, uuid4(), make_projections(SETTINGS), pool)
    work = asyncio.create_task(office.keep(stop, ready.set))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await work
        pool.terminate()


@asynccontextmanager
async def decider_connection(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a connection as deciders have."""
    conn = await connect(dsn, application_name="decider of tests", server_settings=BY_KEYS)
    try:
        yield conn
    finally:
        conn.terminate()


async def fold_all(dsn: str, log: Log) -> None:
    """Wait until all there is is folded, and T has passed it; nobody decides meanwhile."""
    async with folding(dsn, log):
        await settled(dsn, log, queue=False)


async def settled(dsn: str, log: Log, *, queue: bool = True) -> None:
    """Wait until everything in the log is folded and passed, and with `queue` nothing is left to decide."""
    conn = await connect(dsn)

    async def rests() -> bool:
        await until_folded(dsn, log, "learners")
        row = await conn.fetchrow(
            """
            select min(c.last_stored) as through, max(c.last_stored) as head,
                (select count(*) from wake) + (select count(*) from sweep) + (select count(*) from under_way) as left
            from projection_cursor c join projection p using (name, version) where p.name = 'learners' and p.state = 'active'
            """)
        assert row is not None
        heads: int = await conn.fetchval("select coalesce(max(greatest(seq, coalesce(voided, 0))) >> 8, 0) from evidence where seq < 9223372036854775807")
        others: int = await conn.fetchval("select coalesce(max(seq) >> 8, 0) from (select seq from decision union all select seq from programme) s")
        return bool(row["through"] >= max(heads, others) and (not queue or row["left"] == 0))

    try:
        await until(rests)
    finally:
        await conn.close()


async def decisions(dsn: str, *, matter: str | None = None, kind: str = "programme") -> list[asyncpg.Record]:
    """Return the entries that count, in order, with the identity of each."""
    return await fetch(
        dsn, "select d.*, i.identity, d.body ->> 'credential' as credential from decision d join ifi i on i.tenant_id = d.tenant_id and i.key = d.ifi "
        "where d.accepted and d.kind = $1 and ($2::text is null or d.matter = $2) order by d.seq",
        kind, None if matter is None else f"{HOME}/programmes/{matter}" if kind == "programme" else activity_of(matter))


async def story(dsn: str, *, matter: str | None = None, kind: str = "programme") -> list[tuple[str, int, int, str]]:
    """Return who got which entry: (name, n, k, state), in order."""
    names = {str(key): actor for actor, key in ((actor, ifi_of(actor)) for actor in ("ada", "bo", "cy", "di"))}
    return [(names.get(str(row["ifi"]), "?"), row["n"], row["k"], row["state"]) for row in await decisions(dsn, matter=matter, kind=kind)]


def make(log: Log, fingerprint: str = FINGERPRINT) -> Deciding:
    """Return what deciders of these tests share."""
    return Deciding(HASHES, log.partitions, fingerprint)


@asynccontextmanager
async def ready(dsn: str, log: Log, *statements: bytes) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Have a programme, statements that are folded and not decided about, and a connection to decide on; no sweep is left."""
    await append(log, publish(log, programme("climber", passes("rope"))))
    async with deciding(dsn, log):
        await settled(dsn, log)
    await append(log, *(post(log, each, actor=orjson.loads(each)["actor"]["mbox"][7:].partition("@")[0]) for each in statements))
    await fold_all(dsn, log)
    async with decider_connection(dsn) as conn:
        yield conn
