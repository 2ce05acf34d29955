"""A poller in a process of its own that catches X-Experience-API-Consistent-Through in a lie.

It polls `since` the last header, with an overlap, to the end of each list, and says: what appeared at or before a header already given, which batches it
saw in part, when the header went back. With `--header now` it believes its own clock instead: the checker must then find lies, or it is blind.
"""
import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec

from tests.servers.http_client import Answer, Connection

HEADER = "x-experience-api-consistent-through"
OVERLAP = timedelta(seconds=1)


class Seen(msgspec.Struct, frozen=True):
    """What the checker reads of a statement: writers put the batch into `context.registration`."""

    id: str
    stored: datetime
    context: dict[str, object]


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    statements: list[Seen]
    more: str = ""


_page = msgspec.json.Decoder(Page)


class Poller:
    """Reads lists over several connections, so that it meets every worker."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.connections = [Connection("127.0.0.1", arguments.port, key=arguments.key, secret=arguments.secret) for _ in range(6)]
        self.turn = 0
        self.union: dict[str, datetime] = {}
        self.highest = datetime.min.replace(tzinfo=UTC)
        self.lies: list[str] = []
        self.reads = 0

    async def get(self, path: str) -> tuple[Answer, datetime]:
        """Fetch a page; its header must not be below any given before the request began, unless it is a later page of a chain."""
        self.turn += 1
        before = self.highest
        answer = await self.connections[self.turn % len(self.connections)].request("GET", path)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer.status} {answer.body[:300]!r}")
        header = datetime.now(UTC) if self.arguments.header == "now" else datetime.fromisoformat(answer.headers[HEADER])
        if "more=" not in path and header < before:
            self.lies.append(f"the header went back from {before} to {header}")
        self.highest = max(self.highest, header)
        return answer, header

    async def chain(self, since: datetime) -> tuple[list[Seen], datetime]:
        """Read a list to its end; return its statements and the header of its first page."""
        query = f"/xapi/statements?limit=333&since={quote(since.isoformat())}" + ("&ascending=true" if self.arguments.order == "ascending" else "")
        answer, through = await self.get(query)
        page = _page.decode(answer.body)
        statements = list(page.statements)
        while page.more:
            answer = await self.connections[self.turn % len(self.connections)].request("GET", page.more)
            page = _page.decode(answer.body)
            statements += page.statements
        return statements, through

    async def poll(self, last: datetime) -> datetime:
        """One round from the header of the round before; return the new one."""
        statements, through = await self.chain(last - OVERLAP)
        self.reads += 1
        batches = Counter(str(statement.context["registration"]) for statement in statements if statement.stored > last)
        self.lies += [f"batch {batch} seen in part: {count}" for batch, count in batches.items() if count != self.arguments.batch]
        for statement in statements:
            if statement.id not in self.union and statement.stored <= last:
                self.lies.append(f"{statement.id} stored {statement.stored} appeared after the header {last} was given")
            if statement.stored > through:
                self.lies.append(f"{statement.id} stored {statement.stored} is beyond the header {through}")
            self.union[statement.id] = statement.stored
        return through


async def run(arguments: argparse.Namespace) -> dict[str, object]:
    """Poll for the time given, then once more; return what was seen."""
    poller = Poller(arguments)
    last, end = datetime(2020, 1, 2, tzinfo=UTC), time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        last = await poller.poll(last)
    return {"reads": poller.reads, "seen": sorted(poller.union), "lies": poller.lies[:50], "lie_count": len(poller.lies), "last": last.isoformat()}


def main() -> None:
    """Print the verdict as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--order", choices=("ascending", "descending"), required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--header", choices=("given", "now"), default="given")
    json.dump(asyncio.run(run(parser.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()
