"""What the active store holds for the ids of a request. Everybody's questions of a moment are one query: no linger, the query before is the linger."""
import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.core.errors import Unavailable
from services.runtime.postgres import Statements, transient
from services.runtime.tenant_rows import TenantRows

DEADLINE_S = 2.0
_MAX_IDS = 5000
_sql = Statements(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Standing:
    """The statement that stands for an id: the fingerprint of what it says, and its place."""

    fp: bytes
    seq: int


@dataclass(slots=True)
class _Question:
    tenant_id: int
    ids: Sequence[UUID]
    answer: "asyncio.Future[dict[UUID, Standing]]"


class Lookup:
    """The look-ups of one process."""

    def __init__(self, rows: TenantRows) -> None:
        self._rows = rows
        self._waiting: deque[_Question] = deque()
        self._task: asyncio.Task[None] | None = None

    async def find(self, tenant_id: int, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return what stands for those of `ids` that are there (others may be in the answer too). Raises Unavailable while Postgres is away."""
        if not ids:
            return {}
        question = _Question(tenant_id, ids, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if self._task is None:
            self._task = asyncio.create_task(self._answer_all(), name="lookup")
        return await question.answer

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Question]:
        """Return the questions of the first one's tenant, in order, up to the limit; the rest waits."""
        first = self._waiting.popleft()
        taken, left, size = [first], deque[_Question](), len(first.ids)
        for question in self._waiting:
            if question.tenant_id == first.tenant_id and size + len(question.ids) <= _MAX_IDS:
                taken.append(question)
                size += len(question.ids)
            else:
                left.append(question)
        self._waiting = left
        return taken

    async def _answer(self, questions: list[_Question]) -> None:
        tenant_id, ids = questions[0].tenant_id, [id_ for question in questions for id_ in question.ids]
        try:
            async with asyncio.timeout(DEADLINE_S):
                rows = await self._rows.of(tenant_id).fetch(_sql["statements_by_id"], tenant_id, ids)
        except BaseException as error:
            refusal: BaseException = error
            if isinstance(error, OSError) or transient(error):
                refusal = Unavailable("Statement ids cannot be looked up right now; repeat the request unchanged a little later.")
                refusal.__cause__ = error
            for question in questions:
                if not question.answer.done():
                    question.answer.set_exception(refusal)
            if not isinstance(error, Exception):
                raise
            return
        found = {row["id"]: Standing(row["fp"], row["seq"]) for row in rows}
        for question in questions:
            if not question.answer.done():
                question.answer.set_result(found)
