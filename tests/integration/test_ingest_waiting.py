"""What a write of /xapi/statements answers when it is not visible at once: at durability, after the wait, after a race, and while the store is away."""
import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson

from services.core.envelope import encode_statements
from services.core.fingerprint import fingerprint
from services.core.timeline import rfc3339
from services.runtime.backlog import Backlog
from services.runtime.log import NewRecord
from services.runtime.migrate import ensure_cursors
from services.runtime.position import decode_position
from tests.integration.api_service import STATEMENTS
from tests.integration.ingesting import check_owed_headers, has_records, records, stored
from tests.servers.in_process import Web, running_projector, settings_for, statement, until, web_process
from tests.servers.postgres import MakePostgres


async def test_respond_async_is_answered_at_durability_and_says_so(web: Web) -> None:
    client, sent = web.client(await web.key()), statement()
    answer = await client.post(STATEMENTS, json=sent, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "respond-async")
    check_owed_headers(answer, "stored")
    assert await stored(web, sent["id"]) == {}
    marks = decode_position(web.state.hashes, web.state.log.log_id, answer.headers["LRS-Position"])
    async with running_projector(web.state):
        assert await web.state.visibility.until_visible(marks, 10)
    assert await stored(web, sent["id"])


async def test_when_the_wait_for_visibility_ends_the_answer_is_still_that_it_is_stored(database: str, tmp_path: Path) -> None:
    async with web_process(settings_for(tmp_path), database, visible_s=0.05) as web:
        answer = await web.client(await web.key()).post(STATEMENTS, json=statement())
    assert answer.status_code == 200
    check_owed_headers(answer, "stored")


async def test_while_a_partition_is_halted_nobody_waits_and_past_a_cap_writes_are_pushed_back(web: Web) -> None:
    client = web.client(await web.key())
    async with web.state.pool.acquire() as connection:
        await ensure_cursors(connection, "statements", 1, web.state.log.log_id, web.state.log.partitions)
    await web.state.pool.execute("update projection_cursor set halted = 'damaged' where name = 'statements'")
    await web.state.visibility.fresh()
    web.state.visibility.backlog = Backlog(max_records=3)
    async with asyncio.timeout(10):
        answers = [await client.post(STATEMENTS, json=statement()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]  # the genesis record is not folded either
    check_owed_headers(answers[-1], "rejected")
    assert answers[-1].headers["Retry-After"] == "1"


async def _append_unseen(web: Web, *sent: dict[str, Any]) -> None:
    """Append statements as another process would, before anybody has looked."""
    statements = [(UUID(one["id"]), fingerprint(one).hex(), orjson.dumps(one)) for one in sent]
    value = encode_statements(batch=uuid4(), tenant="default", authority={"mbox": "mailto:x@example.org"}, credential="other", scopes=["all"],
                              received=rfc3339(0), xapi="2.0.0", statements=statements)
    await web.state.log.append([NewRecord(0, b"key", value, count=len(statements))])


async def test_whoever_loses_a_race_for_an_id_is_told_what_of_his_request_stands(web: Web) -> None:
    client, contested, mine = web.client(await web.key()), statement(), statement()
    await _append_unseen(web, {**contested, "verb": {"id": "urn:x-first"}})
    before = await records(web)
    posts = [asyncio.create_task(client.post(STATEMENTS, json=body)) for body in ([mine, contested], contested, {**contested, "verb": {"id": "urn:x-first"}})]
    await until(lambda: has_records(web, before + 3))
    async with running_projector(web.state):
        partial, rejected, equal = [await post for post in posts]
    assert [answer.status_code for answer in (partial, rejected, equal)] == [409, 409, 200]
    check_owed_headers(partial, "partial")
    check_owed_headers(rejected, "rejected")
    assert (partial.json()["stands"], partial.json()["conflicts"], partial.json()["pointer"]) == ([mine["id"]], [contested["id"]], "/1/id")
    assert "LRS-Position" in partial.headers
    there = await stored(web, mine["id"], contested["id"])
    assert orjson.loads(there[contested["id"]])["verb"]["id"] == "urn:x-first"
    assert mine["id"] in there


async def test_while_postgres_is_away_a_write_is_refused_or_unknown_and_afterwards_taken(make_postgres: MakePostgres, tmp_path: Path) -> None:
    server = await make_postgres()
    async with web_process(settings_for(tmp_path), server.dsn, visible_s=0.1) as web:
        client, sent = web.client(await web.key()), statement()
        assert (await client.post(STATEMENTS, json=statement())).status_code == 200
        server.kill9()
        async with asyncio.timeout(30):
            away = [await client.post(STATEMENTS, json=body) for body in (sent, {key: value for key, value in sent.items() if key != "id"})]
        for answer in away:
            assert answer.status_code == 503, answer.text
            assert answer.headers["LRS-Outcome"] in {"rejected", "unknown"}
            assert answer.headers["Retry-After"]
        assert away[0].headers["LRS-Outcome"] == "rejected"
        await server.restart()

        async def taken() -> bool:
            return (await client.post(STATEMENTS, json=sent)).status_code == 200

        await until(taken, 20)
