"""What a GET of statements asks for, and the SQL that answers it: pure, from query parameters to a text of constant pieces and its arguments."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from services.api import parameters
from services.api.parameters import BOOLEAN, INSTANT, IRI, JSON_TEXT, LIMIT, UUID_TEXT, Parameter
from services.api.pieces import Piece, Pieces, Sql
from services.core.errors import BadRequest
from services.core.formats import FORMATS, Format
from services.core.keys import key64
from services.core.statement_keys import registration_key
from services.core.timeline import greatest_seq

_sql = Pieces(Path(__file__).with_suffix(".sql"))
_INT8_MIN, _INT8_MAX = -(2**63), 2**63 - 1

PARAMETERS = (
    Parameter("statementId", "The statement with this id, unless it is voided.", UUID_TEXT),
    Parameter("voidedStatementId", "The voided statement with this id.", UUID_TEXT),
    Parameter("agent", "JSON of an agent or identified group: statements with it as actor or object, or as a member of a group there. Of all that a "
              "StatementRef leads to, 64 agents and activities count besides actors, authorities and activities that are objects.", JSON_TEXT),
    Parameter("verb", "Statements with this verb.", IRI),
    Parameter("activity", "Statements about this activity.", IRI),
    Parameter("registration", "Statements of this registration.", UUID_TEXT),
    Parameter("related_activities", "Whether `activity` matches in the context too, and in a SubStatement.", BOOLEAN),
    Parameter("related_agents", "Whether `agent` matches as the authority too, in the context, and in a SubStatement.", BOOLEAN),
    Parameter("since", "Statements stored after this instant.", INSTANT),
    Parameter("until", "Statements stored at or before this instant.", INSTANT),
    LIMIT,
    Parameter("ascending", "Oldest first, instead of newest first.", BOOLEAN),
    Parameter("format", "`exact`: as it was sent. `ids`: the least that identifies actors, verbs and activities. `canonical`: activities as they are defined "
              "here, in the languages of Accept-Language.", (("type", "string"), ("enum", FORMATS), ("default", "exact"))),
    Parameter("attachments", "Whether the content of attachments comes along, in multipart/mixed.", BOOLEAN),
    Parameter("more", "Where the page before ended: an opaque text from a `more` URL."),
)
NAMES = frozenset(parameter.name for parameter in PARAMETERS)
_WITH_ID = frozenset({"statementId", "voidedStatementId", "format", "attachments"})


@dataclass(frozen=True, slots=True)
class ById:
    """One statement is asked for: one that stands, or a voided one."""

    id: UUID
    voided: bool
    format: Format = "exact"
    attachments: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list is asked for. Filters are keys of the store; `low` < seq <= `high`; `low` None: from the beginning."""

    agent: int | None = None
    verb: int | None = None
    activity: int | None = None
    registration: UUID | None = None
    related_agents: bool = False
    related_activities: bool = False
    low: int | None = None
    high: int = _INT8_MAX
    limit: int = parameters.MAX_LIMIT
    ascending: bool = False
    format: Format = "exact"
    attachments: bool = False

    @property
    def combines(self) -> bool:
        """Whether several keys have to hold at once, or one may in several tables: which of them is rare is then for the planner to see, each time."""
        keys = sum(key is not None for key in (self.agent, self.verb, self.activity, self.registration))
        return keys > 1 or (self.related_agents and self.agent is not None) or (self.related_activities and self.activity is not None)


def parse(params: Mapping[str, str]) -> ById | Listing:
    """Return what the parameters of a GET ask for, `more` aside (xAPI Communication 2.1.3). Raises BadRequest."""
    given = [name for name in ("statementId", "voidedStatementId") if name in params]
    if len(given) == 2:
        raise BadRequest("Give either `statementId` or `voidedStatementId`, not both.")
    if given:
        if others := sorted(params.keys() - _WITH_ID):
            raise BadRequest(f"`{given[0]}` goes together with `format` and `attachments` only, not with `{others[0]}`.")
        found = parameters.uuid(params, given[0])
        assert found is not None
        return ById(found, given[0] == "voidedStatementId", _format(params), parameters.boolean(params, "attachments"))
    return _listing(params)


