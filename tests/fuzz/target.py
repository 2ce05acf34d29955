"""A running server to be hurt: raw requests on one connection, what each cost its web process, and what no answer may ever be."""
import base64
import gc
import json
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from tests.servers.system import KEY, SECRET, System

MOST_CPU_S = 0.25
MOST_YARDS = 12
_YARDSTICK = json.dumps([{"id": place, "name": "a learner of ours", "members": [1, 2, 3]} for place in range(40_000)])
_ANSWER_S = 20
_TOKEN = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
COMMON = {"Host": "lrs.example.org", "Authorization": f"Basic {_TOKEN}", "X-Experience-API-Version": "2.0.0", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem that it is."""
        assert self.headers.get("content-type") == "application/problem+json", self
        told: dict[str, Any] = json.loads(self.body)
        assert told["status"] == self.status
        assert told["detail"].strip()
        return told


class Target:
    """The web process of a system, by its one connection."""

    def __init__(self, system: System) -> None:
        """`system` runs one web process."""
        self.url, self._port = system.url, system.port
        [pid] = system.pids("web")
        self._web = psutil.Process(pid)
        self._socket: socket.socket | None = None

    def memory(self) -> int:
        """Return the bytes that the web process has in memory."""
        return int(self._web.memory_info().rss)

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request as the administrator, and return the answer; no header of the four that are always sent is sent twice."""
        given = {**COMMON, **(headers or {})}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""), head_only=method == "HEAD")

    def raw(self, request: bytes, *, head_only: bool = False) -> Answer:
        """Send bytes, and return what is answered. Fails for a 5xx, for a refusal without a problem, and for too much CPU."""
        with self.frugal(request[:2000]):
            answer = self._exchange(request, head_only=head_only)
        assert answer.status < 500, (answer, request[:2000])
        if answer.status >= 400 and answer.body:
            assert answer.problem
        return answer

    def throw(self, request: bytes) -> None:
        """Send bytes on a connection of their own and then nothing more. Fails if an answer to them is a 5xx, or for too much CPU."""
        with self.frugal(request), socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_S) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                answered = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            except (BrokenPipeError, ConnectionResetError, OSError):
                answered = b""
        assert b"HTTP/1.1 5" not in answered, (answered, request)

    @contextmanager
    def frugal(self, request: object) -> Iterator[None]:
        """Fail if the web process spends too much CPU meanwhile, as this machine runs now; `request` is what is blamed."""
        times = self._web.cpu_times()
        yield
        after = self._web.cpu_times()
        spent = after.user + after.system - times.user - times.system
        assert spent <= MOST_CPU_S or spent <= MOST_YARDS * statistics.median(_yard() for _ in range(3)), (spent, request)

    def close(self) -> None:
        """Forget the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _exchange(self, request: bytes, *, head_only: bool) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_S)
        try:
            try:
                self._socket.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                """It was answered before it was all read: the answer says why."""
            answer = _read(self._socket, head_only=head_only)
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection") == "close":
            self.close()
        return answer


def _yard() -> float:
    """Return the seconds of CPU that reading a document of 2.6 MB takes here: a core that is shared, or slow, takes three times as many as a quiet one."""
    gc.disable()  # what else this process holds is no matter
    try:
        begun = time.thread_time()
        json.loads(_YARDSTICK)
        return time.thread_time() - begun
    finally:
        gc.enable()


def _read(connection: socket.socket, *, head_only: bool) -> Answer:
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ", 2)[1])
    if head_only or status in (204, 304):
        return Answer(status, headers, b"")
    chunked = headers.get("transfer-encoding") == "chunked"
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    return Answer(status, headers, body)


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 20)
    if not piece:
        raise ConnectionResetError("the server closed the connection without an answer")
    return piece
