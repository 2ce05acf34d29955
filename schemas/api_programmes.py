"""What /v1 answers and takes of issuers, programmes and credentials, as the Contract gives it: the source of the OpenAPI description.

Answers are made of bytes; tests hold them against these models.
"""
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.api import Answer, LearnerListed, Link

ProgrammeState = Literal["satisfied", "suspended", "expired", "unsatisfied"]
VersionState = Literal["published", "scheduled", "retired", "superseded"]
CredentialState = Literal["issued", "updated", "suspended", "reinstated", "expired", "revoked"]
EntryState = Literal["issued", "updated", "expiring", "suspended", "reinstated", "expired", "revoked"]
Policy = Literal["keep", "reevaluate", "review"]


class IssuerToPut(BaseModel):
    """The body of PUT /v1/issuers/{slug}."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=400)]
    url: Annotated[str, Field(max_length=2000, description="Where people find it, as https://….")]
    email: Annotated[str | None, Field(max_length=320)] = None
    image: Annotated[str | None, Field(max_length=2000, description="Address of its logo.")] = None


class Issuer(Answer):
    """Who gives credentials. `did` is how others name it."""

    slug: str
    name: str
    url: str
    email: str | None
    image: str | None
    did: str


class Issuers(Answer):
    """A page of issuers."""

    issuers: list[Issuer]
    next: str | None


class Published(Answer):
    """A version of a programme that is in the log."""

    slug: str
    version: int


class VersionListed(Answer):
    """A version of a programme. `at` is when it was published, `effective` from when on it judges."""

    version: int
    state: VersionState
    at: datetime
    effective: datetime


class ProgrammeListed(Answer):
    """A programme, by the version in force, or the last one where none is yet."""

    slug: str
    programme: Annotated[str, Field(description="Its IRI.")]
    title: str
    version: int
    state: VersionState
    award: Annotated[bool, Field(description="Whether it gives a credential.")]


class Programmes(Answer):
    """A page of programmes."""

    programmes: list[ProgrammeListed]
    next: str | None


class Programme(ProgrammeListed):
    """A version of a programme, whole."""

    achievement: Annotated[str | None, Field(description="IRI of what it awards; null: it gives no credential.")]
    issuer: Annotated[dict[str, Any], Field(description="`slug` (null: the tenant's own), `name`, `url`, `did`.")]
    rule: Annotated[dict[str, Any], Field(description="What was published, as JSON.")]
    sha256: Annotated[str, Field(description="Of the rule as canonical JSON: the same for YAML and JSON.")]
    source: Annotated[str, Field(description="What was published, as it was sent.")]
    narrative: Annotated[str, Field(description="What it asks for, in words.")]
    versions: list[VersionListed]


class Previewed(Answer):
    """What publishing would change: learners who would be given an award and hold none; holders of an open award who do not meet the new rule."""

    gain: list[LearnerListed]
    lose: list[LearnerListed]
    same: Annotated[int, Field(description="How many learners it changes nothing for.")]
    gaining: Annotated[int, Field(description="How many gain: `gain` lists the first of them, CSV and NDJSON all.")]
    losing: Annotated[int, Field(description="How many lose: `lose` lists the first of them, CSV and NDJSON all.")]
    policy: Annotated[Policy, Field(description="`on.rule_changed` of the new version: only with `reevaluate` do those under `lose` lose what they hold.")]
    at: Annotated[datetime, Field(description="The moment it was judged at.")]


class LearnersProgramme(Answer):
    """How one learner stands with a programme."""

    slug: str
    title: str
    version: Annotated[int, Field(description="The one that judges.")]
    state: Annotated[ProgrammeState, Field(description="What stands in the ledger; where nothing does, what the rule says now.")]
    since: datetime | None
    valid_until: datetime | None
    progress: Annotated[float, Field(ge=0, le=1, description="1 if and only if the rule is met.")]
    review: Annotated[bool, Field(description="Whether an award that is held is left to people: its rule is not met, and its policy is `review`.")]


class LearnersProgrammes(Answer):
    """The programmes of the tenant as this learner stands with them."""

    programmes: list[LearnersProgramme]
    next: str | None


class InputListed(BaseModel):
    """What a decision rests on, or what led to it."""

    model_config = ConfigDict(extra="forbid")

    statement: UUID | None = None
    credential: UUID | None = None


class LedgerEntry(Answer):
    """One decision about an award: what became of it, and why."""

    k: Annotated[int, Field(description="Its number within the award.")]
    state: EntryState
    since: datetime | None
    valid_until: datetime | None
    known_at: Annotated[datetime, Field(description="It was decided on all that was stored up to this instant.")]
    stored: datetime
    version: Annotated[int, Field(description="The version of the rule that judged.")]
    reason: str | None
    by: Annotated[dict[str, Any] | None, Field(description="The agent who revoked it by hand.")]
    inputs: list[InputListed]
    causes: Annotated[list[UUID], Field(description="Statements or decisions that led to the judgement.")]


class Credential(Answer):
    """A credential that was given, and all that became of it."""

    id: UUID
    learner: Annotated[UUID, Field(description="The canonical id of whom it belongs to now.")]
    programme: Annotated[str, Field(description="IRI.")]
    version: int
    state: CredentialState
    awarded_at: datetime | None
    valid_until: datetime | None
    reason: str | None
    url: str
    history: Annotated[list[LedgerEntry], Field(max_length=200, description="Its entries in order: of more than 200 the first and the latest.")]


class Credentials(Answer):
    """A page of a learner's credentials."""

    credentials: list[Credential]
    next: str | None


