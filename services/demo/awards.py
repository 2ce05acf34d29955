"""What the sample world awards: its issuers and programmes, published over HTTP, and the statements of those around it, each sender with a key of its own."""
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from services.core.rules.cmi5_file import course_of
from services.data_dir import Refused
from services.demo import town
from services.demo.people import Agent
from services.importer.server import Server
from services.importer.source import Line

DATA = Path(__file__).parent / "data"
LATER = DATA / "programmes" / "later"
"""Versions that are published once the world is loaded, so that there is something to judge again."""
SenderOf = Callable[[str, Agent], Awaitable[tuple[str, str]]]
"""Gives the key, and its secret, of a sender by name and authority."""


async def publish(server: Server, folder: Path = DATA / "programmes") -> int:
    """Publish the programmes of a folder; one that is there already stays. Return how many there are. Raises Refused."""
    files = sorted(folder.glob("*.yaml"))
    for file in files:
        answer = await server.request("POST", "/v1/programmes", content=file.read_bytes(), headers={"Content-Type": "application/yaml"})
        if not answer.is_success and answer.status_code != 409:
            raise Refused(f"The programme {file.name} of the sample world was refused: {answer.text}")
    return len(files)


async def describe(server: Server) -> None:
    """Put the issuers there, and the cmi5 course. Raises Refused."""
    for slug, issuer in json.loads((DATA / "issuers.json").read_text(encoding="utf-8")).items():
        await _put(server, f"/v1/issuers/{slug}", issuer)
    await _put(server, "/v1/courses", {"courses": [course_of((DATA / "cmi5.xml").read_bytes())]})


async def let_the_town_speak(server: Server, sender_of: SenderOf, world: Path) -> int:
    """Send what goes on around a world, whose folder this is; return how many statements that is. Raises Refused."""
    count = 0
    for sender, statements in town.statements(world).items():
        count += len(statements)
        if sender not in town.SENDERS:
            await _send(server, statements)
            continue
        key, secret = await sender_of(sender, town.SENDERS[sender])
        async with Server(server.address, key, secret, connections=1) as own:
            await _send(own, statements)
    return count


async def _send(server: Server, statements: list[dict[str, Any]]) -> None:
    lines = [Line(number, number, json.dumps(each).encode(), 0, each["id"], "1.0.3") for number, each in enumerate(statements, 1)]
    refusals = await server.send(lines) if lines else []
    if refusals:
        raise Refused(f"A statement of the sample world was refused: {refusals[0]}")


async def _put(server: Server, path: str, body: dict[str, Any]) -> None:
    answer = await server.request("PUT", path, content=json.dumps(body).encode())
    if not answer.is_success:
        raise Refused(f"{path} of the sample world was refused: {answer.text}")
