"""Programmes at a moment: all versions by which awards may be judged, which of them may award something new, and the cmi5 courses they name."""
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import orjson
import structlog

from services.core.errors import InvalidProgramme
from services.core.rules.course import CourseStructure, structure
from services.core.rules.language import parse
from services.core.rules.tree import Programme
from services.core.rules.wake_keys import key_of_programme, keys_of
from services.runtime.evaluation.moment import Moment, Rows
from services.runtime.postgres import Statements

_REMEMBERED = 4096
_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger()


class Version(msgspec.Struct, frozen=True):
    """A version of a programme that was published and counts."""

    programme: Programme
    seq: int
    """Of its publication."""
    achievement: str | None
    """The IRI of what it awards; None: it awards no credential."""
    issuers: tuple[str, ...] = ()
    """All names its issuer goes by: slug, url, did."""
    alignments: tuple[str, ...] = ()
    """targetUrl and targetFramework of each alignment of what it awards."""

    @property
    def number(self) -> int:
        """Its version."""
        return self.programme.version


class Catalog:
    """The programmes of one tenant at a moment."""

    def __init__(self, versions: Iterable[Version], retired: Iterable[str], courses: Mapping[str, CourseStructure]) -> None:
        """`versions` are those published and in force by then, in the order of their `seq`; `retired` the IRIs whose last one awards nothing new."""
        self.versions = {(version.programme.iri, version.number): version for version in versions}
        self.latest = {version.programme.iri: version for version in self.versions.values()}
        """The last version of each programme, by IRI."""
        self.retired = frozenset(retired)
        self.courses = courses
        """The structure of each cmi5 course that a version names, by IRI, where one is described."""
        self._keys: dict[tuple[str, int], frozenset[int]] = {}
        self._woken: dict[int, frozenset[str]] | None = None

    @property
    def current(self) -> dict[str, Version]:
        """Return the versions by which something new is awarded, by IRI."""
        return {iri: version for iri, version in self.latest.items() if iri not in self.retired}

    def of_slug(self, slug: str) -> Version | None:
        """Return the last version of the programme with this slug; of several programmes the one that had it first."""
        return next((version for version in self.latest.values() if version.programme.slug == slug), None)

    def judging(self, iri: str, number: int) -> Version | None:
        """Return the version by which an award made under version `number` is judged: its own, unless the last says `rule_changed: reevaluate`.

        None if its own is not known then, or cannot be read.
        """
        own, last = self.versions.get((iri, number)), self.latest.get(iri)
        if last is not None and own is not None and last.seq > own.seq and last.programme.on.rule_changed == "reevaluate":
            return last
        return own

    def keys(self, version: Version) -> frozenset[int]:
        """Return the fact keys that wake a version, that of the programme itself among them."""
        place = version.programme.iri, version.number
        found = self._keys.get(place)
        if found is None:
            found = self._keys[place] = frozenset(keys_of(version.programme, self.courses)) | {key_of_programme(version.programme.iri)}
        return found

    def woken_by(self, key: int) -> frozenset[str]:
        """Return the IRIs of the programmes whose last version this fact key wakes."""
        if self._woken is None:
            woken: dict[int, set[str]] = {}
            for iri, version in self.latest.items():
                for one in self.keys(version):
                    woken.setdefault(one, set()).add(iri)
            self._woken = {one: frozenset(iris) for one, iris in woken.items()}
        return self._woken.get(key, frozenset())

    def proposing(self, version: Version) -> "Catalog":
        """Return a catalog in which this version was published last: what a preview judges by."""
        iri = version.programme.iri
        others = [known for place, known in self.versions.items() if place != (iri, version.number)]
        return Catalog([*others, version], self.retired - {iri}, self.courses)


class Catalogs:
    """Reads catalogs; remembers what was read of each publication, which never changes."""

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._versions: dict[tuple[int, int], Version | None] = {}
        self._structures: dict[tuple[int, UUID, int], CourseStructure | None] = {}
        self._last: dict[int, tuple[Any, Catalog]] = {}

    async def at(self, rows: Rows, tenant_id: int, moment: Moment, *, more_courses: Iterable[UUID] = ()) -> Catalog:
        """Return the programmes whose `stored` and `effective` the moment's `known_at` has passed.

        `more_courses`: keys of cmi5 courses to be found in its `courses` although no version there names them (a preview's).
        """
        published = [
            (row["seq"], row["retired"], tuple(row["courses"])) for row in await rows.fetch(_sql.publications, tenant_id, moment.known)
            if row["effective"] is None or row["effective"] <= moment.known_at]
        wanted = {course for _, _, courses in published for course in courses} | set(more_courses)
        described = [tuple(row) for row in await rows.fetch(_sql.described, tenant_id, list(wanted), moment.known)] if wanted else []
        mark, last = (published, described), self._last.get(tenant_id)
        if last is not None and last[0] == mark:
            return last[1]
        catalog = await self._read(rows, tenant_id, published, described)
        self._last[tenant_id] = mark, catalog
        return catalog

    async def _read(self, rows: Rows, tenant_id: int, published: list[tuple[int, bool, Any]], described: list[tuple[UUID, int, str]]) -> Catalog:
        _bound(self._versions)
        _bound(self._structures)
        missing = [seq for seq, _, _ in published if (tenant_id, seq) not in self._versions]
        if missing:
            for row in await rows.fetch(_sql.bodies, tenant_id, missing):
                self._versions[tenant_id, row["seq"]] = _version(row)
        unread = [(activity, seq) for activity, seq, _ in described if (tenant_id, activity, seq) not in self._structures]
        if unread:
            for row in await rows.fetch(_sql.descriptions, tenant_id, [activity for activity, _ in unread], [seq for _, seq in unread]):
                self._structures[tenant_id, row["activity"], row["seq"]] = structure(orjson.loads(row["body"]))
        versions = {seq: version for seq, _, _ in published if (version := self._versions[tenant_id, seq]) is not None}
        retired = {version.programme.iri: is_retired for seq, is_retired, _ in published if (version := versions.get(seq)) is not None}
        courses = {iri: found for activity, seq, iri in described if (found := self._structures[tenant_id, activity, seq]) is not None}
        return Catalog(versions.values(), [iri for iri, is_retired in retired.items() if is_retired], courses)


def alignments_of(programme: Programme) -> tuple[str, ...]:
    """Return what an award of this programme is aligned to, as `credential` clauses name it."""
    terms = () if programme.award is None else programme.award.alignment
    return tuple(str(term[name]) for term in terms for name in ("targetUrl", "targetFramework") if term.get(name))


def issuers_of(issuer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all names that an issuer (schemas/envelope.py: IssuerBody) goes by."""
    return tuple(str(issuer[name]) for name in ("slug", "url", "did") if issuer.get(name))


def _version(row: Any) -> Version | None:
    """Return a publication as read; None if this code cannot read it, which is loud: nothing is decided by it."""
    try:
        programme = parse(row["programme"])
    except InvalidProgramme as error:
        _log.error("a published programme cannot be read", iri=row["iri"], version=row["version"], reason=str(error))
        return None
    return Version(programme, row["seq"], row["achievement"], issuers_of(orjson.loads(row["issuer"])), alignments_of(programme))


def _bound(remembered: dict[Any, Any]) -> None:
    if len(remembered) > _REMEMBERED:
        remembered.clear()
