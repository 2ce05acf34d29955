"""The record of the log, version 1: JSON that a person can read with a Kafka console tool.

Writers: ingest (`statements`), api (identity, course, programme and revocation records), deciders (`decision`), the lease holder (`tick`), whoever makes the
log (`genesis`). Reader: the projector.
Fields are only ever added within a version; an unknown version halts the partition. Times are RFC 3339 UTC; `stored` is an instant (microseconds since 2020).
"""
from typing import Any, Literal
from uuid import UUID

import msgspec

VERSION = 1
Kind = Literal[
    "statements", "identity.linked", "identity.unlinked", "course.described", "programme.published", "programme.retired",
    "credential.revoked", "decision", "tick", "genesis",
]


class EnvelopeStatement(msgspec.Struct, frozen=True):
    """One statement: the id it is known by, the fingerprint of what it says (hex), and the sender's bytes untouched."""

    id: UUID
    fp: str
    raw: msgspec.Raw


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of the log. `v` and `kind` are always written."""

    v: int
    kind: Kind
    batch: UUID | None = None
    tenant: str | None = None
    authority: dict[str, Any] | None = None
    credential: str | None = None
    scopes: list[str] = []
    received: str | None = None
    xapi: str | None = None
    """The xAPI version of the request, `1.0.3` or `2.0.0`."""
    statements: list[EnvelopeStatement] = []
    stored: int | None = None
    """Only on a record carried over from another log: the `stored` of its first statement there."""
    body: dict[str, Any] | None = None
    """What a record of any other kind says: `LinkBody`, `UnlinkBody`, `CourseBody`, `ProgrammeBody`, `RetirementBody`, `RevocationBody`, `DecisionBody`,
    `GenesisBody`."""


class GenesisBody(msgspec.Struct, frozen=True):
    """Record 0 of every partition."""

    log: UUID
    partition: int
    partitions: int


class LinkBody(msgspec.Struct, frozen=True):
    """Two agents (as xAPI objects with one IFI each) are one learner, says `by` (an authority), because of `reason`."""

    id: UUID
    agents: tuple[dict[str, Any], dict[str, Any]]
    reason: str
    by: dict[str, Any]


class UnlinkBody(msgspec.Struct, frozen=True):
    """The link with this id is taken back."""

    id: UUID
    by: dict[str, Any]


class CourseBody(msgspec.Struct, frozen=True):
    """One course as described: the members of `PUT /v1/courses` for it, unknown ones kept."""

    course: dict[str, Any]


class IssuerBody(msgspec.Struct, frozen=True):
    """Who awards, as known when the programme was published; no slug: the tenant itself."""

    slug: str | None
    name: str
    url: str | None
    did: str | None


class ProgrammeBody(msgspec.Struct, frozen=True):
    """A version of a programme is published. It counts if its version is above that of every earlier record of this IRI that counts."""

    slug: str
    iri: str
    version: int
    source: str
    """The text as it was sent, YAML or JSON."""
    programme: dict[str, Any]
    """The same as JSON."""
    rule: str
    """SHA-256 of `programme` as canonical JSON, in hex."""
    issuer: IssuerBody
    effective: str | None = None
    """From when on it is in force; none: at once."""
    achievement: str | None = None
    """The IRI of what it awards; none: it awards no credential."""
    repeat: UUID | None = None
    """What the publisher's Idempotency-Key makes: a request with the same one is the same publication."""


class RetirementBody(msgspec.Struct, frozen=True):
    """The versions of a programme published before this record award nothing new."""

    slug: str
    iri: str
    by: dict[str, Any]


class RevocationBody(msgspec.Struct, frozen=True):
    """An award of a programme is revoked by hand: award `n` of the canonical `identity`."""

    credential: UUID
    programme: str
    """Its IRI."""
    identity: str
    n: int
    reason: str
    by: dict[str, Any]


class DecisionBody(msgspec.Struct, frozen=True):
    """Entry `k` of award `n` of one canonical `identity` in one matter. Whether it counts is for the ledger to say (services/core/ledger.py)."""

    id: UUID
    kind: Literal["programme", "course"]
    matter: str
    """The IRI of the programme, or of the activity that is a course."""
    identity: str
    n: int
    k: int
    state: Literal["issued", "updated", "expiring", "suspended", "reinstated", "expired", "revoked"]
    since: str
    """From when on the state holds; of an `updated` or `expiring` award since when it is held."""
    known_at: str
    """The instant up to which everything stored was known to whoever decided."""
    valid_until: str | None = None
    version: int = 0
    """The version of the programme it was judged by; of a course 0."""
    rule: str = ""
    status: Literal["passed", "completed"] | None = None
    """Of a course."""
    remind: str | None = None
    """Of an `expiring`: the instant at which it was due."""
    reason: str | None = None
    credential: UUID | None = None
    """The id of the award as a credential; none: the matter awards none."""
    after: str | None = None
    """Of the first entry of an award that renews one: the end of that."""
    inputs: list[dict[str, UUID]] = []
    """What it rests on, each `{"statement": id}` or `{"credential": id}`, at most 100."""
    causes: list[UUID] = []
    """The statements and decisions that led to the evaluation, at most 20."""
