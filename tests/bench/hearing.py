"""Hearing decisions as an outside service does: one long poll of /v1/events after the other, each event timed as it is read."""
import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from tests.servers.http_client import Connection

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST_S = 30.0


class Moment(NamedTuple):
    """When something happened here: by the clock of this process, and in seconds since 2020."""

    clock: float
    since_2020: float

    @classmethod
    def now(cls) -> "Moment":
        """Return this moment."""
        return cls(time.perf_counter(), (datetime.now(UTC) - _EPOCH).total_seconds())


class Delay(NamedTuple):
    """How many seconds after its statement was sent a decision was taken by the log, and was read."""

    decided: float
    heard: float


class Hearing:
    """All events of one type from now on, with the moment each was read."""

    def __init__(self, connection: Connection, kind: str) -> None:
        """`connection` is used by nobody else and has more time than a long poll takes."""
        self._connection, self._kind = connection, kind
        self._heard: list[tuple[float, dict[str, Any]]] = []
        self._came = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin at the head of the feed."""
        head = (await self._ask("limit=1"))["head"]
        self._task = asyncio.create_task(self._listen(head))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._connection.close()

    @property
    def last_at(self) -> float:
        """When the last event was read."""
        return self._heard[-1][0]

    async def delays(self, sent: Mapping[str, Moment]) -> list[Delay]:
        """Return the delays of the decisions that these statements caused; all of them must be heard."""
        found: dict[str, Delay] = {}
        async with asyncio.timeout(_LATEST_S), self._came:
            while len(found) < len(sent):
                found = {cause: Delay(decided_s(event) - sent[cause].since_2020, at - sent[cause].clock)
                         for at, event in self._heard for cause in event["data"]["caused_by"] if cause in sent}
                if len(found) < len(sent):
                    await self._came.wait()
        return list(found.values())

    @property
    def count(self) -> int:
        """How many were heard."""
        return len(self._heard)

    async def until(self, count: int, seconds: float) -> list[dict[str, Any]]:
        """Return so many events, once they were heard."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: len(self._heard) >= count)
        return [event for _, event in self._heard]

    async def _listen(self, after: str) -> None:
        while True:
            page = await self._ask(f"after={after}&wait=20")
            after = page["next"] or after
            async with self._came:
                self._heard += [(time.perf_counter(), event) for event in page["events"]]
                self._came.notify_all()

    async def _ask(self, query: str) -> dict[str, Any]:
        path = f"/v1/events?{query}&type={self._kind}"
        while (answer := await self._connection.request("GET", path)).status == 503:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(1)  # noqa: TID251 - what a client that is told to come again does
        assert answer.status == 200, answer.body[:500]
        page: dict[str, Any] = json.loads(answer.body)
        return page


def decided_s(event: dict[str, Any]) -> float:
    """Return when the log took a decision, in seconds since 2020: its position says so."""
    return (int(event["sequence"]) >> 8) / 1e6


def due_s(event: dict[str, Any]) -> float:
    """Return the end of the award that an event is about, in seconds since 2020."""
    return (datetime.fromisoformat(event["data"]["valid_until"]) - _EPOCH).total_seconds()
