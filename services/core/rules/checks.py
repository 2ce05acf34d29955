"""What must not be published, though each programme of it may stand: programmes that wait for each other in a ring."""
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from services.core.rules.tree import Credentials, Programme, leaves_of


class Clause(NamedTuple):
    """What a credential must have to be counted by a clause; None: whatever it has."""

    achievement: str | None
    alignment: str | None
    issuer: str | None
    issuers: frozenset[str] | None


class Published(NamedTuple):
    """A version of a programme, and the names by which others may read its awards."""

    iri: str
    programme: Programme
    achievement: str | None
    """IRI; None if it awards nothing."""
    issuers: tuple[str, ...]
    """All names its issuer goes by: slug, url, did."""


def credential_edges(programme: Programme) -> frozenset[Clause]:
    """Return what the clauses of a programme on credentials read."""
    return frozenset(
        Clause(leaf.achievement, leaf.alignment, leaf.issuer, leaf.issuers) for leaf in leaves_of(programme.requires) if isinstance(leaf, Credentials)
    )


def find_cycle(published: Iterable[Published], through: str) -> list[str] | None:
    """Return IRIs of programmes of which each reads awards of the next, from `through` on and back to it by the shortest way; None if there is no way back.

    Rings elsewhere are none of its business.

    All versions of a programme are one: what is awarded under an old one is read as what is awarded under the last.
    """
    versions = list(published)

    def reads(iri: str) -> list[str]:
        clauses = {clause for version in versions if version.iri == iri for clause in credential_edges(version.programme)}
        return sorted({other.iri for other in versions if any(_counts(clause, other) for clause in clauses)}) if clauses else []

    return _ring(reads, through)


def _counts(clause: Clause, version: Published) -> bool:
    """Return whether a clause may count an award under a version."""
    award = version.programme.award
    if award is None or version.achievement is None:
        return False
    if clause.achievement is not None and clause.achievement != version.achievement:
        return False
    if clause.alignment is not None and clause.alignment not in targets(version.programme):
        return False
    if clause.issuer is not None and clause.issuer not in version.issuers:
        return False
    return clause.issuers is None or not clause.issuers.isdisjoint(version.issuers)


def targets(programme: Programme) -> tuple[str, ...]:
    """Return targetUrl and targetFramework of each alignment of what a programme awards."""
    alignment = programme.award.alignment if programme.award is not None else ()
    return tuple(each[name] for each in alignment for name in ("targetUrl", "targetFramework") if name in each)


def _ring(reads: Callable[[str], list[str]], through: str) -> list[str] | None:
    """Return the shortest way of the graph from a node back to itself, by a walk in breadth."""
    ways, seen = deque([[through]]), set[str]()
    while ways:
        way = ways.popleft()
        for step in reads(way[-1]):
            if step == through:
                return [*way, step]
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return None
