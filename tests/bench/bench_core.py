"""G1 and G13: what checking a statement and assembling a page cost, beside the least that any Python could do."""
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import orjson

from services.core.check import check
from services.core.json_slices import split
from services.core.splice import flags_of, page, splice
from tests.bench.corpus import corpus
from tests.bench.goals import G1, G13
from tests.bench.recipe import Mood, compare, interleaved

ROUNDS = 9


def timed(work: Callable[[], None], per: int) -> Callable[[], Awaitable[float]]:
    """Return a round: CPU microseconds per statement of this work."""
    async def once() -> float:
        begun = time.process_time()
        work()
        return (time.process_time() - begun) * 1e6 / per
    return once


async def parse_and_check() -> None:
    """G1, and beside it what the other ways to write the same JSON cost: blanks after commas and colons, slashes escaped."""
    compact = corpus(2000)
    spaced = [json.dumps(json.loads(raw)).encode() for raw in compact]
    mood = Mood()
    floors, systems = await _parsed_and_checked(compact)
    notes = {}
    for name, statements in (("spaced", spaced), ("slashes escaped", [raw.replace(b"/", rb"\/") for raw in compact])):
        notes[f"ratio when {name}"] = statistics.median(system / floor for floor, system in zip(*await _parsed_and_checked(statements), strict=True))
    compare(G1, floors, systems, "µs a statement", mood.end(), notes=notes).save()


async def _parsed_and_checked(statements: list[bytes]) -> list[list[float]]:
    """Return the rounds of both sides: batches of 50, cut, parsed and checked one by one, as ingest does; the floor parses the same slices."""
    bodies = [b"[" + b",".join(statements[n:n + 50]) + b"]" for n in range(0, len(statements), 50)]

    def floor() -> None:
        for raw in statements:
            orjson.loads(raw)

    def system() -> None:
        for body in bodies:
            for raw in split(body)[0]:
                check(raw, "1.0.3")

    return await interleaved(ROUNDS, timed(floor, len(statements)), timed(system, len(statements)))


async def assemble_a_page() -> None:
    """G13: pages of 100 statements from stored bytes; the floor joins the same bytes."""
    statements = corpus(100)
    rows = [(raw, flags_of(orjson.loads(raw)), UUID(orjson.loads(raw)["id"])) for raw in statements]
    authority = b'{"account":{"homePage":"http://127.0.0.1:8080","name":"demo"},"objectType":"Agent"}'

    def floor() -> None:
        for _ in range(200):
            orjson.dumps({"statements": [orjson.Fragment(raw) for raw in statements], "more": ""})

    def system() -> None:
        for _ in range(200):
            page([splice(raw, flags, id=id_, stored=200_000_000_000_000 + n, authority_json=authority, version="1.0.0")
                  for n, (raw, flags, id_) in enumerate(rows)], "")

    mood = Mood()
    floors, systems = await interleaved(ROUNDS, timed(floor, 200), timed(system, 200))
    compare(G13, floors, systems, "µs a page", mood.end()).save()


def main() -> None:
    """Run both and save the results."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    asyncio.run(parse_and_check())
    asyncio.run(assemble_a_page())
    gc.unfreeze()


if __name__ == "__main__":
    main()
