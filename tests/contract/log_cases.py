"""What the contract suite of the log works with: a log of each kind, records to append, a reader that checks, and writers in other processes.

Run as a module it is such a writer: it opens the log that its argument (JSON) names, appends, and prints what was acknowledged.
"""
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson

from services.core import envelope
from services.core.keys import partition_of
from services.core.sequence import Placed, Sequence
from services.runtime.log import Log, LogRecord, NewRecord
from services.runtime.log.memory_log import MemoryLog
from services.runtime.log.open_log import open_log
from services.runtime.settings import Settings

PARTITIONS = 2
MAX_BYTES = 1 << 20


@dataclass
class LogKind:
    """One log, of which handles can be opened here and, but for the one in memory, in other processes."""

    name: str
    dsn: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    memory: MemoryLog | None = None
    opened: list[Log] = field(default_factory=list)

    async def open(self) -> Log:
        """Return a handle on it; a further one each time, but for the log in memory."""
        log = self.memory or await open_log(Settings(**self.settings), self.dsn)
        self.opened.append(log)
        return log

    async def close(self) -> None:
        """Close all handles."""
        for log in self.opened:
            await log.close()

    async def in_other_processes(self, n: int, *, appends: int) -> list["Report"]:
        """Open it in `n` other processes at once, each with eight tasks that append, and return what they report."""
        processes = [await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.log_cases",
            json.dumps({"dsn": self.dsn, "settings": self.settings, "writer": writer, "appends": appends}), stdout=asyncio.subprocess.PIPE,
        ) for writer in range(n)]
        outputs = await asyncio.gather(*(process.communicate() for process in processes))
        assert [process.returncode for process in processes] == [0] * n
        return [Report(UUID(report["log"]), [(partition, offset, name) for partition, offset, name in report["acked"]])
                for report in (json.loads(output) for output, _ in outputs)]


@dataclass(frozen=True)
class Report:
    """What another process did: which log it opened, and where (partition, offset) which statement (its actor's name) was acknowledged."""

    log_id: UUID
    acked: list[tuple[int, int, str]]


def record(partition: int = 0, *names: str, carried: int | None = None) -> NewRecord:
    """Return a record of one statement for each name."""
    statements = [{"id": str(uuid4()), "fp": "00" * 16, "raw": {"actor": {"name": name}}} for name in names or ("someone",)]
    body: dict[str, Any] = {"v": 1, "kind": "statements", "batch": str(uuid4()), "tenant": "t", "statements": statements}
    if carried is not None:
        body["stored"] = carried
    return NewRecord(partition, uuid4().bytes, json.dumps(body, separators=(",", ":")).encode(), len(statements), carried)


def other(kind: str, body: dict[str, Any] | None = None, **fields: Any) -> NewRecord:
    """Return a record of another kind for partition 0."""
    return NewRecord(0, b"other", envelope.encode(kind, body=body, **fields))  # type: ignore[arg-type]


def names(placed: Placed) -> list[str]:
    """Return the names of the actors of a record's statements."""
    return [orjson.loads(bytes(statement.raw))["actor"]["name"] for statement in placed.envelope.statements]


async def read_to(log: Log, partition: int, end: int, offset: int = 0) -> list[LogRecord]:
    """Read a partition from `offset` to `end`, waiting for what is not there yet."""
    records: list[LogRecord] = []
    async with asyncio.timeout(60):
        while offset + len(records) < end:
            records += await log.read(partition, offset + len(records), max_records=100, max_bytes=MAX_BYTES, wait_s=1)
    return records


async def place_all(log: Log, partition: int = 0) -> list[Placed]:
    """Read all of a partition and give it its instants. Raises Halted."""
    sequence = Sequence(partition, log.log_id, 0, 0)
    end = (await log.end(partition)).next_offset
    return [sequence.place(each.offset, each.timestamp, each.value) for each in await read_to(log, partition, end)]


@asynccontextmanager
async def reading_along(log: Log, partition: int) -> AsyncIterator[list[LogRecord]]:
    """Read a partition while others write; the records appear in the list as they are read."""
    seen: list[LogRecord] = []

    async def read() -> None:
        while True:
            seen.extend(await log.read(partition, len(seen), max_records=50, max_bytes=MAX_BYTES, wait_s=0.2))

    task = asyncio.create_task(read())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _append(log: Log, task: str, appends: int, acked: list[tuple[int, int, str]]) -> None:
    for i in range(appends):
        name = f"{task}-{i}"
        (position,) = await log.append([record(partition_of(task.encode().ljust(8), log.partitions), name)])
        acked.append((position.partition, position.offset, name))


async def _main(job: dict[str, Any]) -> None:
    log = await open_log(Settings(**job["settings"]), job["dsn"])
    acked: list[tuple[int, int, str]] = []
    await asyncio.gather(*(_append(log, f"{job['writer']}.{task}", job["appends"], acked) for task in range(8)))
    await log.close()
    sys.stdout.write(json.dumps({"log": str(log.log_id), "acked": acked}))


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
