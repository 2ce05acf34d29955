"""Who learners were, what they had been given and what they had done, as known at a moment: for many learners of a tenant at once."""
import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from services.core.evidence import unpack
from services.core.identity import components
from services.core.ledger import Entry, Held, Ledger, held_at
from services.core.rules.facts import Award, Fact
from services.core.rules.tree import Cmi5, Credentials, Statements, Sum, nodes
from services.core.syntax import timestamp
from services.core.timeline import stored_of
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.moment import Moment, Rows
from services.runtime.postgres import Statements as Sql

_sql = Sql(Path(__file__).with_suffix(".sql"))
COURSE, PROGRAMME = "course", "programme"
"""Kinds of matters."""
_AT_ONCE = 500
_IN_A_THREAD = 20_000
"""So many facts are put in order beside what else the process does."""
_MET = frozenset({"issued", "updated", "reinstated", "expiring"})


class TooManyFacts(Exception):
    """There are more statements than were asked for."""


class Members(NamedTuple):
    """The IFIs that are one learner, by their identity: the key of the first is the learner's id."""

    ifis: tuple[UUID, ...]
    identities: tuple[str, ...]

    @property
    def learner(self) -> UUID:
        """The learner's id."""
        return self.ifis[0]


class Holding(NamedTuple):
    """An award, open or closed, as the ledger had it."""

    kind: str
    matter: str
    ifi: UUID
    held: Held
    """Without its inputs, but for a course's."""
    after: int | None
    """The end of the award that it renews, under which it was issued and is judged; None: there is none."""
    met: int = 0
    """The latest instant at which an entry of it was decided that says its rule is met."""


class Barred(NamedTuple):
    """After a revocation by hand: what these IFIs had stored up to `seq` does not count for the programme any more."""

    programme: str
    ifis: frozenset[UUID]
    seq: int


class Course(NamedTuple):
    """An activity that may be a course."""

    activity: UUID
    iri: str
    described: bool
    """Whether it was described as a course."""


@dataclass(slots=True)
class Person:
    """A learner at a moment: what `judge` judges."""

    members: Members
    holdings: tuple[Holding, ...] = ()
    """All awards of the members, those of one matter and IFI in order."""
    awards: tuple[Award, ...] = ()
    """Those of programmes that award credentials, as `credential` clauses see them."""
    barred: tuple[Barred, ...] = ()
    facts: list[Fact] = field(default_factory=list)
    """By (at, seq); of the activities that were asked for. Empty until `load_facts`."""
    _about: dict[UUID, list[Fact]] | None = None

    def of(self, kind: str, matter: str) -> list[Holding]:
        """Return the awards in a matter."""
        return [holding for holding in self.holdings if holding.matter == matter and holding.kind == kind]

    def about(self, activity: UUID) -> list[Fact]:
        """Return the facts about an activity."""
        if self._about is None:
            self._about = {}
            for fact in self.facts:
                self._about.setdefault(fact.activity, []).append(fact)
        return self._about.get(activity, [])

    def give(self, facts: list[Fact]) -> None:
        """Replace the facts."""
        self.facts, self._about = sorted(facts, key=_position), None


async def load_members(rows: Rows, tenant_id: int, ifis: Iterable[UUID], known: int) -> list[Members]:
    """Return the learners that these IFIs belonged to by the links stored up to `known` (a seq), each once; IFIs that nobody knows are left out."""
    found = await rows.fetch(_sql.members, tenant_id, list(ifis), known)
    identities, linked = {row["key"]: row["identity"] for row in found}, [row["key"] for row in found if row["linked"]]
    links = await rows.fetch(_sql.links, tenant_id, linked, known) if linked else []
    sets: dict[UUID, list[UUID]] = {}
    for key, learner in components(identities, [(row["a"], row["b"]) for row in links]).items():
        sets.setdefault(learner, []).append(key)
    ordered = [sorted(keys, key=identities.__getitem__) for keys in sets.values()]
    return [Members(tuple(keys), tuple(identities[key] for key in keys)) for keys in ordered]


async def load_people(rows: Rows, tenant_id: int, members: Sequence[Members], moment: Moment, catalog: Catalog) -> list[Person]:
    """Return these learners, in the order given, with the ledger as known at the moment and without facts."""
    of = {ifi: place for place, one in enumerate(members) for ifi in one.ifis}
    people = [Person(one) for one in members]
    ledgers: dict[tuple[UUID, str, str], _Book] = {}
    for row in await rows.fetch(_sql.entries, tenant_id, list(of), moment.known):
        ledgers.setdefault((row["ifi"], row["kind"], row["matter"]), _Book()).add(row)
    for (ifi, kind, matter), book in ledgers.items():
        person = people[of[ifi]]
        then = {held.n: held for held in book.at(moment)}
        found = [Holding(kind, matter, ifi, then.get(held.n, held), book.after.get(held.n), book.met.get(held.n, 0)) for held in book.ledger.awards]
        person.holdings += tuple(holding for holding in found if holding.held.n in then)
        person.awards += tuple(award for holding in found if (award := _award(holding, catalog)) is not None)  # one of after `as_of` tells what may change
    await _load_barred(rows, tenant_id, people, moment)
    return people


