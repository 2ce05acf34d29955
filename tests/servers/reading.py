"""Reading a whole system through HTTP, and holding what is there against a history of what was told."""
import asyncio
import json
import time
from collections import Counter

import msgspec

from tests.servers.http_client import Connection
from tests.servers.load import History


class _Page(msgspec.Struct):
    statements: list[msgspec.Raw]
    more: str = ""


class _Id(msgspec.Struct):
    id: str


BACKLOG_S = 90
"""While Postgres is away writes to Kafka go on, up to a bound, and what piled up has to be folded afterwards; until it is, writes are pushed back."""
_page, _id = msgspec.json.Decoder(_Page), msgspec.json.Decoder(_Id)


async def every_statement(connection: Connection, query: str = "limit=500&ascending=true") -> list[tuple[str, bytes]]:
    """Return (id, bytes) of every statement of a list, read to its end."""
    found: list[tuple[str, bytes]] = []
    path = f"/xapi/statements?{query}"
    while path:
        answer = await connection.request("GET", path)
        assert answer.status == 200, answer.body
        page = _page.decode(answer.body)
        found += [(_id.decode(raw).id, bytes(raw)) for raw in page.statements]
        path = page.more
    return found


async def until_everything_is_visible(connection: Connection) -> None:
    """Wait until all that was ever acknowledged can be seen: Consistent-Through has passed a statement that is nobody's evidence."""
    marker = {"actor": {"objectType": "Group", "member": [{"mbox": "mailto:nobody@example.org"}]}, "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
              "object": {"id": "https://example.org/marker"}}
    deadline = time.monotonic() + BACKLOG_S
    while (answer := await connection.request("POST", "/xapi/statements", json.dumps(marker).encode())).status == 503:
        assert time.monotonic() < deadline, answer.body
        await asyncio.sleep(0.1)  # noqa: TID251 - a client's back-off
    assert answer.status == 200, answer.body
    wanted = {"LRS-Min-Position": answer.headers["lrs-position"], "Prefer": "wait=10"}
    while (seen := await connection.request("GET", "/xapi/statements?limit=1", headers=wanted)).status == 503:
        assert time.monotonic() < deadline, seen.body
    assert seen.status == 200, seen.body


async def until_everything_is_folded(connection: Connection) -> None:
    """Wait until learners' answers know everything that was ever acknowledged, in every partition."""
    await until_everything_is_visible(connection)
    through = (await connection.request("GET", "/xapi/statements?limit=1")).headers["x-experience-api-consistent-through"]
    deadline = time.monotonic() + BACKLOG_S
    while (await connection.request("GET", "/v1/learners?limit=1")).headers.get("lrs-consistent-through", "") < through:
        assert time.monotonic() < deadline, f"learners did not get to {through}"
        await asyncio.sleep(0.02)  # noqa: TID251 - a poll with a deadline


async def check(connection: Connection, history: History) -> dict[str, bytes]:
    """Assert what a history promises: all acked there once with their bytes, all refused absent. Return what stands, by id; voided ones are fetched."""
    await until_everything_is_visible(connection)
    listed = await every_statement(connection)
    doubled = [id_ for id_, times in Counter(id_ for id_, _ in listed).items() if times > 1]
    assert not doubled, f"listed twice: {doubled[:5]}"
    there = dict(listed)
    for id_, raw in history.acked.items():
        if id_ not in there:
            answer = await connection.request("GET", f"/xapi/statements?voidedStatementId={id_}")
            assert answer.status == 200, f"acknowledged and lost: {id_}"
            there[id_] = answer.body
        assert there[id_].startswith(raw[:-1]), f"the sender's bytes changed: {raw!r} became {there[id_]!r}"
    ghosts = [id_ for id_ in history.refused if id_ in there]
    assert not ghosts, f"refused and yet there: {ghosts[:5]}"
    return there
