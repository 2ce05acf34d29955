"""`as_of` and `known_at`: what was true then, and what was known then, and who was who by what was known."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.api import learners, parameters
from services.api.context import Api
from services.api.parameters import INSTANT, Parameter
from services.core.errors import NotFound
from services.core.timeline import greatest_seq, rfc3339, seq_of
from services.runtime.callers.auth import Caller

PARAMETERS = (
    Parameter("as_of", "What was true then: only what had happened by this instant counts.", INSTANT),
    Parameter("known_at", "What was known then: only what was stored by this instant counts. Names and types of activities are today's.", INSTANT),
)
_MOST = 2**63 - 1
_WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The instants of a question; None: everything up to now."""

    as_of: int | None
    known_at: int | None

    @property
    def is_now(self) -> bool:
        """Whether neither is given."""
        return self.as_of is None and self.known_at is None

    @property
    def greatest_at(self) -> int:
        """The latest event time that counts."""
        return _MOST if self.as_of is None else self.as_of

    @property
    def greatest_known(self) -> int:
        """The greatest `seq` that counts."""
        return _MOST if self.known_at is None else max(-_MOST, min(_MOST, greatest_seq(self.known_at)))

    @property
    def assured(self) -> tuple[str]:
        """The piece of SQL that gives the assurance by others."""
        return ("assured_now",) if self.known_at is None else ("assured_then",)

    def members(self) -> dict[str, str | None]:
        """Return the two members of an answer."""
        return {"as_of": _shown(self.as_of), "known_at": _shown(self.known_at)}


@dataclass(frozen=True, slots=True)
class Then:
    """A learner at a moment."""

    id: UUID
    keys: Sequence[UUID]
    incomplete: bool
    through: int


def moment_of(params: Mapping[str, str]) -> Moment:
    """Return the moment that a question is about."""
    return Moment(parameters.instant(params, "as_of"), parameters.instant(params, "known_at"))


async def learner_at(api: Api, caller: Caller, key: UUID, moment: Moment) -> Then:
    """Return the learner that the member `key` belonged to by what was known at the moment. Raises NotFound.

    What was stored up to a `known_at` that is past is waited for, up to 2 s: an answer tells with LRS-Consistent-Through how far it goes.
    """
    if moment.known_at is not None and moment.known_at <= api.state.now():
        await api.state.visibility.until_folded("learners", [seq_of(moment.known_at, partition) for partition in range(api.state.log.partitions)], _WAIT_S)
    found = await learners.find(api, caller, key)
    if moment.known_at is None:
        return Then(found.id, found.keys, found.incomplete, found.through)
    sql = learners.SQL.compose("members_then")
    row = await api.rows(caller.tenant_id).fetchrow(sql.text, *sql.args({"tenant": caller.tenant_id, "key": key, "known": moment.greatest_known}))
    if row is None or not row["keys"]:
        raise NotFound("No learner has this id.")
    return Then(row["keys"][0], row["keys"], row["incomplete"], found.through)


def _shown(instant: int | None) -> str | None:
    return None if instant is None else rfc3339(instant)
