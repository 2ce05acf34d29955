"""What a projection is and what it is given: a run of the log's records, of one partition or several, to fold in one transaction."""
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar, runtime_checkable
from uuid import UUID

import asyncpg

from schemas.envelope import Envelope
from services.core import actor
from services.core.parts import once, parse
from services.core.timeline import stored_of

Connection = asyncpg.Connection
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Authority:
    """Who vouches for the statements of a record, and what its credential may do."""

    agent: dict[str, Any]
    json: bytes
    key: int
    """64-bit hash of the canonical text of the agent (services/core/actor.py: authority_text)."""
    scopes: tuple[str, ...]


class StatementAt:
    """One statement in its place. The same object is given to every projection that folds it here, so it is parsed once where all read it ahead."""

    __slots__ = ("_doc", "_ifi", "_kept", "authority_at", "fp", "id", "idx", "offset", "raw", "seq", "tenant", "tenant_id", "xapi")

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each fact about its place
        self, tenant_id: int, tenant: str, seq: int, id_: UUID, fp: bytes, raw: bytes, authority: Authority, xapi: str, offset: int, idx: int,
    ) -> None:
        """`seq` is its place in the one order of all statements; `offset` and `idx` say where in the log it is."""
        self.tenant_id, self.tenant, self.seq, self.id, self.fp, self.raw = tenant_id, tenant, seq, id_, fp, raw
        self.authority_at, self.xapi, self.offset, self.idx = authority, xapi, offset, idx
        self._doc: dict[str, Any] | None = None
        self._ifi: str | None = ""
        self._kept: dict[Callable[..., Any], Any] = {}

    def once(self, read: "Callable[[StatementAt], T]") -> T:
        """Return what `read` makes of it, kept from the first time that it succeeded."""
        try:
            found: T = self._kept[read]
        except KeyError:
            found = self._kept[read] = read(self)
        return found

    def forget_doc(self) -> None:
        """Keep only what was read of it: a parsed statement is many times its bytes, and a backlog holds thousands."""
        self._doc = None

    @property
    def doc(self) -> dict[str, Any]:
        """The statement, parsed. Nobody may change it."""
        if self._doc is None:
            self._doc = parse(self.raw)
        return self._doc

    @property
    def ifi(self) -> str | None:
        """The canonical IFI of its actor, None for a group without one."""
        if self._ifi == "":
            self._ifi = once(self.doc["actor"], actor.ifi)
        return self._ifi

    @property
    def stored(self) -> int:
        """The instant it was stored."""
        return stored_of(self.seq)

    @property
    def authority(self) -> dict[str, Any]:
        """The agent that vouches for it."""
        return self.authority_at.agent

    @property
    def authority_key(self) -> int:
        """64-bit hash of that agent."""
        return self.authority_at.key

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the credential that sent it may do."""
        return self.authority_at.scopes


@dataclass(frozen=True, slots=True)
class RecordAt:
    """A record of any other kind than `statements`, `tick` and `genesis`, in its place."""

    kind: str
    tenant_id: int
    tenant: str
    seq: int
    envelope: Envelope
    offset: int


@dataclass(slots=True)
class Run:
    """Consecutive records of one partition or of several, those of each in their order: what one transaction folds. Ticks are left out."""

    items: list[StatementAt] = field(default_factory=list)
    others: list[RecordAt] = field(default_factory=list)


class Projection(Protocol):
    """A fold of the log into the tables of one schema. Its rows are determined by the set of records folded, never by their order or their runs."""

    name: str
    code_hash: str
    """Names the code: statements set aside by other code are tried again (`hash_of_code`)."""
    sets_aside: bool
    """Whether a statement that cannot be applied goes to the dead letters; if not, its partition halts."""

    async def prepare(self, conn: Connection) -> None:
        """Make what `apply` needs on a new connection (temporary tables). The search path is the version's schema, then `testamur`."""
        ...

    async def apply(self, conn: Connection, run: Run) -> int:
        """Fold a run inside the transaction of its cursors and return how many losing copies of other content it held.

        Anything raised that `services.runtime.postgres.transient` does not call transient is taken for the fault of what the run holds.
        """
        ...

    def blame(self, item: StatementAt | RecordAt) -> UUID | None:
        """Return the key of the IFI whose answers are incomplete when this is set aside."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A projection that can read a statement (`StatementAt.once`) before its run is folded, while Postgres folds the run before."""

    def read_ahead(self, item: StatementAt) -> None:
        """Read what `apply` will need. What it raises, `apply` will raise again."""
        ...


def hash_of_code(*modules: ModuleType) -> str:
    """Return a name for the code of these modules and of all that lies beside them, SQL too: what one of them does, its neighbours have a part in."""
    digest = hashlib.sha256()
    for folder in sorted({Path(module.__file__).parent for module in modules if module.__file__}):
        for file in sorted([*folder.glob("*.py"), *folder.glob("*.sql")]):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
