"""What a GET of statements asks for, and the SQL that answers it: pure, from query parameters to a text of constant pieces and its arguments."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.api import parameters
from services.api.parameters import BOOLEAN, INSTANT, IRI, JSON_TEXT, LIMIT, UUID_TEXT, Parameter
from services.api.pieces import Pieces
from services.core.errors import BadRequest
from services.core.keys import key64
from services.core.timeline import greatest_seq

_sql = Pieces(Path(__file__).with_suffix(".sql"))
_INT8_MIN, _INT8_MAX = -(2**63), 2**63 - 1
_FILTERS = ("verb", "activity", "registration", "authority")

PARAMETERS = (
    Parameter("statementId", "The statement with this id, unless it is voided.", UUID_TEXT),
    Parameter("voidedStatementId", "The voided statement with this id.", UUID_TEXT),
    Parameter("agent", "JSON of an agent or identified group: statements with it as actor or object, or as a member of a group there.", JSON_TEXT),
    Parameter("verb", "Statements with this verb.", IRI),
    Parameter("activity", "Statements about this activity.", IRI),
    Parameter("registration", "Statements of this registration.", UUID_TEXT),
    Parameter("related_activities", "Only false, for now.", BOOLEAN),
    Parameter("related_agents", "Only false, for now.", BOOLEAN),
    Parameter("since", "Statements stored after this instant.", INSTANT),
    Parameter("until", "Statements stored at or before this instant.", INSTANT),
    LIMIT,
    Parameter("ascending", "Oldest first, instead of newest first.", BOOLEAN),
    Parameter("format", "Only exact, for now.", (("type", "string"),)),
    Parameter("attachments", "Only false, for now.", BOOLEAN),
    Parameter("more", "Where the page before ended: an opaque text from a `more` URL."),
)
NAMES = frozenset(parameter.name for parameter in PARAMETERS)
_WITH_ID = frozenset({"statementId", "voidedStatementId", "format", "attachments"})


@dataclass(frozen=True, slots=True)
class ById:
    """One statement is asked for: one that stands, or a voided one."""

    id: UUID
    voided: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list is asked for. Filters are keys of the store; `low` < seq <= `high`; `low` None: from the beginning."""

    agent: int | None = None
    verb: int | None = None
    activity: int | None = None
    registration: UUID | None = None
    low: int | None = None
    high: int = _INT8_MAX
    limit: int = parameters.MAX_LIMIT
    ascending: bool = False

    @property
    def combines(self) -> bool:
        """Whether several keys have to hold at once: which of them is rare is then for the planner to see, each time."""
        return sum(key is not None for key in (self.agent, self.verb, self.activity, self.registration)) > 1


def parse(params: Mapping[str, str]) -> ById | Listing:
    """Return what the parameters of a GET ask for, `more` aside (xAPI Communication 2.1.3). Raises BadRequest."""
    _refuse_what_is_not_there_yet(params)
    given = [name for name in ("statementId", "voidedStatementId") if name in params]
    if len(given) == 2:
        raise BadRequest("Give either `statementId` or `voidedStatementId`, not both.")
    if given:
        if others := sorted(params.keys() - _WITH_ID):
            raise BadRequest(f"`{given[0]}` goes together with `format` and `attachments` only, not with `{others[0]}`.")
        found = parameters.uuid(params, given[0])
        assert found is not None
        return ById(found, given[0] == "voidedStatementId")
    return _listing(params)


def _refuse_what_is_not_there_yet(params: Mapping[str, str]) -> None:
    form = params.get("format", "exact")
    if form in ("ids", "canonical"):
        raise BadRequest(f"`format={form}` is not there yet; this server gives `exact` for now.")
    if form != "exact":
        raise BadRequest("`format` is one of exact, ids and canonical; this server gives `exact` for now.")
    for name in ("attachments", "related_agents", "related_activities"):
        if parameters.boolean(params, name):
            raise BadRequest(f"`{name}=true` is not there yet; this server knows `{name}=false` for now.")


def _listing(params: Mapping[str, str]) -> Listing:
    agent, verb, activity = parameters.agent(params), parameters.iri(params, "verb"), parameters.iri(params, "activity")
    since, until = parameters.instant(params, "since"), parameters.instant(params, "until")
    return Listing(
        agent=_key(agent), verb=_key(verb), activity=_key(activity), registration=parameters.uuid(params, "registration"),
        low=None if since is None else _int8(greatest_seq(since)), high=_INT8_MAX if until is None else _int8(greatest_seq(until)),
        limit=parameters.limit(params, parameters.MAX_LIMIT), ascending=parameters.boolean(params, "ascending"),
    )


def _key(text: str | None) -> int | None:
    return None if text is None else key64(text)


def _int8(number: int) -> int:
    """Years before 878 or after 3161 are beyond any `seq`: the nearest bound says the same."""
    return max(_INT8_MIN, min(_INT8_MAX, number))


def page_sql(listing: Listing, tenant_id: int, *, authority: int | None, through: int | None, after: int | None) -> tuple[str, list[object]]:
    """Return text and arguments of one page: `limit` + 1 rows at most.

    `authority` restricts it to what that authority vouches for; a later page gives the `through` of the first and the `seq` it goes on `after`.
    """
    low, high = listing.low, listing.high
    if after is not None:
        low, high = (max(after, _INT8_MIN if low is None else low), high) if listing.ascending else (low, min(high, after - 1))
    values: dict[str, object] = {
        "tenant": tenant_id, "through": through, "low": low, "high": high, "limit": listing.limit + 1, "agent": listing.agent, "verb": listing.verb,
        "activity": listing.activity, "registration": listing.registration, "authority": authority,
    }
    sql = _sql.compose(
        "page" if listing.agent is None else "page_of_agent", filters=tuple(name for name in _FILTERS if values[name] is not None),
        low=("low",) if low is not None else (), low_related=("low_related",) if low is not None else (),
        order=("ascending",) if listing.ascending else ("descending",))
    return sql.text, sql.args(values)


def by_id_sql(wanted: ById, tenant_id: int) -> tuple[str, list[object]]:
    """Return text and arguments that find one statement, voided or not."""
    sql = _sql.compose("by_id")
    return sql.text, sql.args({"tenant": tenant_id, "id": wanted.id})


def authorities_sql(tenant_id: int, keys: list[int]) -> tuple[str, list[object]]:
    """Return text and arguments that give the agents of authority keys."""
    sql = _sql.compose("authorities")
    return sql.text, sql.args({"tenant": tenant_id, "keys": keys})
