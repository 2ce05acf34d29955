"""Racing POSTs of one id: the log decides, and whoever is told 2xx sent what stands, everywhere and for ever."""
import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.servers.in_process import Web, running_projector, settings_for, statement, web_process

ROUNDS = int(os.environ.get("TESTAMUR_TEST_RACES", "60"))
CLIENTS = 8
SEED = int(os.environ.get("TESTAMUR_TEST_SEED", "1"))


@dataclass
class _Sent:
    """What a client sent and what it was told."""

    batch: list[dict[str, Any]]
    answer: httpx.Response


@pytest_asyncio.fixture(params=[1, 3])
async def processes(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> AsyncIterator[list[Web]]:
    """Two web processes' worth of state on one log of one or three partitions, and a projector."""
    settings = settings_for(tmp_path, partitions=request.param)
    async with AsyncExitStack() as stack:
        webs = [await stack.enter_async_context(web_process(settings, database, visible_s=30.0)) for _ in range(2)]
        await stack.enter_async_context(running_projector(webs[0].state))
        yield webs


def _batch(rng: random.Random, contested: str) -> list[dict[str, Any]]:
    """Return a request with one of three contents for the contested id, by one of three actors, alone or among others."""
    content = rng.randrange(3)
    one = statement(id=contested, verb={"id": f"urn:x-content-{content}"}, actor={"mbox": f"mailto:actor{content}@example.org"})
    others = [statement(actor={"mbox": f"mailto:actor{rng.randrange(9)}@example.org"}) for _ in range(rng.choice([0, 0, 1, 3]))]
    batch = [one, *others]
    rng.shuffle(batch)
    return batch


async def _race(clients: list[httpx.AsyncClient], rng: random.Random, contested: str) -> list[_Sent]:
    batches = [_batch(rng, contested) for _ in clients]
    answers = await asyncio.gather(*(client.post("/xapi/statements", json=batch) for client, batch in zip(clients, batches, strict=True)))
    return [_Sent(batch, answer) for batch, answer in zip(batches, answers, strict=True)]


async def _standing(web: Web, ids: list[str]) -> dict[str, dict[str, Any]]:
    rows = await web.state.pool.fetch("select id, raw from statement where id = any($1::uuid[]) and raw is not null", [UUID(id_) for id_ in ids])
    return {str(row["id"]): orjson.loads(row["raw"]) for row in rows}


def _check(sent: list[_Sent], contested: str, standing: dict[str, dict[str, Any]]) -> None:
    """One content stands; 2xx to exactly those who sent it; of a loser's other statements all stand if he was told so, else none."""
    stands = standing[contested]["verb"]["id"]
    told = {one.answer.status_code for one in sent}
    assert told <= {200, 409}
    assert 200 in told
    for one in sent:
        mine = next(each for each in one.batch if each["id"] == contested)["verb"]["id"]
        others = [each["id"] for each in one.batch if each["id"] != contested]
        outcome = one.answer.headers["LRS-Outcome"]
        assert (one.answer.status_code == 200) == (mine == stands), one.answer.text
        if one.answer.status_code == 200:
            assert outcome == "stored"
            assert all(id_ in standing for id_ in others)
        elif outcome == "partial":
            assert set(one.answer.json()["stands"]) == set(others)
            assert one.answer.json()["conflicts"] == [contested]
            assert all(id_ in standing for id_ in others)
        else:
            assert outcome == "rejected"
            assert not any(id_ in standing for id_ in others)


@pytest.mark.timeout(600)
async def test_of_racing_statements_with_one_id_one_content_stands_and_only_its_senders_are_told_so(processes: list[Web]) -> None:
    rng = random.Random(SEED)
    auth = await processes[0].key()
    clients = [processes[number % len(processes)].client(auth) for number in range(CLIENTS)]
    history: dict[str, Any] = {}
    seen: set[str] = set()
    for _ in range(ROUNDS):
        contested = str(uuid4())
        sent = await _race(clients, rng, contested)
        standing = await _standing(processes[0], [each["id"] for one in sent for each in one.batch])
        _check(sent, contested, standing)
        seen |= {one.answer.headers["LRS-Outcome"] for one in sent}
        history[contested] = standing[contested]
    assert await _standing(processes[1], list(history)) == history
    assert seen == {"stored", "rejected", "partial"}, "the races never met: the test proves nothing"


async def test_after_a_race_every_repeat_is_answered_by_what_stands(processes: list[Web]) -> None:
    rng = random.Random(SEED + 1)
    auth = await processes[0].key()
    clients = [processes[number % len(processes)].client(auth) for number in range(CLIENTS)]
    contested = str(uuid4())
    first = await _race(clients, rng, contested)
    for one in first:
        again = await clients[0].post("/xapi/statements", json=one.batch)
        assert again.status_code == one.answer.status_code
        assert again.headers["LRS-Outcome"] == ("stored" if again.status_code == 200 else "rejected")
