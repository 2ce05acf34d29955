"""A real Postgres on this machine, from a wheel: made, started and stopped by the commands that use it, together.

It listens on a socket in its own folder only. Any number of processes may use it at once: the first starts it and the last to stop stops it. It outlives
a kill -9 of its users, and starts again after a kill -9 of itself or of everything.
"""
import asyncio
import fcntl
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from services.runtime.embedded import cluster as clusters
from services.runtime.embedded.cluster import CannotStart
from services.runtime.embedded.os_user import NoUser, OsUser, server_user
from services.runtime.postgres import connect, transient

__all__ = ["CannotStart", "EmbeddedPostgres"]
START_TIMEOUT_S = 55.0
STOP_TIMEOUT_S = 15.0
LOG_LIMIT_BYTES = 16 << 20

SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0700", "port": "5432", "max_connections": "200", "shared_buffers": "256MB",
    "max_wal_size": "1GB", "max_parallel_workers_per_gather": "0", "autovacuum_naptime": "10s", "timezone": "UTC", "log_timezone": "UTC",
}
"""Server settings, given at each start. Durability (fsync, synchronous_commit, full_page_writes) is on, as Postgres has it; the WAL is bounded so that
recovery after a crash takes seconds; and tables that grow from nothing to a million rows in minutes have statistics after seconds."""


class EmbeddedPostgres:
    """One user of the Postgres whose cluster is the folder `postgres` of Testamur's data directory."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        """Nothing happens yet. `settings` go over the server settings if this user is the one that starts it: for tests."""
        self._home = data_dir.expanduser().resolve()
        self._cluster = self._home / "postgres"
        self._settings = SETTINGS | dict(settings or {})
        self._use: int | None = None

    @property
    def is_made(self) -> bool:
        """Whether the cluster is there: else the first start makes it."""
        return self._cluster.exists()

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when there is none."""
        process = clusters.postmaster(self._cluster)
        return process.pid if process else None

    @property
    def dsn(self) -> str:
        """Where the database is, whether or not the server runs."""
        return clusters.dsn(self._cluster, "testamur")

    async def start(self) -> str:
        """Have it running and return its DSN: made if it is not there, joined if it runs. Starting twice is starting once.

        Raises CannotStart when it does not accept connections within 55 seconds or its files are another Postgres version's.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        await asyncio.to_thread(self._ensure_running, deadline)
        while not await self._accepts_connections():
            if time.monotonic() > deadline:
                raise CannotStart(f"The embedded Postgres in {self._cluster} does not accept connections.{clusters.last_words(self._cluster)}")
            await asyncio.sleep(0.05)
            if self.pid is None:  # it was on its way down when we joined
                await asyncio.to_thread(self._ensure_running, deadline)
        return self.dsn

    async def stop(self) -> None:
        """Stop using it, and stop the server if nobody else uses it."""
        await asyncio.to_thread(self._leave)

    async def _accepts_connections(self) -> bool:
        """Connect for real: a pid file or an open socket says little about a server that recovers."""
        try:
            connection = await connect(clusters.dsn(self._cluster, "postgres"), application_name="testamur start")
            try:
                if not await connection.fetchval("select exists (select from pg_database where datname = 'testamur')"):
                    await connection.execute("create database testamur")
            except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):  # another user was faster
                return True
            finally:
                await connection.close(timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not transient(error):
                raise CannotStart(f"The embedded Postgres in {self._cluster} refuses us: {error}") from error
            return False
        return True

    def _ensure_running(self, deadline: float) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(self._home / "postgres.lock", deadline):
            if self._use is None:
                self._use = os.open(self._home / "postgres.users", os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._use, fcntl.LOCK_SH)
            if clusters.postmaster(self._cluster) is not None:
                return
            try:
                user = server_user(self._cluster, clusters.installation())
                if not self._cluster.exists():
                    self._make(user, deadline)
                clusters.check_version(self._cluster)
                self._run(user, deadline)
            except NoUser as error:
                raise CannotStart(str(error)) from error

    def _make(self, user: OsUser, deadline: float) -> None:
        """Make the cluster beside its place and move it there whole: an interrupted attempt leaves nothing that looks like one."""
        for leftover in self._home.glob("postgres.new-*"):
            shutil.rmtree(leftover)
        new = self._home / f"postgres.new-{os.getpid()}"
        new.mkdir(mode=0o700)
        user.own(new)
        clusters.execute(user, "initdb", "-D", str(new), "-U", "testamur", "--auth=trust", "--encoding=UTF8", "--locale=C",
                         "--locale-provider=builtin", "--builtin-locale=C.UTF-8", deadline=deadline)
        new.rename(self._cluster)

    def _run(self, user: OsUser, deadline: float) -> None:
        clusters.end_leftovers(self._cluster)
        log = self._cluster / "server.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.unlink()
        sockets = clusters.socket_dir(self._cluster)
        sockets.mkdir(mode=0o700, exist_ok=True)
        user.own(sockets)
        for stale in (self._cluster / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
            stale.unlink(missing_ok=True)  # nobody runs here: by now their pid may be somebody else's, or a zombie's
        settings = self._settings | {"unix_socket_directories": str(sockets)}
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        seconds = max(1, int(deadline - time.monotonic()))
        command = ("pg_ctl", "start", "-D", str(self._cluster), "-l", str(log), "-w", "-t", str(seconds), "-o", options)
        try:
            clusters.execute(user, *command, deadline=deadline + 5)
        except CannotStart as error:
            raise CannotStart(f"{error}{clusters.last_words(self._cluster)}") from error

    def _leave(self) -> None:
        if self._use is None:
            return
        use, self._use = self._use, None
        try:
            with _lock(self._home / "postgres.lock", time.monotonic() + STOP_TIMEOUT_S):
                try:
                    fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return  # others use it: the last of them stops it
                clusters.stop(self._cluster, STOP_TIMEOUT_S)
        finally:
            os.close(use)


@contextmanager
def _lock(file: Path, deadline: float) -> Iterator[None]:
    """Hold the right to start or stop the server. Raises CannotStart at the deadline."""
    handle = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CannotStart(f"Another command is starting or stopping the Postgres of {file.parent} and does not finish.") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)
