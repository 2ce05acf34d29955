"""Which matters of a learner the rows that woke them concern, and which of these need not be judged."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from services.core.evidence import ATTEMPTED
from services.core.keys import key128
from services.core.rules.tree import Policies
from services.core.rules.wake_keys import ANY, COMPLETION, NO_ACTIVITY
from services.runtime.evaluation.catalog import Catalog, Version
from services.runtime.evaluation.load import COURSE, PROGRAMME, Holding, Person

_SETTLES = frozenset({"revoke", "suspend"})


class Waking(NamedTuple):
    """A row of the queue."""

    ifi: UUID
    key: int
    activity: UUID
    due: int
    at: int | None
    """Event time, if nothing happened but a new statement."""
    cause: UUID | None
    place: tuple[int, int]
    """Where the row lies: it is elsewhere once it was changed."""


@dataclass(slots=True)
class Matters:
    """What is to be judged of one learner."""

    everything: bool = False
    programmes: set[str] = field(default_factory=set)
    """IRIs."""
    courses: set[UUID] = field(default_factory=set)
    """Keys of activities."""

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return self.everything or bool(self.programmes) or bool(self.courses)


def matters_of(person: Person, rows: Iterable[Waking], catalog: Catalog) -> Matters:
    """Return what the rows of a learner concern, but for awards that nothing in them can change (DESIGN 6, Skip)."""
    found = Matters()
    held = _held(person, catalog)
    for row in rows:
        if row.key == ANY:
            found.everything = True
        elif row.key == COMPLETION:
            if row.activity != NO_ACTIVITY:
                found.courses.add(row.activity)
        else:
            for iri in catalog.woken_by(row.key) | {iri for iri, holdings in held.items() if any(row.key in catalog.keys(one) for _, one in holdings)}:
                if iri not in found.programmes and not _skips(row, held.get(iri, ())) and (iri in held or iri not in catalog.retired):
                    found.programmes.add(iri)
    if found.everything:
        found.programmes = set(catalog.current) | held.keys()
        found.courses |= {key128(holding.matter) for holding in person.holdings if holding.kind == COURSE}
    return found


def versions_for(person: Person, programmes: Iterable[str], catalog: Catalog) -> list[Version]:
    """Return the versions by which these programmes of a learner may be judged."""
    found = [catalog.latest[iri] for iri in programmes if iri in catalog.latest]
    for holding in person.holdings:
        if holding.kind == PROGRAMME and not holding.held.closed and holding.matter in programmes:
            judging, own = catalog.judging(holding.matter, holding.held.version), catalog.versions.get((holding.matter, holding.held.version))
            found += [version for version in (judging, own) if version is not None]
    return found


def course_activities(person: Person) -> set[UUID]:
    """Return the activities that a learner whose statements are all loaded may have completed."""
    return {fact.activity for fact in person.facts if fact.said.klass != ATTEMPTED}


def _held(person: Person, catalog: Catalog) -> dict[str, list[tuple[Holding, Version]]]:
    """Return the open awards of programmes, each with the version that judges it, by programme."""
    found: dict[str, list[tuple[Holding, Version]]] = {}
    for holding in person.holdings:
        if holding.kind == PROGRAMME and not holding.held.closed:
            version = catalog.judging(holding.matter, holding.held.version)
            if version is not None:
                found.setdefault(holding.matter, []).append((holding, version))
    return found


def _skips(row: Waking, held: Sequence[tuple[Holding, Version]]) -> bool:
    """Return whether a row changes nothing: all awards are active and rest on what was before, and more evidence never unmeets a rule."""
    if row.at is None or not held:
        return False
    at = row.at
    return all(
        not holding.held.suspended and at > holding.held.since and not version.programme.has_window and _met_while_active(version.programme.on)
        and _keeps_its_end(holding, version) for holding, version in held)


def _keeps_its_end(holding: Holding, version: Version) -> bool:
    """Return whether more evidence cannot put off the end of an award: it has none, or is good for a length of time."""
    validity = version.programme.validity
    return holding.held.valid_until is None or validity is None or validity.length is not None


def _met_while_active(on: Policies) -> bool:
    """Return whether an award that is not met is never left active."""
    return on.input_voided in _SETTLES and on.input_revoked in _SETTLES and on.lapsed == "expire"
