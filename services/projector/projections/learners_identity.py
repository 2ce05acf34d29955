"""Who the IFIs of a run are: their rows, made and locked; the links that join and part them; the learners they make, locked.

A run that holds links or unlinks has its tenant to itself (an advisory lock), so who is whom never changes under another run.
"""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from services.core.actor import agent_of, identity, ifi
from services.core.identity import components, in_force
from services.core.scopes import grants
from services.core.search_text import fold, grams
from services.core.timeline import stored_of
from services.projector.projections.learners_evidence import Extraction, Named, Staged
from services.projector.projections.learners_places import Key, columns
from services.projector.run import RecordAt
from services.runtime.postgres import Statements

Connection = asyncpg.Connection

_LOCK = 0x6C65_6172
"""The class of the advisory locks of tenants' identities."""
_sql = Statements(Path(__file__).with_suffix(".sql"))
_UNNAMED = Named("", "")


@dataclass(slots=True)
class Link:
    """A row of `link`, and whether it holds."""

    id: UUID
    a: UUID | None = None
    b: UUID | None = None
    agents: str | None = None
    reason: str | None = None
    by: str | None = None
    linked: int | None = None
    unlinked: int | None = None

    @property
    def joins(self) -> tuple[UUID, UUID] | None:
        """The two keys it makes one learner, if it is in force."""
        return (self.a, self.b) if self.a is not None and self.b is not None and in_force(self.linked, self.unlinked) else None


@dataclass(slots=True)
class Who:
    """Whose the IFIs of a run are."""

    learners: dict[Key, UUID]
    linked: set[Key]
    """Those that a link ever named. Every other one is a learner by itself, whom the lock of its row guards too."""

    def shared(self) -> set[Key]:
        """Return the learners that may have other IFIs."""
        return {(key[0], self.learners[key]) for key in self.linked}


class Concerned(NamedTuple):
    """An IFI that a link names, and an instant from which on it holds or holds no more."""

    tenant_id: int
    ifi: UUID
    due: int
    link: UUID


def names_identity(record: RecordAt) -> bool:
    """Return whether a record joins or parts IFIs, as the scopes it carries allow."""
    return record.kind in {"identity.linked", "identity.unlinked"} and grants(record.envelope.scopes, "lrs:link")


async def take_turn(conn: Connection, tenants: set[int], alone: set[int]) -> None:
    """Wait for the run's turn in its tenants: beside others, but in those of `alone`, where it changes who is who. Sorted, so nobody waits in a circle."""
    if not alone:
        await conn.execute(_sql.beside, _LOCK, sorted(tenants))
        return
    for tenant_id in sorted(tenants | alone):
        await conn.execute(_sql.alone if tenant_id in alone else _sql.beside, _LOCK, [tenant_id])


def stage_links(extraction: Extraction, staged: Staged, records: Iterable[RecordAt]) -> list[tuple[RecordAt, Link]]:
    """Return the links that records say, having named the IFIs they join."""
    said = []
    for record in records:
        body = record.envelope.body or {}
        link = Link(UUID(body["id"]))
        if record.kind == "identity.unlinked":
            link.unlinked = record.seq
        else:
            link.linked, link.reason = record.seq, body.get("reason")
            link.agents, link.by = orjson.dumps(body["agents"]).decode(), orjson.dumps(body.get("by")).decode()
            link.a, link.b = (_named(extraction, staged, record, agent) for agent in body["agents"])
        said.append((record, link))
    return said


def _named(extraction: Extraction, staged: Staged, record: RecordAt, agent: dict[str, Any]) -> UUID | None:
    text = ifi(agent)
    found = None if text is None else identity(text)
    if text is None or found is None:
        return None
    key = extraction.key(record.tenant, found)
    named = staged.ifis.setdefault((record.tenant_id, key), Named(found, text))
    named.add(text, None, record.seq)
    named.linked = True
    return key


async def make_ifis(conn: Connection, named: dict[Key, Named], touched: set[Key]) -> Who:
    """Lock the IFIs named and those touched that are there, then make the others, each sorted; bring their names up to date; return whose they are."""
    if not named and not touched:
        return Who({}, set())
    known = await conn.fetch(_sql.lock, *columns(named.keys() | touched))
    fresh = set[Key]()
    if missing := named.keys() - {(row[0], row[1]) for row in known}:  # those touched are there: evidence about them is
        fresh = {(row[0], row[1]) for row in await conn.fetch(_sql.make, *columns([_made(key, named[key]) for key in missing]))}
        if late := missing - fresh:  # another run made them between the two
            known += await conn.fetch(_sql.lock, *columns(late))
    who = Who({key: key[1] for key in fresh}, {key for key in fresh if named[key].linked})
    await _rename(conn, named, known, who)
    return who


async def _rename(conn: Connection, named: dict[Key, Named], known: Iterable[Any], who: Who) -> None:
    """Bring what is known of IFIs up to date with how they were named; note whose they are."""
    renamed: list[tuple[Any, ...]] = []
    moved: list[tuple[Any, ...]] = []
    for tenant_id, key, learner, linked, has_mbox, agent, name, name_seq in known:
        who.learners[tenant_id, key] = learner
        one = named.get((tenant_id, key), _UNNAMED)
        joined, later = linked or one.linked, one.name_seq > name_seq
        if joined:
            who.linked.add((tenant_id, key))
        if (later and one.name != name) or (one.ifi.startswith("mbox:") and not has_mbox) or joined != linked:
            ifi_text = _mailbox(agent) if has_mbox else one.ifi
            merged = Named(one.identity, ifi_text, one.name if later else name, max(one.name_seq, name_seq), joined)
            renamed.append(_searchable((tenant_id, key), merged))
        elif later:
            moved.append((tenant_id, key, one.name_seq))
    if renamed:
        await conn.execute(_sql.rename, *columns(renamed))
    if moved:
        await conn.execute(_sql.move_name, *columns(moved))


