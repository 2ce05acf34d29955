"""What rules are evaluated over: the standing statements of a learner, and the learner's awards."""
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from services.core.evidence import Facts


class Fact(NamedTuple):
    """A standing statement of the learner about an activity."""

    statement: UUID
    seq: int
    at: int
    """Event time, an instant."""
    ifi: UUID
    activity: UUID
    """key128 of its IRI."""
    level: int
    """Identity assurance: its own trusted claim, or the best of trusted others."""
    said: Facts


class Award(NamedTuple):
    """A credential that a programme here gave the learner. What others attest comes as statements, which are facts."""

    credential: UUID
    programme: str
    """IRI."""
    achievement: str
    """IRI."""
    issuers: tuple[str, ...]
    """All names its issuer goes by: slug, url, did. The same issuer has the same tuple everywhere."""
    alignments: tuple[str, ...]
    """targetUrl and targetFramework of each alignment."""
    ifi: UUID
    seq: int
    """Of the decision that issued it."""
    since: int
    ended: int | None = None
    """The instant from which it holds no more (expired or revoked), None while it does."""
    suspended: bool = False
    revoked: bool = False
    valid_until: int | None = None
    """Its end as known, which the clause foresees; None: it has none."""


class Evidence(NamedTuple):
    """Of a learner, what somebody speaks of."""

    facts: Sequence[Fact] = ()
    awards: Sequence[Award] = ()


NOTHING = Evidence()
