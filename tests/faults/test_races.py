"""Races between processes and partitions, through HTTP: what the log decided is what everybody is told."""
import asyncio
import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.servers.http_client import Connection
from tests.servers.reading import every_statement, until_everything_is_folded
from tests.servers.system import System

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
RACES = 400 if SOAK else 60
VOIDS = 2000 if SOAK else 300
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}


@pytest.fixture(params=["postgres", "kafka"])
def partitioned(request: pytest.FixtureRequest, make_system: Callable[..., System]) -> Iterator[System]:
    """Two workers on a log of four partitions."""
    system = make_system(request.param, settings={"TESTAMUR_PARTITIONS": "4"})
    system.start()
    yield system
    assert system.stop() == 0, system.tail()


def statement(person: object, verb: str = "passed", **more: Any) -> dict[str, Any]:
    """Return a statement of a person about one course; the person decides the partition."""
    return {"id": str(uuid4()), "actor": {"mbox": f"mailto:{person}@example.org"}, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
            "object": {"id": "https://example.org/course/1"}, **more}


async def post(connection: Connection, *statements: dict[str, Any]) -> int:
    """Post statements and return the status."""
    return (await connection.request("POST", "/xapi/statements", json.dumps(statements).encode())).status


async def transcript(connection: Connection, person: object) -> list[dict[str, Any]]:
    """Return the entries of a person's transcript as it is."""
    agent = quote(json.dumps({"mbox": f"mailto:{person}@example.org"}))
    learner = json.loads((await connection.request("GET", f"/v1/learners?agent={agent}")).body)["learners"][0]["id"]
    entries: list[dict[str, Any]] = json.loads((await connection.request("GET", f"/v1/learners/{learner}/transcript")).body)["entries"]
    return entries


@pytest.mark.timeout(600 if SOAK else 120)
async def test_of_eight_contents_racing_for_one_id_one_is_told_2xx_and_stands(partitioned: System) -> None:
    connections = [partitioned.connection() for _ in range(8)]
    for _ in range(RACES):
        id_ = str(uuid4())
        contents = [{**statement(f"racer{n}", "attempted"), "id": id_} for n in range(8)]

        told = await asyncio.gather(*(post(c, content) for c, content in zip(connections, contents, strict=True)))

        assert sorted(told) == [200] + [409] * 7, told
        stands = json.loads((await connections[0].request("GET", f"/xapi/statements?statementId={id_}")).body)
        assert stands["actor"] == contents[told.index(200)]["actor"]
    assert len(await every_statement(connections[0])) == RACES


@pytest.mark.timeout(600 if SOAK else 120)
async def test_no_void_is_lost_when_it_races_its_target_on_another_partition(partitioned: System) -> None:
    async def race(connection: Connection, number: int) -> None:
        target = statement(f"person{number}")
        void = {**statement(f"voider{number}"), "verb": VOIDED, "object": {"objectType": "StatementRef", "id": target["id"]}}
        other = partitioned.connection()
        assert tuple(await asyncio.gather(post(connection, target), post(other, void))) == (200, 200)
        other.close()
        gone = await connection.request("GET", f"/xapi/statements?statementId={target['id']}")
        assert gone.status == 404, target["id"]

    connections = [partitioned.connection() for _ in range(8)]
    for start in range(0, VOIDS, 8):
        await asyncio.gather(*(race(c, start + n) for n, c in enumerate(connections)))

    listed = await every_statement(connections[0])
    assert len(listed) == VOIDS // 8 * 8 + (8 if VOIDS % 8 else 0)
    await until_everything_is_folded(connections[0])
    for number in range(0, VOIDS, 50):
        assert await transcript(connections[0], f"person{number}") == []


@pytest.mark.timeout(120)
async def test_first_statements_of_one_learner_racing_on_two_partitions_are_all_folded(partitioned: System) -> None:
    connections = [partitioned.connection() for _ in range(4)]
    for person in range(30):
        others = [f"other{person}-{n}" for n in range(4)]
        batches = [(statement(other, "experienced"), statement(f"learner{person}", "attempted")) for other in others]

        assert await asyncio.gather(*(post(c, *batch) for c, batch in zip(connections, batches, strict=True))) == [200] * 4

        await until_everything_is_folded(connections[0])
        [entry] = await transcript(connections[0], f"learner{person}")
        assert entry["evidence"] == 4


@pytest.mark.timeout(120)
async def test_links_racing_folds_leave_one_learner_with_everything(partitioned: System) -> None:
    connections = [partitioned.connection() for _ in range(3)]
    for person in range(20):
        a, b = f"a{person}", f"b{person}"
        link = {"agents": [{"mbox": f"mailto:{a}@example.org"}, {"mbox": f"mailto:{b}@example.org"}], "reason": "test"}

        first, second, linked = await asyncio.gather(
            post(connections[0], statement(a), statement(a)), post(connections[1], statement(b)),
            connections[2].request("POST", "/v1/identity/links", json.dumps(link).encode()))

        assert (first, second, linked.status) == (200, 200, 201)
        await until_everything_is_folded(connections[0])
        assert [entry["evidence"] for entry in await transcript(connections[0], a)] == [3]
        assert await transcript(connections[0], a) == await transcript(connections[0], b)


@pytest.mark.timeout(120)
async def test_writes_go_on_through_the_cut_over_of_a_replay(partitioned: System) -> None:
    connection, going, acked = partitioned.connection(), True, 0

    async def write() -> None:
        nonlocal acked
        own = partitioned.connection()
        while going:
            assert await post(own, *(statement(f"writer{(acked + n) % 50}", "experienced") for n in range(10))) == 200
            acked += 10

    writers = [asyncio.create_task(write()) for _ in range(3)]
    for name in ("statements", "learners", "statements"):
        replayed = await asyncio.to_thread(partitioned.command, "replay", name)
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    going = False
    await asyncio.gather(*writers)

    await until_everything_is_folded(connection)
    assert len(await every_statement(connection)) == acked + 1
    assert sum([entry["evidence"] for n in range(50) for entry in await transcript(connection, f"writer{n}")]) == acked
