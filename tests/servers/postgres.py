"""Real Postgres for tests: one server for each session with fresh databases by template, and durable servers of their own for tests of faults.

The server is the embedded one without fsync, or TESTAMUR_TEST_DATABASE_URL (a superuser's), or a container of TESTAMUR_TEST_POSTGRES_IMAGE.
"""
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psutil

from services.runtime.embedded import EmbeddedPostgres
from services.runtime.migrate import migrate
from services.runtime.postgres import connect

T = TypeVar("T")
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on", "shared_buffers": "64MB", "autovacuum": "off"}


def run_now(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end wherever we are called from: a fixture may find a loop running, or none."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


class PostgresServer:
    """A server on which tests get databases of their own."""

    def __init__(self, dsn: str) -> None:
        """`dsn` is any database of it, for a user who may create databases."""
        self._dsn, self._numbers, self._template = dsn, count(), ""

    def create(self, *, migrated: bool) -> str:
        """Return the DSN of a new database, empty or with the schema of Testamur and nothing else."""
        if migrated and not self._template:
            self._template = self._create("")
            run_now(lambda: migrate(self._at(self._template)))
        return self._at(self._create(self._template if migrated else ""))

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever uses it."""
        self._execute(f"drop database if exists {urlsplit(dsn).path[1:]} with (force)")

    def close(self) -> None:
        """Drop the template."""
        if self._template:
            self.drop(self._at(self._template))

    def _create(self, template: str) -> str:
        name = f"testamur_{os.getpid()}_{next(self._numbers)}"
        self._execute(f"create database {name}" + (f" template {template} strategy file_copy" if template else ""))
        return name

    def _at(self, name: str) -> str:
        return urlunsplit(urlsplit(self._dsn)._replace(path=f"/{name}"))

    def _execute(self, sql: str) -> None:
        async def work() -> None:
            connection = await connect(self._dsn, command_timeout_s=60)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()
        run_now(work)


class OwnPostgres:
    """A Postgres of one test, which may be killed, frozen and started again. `dsn` is its (migrated) database."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        """Its cluster is under `folder`."""
        self._folder, self._settings = folder, settings
        self._postgres = EmbeddedPostgres(folder, settings)
        self.dsn = self._postgres.dsn

    async def start(self) -> None:
        """Start it for the first time, and migrate its database."""
        await self._postgres.start()
        await migrate(self.dsn)

    def kill9(self) -> None:
        """Kill all its processes at once, as a power cut does."""
        for process in self.processes():  # its first process first: it would clean up after the others
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def restart(self) -> None:
        """Start it again after `kill9` or `end`, and return when it accepts connections."""
        self._postgres = EmbeddedPostgres(self._folder, self._settings)
        await self._postgres.start()

    def freeze(self) -> None:
        """Stop all its processes where they are; nothing is closed."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        """Return the server's first process and its children."""
        pid = self._postgres.pid
        if pid is None:
            return []
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]

    async def end(self) -> None:
        """Stop it, properly."""
        self.thaw()
        await self._postgres.stop()

    async def stop(self) -> None:
        """Stop it, properly, and remove its files."""
        await self.end()
        shutil.rmtree(self._folder, ignore_errors=True)


MakePostgres = Callable[..., Awaitable[OwnPostgres]]


SMALL = {"shared_buffers": "64MB", "max_connections": "100"}


@contextmanager
def own_template() -> Iterator[Path]:
    """Have a data directory with a migrated database, not running, to copy: copying it is faster than making one."""
    folder = Path(tempfile.mkdtemp(prefix="testamur-template-", dir="/tmp"))

    async def make() -> None:
        server = OwnPostgres(folder, FAST)
        await server.start()
        await server.end()

    run_now(make)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy(template: Path, folder: Path) -> None:
    """Copy a data directory, whose server does not run, into an empty folder; its files keep their owner."""
    subprocess.run(["cp", "-a", str(template / "postgres"), str(folder)], check=True, timeout=60)


async def make_own(template: Path, *, durable: bool = True, **settings: str) -> OwnPostgres:
    """Start a Postgres of one's own, with a migrated database: with fsync on if `durable`."""
    folder = Path(tempfile.mkdtemp(prefix="testamur-own-", dir="/tmp"))
    copy(template, folder)
    server = OwnPostgres(folder, (SMALL if durable else FAST) | settings)
    await server.restart()
    return server


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Have the server of this session."""
    if url := os.environ.get("TESTAMUR_TEST_DATABASE_URL"):
        yield from _closing(PostgresServer(url))
    elif image := os.environ.get("TESTAMUR_TEST_POSTGRES_IMAGE"):
        containers: Any = __import__("testcontainers.postgres", fromlist=["PostgresContainer"])
        with containers.PostgresContainer(image, driver=None) as container:
            yield from _closing(PostgresServer(container.get_connection_url()))
    else:
        folder = Path(tempfile.mkdtemp(prefix="testamur-tests-", dir="/tmp"))
        embedded = EmbeddedPostgres(folder, FAST | {"max_connections": "300"})
        try:
            yield PostgresServer(run_now(embedded.start))
        finally:
            run_now(embedded.stop)
            shutil.rmtree(folder, ignore_errors=True)


def _closing(server: PostgresServer) -> Iterator[PostgresServer]:
    try:
        yield server
    finally:
        server.close()
