"""The error family: each error knows its HTTP status, its stable `type` and whether the write it stopped may have happened.

Routes raise these; `services/runtime/http.py` alone turns them into RFC 9457 problem JSON.
"""
from typing import Literal

Outcome = Literal["rejected", "unknown", "partial"]


class LrsError(Exception):
    """Something went wrong in Testamur itself."""

    status = 500
    type = "internal-error"
    outcome: Outcome = "rejected"
    retry_after_s: int | None = None
    challenges: tuple[str, ...] = ()
    """What the answer's WWW-Authenticate asks for."""

    def __init__(self, detail: str | None = None, *, pointer: str | None = None, **members: object) -> None:
        """`detail` is a sentence a person understands; `pointer` a JSON pointer into the request; `members` go into the problem."""
        self.detail = detail or (self.__doc__ or "").split("\n")[0]
        self.pointer = pointer
        self.members = members
        super().__init__(self.detail)


class BadRequest(LrsError):
    """The request cannot be understood."""

    status = 400
    type = "bad-request"


class InvalidStatement(BadRequest):
    """A statement breaks a rule of xAPI."""

    type = "invalid-statement"


class InvalidProgramme(BadRequest):
    """The rule of a programme is refused."""

    type = "invalid-programme"


class Unauthenticated(LrsError):
    """This needs an API key: send it as Basic authentication, key as the user name and secret as the password."""

    status = 401
    type = "unauthenticated"
    challenges: tuple[str, ...] = ('Basic realm="Testamur", charset="UTF-8"',)


class Forbidden(LrsError):
    """The API key does not carry the scope this needs."""

    status = 403
    type = "forbidden"


class NotFound(LrsError):
    """There is nothing here."""

    status = 404
    type = "not-found"


class Conflict(LrsError):
    """A different statement with this id is already stored."""

    status = 409
    type = "conflict"


class PreconditionFailed(LrsError):
    """What is stored is not what If-Match or If-None-Match wants; nothing was changed."""

    status = 412
    type = "precondition-failed"


class TooLarge(LrsError):
    """The request is larger than this server accepts."""

    status = 413
    type = "too-large"


class TooManyRequests(LrsError):
    """More requests came with this API key than its rate allows; repeat the request unchanged a little later."""

    status = 429
    type = "too-many-requests"
    retry_after_s = 1


class Unavailable(LrsError):
    """The server cannot do this right now; repeat the request unchanged a little later."""

    status = 503
    type = "unavailable"
    retry_after_s = 1


class LogUnavailable(Unavailable):
    """The log did not confirm the write in time; it may or may not be stored. Repeat it unchanged."""

    type = "log-unavailable"
    outcome: Outcome = "unknown"


class Overloaded(Unavailable):
    """More statements arrive than can be folded; repeat the request unchanged a little later."""

    type = "overloaded"


class NotYetVisible(Unavailable):
    """The position asked for is not folded yet."""

    type = "not-yet-visible"


class Halted(Exception):
    """A partition of the log is damaged or foreign: it stops here, loudly, and nothing of it is skipped."""

    def __init__(self, partition: int, offset: int, reason: str) -> None:
        """`reason` is a sentence for the operator."""
        self.partition, self.offset, self.reason = partition, offset, reason
        super().__init__(f"partition {partition} halted at offset {offset}: {reason}")
