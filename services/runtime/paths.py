"""Paths as all services read them: several slashes are one, and which requests are writes of statements, which ingest takes. The api takes the rest."""
import re

STATEMENTS = "/xapi/statements"
QUARANTINE = "/v1/quarantine"
REDRIVE = QUARANTINE + "/{id}/redrive"
"""The path to send on a statement that was set aside."""
_REDRIVE = re.compile(rf"{QUARANTINE}/([^/]+)/redrive")
_SLASHES = re.compile(r"/{2,}")


def single_slashes(path: str) -> str:
    """Return a path with one slash for several."""
    return _SLASHES.sub("/", path) if "//" in path else path


def redriven(path: str) -> str | None:
    """Return what stands for the id in a path of REDRIVE, None for any other path."""
    found = _REDRIVE.fullmatch(path)
    return None if found is None else found[1]


def is_redrive(method: str, path: str) -> bool:
    """Return whether a request is one to send on a statement."""
    return method == "POST" and redriven(path) is not None


def writes_statements(method: str, path: str) -> bool:
    """Return whether a request is for ingest."""
    return method in {"POST", "PUT"} if path == STATEMENTS else is_redrive(method, path)
