"""One learner who does one thing over and over, a million times, beside ordinary statements: what each further one costs (CPU)."""
import asyncio
import json
import os
import random
import statistics
from datetime import timedelta
from uuid import UUID

import orjson

from services.core.fingerprint import fingerprint
from tests.bench.corpus import BEGIN, corpus
from tests.bench.goals import PAIR
from tests.bench.recipe import Mood, compare, say, soak
from tests.bench.world import BATCH, Cost, World, both, record_of, worlds

STATEMENTS = int(os.environ.get("TESTAMUR_BENCH_STATEMENTS") or (1_000_000 if soak() else 40_000))
ROUNDS = 10
SEED = 11


class OnePair:
    """Statements of one actor about one activity, a second after one another, each tenth up to a minute late."""

    def __init__(self) -> None:
        self._random, self._made = random.Random(SEED), 0
        self._templates = [self._cut(raw) for raw in corpus(500, SEED)]

    @staticmethod
    def _cut(raw: bytes) -> tuple[bytes, bytes, bytes]:
        doc = json.loads(raw)
        doc |= {"id": "<id>", "timestamp": "<time>", "actor": {"account": {"homePage": "https://lms.example.org", "name": "robot"}}}
        doc["object"]["id"] = "https://lms.example.org/course/1/loop"
        before, rest = json.dumps(doc, separators=(",", ":")).encode().split(b"<id>")
        between, after = rest.split(b"<time>")
        return before, between, after

    def next(self) -> tuple[UUID, str, bytes]:
        """Return (id, fingerprint, bytes) of one more."""
        self._made += 1
        id_ = UUID(int=self._random.getrandbits(128), version=4)
        late = self._random.random() * 60 if self._made % 10 == 0 else 0
        before, between, after = self._templates[self._made % len(self._templates)]
        raw = before + str(id_).encode() + between + (BEGIN + timedelta(seconds=self._made - late)).isoformat().encode() + after
        return id_, fingerprint(orjson.loads(raw)).hex(), raw


async def fill_pair(world: World, pair: OnePair, count: int) -> None:
    """Append so many statements of the pair in batches of 50."""
    for begun in range(0, count, 100 * BATCH):
        made = [pair.next() for _ in range(min(100 * BATCH, count - begun))]
        await world.log.append([record_of(made[n:n + BATCH]) for n in range(0, len(made), BATCH)])


async def one_pair() -> None:
    """Fold both kinds in turn, a tenth of all in each round, and compare the last rounds' costs, when the pair is heaviest."""
    each = STATEMENTS // ROUNDS
    ordinary: list[Cost] = []
    heavy: list[Cost] = []
    async with worlds(2) as (plain, looped):
        mood, pair = Mood(plain.server), OnePair()
        for number in range(ROUNDS):
            await plain.fill(each)
            ordinary.append(await plain.fold(each, both()))
            await fill_pair(looped, pair, each)
            heavy.append(await looped.fold(each, both()))
            say(f"  {each * (number + 1):,}: {ordinary[-1].cpu_us:.0f} µs an ordinary statement, {heavy[-1].cpu_us:.0f} µs one of the pair")
        last = ROUNDS // 2
        notes = {"statements of the pair": each * ROUNDS, "µs of its first round": heavy[0].cpu_us,
                 "µs of its last round": heavy[-1].cpu_us, "µs of all its rounds": statistics.mean(c.cpu_us for c in heavy), "seed": SEED}
        compare(PAIR, [c.cpu_us for c in ordinary[last:]], [c.cpu_us for c in heavy[last:]], "µs CPU a statement", mood.end(), notes=notes).save()


def main() -> None:
    """Measure."""
    asyncio.run(one_pair())


if __name__ == "__main__":
    main()
