"""The sample world into a running system, once: programmes, courses, links and statements, over HTTP like anybody's; what is half done is gone on with."""
import asyncio
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from services import data_dir as data_directory
from services.data_dir import Refused
from services.demo import awards, town
from services.demo.awards import SenderOf
from services.importer.display import shown
from services.importer.run import import_file
from services.importer.server import Server

IN_FLIGHT = 4
LINKS_AT_ONCE = 200
LOOK = (
    ("Maya Okafor", "summer-2013", "whom a city awards for badges of three organisations"),
    ("Ivan Ström", "welding-mastery", "who lacks an assessor, and is told so (in a browser `explain` is a page)"),
    ("Tom Hämäläinen", "continuing-education", "whose hours lapsed: add ?as_of=2019-01-01T00:00:00Z to see them count"),
)
"""Whom to look at, for which programme, and why."""


async def load_demo(address: str, key: str, secret: str, data_dir: Path, sender_of: SenderOf) -> None:
    """Load the world unless that was done, and say what to look at. `sender_of` makes keys for those whose word counts for itself. Raises Refused."""
    folder = data_dir / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    async with Server(address, key, secret, connections=IN_FLIGHT) as server:
        if not (folder / "loaded").exists():
            world = await _made_world(folder)
            await _load(server, world, data_dir, sender_of)
            data_directory.write_whole(folder / "loaded", "The sample world is loaded; remove the data directory to begin afresh.\n")
        typer.echo(await _what_to_look_at(server, folder / "world", f"{key}:{secret}"))


async def _made_world(folder: Path) -> Path:
    """Return the folder of the world, made in a process of its own on the first time."""
    world, part = folder / "world", folder / f"world.{os.getpid()}.part"
    if world.exists():
        return world
    for old in folder.glob("world.*.part"):
        shutil.rmtree(old)
    typer.echo("Making a sample world: real, anonymous results of the Open University, with people and platforms made up …")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.demo.mooc_world", "--out", str(part), stdout=asyncio.subprocess.DEVNULL)
    try:
        if await process.wait() != 0:
            raise Refused("The sample world could not be made.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    part.rename(world)
    return world


async def _load(server: Server, world: Path, data_dir: Path, sender_of: SenderOf) -> None:
    await awards.describe(server)
    typer.echo(f"Programmes published: {await awards.publish(server)}; what they decide follows the statements.")
    answer = await server.request("PUT", "/v1/courses", content=(world / "courses.json").read_bytes())
    if not answer.is_success:
        raise Refused(f"The courses of the sample world were refused: {answer.text}")
    await _load_links(server, world)
    statements = world / "statements.ndjson"
    with shown("Loading the sample world", statements.stat().st_size) as report:
        done = await import_file(server, statements, data_dir, report, destination="demo")
    troubles = ", ".join(f"{n} with {status}" for status, n in sorted(Counter(refusal.status for refusal in done.refusals).items()))
    around = await awards.let_the_town_speak(server, sender_of, world)
    await awards.publish(server, awards.LATER)
    typer.echo(f"The sample world is loaded: {done.lines - len(done.refusals):,} lines, and {around} of the town around it.")
    typer.echo(f"Some of it is faulty on purpose: refused were {troubles or 'none'}.")


async def _load_links(server: Server, world: Path) -> None:
    """Post each link; the Idempotency-Key makes one posted again after a crash the same link."""
    links = [json.loads(line) for line in (world / "links.ndjson").read_text(encoding="utf-8").splitlines()]

    async def post(number: int, link: dict[str, object]) -> None:
        body = json.dumps({"agents": [link["a"], link["b"]], "reason": link["by"]}).encode()
        answer = await server.request("POST", "/v1/identity/links", content=body, headers={"Idempotency-Key": f"demo-link-{number}", "Prefer": "respond-async"})
        if not answer.is_success:
            raise Refused(f"A link of the sample world was refused: {answer.text}")

    for start in range(0, len(links), LINKS_AT_ONCE):
        await asyncio.gather(*(post(number, link) for number, link in enumerate(links[start:start + LINKS_AT_ONCE], start)))
    typer.echo(f"Identities linked: {len(links):,} links between the accounts of one person.")


async def _what_to_look_at(server: Server, world: Path, credentials: str) -> str:
    person, curl = _showcase(world), f"  curl -u {credentials} "
    lines = ["Have a look, for instance at one learner who studied on several platforms:", f"{curl}'{server.address}/v1/learners?q={quote(person['name'])}'"]
    for learner in await _learners(server, next(iter(person["identifiers"].values()))):
        lines += [f"{curl}'{server.address}/v1/learners/{learner}/{what}'" for what in ("transcript?type=course", "programmes")]
    for name, slug, why in LOOK:
        lines.append(f"{name}, {why}:")
        for learner in await _learners(server, town.agent_of(name)):
            lines.append(f"{curl}'{server.address}/v1/learners/{learner}/programmes/{slug}/explain'")
            lines.append(f"{curl}'{server.address}/v1/learners/{learner}/credentials'")
    lines += ["What was decided, one event after the other, and what came in:", f"{curl}'{server.address}/v1/events?limit=5'",
              f"{curl}-H 'X-Experience-API-Version: 1.0.3' '{server.address}/xapi/statements?limit=3'"]
    return "\n".join(lines)


async def _learners(server: Server, agent: dict[str, Any]) -> list[str]:
    found = (await server.request("GET", f"/v1/learners?agent={quote(json.dumps(agent, separators=(',', ':')))}")).json()["learners"]
    return [learner["id"] for learner in found]


def _showcase(world: Path) -> dict[str, Any]:
    """Return the person who passed most courses among those whose accounts are all linked."""
    results = [json.loads(line) for line in (world / "truth" / "results.ndjson").read_text(encoding="utf-8").splitlines()]
    persons = [json.loads(line) for line in (world / "truth" / "persons.ndjson").read_text(encoding="utf-8").splitlines()]
    passed = Counter(result["person"] for result in results if result["result"] == "passed")
    linked = [person for person in persons if len(person["clusters"]) == 1 and len(person["clusters"][0]) > 1 and person["name"].isascii()]
    chosen: dict[str, Any] = max(linked, key=lambda person: (passed[person["person"]], len(person["identifiers"]), person["name"]))
    return chosen
