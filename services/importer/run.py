"""One file into one server: batches, several in flight, never two copies of one id at once, so that the first copy in the file is the first one sent."""
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services.importer.journal import Journal
from services.importer.server import Refusal, Server, refused_here
from services.importer.source import Line, read

BATCH = 100
BATCH_BYTES = 2 << 20
IN_FLIGHT = 4


@dataclass(slots=True)
class Progress:
    """How far it is: bytes of the file read, lines settled, and lines refused; and whether that is all of it."""

    read_bytes: int = 0
    lines: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    finished: bool = False


Report = Callable[[Progress], None]


async def import_file(server: Server, file: Path, data_dir: Path, report: Report, *, destination: str) -> Progress:
    """Send every statement of a file and return what became of them. Raises Refused when the server stays away; run again, it goes on from there."""
    run = _Run(server, Journal(data_dir, file, destination), report)
    try:
        async with asyncio.TaskGroup() as tasks:
            for line in read(file):
                if line.ordinal > run.journal.done:
                    await run.add(line, tasks)
            await run.dispatch(tasks)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # the first request that failed ended the others
    run.journal.forget()
    return run.finished()


class _Run:
    def __init__(self, server: Server, journal: Journal, report: Report) -> None:
        self.journal = journal
        self.progress = Progress(lines=journal.done, refusals=list(journal.refusals.values()))
        self._server, self._report = server, report
        self._batch: list[Line] = []
        self._bytes = self._settled = 0
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._flying: dict[str, asyncio.Event] = {}
        self._unsettled: list[tuple[int, asyncio.Event]] = []

    async def add(self, line: Line, tasks: asyncio.TaskGroup) -> None:
        """Put a line into the batch, which leaves when it is full, or when the line cannot travel with it."""
        if self._batch and (len(self._batch) >= BATCH or self._bytes + len(line.raw) > BATCH_BYTES or not self._may_travel_along(line)):
            await self.dispatch(tasks)
        if line.id is not None and (earlier := self._flying.get(line.id)) is not None:
            await earlier.wait()
        self._batch.append(line)
        self._bytes += len(line.raw)
        if line.id is None:
            await self.dispatch(tasks)

    async def dispatch(self, tasks: asyncio.TaskGroup) -> None:
        """Send the batch, once fewer than the most are in flight."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        await self._slots.acquire()
        landed = asyncio.Event()
        self._flying.update({line.id: landed for line in batch if line.id is not None})
        self._unsettled.append((batch[-1].ordinal, landed))
        tasks.create_task(self._fly(batch, landed))

    def finished(self) -> Progress:
        """Report and return the whole, refused lines in the order of the file."""
        self.progress.refusals = sorted(self.journal.refusals.values(), key=lambda refusal: refusal.ordinal)
        self.progress.finished = True
        self._report(self.progress)
        return self.progress

    def _may_travel_along(self, line: Line) -> bool:
        return line.id is not None and line.version == self._batch[0].version and all(line.id != other.id for other in self._batch)

    async def _fly(self, batch: list[Line], landed: asyncio.Event) -> None:
        try:
            refusals = await self._server.send(batch) if batch[0].fault is None else [refused_here(line) for line in batch]
        finally:
            self._slots.release()
        for line in batch:
            if line.id is not None and self._flying.get(line.id) is landed:
                del self._flying[line.id]
        landed.set()
        while self._unsettled and self._unsettled[0][1].is_set():
            self._settled, _ = self._unsettled.pop(0)
        self.journal.note(self._settled, refusals)
        self.progress.lines += len(batch)
        self.progress.refusals += refusals
        self.progress.read_bytes = max(self.progress.read_bytes, batch[-1].position)
        self._report(self.progress)
