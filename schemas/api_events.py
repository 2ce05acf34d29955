"""What /v1/events answers, as the Contract gives it: the source of the OpenAPI description."""
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from schemas.api import Answer


class CloudEvent(Answer):
    """An accepted decision, or a rule that was published, as CloudEvents 1.0 has it."""

    specversion: Literal["1.0"]
    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    sequence: Annotated[str, Field(description="Its position, in twenty digits.")]
    dataschema: str
    datacontenttype: Literal["application/json"]
    data: dict[str, Any]


class Events(Answer):
    """A page of events; `next` is the position to ask on from, `head` that of the newest event."""

    events: list[CloudEvent]
    next: str
    head: str