class Revocation(BaseModel):
    """The body of POST /v1/credentials/{id}/revoke."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=4000)] = ""


class Visibility(BaseModel):
    """The body of PUT /v1/credentials/{id}/visibility."""

    model_config = ConfigDict(extra="forbid")

    public: Annotated[bool, Field(description="Listed for everybody; a credential that is not is reached by its unguessable address alone.")]


class StatementCounted(Answer):
    """A statement that counts for a clause."""

    id: UUID
    stored: datetime
    timestamp: Annotated[datetime, Field(description="When it happened: timestamp, or stored if that is earlier.")]
    authority: str


class CredentialCounted(Answer):
    """A credential that counts for a clause."""

    id: UUID
    since: datetime
    stored: datetime


class Amount(Answer):
    """How much a clause has of what it wants; only a sum may have more."""

    got: float
    wanted: float
    unit: Annotated[str, Field(description="What is counted, in the plural: hours, statements, parts, …; of a sum of anything else, its IRI.")]


class Clause(BaseModel):
    """A clause of the rule, how far it is met and by what: at most 100 statements or credentials are named."""

    model_config = ConfigDict(extra="forbid")

    op: str
    label: Annotated[str, Field(description="What its author called it, else what it asks for.")]
    asks: Annotated[str, Field(description="What it asks for in words, but for what is under it.")]
    met: bool
    again: Annotated[bool, Field(description="Met, but before what it must follow in a sequence: it counts there once it comes again, after that.")]
    progress: float
    amount: Amount
    lacks: Annotated[str | None, Field(description="What would meet it, in words; null while it is met.")]
    passed_over: Annotated[list[str], Field(description="While it is not met: what is about the same and does not count, so many for each reason.")]
    statements: list[StatementCounted]
    credentials: Annotated[list[CredentialCounted] | None, Field(description="Only of clauses that ask for credentials.")] = None
    of: "list[Clause]"


class Void(Answer):
    """A statement that would count, or would make one count, if it were not voided."""

    statement: UUID
    assures: Annotated[UUID | None, Field(description="The statement of the learner whose identity it vouched for; null: it is the learner's own.")]
    voided_by: list[UUID]
    stored: Annotated[datetime, Field(description="When its voiding was stored.")]


class AwardExplained(Answer):
    """An award of the ledger, and its entries."""

    n: Annotated[int, Field(description="Its number among those given to one identifier of the learner.")]
    credential: UUID | None
    state: CredentialState
    review: Annotated[bool, Field(description="Whether it is open and left to people: its rule is not met, and its policy is `review`.")]
    history: Annotated[list[LedgerEntry], Field(max_length=200, description="As of a credential.")]


class Difference(Answer):
    """Where the LMS of a cmi5 course and the rule disagree."""

    registration: str
    activity: Annotated[str, Field(description="The course, or a block of it.")]
    recomputed: Annotated[bool, Field(description="Whether its units satisfy it.")]
    says: Annotated[str, Field(description="What differs, in words.")]


class Explained(Answer):
    """Why a learner has what a programme asks for, or has not."""

    programme: Annotated[str, Field(description="IRI.")]
    version: Annotated[int, Field(description="The one that judges: of the award that is held, unless the rule says `reevaluate`, else that in force.")]
    state: Annotated[ProgrammeState, Field(description="What this version says of the evidence of that moment.")]
    since: datetime | None
    valid_until: datetime | None
    next_change_at: Annotated[datetime | None, Field(description="No later than the first moment at which anything here may change if nothing new comes.")]
    lapses_at: Annotated[datetime | None, Field(description="When the rule will not be met any more if nothing new comes; null: never, or it is not met.")]
    as_of: datetime | None
    known_at: datetime | None
    progress: float
    unmet: Annotated[list[str], Field(description="What lacks, in words.")]
    tree: Clause
    links: list[Link]
    voids: list[Void]
    awards: list[AwardExplained]
    differences: list[Difference]
