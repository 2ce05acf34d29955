"""A server that statements are sent to: a push-back or a lost connection is waited out, and what is refused is narrowed down to its lines.

Repeating a request is safe: each statement carries its id.
"""
import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from services.data_dir import Refused
from services.importer.source import Line

PATIENCE_S = 300.0
"""How long a server may be away before we give up."""
_PASSING = frozenset({429, 502, 503, 504})
_REFUSING = frozenset({400, 409, 413})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line the server does not take, and why; `pointer` is a JSON pointer into the statement. The `status` is 0 where nothing could be sent."""

    ordinal: int
    number: int
    status: int
    reason: str
    pointer: str | None

    def __str__(self) -> str:
        """Return it as a person reads it, without the file's name."""
        return f"{self.number}: " + (f"{self.status} " if self.status else "") + self.reason + (f" ({self.pointer})" if self.pointer else "")


class Answered(Exception):
    """A server answered otherwise than asked."""

    def __init__(self, answer: httpx.Response) -> None:
        """`answer` is read to its end."""
        self.answer = answer
        super().__init__(f"{answer.status_code}")


class Server:
    """One server and the key to it."""

    def __init__(self, address: str, key: str, secret: str, *, connections: int = 4) -> None:
        """At most `connections` requests are in flight."""
        self.address = address
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.AsyncClient(base_url=address, auth=(key, secret), timeout=httpx.Timeout(60, connect=5), limits=limits, trust_env=False)

    async def __aenter__(self) -> Self:
        """Open it."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def request(self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """Return the answer, whatever push-back it took. Raises Refused when the server stays away or does not know the key."""
        loop = asyncio.get_running_loop()
        deadline, backoff_s, last = loop.time() + PATIENCE_S, 0.1, ""
        while loop.time() < deadline:
            try:
                answer = await self._client.request(method, path, content=content, headers={"Content-Type": "application/json", **(headers or {})})
            except httpx.TransportError as error:
                last = f"{type(error).__name__} {error}".strip()
            else:
                if answer.status_code in {401, 403}:
                    raise Refused(f"{self.address} refused the key: {problem_of(answer).get('detail', answer.status_code)}")
                if answer.status_code not in _PASSING:
                    return answer
                last = str(problem_of(answer).get("detail", answer.status_code))
                backoff_s = max(backoff_s, _retry_after_s(answer))
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, 5)
        raise Refused(f"{self.address} did not answer for {PATIENCE_S:.0f} s ({last}). Run the same command again to go on from here.")

    async def stream(self, method: str, path: str, *, content: bytes, headers: dict[str, str]) -> AsyncIterator[bytes]:
        """Give the lines of an answer as they come. Raises Answered for one that is no success, Refused when the server is away or breaks off."""
        rest = b""
        try:
            async with self._client.stream(method, path, content=content, headers=headers) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise Answered(answer)
                async for chunk in answer.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
        except httpx.TransportError as error:
            raise Refused(f"{self.address} did not answer to the end: {type(error).__name__} {error}".strip()) from error
        if rest:
            yield rest

    async def send(self, lines: Sequence[Line]) -> list[Refusal]:
        """Store lines of one xAPI version; return those that were refused, all others are stored. Raises Refused."""
        left = list(lines)
        refusals: list[Refusal] = []
        while left:
            headers = {"X-Experience-API-Version": left[0].version, "Prefer": "handling=strict"}  # what is invalid is listed here, with its line
            answer = await self.request("POST", "/xapi/statements", content=_body(left), headers=headers)
            if answer.is_success:
                break
            if answer.status_code not in _REFUSING:
                raise Refused(f"{self.address} answered {answer.status_code} to line {left[0].number}: {answer.text[:500]}")
            problem = problem_of(answer)
            culprits = _culprits(problem, left)
            if not culprits:
                middle = len(left) // 2
                return refusals + await self.send(left[:middle]) + await self.send(left[middle:])
            refusals += [_refusal(left[at], answer.status_code, problem) for at in culprits]
            left = [line for at, line in enumerate(left) if at not in culprits]
        return refusals


def refused_here(line: Line) -> Refusal:
    """Return the refusal of a line of which there is nothing to send."""
    return Refusal(line.ordinal, line.number, 0, line.fault or "", None)


def _body(lines: Sequence[Line]) -> bytes:
    if len(lines) == 1:
        return lines[0].raw
    return b"[" + b",".join(line.raw for line in lines) + b"]"


def _culprits(problem: dict[str, Any], lines: Sequence[Line]) -> set[int]:
    """Return which lines a refusal is about; none when it does not say."""
    if len(lines) == 1:
        return {0}
    conflicts = {str(id_).lower() for id_ in problem.get("conflicts", [])}
    index = str(problem.get("pointer") or "").removeprefix("/").partition("/")[0]
    named = {at for at, line in enumerate(lines) if line.id in conflicts}
    return named or ({int(index)} if index.isdecimal() and int(index) < len(lines) else set())


def _refusal(line: Line, status: int, problem: dict[str, Any]) -> Refusal:
    pointer = problem.get("pointer")
    steps = str(pointer).split("/") if pointer else []
    reason = str(problem.get("detail") or problem.get("title") or "refused")
    if len(steps) > 1 and steps[1].isdecimal():
        reason = _within(reason, f"/{steps[1]}")
        steps = ["", *steps[2:]]
    return Refusal(line.ordinal, line.number, status, reason, "/".join(steps) or None)


def _within(reason: str, statement: str) -> str:
    """Return a sentence that begins with a place in the request so that it begins with the place in the line, which knows no other statements."""
    if reason.startswith(f"{statement}/"):
        return reason.removeprefix(statement)
    return "The statement" + reason.removeprefix(statement) if reason.startswith((f"{statement} ", f"{statement}:")) else reason


def refusal_of(answer: httpx.Response) -> str:
    """Return what an answer refuses as a person reads it: the status, the sentence, and where."""
    problem = problem_of(answer)
    where = f" ({problem['pointer']})" if problem.get("pointer") else ""
    return f"{answer.status_code} {problem.get('detail') or problem.get('title') or 'refused'}{where}"


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem that an answer is, as far as it is one."""
    try:
        problem = answer.json()
    except ValueError:
        return {"detail": answer.text[:500]}
    return problem if isinstance(problem, dict) else {}


def _retry_after_s(answer: httpx.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    return min(30.0, float(given)) if given.isdecimal() else 0.0
