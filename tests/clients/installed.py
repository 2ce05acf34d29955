"""What the tests of others' clients need beside Python: the npm packages of `package-lock.json`, kept in `.cache/clients`, and Chromium.

`python -m tests.clients.installed` (part of `make test`) puts both there: the packages with npm, Chromium with apt-get where this is root's Debian. It never
fails: what is missing afterwards the tests name, as they skip, or fail where CI is set.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(__file__).parents[2] / ".cache" / "clients"
PACKAGES = CACHE / "node_modules"
_MANIFEST = ("package.json", "package-lock.json", ".npmrc")
_INSTALL_S = 600


def missing_node() -> str | None:
    """Return a sentence that says what the clients written in JavaScript lack, None if nothing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node.js 20 with npm is not installed."
    if not _is_current():
        return "The npm packages of tests/clients are not installed: `make clients` does it."
    return None


def missing_browser() -> str | None:
    """Return a sentence that says what the client in a browser lacks, None if nothing."""
    return missing_node() or (None if chromium() else "Chromium is not installed: `make clients` does it for root on Debian.")


def chromium() -> str | None:
    """Return the path of Chromium's program."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def main() -> None:
    """Install what is missing and can be had."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which("npm") is not None and not _is_current():
            for name in _MANIFEST:
                shutil.copy(HERE / name, CACHE / name)
            _run("npm", "ci", "--no-progress", "--loglevel=error", cwd=CACHE)
            _stamp().write_text(_hash())
        if chromium() is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
            _run("apt-get", "update", "-qq")
            _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    for sentence in filter(None, {missing_node(), missing_browser()}):
        sys.stderr.write(f"{sentence} Tests that need it will be skipped.\n")


def _run(*command: str, cwd: Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, timeout=_INSTALL_S, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        sys.stderr.write(f"{' '.join(command[:2])} did not work: {error}\n")


def _stamp() -> Path:
    return CACHE / ".installed"


def _hash() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()


def _is_current() -> bool:
    return _stamp().exists() and _stamp().read_text() == _hash() and PACKAGES.is_dir()


if __name__ == "__main__":
    main()
