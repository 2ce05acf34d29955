"""A machine outgrown: a world copied from the Postgres log to real Kafka answers every question as before, byte for byte."""
import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from itertools import islice
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.servers.http_client import Connection
from tests.servers.kafka import Kafka
from tests.servers.reading import until_everything_is_folded
from tests.servers.system import System
from tests.worlds import World, world

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
SIZE = 100_000 if SOAK else 2_000
BATCH = 50
LATER = "2100-01-01T00:00:00Z"
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
SETTINGS = {"TESTAMUR_SECRET": "the same on all nodes", "TESTAMUR_PUBLIC_URL": "https://lrs.example.org", "TESTAMUR_KAFKA_REPLICATION": "1"}
NOBODY = {"objectType": "Group", "member": [{"mbox": "mailto:later@example.org"}]}
NOBODY_S = {"actor": NOBODY, "verb": {"id": "https://example.org/verbs/met"}, "object": {"id": "https://example.org/later"}}
"""A statement that is no learner's."""
_NEXT = re.compile(rb'"(?:more|next)":"([^"]*)"')
Answers = dict[str, list[bytes]]
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(3600 if SOAK else 300)]


async def pages(connection: Connection, path: str) -> AsyncIterator[bytes]:
    """Give every page of a list, without the addresses of the next ones: they carry moments of their process."""
    while path:
        answer = await connection.request("GET", path)
        assert answer.status == 200, (path, answer.body)
        yield _NEXT.sub(b"", answer.body)
        found = json.loads(answer.body)
        path = found.get("more") or found.get("next") or ""


async def load(connection: Connection, made: World) -> list[str]:
    """Post a world with its courses and links, take some statements of it back, and return their ids."""
    async def send(method: str, path: str, body: object) -> None:
        answer = await connection.request(method, path, json.dumps(body).encode())
        assert answer.status in {200, 201, 204}, answer.body

    await send("PUT", "/v1/courses", {"courses": made.courses})
    rest = iter(made.accepted)
    while batch := list(islice(rest, BATCH)):
        await send("POST", "/xapi/statements", batch)
    for link in made.links:
        await send("POST", "/v1/identity/links", {"agents": [link["a"], link["b"]], "reason": link["by"]})
    taken_back = [one["id"] for one in made.accepted[:400:20] if one["verb"]["id"] != VOIDED]
    for id_ in taken_back:
        void = {"actor": {"mbox": "mailto:registrar@example.org"}, "verb": {"id": VOIDED}, "object": {"objectType": "StatementRef", "id": id_}}
        await send("POST", "/xapi/statements", void)
    await until_everything_is_folded(connection)
    return taken_back


async def every_answer(connection: Connection, made: World, voided: list[str], until: str) -> Answers:
    """Return what the system answers to every kind of read, up to a moment."""
    some = made.accepted[len(made.accepted) // 2]
    agent, activity, verb = (quote(text, safe="") for text in (json.dumps(some["actor"]), some["object"].get("id", "https://example.org/"), some["verb"]["id"]))
    lists = [f"/xapi/statements?limit=500&until={quote(until)}{more}" for more in (
        "", "&ascending=true", f"&verb={verb}", f"&agent={agent}&related_agents=true", f"&activity={activity}&related_activities=true", "&format=ids")]
    answers = {path: [page async for page in pages(connection, path)] for path in lists}
    for id_ in voided:
        answers[id_] = [(await connection.request("GET", f"/xapi/statements?{name}={id_}")).body for name in ("statementId", "voidedStatementId")]
    answers["learners"] = [page async for page in pages(connection, "/v1/learners?limit=500")]
    moments = f"as_of={quote(LATER)}&known_at={quote(until)}"
    for learner in [learner["id"] for page in answers["learners"] for learner in json.loads(_whole(page))["learners"]]:
        answers[learner] = [(await connection.request("GET", f"/v1/learners/{learner}")).body]
        for kind in ("transcript", "evidence"):
            answers[f"{kind} {learner}"] = [page async for page in pages(connection, f"/v1/learners/{learner}/{kind}?{moments}")]
    return answers


def _whole(page: bytes) -> bytes:
    return page.replace(b",}", b"}").replace(b"{,", b"{").replace(b",,", b",")


async def marked(connection: Connection) -> str:
    """Return Consistent-Through."""
    through: str = (await connection.request("GET", "/xapi/statements?limit=1")).headers["x-experience-api-consistent-through"]
    return through


async def test_a_world_copied_to_kafka_answers_as_before_with_its_database_and_with_an_empty_one(
    make_system: Callable[..., System], kafka: Kafka,
) -> None:
    made, topic = world(11, SIZE), f"testamur.copied.{uuid4()}"
    one_machine = make_system("postgres", settings=SETTINGS, arguments=("--workers", "1"))
    await asyncio.to_thread(one_machine.start)
    async with one_machine.connection(timeout_s=60) as connection:
        voided = await load(connection, made)
        until = await marked(connection)
        before = await every_answer(connection, made, voided, until)
    to = ("log", "copy", "--to", f"kafka:{kafka.bootstrap}/{topic}", "--partitions", "3")

    while_it_runs = await asyncio.to_thread(one_machine.command, *to)
    assert await asyncio.to_thread(one_machine.stop) == 0
    when_it_is_stopped = await asyncio.to_thread(one_machine.command, *to, timeout_s=1800)

    assert (while_it_runs.returncode, when_it_is_stopped.returncode) == (1, 0), while_it_runs.stderr + when_it_is_stopped.stderr
    assert "Stop it" in while_it_runs.stderr
    assert f"{len(made.accepted) + len(voided) + 1:,} statements" in when_it_is_stopped.stdout
    on_kafka = {**SETTINGS, "TESTAMUR_KAFKA": kafka.bootstrap, "TESTAMUR_KAFKA_TOPIC": topic}
    anew = make_system("postgres", settings=on_kafka, arguments=("--workers", "1"))
    for system in (one_machine, anew):
        system.environment.update(on_kafka)
        await asyncio.to_thread(system.start, 600 if SOAK else 60)
        async with system.connection(timeout_s=60) as connection:
            assert await marked(connection) >= until
            after = await every_answer(connection, made, voided, until)
            assert after.keys() == before.keys()
            assert [path for path in before if after[path] != before[path]] == []
            answer = await connection.request("POST", "/xapi/statements", json.dumps(NOBODY_S).encode())
            first = json.loads((await connection.request("GET", "/xapi/statements?limit=1")).body)["statements"][0]
            assert (answer.status, first["id"]) == (200, json.loads(answer.body)[0])
            assert first["stored"] > until
        doctor = await asyncio.to_thread(system.command, "doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert await asyncio.to_thread(system.stop) == 0
    refused = await asyncio.to_thread(one_machine.command, *to)
    assert (refused.returncode, refused.stderr) == (1, "testamur: The log of this installation is in Kafka already.\n")
