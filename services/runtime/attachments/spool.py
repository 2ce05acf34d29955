"""One part of a request while it arrives: in memory up to 1 MiB, then in a file; its digest is made on the way."""
import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

IN_MEMORY = 1 << 20
_INLINE = 64 << 10
"""What is smaller than this is hashed where it is: a thread would cost more."""
_ALGORITHMS = {56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}


@dataclass(slots=True)
class Spooled:
    """A complete part: its size and its digest (SHA-2, lower-case hex); it is held as `content` or in the file `path`, whose taker moves it away."""

    sha2: str
    size: int
    content: bytes | None
    path: Path | None

    def read(self) -> bytes:
        """Return the whole content, from a file if it is there: for parts known to be small."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        return self.path.read_bytes()

    def discard(self) -> None:
        """Remove the file, if it is still there."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class Spool:
    """A part that arrives. `folder` is where its file would be; `sha2` is the digest it is said to have, which tells the algorithm by its length."""

    folder: Path
    sha2: str
    size: int = 0
    _pending: bytearray = field(default_factory=bytearray)
    _file: IO[bytes] | None = None
    _digest: "hashlib._Hash" = field(init=False)

    def __post_init__(self) -> None:
        """Raise KeyError for a digest of another length than those of SHA-2."""
        self._digest = hashlib.new(_ALGORITHMS[len(self.sha2)])

    async def write(self, content: bytes) -> None:
        """Take more of it; disk and digest are another thread's work. Raises OSError."""
        self.size += len(content)
        self._pending += content
        if len(self._pending) >= IN_MEMORY:
            await _in_thread(self._flush)

    async def finish(self) -> Spooled:
        """Return the complete part. Raises OSError."""
        if self._file is None:
            content = bytes(self._pending)
            await _in_thread(lambda: self._digest.update(content)) if len(content) > _INLINE else self._digest.update(content)
            return Spooled(self._digest.hexdigest(), self.size, content, None)
        await _in_thread(self._close)
        return Spooled(self._digest.hexdigest(), self.size, None, Path(self._file.name))

    def discard(self) -> None:
        """Forget an incomplete part."""
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = tempfile.NamedTemporaryFile(dir=self.folder, prefix="part-", delete=False)  # noqa: SIM115 - `finish` or `discard` closes it
        self._digest.update(self._pending)
        self._file.write(self._pending)
        self._pending.clear()

    def _close(self) -> None:
        self._flush()
        assert self._file is not None
        self._file.close()


async def _in_thread(work: Callable[[], object]) -> None:
    """Do it in a thread, and wait for its end even when cancelled: nobody may remove a file that is still written."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
