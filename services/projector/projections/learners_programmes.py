"""Publications and retirements of programmes; which version counts is for the fold to say.

Of two versions published at once the first by `seq` counts, the other only if its number is above. Records of one programme lie in one partition, until a
log is carried to one with more partitions: one that comes after records that were stored after it has all versions of its programme judged again. The run
has the tenant to itself (`learners_identity.take_turn`), so no two runs judge one programme at once.
"""
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
import orjson
import structlog

from schemas.envelope import ProgrammeBody, RetirementBody
from services.core.errors import InvalidProgramme
from services.core.keys import key128
from services.core.rules.facts import Award
from services.core.rules.language import parse
from services.core.rules.tree import Cmi5, Programme, nodes
from services.core.rules.wake_keys import NO_ACTIVITY, keys_of, keys_of_award
from services.projector.projections.learners_bodies import array, bodies, document, plain
from services.projector.projections.learners_places import columns
from services.projector.run import RecordAt
from services.runtime.evaluation.catalog import alignments_of, issuers_of
from services.runtime.postgres import Statements

Connection = asyncpg.Connection
KINDS = frozenset({"programme.published", "programme.retired"})
_LAST = 2**31 - 1
"""The greatest version that a row takes."""

_sql = Statements(Path(__file__).with_suffix(".sql"))
_log = structlog.get_logger()


class Change(NamedTuple):
    """Who may have what changed in a programme."""

    tenant_id: int
    seq: int
    iri: str
    effective: int | None
    """The instant at which it changes once more; None: it does not."""


class _Published(NamedTuple):
    """A publication; whether it counted when it was folded before, None: it is new."""

    tenant_id: int
    seq: int
    body: ProgrammeBody
    text: str
    counted: bool | None = None

    @property
    def key(self) -> tuple[int, str]:
        """Which programme it is a version of."""
        return self.tenant_id, self.body.iri


async def fold(conn: Connection, records: Sequence[RecordAt]) -> list[Change]:
    """Fold the records of these kinds, in tenants the run has to itself; return what they change."""
    retired = bodies(records, "programme.retired", RetirementBody)
    changes = [Change(record.tenant_id, record.seq, body.iri, None) for record, body in retired]
    if retired:
        await conn.execute(_sql.retire, *columns([(record.tenant_id, body.iri, record.seq) for record, body in retired]))
    texts = [(record, document(record.envelope.body)) for record, _ in bodies(records, "programme.published", ProgrammeBody)]
    if texts:
        new = [_Published(record.tenant_id, record.seq, msgspec.json.decode(text, type=ProgrammeBody), text) for record, text in texts]
        last, before = await _last(conn, {each.key: each.seq for each in reversed(new)})
        rows = _judged(new, before, last)
        await conn.execute(_sql.put, *columns(rows))
        lost = {each.seq for each in before if each.counted}
        changes += [Change(tenant_id, seq, iri, effective) for tenant_id, seq, iri, _, _, accepted, effective, *_ in rows if accepted or seq in lost]
    return changes


async def _last(conn: Connection, first: dict[tuple[int, str], int]) -> tuple[dict[tuple[int, str], int], list[_Published]]:
    """Return the greatest version that counts of each programme that the run publishes from a `first` seq on, and what is to be judged again.

    That is all of a programme of which anything later was folded already; its greatest version is 0 then.
    """
    rows = await conn.fetch(_sql.last, *columns([(*key, seq) for key, seq in first.items()]))
    last = {(row["tenant_id"], row["iri"]): 0 if row["late"] else row["version"] for row in rows}
    late = [(row["tenant_id"], row["iri"]) for row in rows if row["late"]]
    before = await conn.fetch(_sql.published, *columns(late)) if late else []
    return last, [_Published(tenant_id, seq, msgspec.json.decode(text, type=ProgrammeBody), text, accepted) for tenant_id, seq, text, accepted in before]


def _judged(new: list[_Published], before: list[_Published], last: dict[tuple[int, str], int]) -> list[tuple[Any, ...]]:
    """Return the rows of new publications, and of those that counted otherwise before, after the `last` versions that count, which are brought up to date."""
    rows: list[tuple[Any, ...]] = []
    known = {(each.tenant_id, each.seq) for each in new}
    for each in sorted([*new, *(each for each in before if (each.tenant_id, each.seq) not in known)], key=_seq):
        body, programme = each.body, _programme(each)
        if programme is not None and last[each.key] < body.version <= _LAST:
            last[each.key] = body.version
        else:
            programme = None
        if each.counted is None or each.counted != (programme is not None):
            rows.append((
                *(each.tenant_id, each.seq, body.iri, body.slug, min(max(body.version, 0), _LAST), programme is not None),
                *((None, "") if programme is None else (programme.effective, plain(programme.title))), body.rule, *_keys(programme, body), each.text))
    return rows


def _keys(programme: Programme | None, body: ProgrammeBody) -> tuple[str, str, str]:
    """Return as arrays what wakes a programme, the cmi5 courses by which it is woken too, and what its credentials wake."""
    if programme is None:
        return "{}", "{}", "{}"
    courses = {key128(node.course) for node in nodes(programme.requires) if isinstance(node, Cmi5)}
    issuers = issuers_of(msgspec.structs.asdict(body.issuer))
    award = () if body.achievement is None else keys_of_award(Award(
        NO_ACTIVITY, body.iri, body.achievement, issuers, alignments_of(programme), NO_ACTIVITY, 0, 0))
    return array(sorted(keys_of(programme, {}))), array(sorted(courses)), array(sorted(set(award)))


def _programme(published: _Published) -> Programme | None:
    """Return what is published, None if this code cannot read it: whoever wrote the record could, so this is loud."""
    try:
        return parse(orjson.dumps(published.body.programme))
    except InvalidProgramme as error:
        _log.error("a published programme cannot be read", iri=published.body.iri, version=published.body.version, seq=published.seq, reason=str(error))
        return None


def _seq(published: _Published) -> int:
    return published.seq
