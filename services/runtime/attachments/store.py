"""Where the content of attachments is kept: one interface over a folder of files and an S3-compatible store.

Content has an address of three parts: whose it is (tenant), who vouched for it (authority) and what it is (its digest). Nobody gets at another
tenant's content by knowing its digest, nor does a key that may read only its own statements get at what others sent.
"""
import hashlib
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.core.errors import Unavailable
from services.runtime.attachments.spool import Spooled

CHUNK_BYTES = 256 << 10
INCOMING = "incoming"


class ContentUnavailable(Unavailable):
    """The content of attachments cannot be reached right now; repeat the request unchanged a little later."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where one content is; `authority` is the key64 of who vouched for it, `sha2` in lower-case hex."""

    tenant: str
    authority: int
    sha2: str

    @property
    def path(self) -> str:
        """The address as a path that every file system can hold."""
        readable = re.sub(r"[^a-z0-9]+", "-", self.tenant.lower())[:40].strip("-")
        unique = hashlib.sha256(self.tenant.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return f"{readable}.{unique}/{self.authority & (1 << 64) - 1:016x}/{self.sha2[:2]}/{self.sha2}"


@dataclass(frozen=True, slots=True)
class Content:
    """Kept content: its size, and its bytes as they are read, each piece within a deadline. Close `chunks` if they are not read to the end."""

    size: int
    chunks: AsyncGenerator[bytes]


class Attachments(Protocol):
    """Keeps content for ever. Both calls raise ContentUnavailable, within their deadlines."""

    incoming: Path
    """A folder for parts that arrive; it may not exist yet."""

    async def keep(self, address: Address, part: Spooled) -> None:
        """Keep a part whose digest was compared; it is durable on return, and nothing half-written is ever at the address."""

    async def open(self, address: Address) -> Content | None:
        """Return what is kept there, None if nothing is."""