def _listing(params: Mapping[str, str]) -> Listing:
    agent, verb, activity = parameters.agent(params), parameters.iri(params, "verb"), parameters.iri(params, "activity")
    since, until = parameters.instant(params, "since"), parameters.instant(params, "until")
    return Listing(
        agent=_key(agent), verb=_key(verb), activity=_key(activity), registration=parameters.uuid(params, "registration"),
        related_agents=parameters.boolean(params, "related_agents"), related_activities=parameters.boolean(params, "related_activities"),
        low=None if since is None else _int8(greatest_seq(since)), high=_INT8_MAX if until is None else _int8(greatest_seq(until)),
        limit=parameters.limit(params, parameters.MAX_LIMIT), ascending=parameters.boolean(params, "ascending"), format=_format(params),
        attachments=parameters.boolean(params, "attachments"),
    )


def _format(params: Mapping[str, str]) -> Format:
    wanted = params.get("format", "exact")
    for known in FORMATS:
        if wanted == known:
            return known
    raise BadRequest("`format` is one of exact, ids and canonical.")


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
    registration = None if listing.registration is None else registration_key(listing.registration)
    values: dict[str, object] = {
        "tenant": tenant_id, "through": through, "low": low, "high": high, "limit": listing.limit + 1, "agent": listing.agent, "verb": listing.verb,
        "activity": listing.activity, "registration": listing.registration, "registration_key": registration, "authority": authority,
    }
    sql = _page(listing, restricted=authority is not None, bounded=low is not None)
    return sql.text, sql.args(values)


def _page(listing: Listing, *, restricted: bool, bounded: bool) -> Sql:
    """Return the text of a page: what is asked for, whether one authority restricts it, and whether it begins after a `seq`."""
    lows = {name: (name,) if bounded else () for name in ("low", "low_via", "low_agent", "low_activity")}
    order = ("ascending",) if listing.ascending else ("descending",)
    own: tuple[str, ...] = ("authority",) if restricted else ()
    wanted = _wanted(listing)
    if not wanted:
        return _sql.compose("page", filters=own, order=order, **lows)
    columns = tuple(name for name in ("verb", "registration") if getattr(listing, name) is not None) + own
    arms = tuple(
        Piece("arm", (("filters", (*columns, *agent.filters, *activity.filters)), ("links", (*agent.links, *activity.links))))
        for agent in _places_of_agent(listing) for activity in _places_of_activity(listing))
    first, *others = wanted + (["via_authority"] if restricted else [])
    via = Piece("via", (
        ("wanted", (first,)), ("all_wanted", tuple(Piece("also_wanted", (("wanted", (other,)),)) for other in others)), ("restriction", own)))
    return _sql.compose("filtered", arms=(*arms, via), order=order, **lows)


class _Place(NamedTuple):
    """Where a filter looks: in columns, or through links."""

    filters: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def _places_of_agent(listing: Listing) -> tuple[_Place, ...]:
    if listing.agent is None:
        return (_Place(),)
    places = (_Place(("actor",)), _Place(links=("agent_link",)))
    return (*places, _Place(("vouches",)), _Place(links=("related_agent_link",))) if listing.related_agents else places


def _places_of_activity(listing: Listing) -> tuple[_Place, ...]:
    if listing.activity is None:
        return (_Place(),)
    places = (_Place(("activity",)),)
    return (*places, _Place(links=("related_activity_link",))) if listing.related_activities else places


def _wanted(listing: Listing) -> list[str]:
    """Return the names of the keys that a statement has to have which others refer to, the rarest kind first."""
    related = {"agent": listing.related_agents, "activity": listing.related_activities}
    return [
        f"via_related_{name}" if related.get(name) else f"via_{name}"
        for name in ("agent", "registration", "activity", "verb") if getattr(listing, name) is not None
    ]


def by_id_sql(wanted: ById, tenant_id: int) -> tuple[str, list[object]]:
    """Return text and arguments that find one statement, voided or not."""
    sql = _sql.compose("by_id")
    return sql.text, sql.args({"tenant": tenant_id, "id": wanted.id})


def authorities_sql(tenant_id: int, keys: list[int]) -> tuple[str, list[object]]:
    """Return text and arguments that give the agents of authority keys."""
    sql = _sql.compose("authorities")
    return sql.text, sql.args({"tenant": tenant_id, "keys": keys})
