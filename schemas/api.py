"""What /v1 answers and takes, as the Contract gives it: the source of the OpenAPI description.

Answers are made of bytes; tests hold them against these models.
"""
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Agent = dict[str, Any]
Status = Literal["registered", "attempted", "completed", "failed", "passed", "withdrawn"]
Assurance = Literal["none", "asserted", "verified", "proctored"]


class Answer(BaseModel):
    """Nothing is given that the Contract does not name."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="A stable URI of the kind of problem.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="A sentence for people.")]
    pointer: Annotated[str | None, Field(description="JSON pointer into the request, where it applies.")] = None


class LearnerListed(Answer):
    """A learner in a list."""

    id: UUID
    agents: list[Agent]
    name: str | None


class Learners(Answer):
    """A page of learners."""

    learners: list[LearnerListed]
    next: str | None


class Link(Answer):
    """Two agents are one learner, and why. `at` is when it was stored; null while it is not folded yet."""

    id: UUID
    agents: list[Agent]
    reason: str
    by: Agent
    at: datetime | None


class Learner(Answer):
    """A learner: all the identifiers, and the links that join them."""

    id: UUID
    agents: list[Agent]
    name: str | None
    links: list[Link]
    incomplete: Annotated[bool, Field(description="A statement of this learner could not be folded; answers leave it out.")]


class Activity(Answer):
    """What a transcript's line is about."""

    id: str
    name: str | None
    type: str | None


class Score(Answer):
    """Scaled scores."""

    best: float | None
    last: float | None


class Entry(Answer):
    """One line of a transcript."""

    activity: Activity
    status: Status
    success: bool | None
    grade: str | None
    credits: float
    hours: float
    attempts: int
    score: Score
    duration: Annotated[str | None, Field(description="ISO 8601.")]
    first: datetime
    last: datetime
    identity: Assurance
    issuers: Annotated[list[str], Field(description="The authorities behind the statements that decide, by their identifiers.")]
    statements: Annotated[list[UUID], Field(max_length=100, description="The statements that decide.")]
    evidence: Annotated[int, Field(description="How many statements there are behind it in all.")]


class Transcript(Answer):
    """A page of a learner's transcript; `as_of` and `known_at` as asked, null for now."""

    learner: UUID
    as_of: datetime | None
    known_at: datetime | None
    incomplete: bool
    entries: list[Entry]
    next: str | None


class EvidenceListed(Answer):
    """The facts of one statement."""

    statement: UUID
    stored: datetime
    time: Annotated[datetime, Field(description="When it happened: timestamp, or stored if that is earlier.")]
    activity: str
    verb: str
    score: Annotated[float | None, Field(description="Scaled.")]
    success: bool | None
    completion: bool | None
    duration: str | None
    identity: Assurance
    authority: Annotated[str, Field(description="Its identifier, as in a transcript's `issuers`.")]
    voided: bool


class Evidence(Answer):
    """A page of a learner's evidence, in the order of event time."""

    evidence: list[EvidenceListed]
    next: str | None


class Grade(BaseModel):
    """A grade and the scaled score it begins at."""

    grade: str
    from_: Annotated[float, Field(alias="from")]


class Part(BaseModel):
    """A part of a course and what it weighs."""

    id: str
    type: str | None = None
    weight: float | None = None


class Cmi5Node(BaseModel):
    """An assignable unit of a cmi5 course, or a block of them. Other members are kept."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(description="The IRI of a unit's activity, or of a block.")]
    type: Literal["au", "block"]
    moveOn: Annotated[  # noqa: N815 - the field's own word
        Literal["Passed", "Completed", "CompletedAndPassed", "CompletedOrPassed", "NotApplicable"] | None,
        Field(description="Of a unit: what satisfies it; without it NotApplicable.")] = None
    masteryScore: Annotated[float | None, Field(ge=0, le=1, description="Of a unit: the least scaled score that passes.")] = None  # noqa: N815 - as above
    publisher: Annotated[str | None, Field(description="Of a unit: its id in cmi5.xml, where that is another.")] = None
    children: Annotated["list[Cmi5Node] | None", Field(description="Of a block.")] = None


class Cmi5Structure(BaseModel):
    """What a cmi5 course is made of."""

    model_config = ConfigDict(extra="allow")

    children: list[Cmi5Node]


class Course(BaseModel):
    """A course as described. Other members are kept."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(description="The IRI of its activity.")]
    name: str | dict[str, str] | None = None
    credits: Annotated[float | None, Field(ge=0)] = None
    scale: list[Grade] | None = None
    parts: list[Part] | None = None
    cmi5: Annotated[Cmi5Structure | None, Field(description="Its structure, where it is a cmi5 course.")] = None


class CoursesToDescribe(BaseModel):
    """The body of PUT /v1/courses."""

    model_config = ConfigDict(extra="forbid")

    courses: Annotated[list[Course], Field(max_length=2000, description="Each is a record of its own; send more in several requests.")]


class Courses(Answer):
    """A page of courses, each by its latest description."""

    courses: list[Course]
    next: str | None


class FaultFound(Answer):
    """What is wrong with a statement, and where."""

    pointer: Annotated[str, Field(description="JSON pointer into the statement.")]
    detail: str


class QuarantinedListed(Answer):
    """An invalid statement that was set aside: who sent it, when, and what is wrong with it."""

    id: UUID
    statement: Annotated[UUID, Field(description="The id it has, or was given in the answer to whoever sent it.")]
    received: datetime
    key: Annotated[str, Field(description="The API key it came with.")]
    version: Annotated[str, Field(description="The version of xAPI it was judged by.")]
    faults: list[FaultFound]
    redriven: Annotated[datetime | None, Field(description="When it was sent on; null while it waits.")]
    redriven_by: Annotated[str | None, Field(description="The API key with which it was sent on.")]


class Quarantined(QuarantinedListed):
    """It, and its text."""

    raw: Annotated[str, Field(description="The statement as it was sent.")]


class Quarantine(Answer):
    """A page of the quarantine, oldest first."""

    quarantine: list[QuarantinedListed]
    next: str | None


class LinkToMake(BaseModel):
    """The body of POST /v1/identity/links."""

    model_config = ConfigDict(extra="forbid")

    agents: Annotated[list[Agent], Field(min_length=2, max_length=2)]
    reason: Annotated[str, Field(max_length=4000)] = ""
