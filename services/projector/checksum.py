"""Checksums of a version of a projection: every column of every row of every table that the set of records determines."""
from services.projector.cursor import Connection
from services.runtime.migrate import VIEWS, schema_of

UNDETERMINED = frozenset({"conflict", "block", "waking"})
"""Tables whose rows depend on the order of arrival: who lost to whom at which moment, where blocks of evidence were split, which run changed what wakes."""
DEADLINE_S = 3600.0

_KEY = """
select string_agg(quote_ident(a.attname), ', ' order by k.place)
from pg_index i cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, place) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = $1::regclass and i.indisprimary
"""


def tables_of(name: str) -> list[str]:
    """Return the tables of a projection that a checksum covers."""
    return sorted(set(VIEWS[name].values()) - UNDETERMINED)


async def checksum(conn: Connection, name: str, version: int) -> dict[str, str]:
    """Return for each table how many rows it has, and the sum and the parity of their 64-bit hashes. Postgres hashes the values as they lie there.

    So nothing has to be sorted, sent or written as text. One snapshot only if the caller's transaction holds one (REPEATABLE READ).
    """
    sums = {}
    for table in tables_of(name):
        query = f"select count(*), sum(h), bit_xor(h) from (select hash_record_extended(t, 0) as h from {schema_of(name, version)}.{table} t) hashed"  # noqa: S608 - our own names
        rows, total, parity = await conn.fetchrow(query, timeout=DEADLINE_S) or (0, None, None)
        sums[table] = f"{rows} rows {int(total or 0) % 2**64:016x} {(parity or 0) % 2**64:016x}"
    return sums


async def first_differences(conn: Connection, name: str, versions: tuple[int, int], table: str, limit: int = 5) -> list[str]:
    """Return the keys of the first rows that differ between two versions."""
    one, other = (f"{schema_of(name, version)}.{table}" for version in versions)
    key = await _key(conn, one)
    rows = await conn.fetch(
        f"with one as (select row({key})::text k, md5(t::text) h from {one} t), other as (select row({key})::text k, md5(t::text) h from {other} t) "  # noqa: S608
        "select k from one full join other using (k) where one.h is distinct from other.h order by k limit $1", limit, timeout=DEADLINE_S)
    return [row["k"] for row in rows]


async def _key(conn: Connection, qualified: str) -> str:
    return str(await conn.fetchval(_KEY, qualified))
