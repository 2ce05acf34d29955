"""Statements that are not valid, set aside for keys that ask for it, so that they cost the others of their request nothing.

They are rows of Postgres, durable before the others are appended; the same bytes sent again by the same key are the same row, so a repeated request doubles
nothing, and a crash in between leaves what the repetition finds.
"""
import hashlib
from pathlib import Path

import orjson

from services.core.errors import Unavailable
from services.ingest.statements import AsideId, Batch
from services.runtime import telemetry
from services.runtime.callers.auth import Caller
from services.runtime.failpoint import hit
from services.runtime.forwarded import public_path
from services.runtime.http import RawHeaders
from services.runtime.paths import QUARANTINE
from services.runtime.postgres import Statements, or_unavailable
from services.runtime.state import State

MAX_BYTES = 256 << 20
"""How much of a tenant's may wait."""
DEADLINE_S = 5.0
_sql = Statements(Path(__file__).with_suffix(".sql"))


class QuarantineFull(Unavailable):
    """So many invalid statements wait in quarantine that no more are set aside; correct or delete some, then repeat the request unchanged."""

    type = "quarantine-full"
    retry_after_s = 60


class Quarantine:
    """Sets aside what the requests of one process hold of invalid statements."""

    def __init__(self, state: State) -> None:
        """`state` gives the pool, the clock and the limit."""
        self._state = state

    async def keep(self, caller: Caller, version: str, batch: Batch) -> int:
        """Keep what a batch sets aside, durably, or nothing of it. Return how many of them wait now: those that were sent on since do not.

        Raises Unavailable or QuarantineFull.
        """
        if not batch.aside:
            return 0
        hashes, state = self._state.hashes, self._state
        ids = [hashes.id("quarantine", caller.tenant, caller.key, version, str(one.id), digest(one.raw)) for one in batch.aside]
        async with or_unavailable("Invalid statements of this request cannot be set aside right now; repeat it unchanged a little later.", DEADLINE_S):
            row = await state.rows.of(caller.tenant_id).fetchrow(
                _sql["keep"], caller.tenant_id, ids, [one.id for one in batch.aside], [one.raw for one in batch.aside],
                [",".join(one.sent) for one in batch.aside], [orjson.dumps(one.faults).decode() for one in batch.aside], caller.key,
                orjson.dumps(caller.authority).decode(), sorted(caller.scopes), version, state.now(), state.settings.max_quarantined, MAX_BYTES)
        assert row is not None
        if not row["enough"]:
            raise QuarantineFull
        hit("ingest.after_quarantine")
        waiting = sum(id_ not in row["sent_on"] for id_ in ids)
        telemetry.INGEST_STATEMENTS.add(waiting, "quarantined")
        telemetry.INGEST_STATEMENTS.add(len(ids) - waiting, "duplicate")
        return waiting


def names(state: State, caller: Caller, version: str) -> AsideId:
    """Return what gives invalid statements of a request their ids."""
    return lambda raw: state.hashes.id("unnamed", caller.tenant, caller.key, version, digest(raw))


def told(number: int) -> RawHeaders:
    """Return the headers that say that statements of a request were set aside, and where they are listed; none for none."""
    if not number:
        return []
    return [(b"lrs-quarantined", b"%d" % number), (b"link", f'<{public_path(QUARANTINE)}>; rel="related"'.encode())]


def digest(raw: bytes) -> str:
    """Return what tells the bytes of one statement from all others."""
    return hashlib.sha256(raw).hexdigest()
