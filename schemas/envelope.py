"""The record of the log, version 1: JSON that a person can read with a Kafka console tool.

Writers: ingest (`statements`), api (identity and course records), the lease holder (`tick`), whoever makes the log (`genesis`). Reader: the projector.
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
    """What a record of any other kind says: `LinkBody`, `UnlinkBody`, `CourseBody`, `GenesisBody`."""


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