def _made(key: Key, one: Named) -> tuple[Any, ...]:
    return (*_searchable(key, one), one.identity)


def _searchable(key: Key, one: Named) -> tuple[Any, ...]:
    agent = agent_of(one.ifi)
    account = agent.get("account") or {}
    identifiers = [account.get("name"), (agent.get("mbox") or "").removeprefix("mailto:"), agent.get("mbox_sha1sum"), agent.get("openid")]
    folded = fold([one.name or "", *filter(None, identifiers)])
    return (*key, one.linked, _agent(one.ifi), one.ifi.startswith("mbox:"), one.name, one.name_seq, folded, "{" + ",".join(map(str, grams(folded))) + "}")


def _agent(text: str) -> str:
    return orjson.dumps(agent_of(text)).decode()


def _mailbox(agent: str) -> str:
    return "mbox:" + str(orjson.loads(agent)["mbox"])


async def learners_of(conn: Connection, keys: Iterable[Key]) -> dict[Key, UUID]:
    """Return the learner of each IFI as it is now."""
    return {(row["tenant_id"], row["key"]): row["learner"] for row in await conn.fetch(_sql.learners_of, *columns(keys))}


async def lock_learners(conn: Connection, learners: set[Key]) -> None:
    """Make and lock learners, sorted."""
    if learners:
        await conn.execute(_sql.make_learners, *columns(learners))


async def apply_links(conn: Connection, said: list[tuple[RecordAt, Link]]) -> tuple[set[Key], list[Concerned]]:
    """Bring links up to date, in tenants the run has to itself; return the learners who gained or lost an IFI, locked, and the IFIs that the links name."""
    changed: set[Key] = set()
    concerned: list[Concerned] = []
    for tenant_id in sorted({record.tenant_id for record, _ in said}):
        links = [link for record, link in said if record.tenant_id == tenant_id]
        learners, named = await _apply(conn, tenant_id, links)
        changed |= {(tenant_id, learner) for learner in learners}
        concerned += named
    return changed, concerned


async def _apply(conn: Connection, tenant_id: int, said: list[Link]) -> tuple[set[UUID], list[Concerned]]:
    rows = {row["id"]: Link(*row) for row in await conn.fetch(_sql.links, tenant_id, [link.id for link in said])}
    before = {id_: link.joins for id_, link in rows.items()}
    ends_before = {id_: (link.a, link.b) for id_, link in rows.items()}
    for link in said:
        rows[link.id] = _merged(rows.get(link.id) or Link(link.id), link)
    await conn.execute(_sql.put_links, tenant_id, *columns([
        (link.id, link.a, link.b, link.agents, link.reason, link.by, link.linked, link.unlinked) for link in rows.values()]))
    ends: set[UUID] = set()
    for id_, link in rows.items():
        if link.joins != before.get(id_):
            ends |= {*(link.joins or ()), *(before.get(id_) or ())}
    concerned = [one for id_, link in rows.items() for one in _concerned(tenant_id, link, ends_before.get(id_, ()))]
    return await _join(conn, tenant_id, ends) if ends else set(), concerned


def _concerned(tenant_id: int, link: Link, before: Iterable[UUID | None]) -> Iterator[Concerned]:
    """Return whom a link concerns and when: whatever learner it joins or parts has one of its ends."""
    if link.linked is None:
        return
    instants = [link.linked] if link.unlinked is None or link.unlinked < link.linked else [link.linked, link.unlinked]
    for end in {link.a, link.b, *before}:
        if end is not None:
            for seq in instants:
                yield Concerned(tenant_id, end, stored_of(seq), link.id)


def _merged(known: Link, said: Link) -> Link:
    """Return the row of a link after one more record: the earliest link and the earliest unlink of an id count."""
    unlinked = min((seq for seq in (known.unlinked, said.unlinked) if seq is not None), default=None)
    newer = said if said.linked is not None and (known.linked is None or said.linked < known.linked) else known
    return Link(known.id, newer.a, newer.b, newer.agents, newer.reason, newer.by, newer.linked, unlinked)


async def _join(conn: Connection, tenant_id: int, ends: set[UUID]) -> set[UUID]:
    """Find again the learners of everybody whom links in force joined, or join now, with these IFIs."""
    members = await conn.fetch(_sql.members, tenant_id, list(ends))
    keys = [row["key"] for row in members]
    joins = [joins for row in await conn.fetch(_sql.links_among, tenant_id, keys) if (joins := Link(*row).joins) is not None]
    learner_of = components({row["key"]: row["identity"] for row in members}, joins)
    moved = [row for row in members if learner_of[row["key"]] != row["learner"]]
    if not moved:
        return set()
    await conn.execute(_sql.move, tenant_id, [row["key"] for row in moved], [learner_of[row["key"]] for row in moved])
    left = {row["learner"] for row in moved}
    gone = left - set(learner_of.values())
    await conn.execute(_sql.forget_learners, tenant_id, list(gone))
    now = {learner_of[row["key"]] for row in moved} | left - gone
    await lock_learners(conn, {(tenant_id, learner) for learner in now})
    return now
