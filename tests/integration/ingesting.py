"""What writes of statements come to: the rows that are stored, the records of the log, and the headers that every answer owes."""
from uuid import UUID

import httpx

from tests.servers.in_process import Web


async def stored(web: Web, *ids: object) -> dict[str, bytes]:
    """Return the bytes of those of some statements that are stored, by id."""
    rows = await web.state.pool.fetch("select id, raw from statement where id = any($1::uuid[]) and raw is not null", [UUID(str(id_)) for id_ in ids])
    return {str(row["id"]): row["raw"] for row in rows}


async def records(web: Web) -> int:
    """Return how many records the log has."""
    return sum([(await web.state.log.end(partition)).next_offset for partition in range(web.state.log.partitions)])


async def has_records(web: Web, number: int) -> bool:
    """Return whether the log has so many records."""
    return await records(web) >= number


def check_owed_headers(answer: httpx.Response, outcome: str, version: str = "2.0.0") -> None:
    """Hold the headers of an answer against what every answer to a write has."""
    assert answer.headers["X-Experience-API-Version"] == version
    assert answer.headers["X-Experience-API-Consistent-Through"].endswith("Z")
    assert answer.headers["LRS-Outcome"] == outcome
