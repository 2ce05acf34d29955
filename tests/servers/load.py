"""Writers that remember what they were told: the history that the checkers of the promises read.

Every statement goes out with an id, a timestamp and its batch in `context.registration`; what came back decides whether it must be there (acked), must
not be there (refused), or may be (unknown).
"""
import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.servers.http_client import Connection

VERBS = ("registered", "attempted", "initialized", "completed", "passed", "failed", "experienced", "answered")
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class History:
    """Bytes of statements by id, sorted by what the server said of them, and the longest time an answer took."""

    acked: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, bytes] = field(default_factory=dict)
    unknown: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    voids: dict[str, str] = field(default_factory=dict)
    """Voiding id to target, of every void sent."""
    longest_s: float = 0.0

    def count(self, answer: str) -> None:
        """Remember one answer by its kind."""
        self.answers[answer] = self.answers.get(answer, 0) + 1


class Writer:
    """One client: posts batches of random statements until told to stop."""

    def __init__(self, connection: Connection, history: History, *, seed: int, batch: int = 10, void_share: float = 0.03) -> None:
        """200 actors over 12 activities; `void_share` of the statements void one that was acknowledged before."""
        self.connection, self.history, self.random = connection, history, random.Random(seed)
        self.batch, self.void_share = batch, void_share
        self.own: list[str] = []

    def uuid(self) -> str:
        """Return a random UUIDv4 of this writer's seed."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def statement(self, registration: str) -> dict[str, Any]:
        """Return a random statement, or now and then a void of one sent before."""
        r = self.random
        timestamp = (START + timedelta(seconds=r.randrange(20_000_000))).isoformat()
        base: dict[str, Any] = {"id": self.uuid(), "timestamp": timestamp, "context": {"registration": registration}}
        if self.own and r.random() < self.void_share:
            target = r.choice(self.own)
            self.history.voids[base["id"]] = target
            return {**base, "actor": {"mbox": "mailto:registrar@example.org"}, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
                    "object": {"objectType": "StatementRef", "id": target}}
        verb = r.choice(VERBS)
        statement = {**base, "actor": {"mbox": f"mailto:person{r.randrange(200)}@example.org"}, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
                     "object": {"id": f"https://example.org/course/{r.randrange(12)}", "definition": {"type": "http://adlnet.gov/expapi/activities/course"}}}
        if verb in ("passed", "failed", "completed"):
            statement["result"] = {"score": {"scaled": round(r.random(), 3)}, "duration": f"PT{r.randrange(1, 4000)}S"}
        return statement

    async def post(self) -> None:
        """Post one batch and file it under what the server said."""
        registration = self.uuid()
        sent = {s["id"]: json.dumps(s, separators=(",", ":")).encode() for s in (self.statement(registration) for _ in range(self.batch))}
        begun = asyncio.get_running_loop().time()
        try:
            answer = await self.connection.request("POST", "/xapi/statements", b"[" + b",".join(sent.values()) + b"]")
        except (OSError, TimeoutError):
            self.history.unknown.update(sent)
            self.history.count("no answer")
            await asyncio.sleep(0.05)  # noqa: TID251 - a client's back-off, not a wait for a result
            return
        self.history.longest_s = max(self.history.longest_s, asyncio.get_running_loop().time() - begun)
        outcome = answer.headers.get("lrs-outcome", "none")
        self.history.count(f"{answer.status} {outcome}")
        if answer.status == 200:
            self.history.acked.update(sent)
            self.own += sent
        elif outcome == "rejected":
            self.history.refused.update(sent)
            await asyncio.sleep(0.05)  # noqa: TID251 - a client's back-off
        else:
            self.history.unknown.update(sent)

    async def run(self, going_on: Callable[[], bool]) -> None:
        """Post until told to stop."""
        while going_on():
            await self.post()
