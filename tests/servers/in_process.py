"""A web process and a projector inside the test's own event loop, on a real database, for tests that look at single answers."""
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.ingest.app import create_ingest
from services.projector.main import run_projector
from services.runtime.callers.api_keys import create_key
from services.runtime.settings import Settings
from services.runtime.state import State, open_state

READY_S = 20.0


def settings_for(tmp_path: Path, **changes: Any) -> Settings:
    """Return settings that read nothing of this machine but what is named."""
    return Settings(data_dir=tmp_path, secret="a secret for tests", public_url="https://lrs.example.org", **changes)





async def until(met: Callable[[], Awaitable[bool]], deadline_s: float = 10.0) -> None:
    """Return once `met` says so, asking every 10 ms; raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not await met():  # noqa: ASYNC110 - the state of a server has no event to wait for
            await asyncio.sleep(0.01)  # noqa: TID251 - this is the poll with a deadline


@asynccontextmanager
async def running_projector(state: State) -> AsyncIterator[None]:
    """Fold the log of `state` while the body runs; begins when everything there is folded."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_projector(state.settings, state.dsn, state.log, uuid4(), stop, ready.set))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, task}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), task.exception() if task.done() else "the projector was not ready in time"
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, READY_S)


@dataclass
class Web:
    """An open state, its ingest application, and HTTP clients that call it without a socket."""

    state: State
    app: Any
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, auth: tuple[str, str] | None, *, version: str | None = "2.0.0") -> httpx.AsyncClient:
        """Return a client with a credential and a version header."""
        headers = {} if version is None else {"X-Experience-API-Version": version}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://lrs.example.org", headers=headers, auth=auth, timeout=30)
        self.clients.append(client)
        return client

    async def key(self, *scopes: str, tenant: str = "default", name: str = "test", authority: dict[str, Any] | None = None) -> tuple[str, str]:
        """Return key and secret of a new credential, an administrator's by default."""
        made = await create_key(self.state.pool, self.state.secret, name=name, tenant=tenant, scopes=scopes or ("lrs:admin",), authority=authority,
                                public_url=self.state.public_url)
        return made["key"], made["secret"]


@asynccontextmanager
async def web_process(settings: Settings, dsn: str, **ingest: Any) -> AsyncIterator[Web]:
    """Open a web process; `ingest` are arguments of create_ingest."""
    async with open_state(settings, dsn) as state:
        web = Web(state, create_ingest(state, **ingest))
        try:
            yield web
        finally:
            for client in web.clients:
                await client.aclose()


def statement(**changes: Any) -> dict[str, Any]:
    """Return a small valid statement with a random id."""
    return {
        "id": str(uuid4()), "actor": {"mbox": "mailto:ada@example.org"}, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "https://courses.example.org/algebra"}, **changes,
    }
