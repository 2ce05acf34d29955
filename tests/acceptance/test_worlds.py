"""Whole sample worlds, all their troubles included, come out as their truth says: on both logs, in any order of arrival, each in its own tenant."""
import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.servers.http_client import Connection
from tests.servers.system import System

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))
SIZE, IMPORT_S = (40_000, 3000) if SOAK else (2_500, 300)
WORLDS: dict[str, tuple[str, ...]] = {
    "edx": ("--seed", "1", "--modules", "BBB,FFF"),
    "moodle": ("--seed", "2", "--modules", "AAA,DDD"),
    "coursera": ("--seed", "3", "--modules", "EEE"),
    "cmi5": ("--seed", "4", "--modules", "CCC,GGG"),
    "everywhere": ("--seed", "5", "--multi", ".9"),
}
if SOAK:
    WORLDS["whole"] = ("--statements", "100000000")  # everybody: a million statements of 18,000 people
RESULTS = {"passed": ("passed",), "failed": ("failed",), "withdrawn": ("withdrawn",), "revoked": ("completed", "attempted", "registered")}


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the objects of an NDJSON file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def world_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what generates each world when it is asked for the first time."""

    @cache
    def made(name: str) -> Path:
        world = tmp_path_factory.mktemp("worlds") / name
        arguments = ["--out", str(world), "--statements", str(SIZE), *WORLDS[name]]
        subprocess.run([sys.executable, "-m", "services.demo.mooc_world", *arguments], check=True, capture_output=True)
        return world

    return made


def shuffled(world: Path, seed: int) -> Path:
    """Write the statements in random order, but for the first line of each id, which stays before its others."""
    lines = (world / "statements.ndjson").read_bytes().splitlines(keepends=True)
    order = list(range(len(lines)))
    random.Random(seed).shuffle(order)
    places: dict[str, list[int]] = {}
    for place, number in enumerate(order):
        places.setdefault(json.loads(lines[number])["id"], []).append(place)
    for several in places.values():
        for place, number in zip(several, sorted(order[place] for place in several), strict=True):
            order[place] = number
    path = world / f"shuffled{seed}.ndjson"
    path.write_bytes(b"".join(lines[number] for number in order))
    return path


async def load(system: System, tenant: str, world: Path, statements: Path) -> Connection:
    """Import a world into a tenant of its own: statements by the command, courses and links by HTTP."""
    key, secret = await asyncio.to_thread(system.create_key, tenant)
    argv = ("import", str(statements), "--to", system.url, "--key", key, "--secret", secret)
    imported = await asyncio.to_thread(system.command, *argv, timeout_s=IMPORT_S)
    assert imported.returncode == 1, "a world has lines to refuse: " + imported.stdout[-2000:] + imported.stderr[-2000:]
    connection = system.connection(key=key, secret=secret)
    answer = await connection.request("PUT", "/v1/courses", (world / "courses.json").read_bytes())
    assert answer.status == 204, answer.body
    for link in rows(world / "links.ndjson"):
        answer = await connection.request("POST", "/v1/identity/links", json.dumps({"agents": [link["a"], link["b"]], "reason": link["by"]}).encode())
        assert answer.status == 201, answer.body
    return connection


async def learner_id(connection: Connection, agent: dict[str, Any]) -> str:
    """Return the learner that an agent is."""
    answer = await connection.request("GET", f"/v1/learners?agent={quote(json.dumps(agent))}")
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)["learners"]
    assert len(found) == 1, (agent, found)
    return str(found[0]["id"])


async def differences(connection: Connection, world: Path) -> list[str]:
    """Return what a system says otherwise than the truth of a world, in sentences."""
    wrong, learners = [], {}
    for person in rows(world / "truth" / "persons.ndjson"):
        ids = {platform: await learner_id(connection, agent) for platform, agent in person["identifiers"].items()}
        learners[person["person"]] = ids
        clusters = {frozenset(p for p in ids if ids[p] == learner) for learner in ids.values()}
        if clusters != {frozenset(cluster) for cluster in person["clusters_if_hashed"]}:
            wrong.append(f"{person['name']} is {clusters} but should be {person['clusters_if_hashed']}")
    results = rows(world / "truth" / "results.ndjson")
    for result in results:
        learner = learners[result["person"]][result["platform"]]
        answer = await connection.request("GET", f"/v1/learners/{learner}/transcript?activity={quote(result['course'], safe='')}")
        assert answer.status == 200, answer.body
        wrong += compare(result, json.loads(answer.body)["entries"])
    assert len(results) > 20
    return wrong


def compare(result: dict[str, Any], entries: list[dict[str, Any]]) -> Iterable[str]:
    """Yield how a transcript's entry for one course differs from the truth of it."""
    if len(entries) != 1:
        yield f"{len(entries)} entries for {result}"
        return
    entry = entries[0]
    said = {"grade": entry["grade"], "score": entry["score"]["best"], "credits": entry["credits"]}
    if entry["status"] not in RESULTS[result["result"]] or said != {name: result[name] for name in said}:
        yield f"{entry} for {result}"
    if not entry["statements"] or entry["evidence"] < len(entry["statements"]):
        yield f"no statements behind {entry}"


@pytest.mark.timeout(3600 if SOAK else 300)
@pytest.mark.parametrize("order", ["arrival", "shuffled"])
@pytest.mark.parametrize("name", WORLDS)
async def test_transcripts_say_what_the_world_s_truth_says(system: System, world_of: Callable[[str], Path], name: str, order: str) -> None:
    world = world_of(name)
    statements = world / "statements.ndjson" if order == "arrival" else shuffled(world, seed=7)

    connection = await load(system, f"{name}-{order}", world, statements)

    assert await differences(connection, world) == []
