"""What real tools have sent: every valid statement is kept with its bytes intact, every invalid one refused with a pointer to the fault."""
import asyncio
import json
import os
from pathlib import Path

import httpx
import pytest

from tests.servers.http_client import Connection
from tests.servers.multipart import MULTIPART, multipart, part, parts_of, sha2
from tests.servers.system import System

SAMPLES = Path(os.environ.get("TESTAMUR_TEST_SAMPLES", Path(__file__).parents[2].parent / "shared" / "samples"))
KNOWN = {sha2(content): content for content in (b"foobar", b"here is a simple attachment")}
"""What attachments of the corpus hold, by digest, as far as that is known: their senders kept the rest."""
pytestmark = [pytest.mark.skipif(not SAMPLES.is_dir(), reason="the corpus of real statements is not beside this repository"), pytest.mark.timeout(300)]


def _needs_multipart(statement: dict[str, object]) -> bool:
    attachments = statement.get("attachments")
    return isinstance(attachments, list) and any("fileUrl" not in attachment for attachment in attachments)


async def _fresh(system: System, tenant: str) -> Connection:
    key, secret = system.create_key(tenant)
    return system.connection(key=key, secret=secret)


async def test_every_valid_statement_is_accepted_and_read_back_with_the_sender_s_bytes(system: System) -> None:
    connection, copies = await _fresh(system, "samples-valid"), dict[str, list[bytes]]()
    refused = 0
    for number, raw in enumerate((SAMPLES / "valid.ndjson").read_bytes().splitlines()):
        statement = json.loads(raw)
        if _needs_multipart(statement):
            assert (await connection.request("POST", "/xapi/statements", raw)).status == 400
            refused += 1
            await _send_with_content(system, connection, raw, statement["attachments"])
        else:
            copies.setdefault(str(statement.get("id", number)).lower(), []).append(raw)
    connections = [connection.another() for _ in range(24)]
    waiting = list(copies.values())
    await asyncio.gather(*(_send_all(each, waiting) for each in connections))
    assert refused == 4
    assert len(copies) > 3000


async def _send_with_content(system: System, connection: Connection, raw: bytes, attachments: list[dict[str, str]]) -> None:
    """Post a statement together with the content of its attachments, where that is known, and read it back."""
    contents = [KNOWN.get(attachment["sha2"]) for attachment in attachments if "fileUrl" not in attachment]
    known = [content for content in contents if content is not None]
    if len(known) < len(contents):
        return
    auth, version = (connection._key, connection._secret), {"X-Experience-API-Version": "1.0.3"}
    async with httpx.AsyncClient(base_url=system.url, auth=auth, headers=version, timeout=30) as client:
        answer = await client.post("/xapi/statements", content=multipart(raw, *(part(content) for content in known)), headers=MULTIPART)
        assert answer.status_code == 200, answer.text
        _, parts = parts_of(await client.get("/xapi/statements", params={"statementId": answer.json()[0], "attachments": "true"}))
    assert [content for _, content in parts] == known


async def _send_all(connection: Connection, waiting: list[list[bytes]]) -> None:
    """Post all copies of one id after the other, and go on with the next id."""
    while waiting:
        first, *others = waiting.pop()
        answer = await connection.request("POST", "/xapi/statements", first)
        assert answer.status == 200, (answer.body, first)
        [given] = json.loads(answer.body)
        await _assert_read_back(connection, given, first, json.loads(first))
        for other in others:
            answer = await connection.request("POST", "/xapi/statements", other)
            assert answer.status == 200 or (answer.status == 409 and json.loads(other) != json.loads(first)), answer.body
    connection.close()


async def _assert_read_back(connection: Connection, id_: str, raw: bytes, statement: dict[str, object]) -> None:
    answer = await connection.request("GET", f"/xapi/statements?statementId={id_}")
    if answer.status == 404:
        answer = await connection.request("GET", f"/xapi/statements?voidedStatementId={id_}")
    assert answer.status == 200, (id_, answer.body)
    returned = json.loads(answer.body)
    ours = {"id", "stored", "authority", "timestamp", "version", "context", "object"}
    assert {name: value for name, value in returned.items() if name not in ours} == {name: value for name, value in statement.items() if name not in ours}
    if not {"stored", "authority"} & statement.keys() and b"contextActivities" not in raw:
        assert answer.body.startswith(raw.rstrip()[:-1].rstrip()), (raw, answer.body)


async def test_every_invalid_statement_is_refused_with_a_pointer(system: System) -> None:
    connection = await _fresh(system, "samples-invalid")
    for line in (SAMPLES / "invalid.ndjson").read_bytes().splitlines():
        sample = json.loads(line)
        answer = await connection.request("POST", "/xapi/statements", json.dumps(sample["statement"]).encode())
        assert answer.status == 400, (sample["why"], answer.body)
        assert "pointer" in json.loads(answer.body), answer.body
