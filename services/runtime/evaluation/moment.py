"""The moment that learners are judged at, and what is asked for their rows."""
from typing import Any, NamedTuple, Protocol

from services.core.timeline import greatest_seq


class Rows(Protocol):
    """Whatever can be asked for rows: a connection whose search path is `testamur`, or a request's rows of one tenant (services/runtime/tenant_rows.py)."""

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """Return the rows of a query."""
        ...


class Moment(NamedTuple):
    """What was true at `as_of` by what was stored up to `known_at`, both instants. A `known_at` that the fold has not passed gives answers that may change."""

    known_at: int
    as_of: int

    @property
    def known(self) -> int:
        """The greatest `seq` that counts."""
        return greatest_seq(self.known_at)

    @classmethod
    def at(cls, instant: int) -> "Moment":
        """Return the moment in which deciders decide: what was known then of what was true then."""
        return cls(instant, instant)
