"""The whole product as a user runs it: `testamur up` in processes of its own, on a data directory, with ways to hurt it."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.servers.http_client import Connection

Role = Literal["web", "projector", "postgres", "supervisor"]
KEY, SECRET = "test-admin", "test-admin-secret"


def free_port() -> int:
    """Return a TCP port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class System:
    """`testamur up` on one data directory: started, hurt, stopped and started again."""

    def __init__(
        self, data_dir: Path, *, kafka: str | None = None, settings: Mapping[str, str] | None = None, arguments: tuple[str, ...] = ("--workers", "2"),
    ) -> None:
        """`kafka` names brokers; `settings` are further environment variables."""
        self.data_dir, self.port, self._arguments = data_dir, free_port(), arguments
        self.environment = {**os.environ, "TESTAMUR_BOOTSTRAP_KEY": KEY, "TESTAMUR_BOOTSTRAP_SECRET": SECRET, **(settings or {})}
        self.environment.pop("TESTAMUR_KAFKA", None)
        if kafka:
            self.environment["TESTAMUR_KAFKA"] = kafka
        self._process: subprocess.Popen[bytes] | None = None
        self.output = data_dir.with_suffix(".output")

    def start(self, timeout_s: float = 60) -> None:
        """Start it and wait until it is ready."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.argv("up", "--port", str(self.port), *self._arguments),
                env=self.environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Wait until every partition is owned and folded to the end seen at the start."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"`testamur up` ended with {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready within {timeout_s} s:\n{self.tail()}")
            time.sleep(0.05)  # noqa: TID251 - a poll with a deadline

    def is_ready(self) -> bool:
        """Return what /healthz/ready says now."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def url(self) -> str:
        """The address of everything."""
        return f"http://127.0.0.1:{self.port}"

    def connection(self, *, key: str = KEY, secret: str = SECRET, timeout_s: float = 15) -> Connection:
        """Return a connection for load; the administrator's unless another key is given."""
        return Connection("127.0.0.1", self.port, key=key, secret=secret, timeout_s=timeout_s)

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of a `testamur` command on the same data directory."""
        return [sys.executable, "-m", "services.cli", *arguments, "--data-dir", str(self.data_dir)]

    def command(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a `testamur` command on the same data directory and return how it ended."""
        return subprocess.run(self.argv(*arguments), env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False)

    def create_key(self, tenant: str, *scopes: str) -> tuple[str, str]:
        """Make an API key of a tenant and return (key, secret)."""
        wanted = [part for scope in scopes or ("lrs:admin",) for part in ("--scope", scope)]
        ended = self.command("key", "create", "--name", tenant, "--tenant", tenant, *wanted, "--json")
        assert ended.returncode == 0, ended.stderr
        made: dict[str, Any] = json.loads(ended.stdout)
        return made["key"], made["secret"]

    def pids(self, role: Role) -> list[int]:
        """Return the processes that play a role now."""
        assert self._process is not None
        if role == "supervisor":
            return [self._process.pid]
        if role == "postgres":
            return [int(path.read_text().split()[0]) for path in self.data_dir.rglob("postmaster.pid")]
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [child.pid for child in children if child.is_running() and _plays(child, role)]

    def signal(self, role: Role, number: signal.Signals) -> list[int]:
        """Send a signal to everything that plays a role; return the pids."""
        pids = self.pids(role)
        if role == "postgres" and number == signal.SIGKILL:
            pids += [child.pid for pid in list(pids) for child in psutil.Process(pid).children(recursive=True)]
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        return pids

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM it, and return its exit code; it must end within the time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def destroy(self) -> None:
        """Kill whatever is left of it, Postgres too."""
        pids = self.pids("postgres") if self._process else []
        if self._process is not None:
            family = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
            for process in [*family, *([psutil.Process(self._process.pid)] if self._process.poll() is None else [])]:
                _kill(process.pid)
            self._process.wait(10)
            self._process = None
        for pid in pids or [int(path.read_text().split()[0]) for path in self.data_dir.rglob("postmaster.pid")]:
            _kill(pid, signal.SIGQUIT)

    def tail(self, characters: int = 4000) -> str:
        """Return the end of what it printed."""
        return self.output.read_text(errors="replace")[-characters:] if self.output.exists() else ""


def _plays(process: psutil.Process, role: str) -> bool:
    try:
        return role in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
