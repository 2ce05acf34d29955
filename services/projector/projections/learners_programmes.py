"""Publications and retirements of programmes; which version counts is for the fold to say.

All records of one programme lie in one partition, so they come in their order: of two versions published at once the first counts, the other only if its
number is above.
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


async def fold(conn: Connection, records: Sequence[RecordAt]) -> list[Change]:
    """Fold the records of these kinds, in the order of each partition; return what they change."""
    published = bodies(records, "programme.published", ProgrammeBody)
    retired = bodies(records, "programme.retired", RetirementBody)
    changes = [Change(record.tenant_id, record.seq, body.iri, None) for record, body in retired]
    if published:
        rows = _judged(published, await _last(conn, {(record.tenant_id, body.iri) for record, body in published}))
        await conn.execute(_sql.add, *columns(rows))
        changes += [Change(tenant_id, seq, iri, effective) for tenant_id, seq, iri, _, _, accepted, effective, *_ in rows if accepted]
    if retired:
        await conn.execute(_sql.retire, *columns([(record.tenant_id, body.iri, record.seq) for record, body in retired]))
    return changes


async def _last(conn: Connection, iris: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the greatest version that counts of each of these programmes that has one."""
    return {(row["tenant_id"], row["iri"]): row["version"] for row in await conn.fetch(_sql.last, *columns(iris))}


def _judged(published: list[tuple[RecordAt, ProgrammeBody]], last: dict[tuple[int, str], int]) -> list[tuple[Any, ...]]:
    """Return the rows of publications, given in order, after the `last` versions that count, which are brought up to date."""
    rows: list[tuple[Any, ...]] = []
    for record, body in published:
        key, programme = (record.tenant_id, body.iri), _programme(record, body)
        if programme is not None and max(0, last.get(key, 0)) < body.version <= _LAST:
            last[key] = body.version
        else:
            programme = None
        rows.append((
            *(record.tenant_id, record.seq, body.iri, body.slug, min(max(body.version, 0), _LAST), programme is not None),
            *((None, "") if programme is None else (programme.effective, plain(programme.title))), body.rule,
            *_keys(programme, body), document(record.envelope.body)))
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


def _programme(record: RecordAt, body: ProgrammeBody) -> Programme | None:
    """Return what is published, None if this code cannot read it: whoever wrote the record could, so this is loud."""
    try:
        return parse(orjson.dumps(body.programme))
    except InvalidProgramme as error:
        _log.error("a published programme cannot be read", iri=body.iri, version=body.version, seq=record.seq, reason=str(error))
        return None
