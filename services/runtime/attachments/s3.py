"""Attachments in an S3-compatible store. Credentials and region are those of the usual AWS_… variables."""
import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from services.runtime.attachments.spool import Spooled
from services.runtime.attachments.store import CHUNK_BYTES, Address, Content, ContentUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Config

_KEEP_S = 120.0
_OPEN_S = 10.0
_READ_S = 15.0
_PIECE_BYTES = 5 << 20
"""The least size of a piece of a large upload; two are in memory at a time."""
_FAILURES = (BaseError, OSError, ValueError, TimeoutError)


class S3Attachments:
    """Attachments below one prefix of a bucket."""

    def __init__(self, url: str, incoming: Path, *, endpoint: str | None = None, timeout_s: float = 30.0) -> None:
        """`url` is `s3://bucket/prefix`; `endpoint` the address of a store that is not Amazon's; one HTTP exchange takes at most `timeout_s`."""
        self.incoming = incoming
        config: S3Config = {} if endpoint is None else {"endpoint": endpoint}
        self._store = S3Store.from_url(
            url, config=config, client_options={"timeout": timedelta(seconds=timeout_s), "connect_timeout": timedelta(seconds=min(3.0, timeout_s)),
                                 "allow_http": endpoint is not None and endpoint.startswith("http://")},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=timeout_s)})

    async def keep(self, address: Address, part: Spooled) -> None:
        """Keep a part: durable on return."""
        try:
            async with asyncio.timeout(_KEEP_S):
                if await self._size(address.path) == part.size:
                    return
                content = part.path or part.read()
                await obstore.put_async(
                    self._store, address.path, content, use_multipart=part.path is not None, chunk_size=_PIECE_BYTES, max_concurrency=2)
        except _FAILURES as error:
            raise ContentUnavailable from error

    async def open(self, address: Address) -> Content | None:
        """Return what is kept there, None if nothing is."""
        try:
            async with asyncio.timeout(_OPEN_S):
                found = await obstore.get_async(self._store, address.path)
        except FileNotFoundError:
            return None
        except _FAILURES as error:
            raise ContentUnavailable from error
        return Content(found.meta["size"], _chunks(found))

    async def _size(self, path: str) -> int | None:
        try:
            return (await obstore.head_async(self._store, path))["size"]
        except FileNotFoundError:
            return None


async def _chunks(found: "obstore.GetResult") -> AsyncGenerator[bytes]:
    stream = aiter(found.stream(min_chunk_size=CHUNK_BYTES))
    try:
        while True:
            async with asyncio.timeout(_READ_S):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield bytes(chunk)
    except _FAILURES as error:
        raise ContentUnavailable from error
