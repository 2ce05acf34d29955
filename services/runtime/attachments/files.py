"""Attachments in a folder: written beside, made durable, then moved to their address."""
import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from services.runtime.attachments.spool import Spooled
from services.runtime.attachments.store import CHUNK_BYTES, INCOMING, Address, Content, ContentUnavailable
from services.runtime.failpoint import hit

_KEEP_S = 60.0
_READ_S = 15.0
_LEFT_BEHIND_S = 3600
"""No request takes that long: what is older in the folder of arriving parts was left behind by a process that died."""


class FileAttachments:
    """Attachments below one folder, made when the first is kept."""

    def __init__(self, folder: Path) -> None:
        """`folder` may be shared by processes."""
        self._folder, self.incoming = folder, folder / INCOMING

    async def keep(self, address: Address, part: Spooled) -> None:
        """Keep a part: durable on return."""
        try:
            async with asyncio.timeout(_KEEP_S):
                await asyncio.to_thread(self._keep, self._folder / address.path, part)
        except (OSError, TimeoutError) as error:
            raise ContentUnavailable from error

    async def open(self, address: Address) -> Content | None:
        """Return what is kept there, None if nothing is."""
        path = self._folder / address.path
        try:
            async with asyncio.timeout(_READ_S):
                size = (await asyncio.to_thread(path.stat)).st_size
            return Content(size, _chunks(path))
        except FileNotFoundError:
            return None
        except (OSError, TimeoutError) as error:
            raise ContentUnavailable from error

    def _keep(self, target: Path, part: Spooled) -> None:
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not target.exists():
            draft = part.path or self._written(part.read())
            _sync(draft)
            hit("attachments.before_rename")
            draft.replace(target)
        folder = target.parent  # synced even if the file was there: whoever put it there may not have come to that yet
        while True:
            _sync(folder)
            if folder == self._folder:
                break
            folder = folder.parent
        _sync(folder.parent)

    def _written(self, content: bytes) -> Path:
        with tempfile.NamedTemporaryFile(dir=self.incoming, prefix="part-", delete=False) as file:
            file.write(content)
        return Path(file.name)


def sweep(incoming: Path) -> None:
    """Remove what processes that died have left in a folder of arriving parts."""
    if not incoming.is_dir():
        return
    for path in incoming.glob("part-*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _LEFT_BEHIND_S:
                path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _chunks(path: Path) -> AsyncGenerator[bytes]:
    try:
        async with asyncio.timeout(_READ_S):
            file = await asyncio.to_thread(path.open, "rb")
        with file:
            while True:
                async with asyncio.timeout(_READ_S):
                    chunk = await asyncio.to_thread(file.read, CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
    except (OSError, TimeoutError) as error:
        raise ContentUnavailable from error
