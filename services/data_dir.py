"""The data directory: who may use it, which format it has, and how other commands find the `testamur up` that runs on it.

One `up` at a time holds it (a file lock the kernel lets go of however the process ends). A directory made by a newer version is refused, never touched.
"""
import asyncio
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

FORMAT = 1
_STAMP = "format"


class Refused(Exception):
    """This cannot be done, and the sentence says why; the command ends with it."""


@dataclass(frozen=True, slots=True)
class Running:
    """The `testamur up` that holds a data directory: where it answers."""

    pid: int
    address: str


def prepare(data_dir: Path) -> None:
    """Make the directory if need be, readable by its owner alone, and check its format. Raises Refused for one of a newer version."""
    data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    if not (data_dir / _STAMP).exists():
        write_whole(data_dir / _STAMP, f"{FORMAT}\n")
    check_format(data_dir)


def check_format(data_dir: Path) -> None:
    """Refuse a directory of a newer version, without making anything. Raises Refused."""
    stamp = data_dir / _STAMP
    if not stamp.exists():
        return
    found = stamp.read_text().strip()
    if not found.isdigit():
        raise Refused(f"{stamp} does not name a format: is {data_dir} a data directory of Testamur?")
    if int(found) > FORMAT:
        raise Refused(
            f"The data directory {data_dir} was made by a newer version of Testamur (format {found}, this version knows {FORMAT}). Nothing was changed.")


@contextmanager
def hold(data_dir: Path) -> Iterator[bool]:
    """Be the one `up` of this directory; give whether one was killed here, whose children may still be letting go. Raises Refused when another one is."""
    with (data_dir / "up.lock").open("a") as lock:
        if not _locked(lock):
            there = _read_run_file(data_dir)
            where = f" (process {there.pid}, {there.address})" if there else ""
            raise Refused(f"Testamur is already running on the data directory {data_dir}{where}.")
        run_file = data_dir / "run.json"
        left_behind = run_file.exists()
        run_file.unlink(missing_ok=True)
        try:
            yield left_behind
        finally:
            run_file.unlink(missing_ok=True)


def announce(data_dir: Path, address: str) -> None:
    """Tell other commands where the system of this directory answers."""
    write_whole(data_dir / "run.json", json.dumps(asdict(Running(os.getpid(), address))))


def running(data_dir: Path) -> Running | None:
    """Return the `up` that holds this directory now, None while there is none or it is not ready."""
    return _read_run_file(data_dir) if is_held(data_dir) else None


async def wait_until_announced(data_dir: Path, timeout_s: float = 60) -> Running | None:
    """Return the `up` that holds this directory, once it is ready; None when there is none. Raises Refused when it does not get ready in time."""
    deadline = time.monotonic() + timeout_s
    while is_held(data_dir):
        if (there := _read_run_file(data_dir)) is not None:
            return there
        if time.monotonic() > deadline:
            raise Refused(f"The Testamur on the data directory {data_dir} did not get ready within {timeout_s:.0f} s.")
        await asyncio.sleep(0.1)
    return None


def is_held(data_dir: Path) -> bool:
    """Return whether an `up` holds this directory now, ready or not."""
    try:
        with (data_dir / "up.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _locked(lock: TextIO) -> bool:
    """Take the lock; other commands hold it for microseconds while they look (`running`), so one failure is not enough to know."""
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


def _read_run_file(data_dir: Path) -> Running | None:
    try:
        return Running(**json.loads((data_dir / "run.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
