"""A programme as it was read: what it asks for, as a tree of nodes, and what follows when a learner has it.

Everything here was checked (`language.parse` is the one way to make one), so nothing that reads a programme checks again.
"""
from typing import Any
from uuid import UUID

import msgspec

from services.core.rules.calendar import Span


class Match(msgspec.Struct, frozen=True):
    """Which statements count: those for which every member that is given holds."""

    activities: frozenset[UUID] | None = None
    """key128 of the activities, of which it must be about one."""
    under: int | None = None
    """key64, as all that follow: one of its parents or groupings."""
    category: int | None = None
    competency: int | None = None
    """The activity itself or any context activity."""
    competency_activity: UUID | None = None
    """The same competency, as key128."""
    kind: str | None = None
    """Canonical activity type."""
    verbs: frozenset[str] | None = None
    """Canonical verbs."""
    success: bool | None = None
    score_gte: float | None = None
    authorities: frozenset[str] | None = None
    """As services/core/transcript.issuer() names them."""
    level: int = 0
    evidence: int = 0
    since: int | None = None
    until: int | None = None
    registration: str | None = None


class Window(msgspec.Struct, frozen=True):
    """Over which time facts count: `length` from their own time on, or by cycles of it."""

    length: Span
    cycle: bool = False
    anchor: int | None = None
    """Of a cycle: an instant at which one begins. None: as the award begins."""


# Each node has a `label` if its author gave it one, and `asks`: what it asks for in words, but for what is under it.


class All(msgspec.Struct, frozen=True):
    """Each of the nodes."""

    of: "tuple[Node, ...]"
    sequence: bool = False
    within: Span | None = None
    label: str | None = None
    asks: str = ""
    op = "all"


class AnyOf(msgspec.Struct, frozen=True):
    """One of the nodes."""

    of: "tuple[Node, ...]"
    label: str | None = None
    asks: str = ""
    op = "any"


class AtLeast(msgspec.Struct, frozen=True):
    """`n` of the nodes; with `by_issuer` of as many issuers, and then the nodes are clauses on credentials."""

    n: int
    of: "tuple[Node, ...]"
    by_issuer: bool = False
    label: str | None = None
    asks: str = ""
    op = "at_least"


class Statements(msgspec.Struct, frozen=True):
    """`count` statements that match, or as many different values of `distinct` among them."""

    match: Match
    count: int = 1
    distinct: str | None = None
    """`activity`, `authority` or `registration`."""
    window: Window | None = None
    label: str | None = None
    asks: str = ""
    op = "statement"


class Credentials(msgspec.Struct, frozen=True):
    """`count` credentials that match, or as many different values of `distinct` among them."""

    achievement: str | None = None
    alignment: str | None = None
    issuers: frozenset[str] | None = None
    """One of which the award's issuer goes by."""
    issuer: str | None = None
    """And this one."""
    active: bool = True
    count: int = 1
    distinct: str | None = None
    """`issuer` or `achievement`."""
    since: int | None = None
    until: int | None = None
    label: str | None = None
    asks: str = ""
    op = "credential"


class Sum(msgspec.Struct, frozen=True):
    """A measure summed over the statements that match."""

    of: str
    """`duration`, `hours` (professional-development hours, under any of their names), or the IRI of an extension."""
    key: int
    """key64 of that IRI."""
    at_least: int
    """In the measure's unit, as `cap_each`: millionths, but microseconds of a duration (the rule says hours)."""
    match: Match
    window: Window | None = None
    cap_each: int | None = None
    by_activity: bool = False
    label: str | None = None
    asks: str = ""
    op = "sum"


class Cmi5(msgspec.Struct, frozen=True):
    """A cmi5 course, by the moveOn of each of its assignable units, in one registration."""

    course: str
    label: str | None = None
    asks: str = ""
    op = "cmi5"


LeafNode = Statements | Credentials | Sum | Cmi5
Node = All | AnyOf | AtLeast | LeafNode


class AwardTerms(msgspec.Struct, frozen=True):
    """The achievement that a programme awards; members as the document gives them."""

    type: str
    id: str | None = None
    """Its IRI; None: the default, which the programme's slug makes."""
    description: str | None = None
    criteria: str | None = None
    image: str | None = None
    alignment: tuple[dict[str, Any], ...] = ()
    credits: float | None = None


class Validity(msgspec.Struct, frozen=True):
    """How long an award is good: `length` from its since, or (None) until the rule would lapse."""

    length: Span | None


class Renewal(msgspec.Struct, frozen=True):
    """How long before its end evidence for the next award counts, how late that may be, and when to remind."""

    open: Span | None = None
    grace: Span | None = None
    remind: tuple[Span, ...] = ()


class Policies(msgspec.Struct, frozen=True):
    """What becomes of an award when what it rests on changes."""

    input_voided: str = "revoke"
    """`revoke`, `suspend`, `keep` or `review`."""
    input_revoked: str = "revoke"
    lapsed: str = "expire"
    """`expire` or `keep`."""
    rule_changed: str = "keep"
    """`keep`, `reevaluate` or `review`."""


class Programme(msgspec.Struct, frozen=True):
    """A version of a programme."""

    iri: str
    slug: str
    version: int
    title: str
    requires: Node
    award: AwardTerms | None
    validity: Validity | None
    renewal: Renewal
    on: Policies
    effective: int | None
    """The instant from which it is in force; None: at once."""
    issuer: str | None
    """The slug of its issuer; None: the tenant's own."""
    document: dict[str, Any]
    """What was read, as JSON values."""
    sha256: str
    """Hex digest of the document as canonical JSON: the rule's hash, the same for YAML and JSON."""

    @property
    def has_window(self) -> bool:
        """Whether time alone can change what it says of the same evidence."""
        return any(isinstance(node, Statements | Sum) and node.window is not None for node in nodes(self.requires))


def nodes(root: Node) -> list[Node]:
    """Return a node and all under it, each before those under it."""
    found: list[Node] = [root]
    for node in found:
        if isinstance(node, All | AnyOf | AtLeast):
            found += node.of
    return found


def leaves_of(root: Node) -> list[LeafNode]:
    """Return the leaves of a node, in order of their depth."""
    return [node for node in nodes(root) if not isinstance(node, All | AnyOf | AtLeast)]


def achievement_of(programme: Programme, public_url: str) -> str | None:
    """Return the IRI of the achievement that a programme awards, the same for every version; None if it awards none."""
    if programme.award is None:
        return None
    return programme.award.id or f"{public_url.rstrip('/')}/achievements/{programme.slug}"
