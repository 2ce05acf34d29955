"""The operating system's user that the embedded Postgres runs as: ourselves, or, as Postgres refuses to run as root, a user of its own."""
import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "testamur"
USERADD_TIMEOUT_S = 10.0


class NoUser(Exception):
    """There is no OS user to run Postgres as; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class OsUser:
    """Whom the server's processes run as; None: as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give it a file or folder. Raises NoUser for a folder in a shared place that is somebody else's."""
        entry = path.lstat()
        if not stat.S_ISDIR(entry.st_mode) or entry.st_uid not in {os.geteuid(), self.uid}:
            raise NoUser(f"{path} belongs to somebody else: remove it.")
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def popen(self) -> dict[str, Any]:
        """Return the arguments that make `subprocess` run something as it."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user(cluster: Path, installation: Path) -> OsUser:
    """Return the user that runs the server of `cluster`, able to reach it and the programs in `installation`. Raises NoUser.

    As root that is the owner of the cluster or a system user made for it; the folders above both become passable (not readable) for others.
    """
    if os.geteuid() != 0:
        return OsUser()
    owner = cluster.stat() if cluster.exists() else None
    if owner and owner.st_uid:
        user = OsUser(owner.st_uid, owner.st_gid)
    else:
        entry = _system_user()
        user = OsUser(entry.pw_uid, entry.pw_gid)
    for folder in {*cluster.parents, *installation.parents}:
        _allow(folder, stat.S_IXOTH)
    if not (installation / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under a strict umask
        for path in [installation, *installation.rglob("*")]:
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or path.parent.name == "bin" else 0))
    return user


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _system_user() -> pwd.struct_passwd:
    """Return the user `testamur`, making it if needed, or else Debian's `postgres`."""
    useradd, deadline, reason = shutil.which("useradd"), time.monotonic() + USERADD_TIMEOUT_S, "there is no useradd"
    while True:
        try:
            return pwd.getpwnam(NAME)
        except KeyError:
            if useradd is None or time.monotonic() > deadline:
                break
        command = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", NAME]
        made = subprocess.run(command, capture_output=True, text=True, timeout=USERADD_TIMEOUT_S, check=False)
        if made.returncode:  # another process may hold the lock of /etc/passwd, or have made it
            reason = made.stderr.strip()
            time.sleep(0.1)
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise NoUser(f"Postgres refuses to run as root, and no user could be made for it ({reason}). Run as another user, or make one named {NAME}.") from None
