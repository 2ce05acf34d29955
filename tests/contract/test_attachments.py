"""What every store of attachments promises, in files and in an S3-compatible store over HTTP."""
import asyncio
import hashlib
import os
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from services.runtime.attachments.files import FileAttachments, sweep
from services.runtime.attachments.open_attachments import open_attachments
from services.runtime.attachments.s3 import S3Attachments
from services.runtime.attachments.spool import IN_MEMORY, Spool, Spooled
from services.runtime.attachments.store import Address, Attachments, ContentUnavailable
from tests.servers.in_process import settings_for
from tests.servers.s3 import BUCKET, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Attachments:
    if request.param == "file":
        return open_attachments(settings_for(tmp_path))
    endpoint = request.getfixturevalue("s3")
    return open_attachments(settings_for(tmp_path, attachments=f"s3://{BUCKET}/{tmp_path.name}", attachments_endpoint=endpoint))


async def spooled(store: Attachments, content: bytes, algorithm: str = "sha256") -> Spooled:
    spool = Spool(store.incoming, hashlib.new(algorithm, content).hexdigest())
    for at in range(0, len(content), 50_000):
        await spool.write(content[at : at + 50_000])
    part = await spool.finish()
    assert (part.sha2, part.size) == (spool.sha2, len(content))
    return part


async def read(store: Attachments, address: Address) -> bytes | None:
    content = await store.open(address)
    if content is None:
        return None
    async with aclosing(content.chunks) as chunks:
        found = b"".join([chunk async for chunk in chunks])
    assert content.size == len(found)
    return found


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(IN_MEMORY - 1), os.urandom(IN_MEMORY), os.urandom(7 * IN_MEMORY + 3)], ids=len)
async def test_what_is_kept_is_read_again(store: Attachments, content: bytes) -> None:
    part = await spooled(store, content)
    assert (part.path is not None) == (len(content) >= IN_MEMORY)
    address = Address("acme", -5, part.sha2)
    assert await read(store, address) is None
    await store.keep(address, part)
    part.discard()
    assert await read(store, address) == content
    assert not store.incoming.is_dir() or not list(store.incoming.iterdir())


@pytest.mark.parametrize("algorithm", ["sha224", "sha256", "sha384", "sha512"])
async def test_every_digest_of_sha2_is_an_address(store: Attachments, algorithm: str) -> None:
    part = await spooled(store, b"content", algorithm)
    await store.keep(Address("acme", 1, part.sha2), part)
    assert await read(store, Address("acme", 1, part.sha2)) == b"content"


async def test_tenants_and_authorities_do_not_share_content(store: Attachments) -> None:
    part = await spooled(store, b"secret")
    tenants = ["acme", "ACME", "ac-me", "ac/me", "..", ".", "", "ä", "名", "x" * 200, "a\\b", "CON"]
    for index, tenant in enumerate(tenants):
        address = Address(tenant, 1, part.sha2)
        assert await read(store, address) is None, tenant
        await store.keep(address, await spooled(store, b"secret"))
        assert await read(store, address) == b"secret"
        assert await read(store, Address(tenant, 2, part.sha2)) is None
        assert len({Address(each, 1, part.sha2).path for each in tenants[: index + 1]}) == index + 1


async def test_the_same_content_may_be_kept_again_also_at_once(store: Attachments) -> None:
    for content in (b"again", os.urandom(2 * IN_MEMORY)):
        parts = [await spooled(store, content) for _ in range(8)]
        address = Address("acme", 1, parts[0].sha2)
        await asyncio.gather(*(store.keep(address, part) for part in parts))
        for part in parts:
            part.discard()
        assert await read(store, address) == content


async def test_large_content_passes_in_pieces(store: Attachments) -> None:
    piece, digest, count = os.urandom(1 << 16), hashlib.sha256(), 640
    for _ in range(count):
        digest.update(piece)
    address = Address("acme", 1, digest.hexdigest())
    tracemalloc.start()
    try:
        spool = Spool(store.incoming, address.sha2)
        for _ in range(count):
            await spool.write(piece)
        part = await spool.finish()
        if isinstance(store, FileAttachments):  # moto's own memory would be counted too
            await store.keep(address, part)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 << 20
    await store.keep(address, part)
    content, size, largest = await store.open(address), 0, 0
    assert content is not None
    async for chunk in content.chunks:
        size, largest = size + len(chunk), max(largest, len(chunk))
    assert (size, content.size) == (count << 16, count << 16)
    assert largest <= 1 << 20
    part.discard()


async def test_reading_may_stop_early(store: Attachments) -> None:
    part = await spooled(store, os.urandom(3 * IN_MEMORY))
    await store.keep(Address("acme", 1, part.sha2), part)
    for _ in range(20):
        content = await store.open(Address("acme", 1, part.sha2))
        assert content is not None
        async with aclosing(content.chunks) as chunks:
            assert await anext(chunks)


async def test_a_spool_that_is_discarded_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "incoming", "0" * 64)
    await spool.write(b"x" * (IN_MEMORY + 1))
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    spool.discard()
    assert not list((tmp_path / "incoming").iterdir())


async def test_a_start_removes_old_parts_that_a_process_left_behind_and_no_young_ones(tmp_path: Path) -> None:
    store = open_attachments(settings_for(tmp_path))
    store.incoming.mkdir(parents=True)
    old, young = store.incoming / "part-old", store.incoming / "part-young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (1, 1))
    sweep(store.incoming)
    assert list(store.incoming.iterdir()) == [young]


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_bytes(b"a file where the folder should be")
    store = FileAttachments(tmp_path / "attachments")
    part = Spooled("0" * 64, 1, b"x", None)
    with pytest.raises(ContentUnavailable):
        await store.keep(Address("acme", 1, part.sha2), part)
    with pytest.raises(ContentUnavailable):
        await store.open(Address("acme", 1, part.sha2))


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """A server that takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


async def test_an_s3_store_that_is_silent_or_away_or_lacks_the_bucket_is_unavailable_in_time(
    tmp_path: Path, silent: str, s3: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    part = Spooled(hashlib.sha256(b"x").hexdigest(), 1, b"x", None)
    for url, endpoint in ((f"s3://{BUCKET}", silent), (f"s3://{BUCKET}", "http://127.0.0.1:9"), ("s3://missing", s3)):
        store = S3Attachments(url, tmp_path, endpoint=endpoint, timeout_s=0.5)
        async with asyncio.timeout(8):
            with pytest.raises(ContentUnavailable):
                await store.keep(Address("acme", 1, part.sha2), part)
    for endpoint in (silent, "http://127.0.0.1:9"):
        async with asyncio.timeout(8):
            with pytest.raises(ContentUnavailable):
                await S3Attachments(f"s3://{BUCKET}", tmp_path, endpoint=endpoint, timeout_s=0.5).open(Address("acme", 1, part.sha2))