async def load_facts(
    rows: Rows, tenant_id: int, people: Sequence[Person], moment: Moment, activities: Collection[UUID] | None, most: int | None = None,
) -> None:
    """Give these learners their statements that stood at the moment: about these activities, None: about all. Facts of after `as_of` are among them.

    Raises TooManyFacts if they are more than `most` together.
    """
    of = {ifi: person for person in people for ifi in person.members.ifis}
    facts_of: dict[UUID, list[Fact]] = {person.members.learner: [] for person in people}
    for person in people:
        person.give([])
    if not of or (activities is not None and not activities):
        return
    if activities is None:
        found = await rows.fetch(_sql.facts, tenant_id, list(of), moment.known, None if most is None else most + 1)
    else:
        found = await rows.fetch(_sql.facts_about, tenant_id, list(of), moment.known, None if most is None else most + 1, list(activities))
    if most is not None and len(found) > most:
        raise TooManyFacts
    for n, (ifi, activity, statement, seq, at, facts, assured) in enumerate(found):
        if n % _AT_ONCE == 0:
            await asyncio.sleep(0)  # others of the process have their turn
        said = unpack(facts)
        facts_of[of[ifi].members.learner].append(Fact(statement, seq, at, ifi, activity, max(said.level, assured or 0), said))
    for person in people:
        facts = facts_of[person.members.learner]
        if len(facts) > _IN_A_THREAD:
            await asyncio.to_thread(person.give, facts)
        else:
            person.give(facts)


async def load_courses(rows: Rows, tenant_id: int, activities: Collection[UUID], known: int) -> dict[UUID, Course]:
    """Return what is known of these activities as courses, by key; activities that no statement is about are left out."""
    if not activities:
        return {}
    return {row["key"]: Course(row["key"], row["iri"], row["described"]) for row in await rows.fetch(_sql.courses, tenant_id, list(activities), known)}


def activities_of(versions: Iterable[Version]) -> frozenset[UUID] | None:
    """Return the activities that the statements these versions read are about, None if they read statements about any."""
    found: set[UUID] = set()
    for version in versions:
        for node in nodes(version.programme.requires):
            if isinstance(node, Cmi5):
                return None  # the launches of a unit have ids of their own
            if isinstance(node, Statements | Sum):
                if node.match.activities is None:
                    return None
                found |= node.match.activities
    return frozenset(found)


def reads_credentials(version: Version) -> bool:
    """Return whether a version reads awards."""
    return any(isinstance(node, Credentials) for node in nodes(version.programme.requires))


class _Book:
    """The ledger of one IFI in one matter while it is read."""

    __slots__ = ("_entries", "after", "ledger", "met")

    def __init__(self) -> None:
        self.ledger, self.after, self.met, self._entries = Ledger([]), dict[int, int](), dict[int, int](), list[Entry]()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in the next entry that counts."""
        entry = Entry(
            id=row["id"], seq=row["seq"], state=row["state"], n=row["n"], k=row["k"], since=row["since"], known_at=row["known_at"],
            valid_until=row["valid_until"], version=row["version"], rule=row["rule"], status=row["status"], remind=_instant(row["remind"]),
            reason=row["reason"], credential=UUID(row["credential"]) if row["credential"] else None,
            inputs=tuple(orjson.loads(row["inputs"])) if row["inputs"] else ())
        self.ledger.accept(entry)
        self._entries.append(entry)
        if entry.state in _MET:
            self.met[entry.n] = entry.known_at
        if row["k"] == 1 and (after := _instant(row["after"])) is not None:
            self.after[row["n"]] = after

    def at(self, moment: Moment) -> list[Held]:
        """Return the awards as they were then, by all that was read."""
        return self.ledger.awards if moment.as_of >= moment.known_at else held_at(self._entries, moment.as_of)


async def _load_barred(rows: Rows, tenant_id: int, people: Sequence[Person], moment: Moment) -> None:
    """Note what does not count any more: of whom the revoked award's IFI was one with when it was revoked, whatever became of the links since."""
    ifis = [ifi for person in people for ifi in person.members.ifis]
    found: list[Barred] = []
    for row in await rows.fetch(_sql.revocations, tenant_id, ifis, moment.known):
        if stored_of(row["seq"]) > moment.as_of:
            continue
        (then,) = await load_members(rows, tenant_id, [row["ifi"]], row["seq"])
        found.append(Barred(row["matter"], frozenset(then.ifis), row["seq"]))
    if found:
        for person in people:
            person.barred = tuple(one for one in found if not one.ifis.isdisjoint(person.members.ifis))


def _award(holding: Holding, catalog: Catalog) -> Award | None:
    held = holding.held
    version = catalog.versions.get((holding.matter, held.version)) if holding.kind == PROGRAMME else None
    if version is None or version.achievement is None or held.credential is None:
        return None
    return Award(
        held.credential, holding.matter, version.achievement, version.issuers, version.alignments, holding.ifi, held.issued_seq, held.since, held.ended,
        held.suspended, held.state == "revoked", held.valid_until)


def _position(fact: Fact) -> tuple[int, int]:
    return fact.at, fact.seq


def _instant(text: str | None) -> int | None:
    return None if text is None else timestamp(text)
