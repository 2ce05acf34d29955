"""How far the import of one file has come, kept in the data directory, so that a killed import goes on from there.

It may lag behind what is stored, never run ahead of it: a line sent again is a duplicate, which the server knows by its id.
"""
import hashlib
import json
import os
from dataclasses import astuple
from pathlib import Path

from services.importer.server import Refusal


class Journal:
    """The journal of one file going to one server."""

    def __init__(self, data_dir: Path, file: Path, destination: str) -> None:
        """A file that has changed since is another file."""
        stat = file.stat()
        name = hashlib.blake2b(f"{file.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}\n{destination}".encode(), digest_size=12).hexdigest()
        self._path = data_dir / "import" / f"{name}.ndjson"
        self.done = 0
        self.refusals: dict[int, Refusal] = {}
        self._load()

    def note(self, done: int, refusals: list[Refusal]) -> None:
        """All statements up to the `done`th are stored or refused; `refusals` are those refused since the last note, also beyond it."""
        self.done = max(self.done, done)
        self.refusals.update({refusal.ordinal: refusal for refusal in refusals})
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(self._path, "a", opener=_for_us_alone) as file:
            file.write(json.dumps({"done": self.done, "refused": [astuple(refusal) for refusal in refusals]}) + "\n")

    def forget(self) -> None:
        """The whole file is through."""
        self._path.unlink(missing_ok=True)

    def _load(self) -> None:
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                break  # cut off by a crash
            self.done = entry["done"]
            self.refusals.update({ordinal: Refusal(ordinal, *rest) for ordinal, *rest in entry["refused"]})


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that nobody else may read: what was refused may say who it is about."""
    return os.open(path, flags, 0o600)
