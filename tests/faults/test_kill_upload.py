"""kill -9 while content arrives, is kept, or is kept and its statements are not yet: nothing half-written is ever at an address, and a repeat succeeds."""
import asyncio
import base64
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.servers.in_process import statement, until
from tests.servers.multipart import MULTIPART, attachment, multipart, part, parts_of, sha2
from tests.servers.system import KEY, SECRET, System

SMALL, LARGE = b"an essay", os.urandom(3 << 20)
SENT = statement(attachments=[attachment(SMALL), attachment(LARGE)])
BODY = multipart(SENT, part(SMALL), part(LARGE))


def kept(system: System) -> dict[str, Path]:
    """Return the files at addresses, by digest."""
    folder = system.data_dir / "attachments"
    return {path.name: path for path in folder.rglob("*") if path.is_file() and path.parent.name != "incoming"}


def client(system: System) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=system.url, auth=(KEY, SECRET), headers={"X-Experience-API-Version": "1.0.3"}, timeout=30)


async def assert_absent(system: System) -> None:
    async with client(system) as there:
        assert (await there.get("/xapi/statements", params={"statementId": SENT["id"]})).status_code == 404
    for name, path in kept(system).items():
        assert sha2(path.read_bytes()) == name


async def assert_repeat_succeeds(system: System) -> None:
    async with client(system) as there:
        assert (await there.post("/xapi/statements", content=BODY, headers=MULTIPART)).status_code == 200
        _, parts = parts_of(await there.get("/xapi/statements", params={"statementId": SENT["id"], "attachments": "true"}))
    assert [content for _, content in parts] == [SMALL, LARGE]
    assert kept(system).keys() == {sha2(SMALL), sha2(LARGE)}


@pytest.mark.timeout(180)
async def test_killed_in_mid_upload_nothing_is_kept(make_system: Callable[..., System]) -> None:
    system = make_system("postgres", arguments=("--workers", "1"))
    system.start()
    _, writer = await asyncio.open_connection("127.0.0.1", system.port)
    token = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    head = {"Host": "lrs", "Authorization": f"Basic {token}", "X-Experience-API-Version": "1.0.3", "Content-Length": str(len(BODY)), **MULTIPART}
    writer.write(b"POST /xapi/statements HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n")
    writer.write(BODY[: len(BODY) // 2])

    async def spooled() -> bool:
        return any(path.stat().st_size for path in (system.data_dir / "attachments" / "incoming").glob("part-*"))

    await until(spooled)
    system.signal("web", signal.SIGKILL)
    writer.close()
    await asyncio.to_thread(system.wait_ready)
    assert kept(system) == {}
    await assert_absent(system)
    await assert_repeat_succeeds(system)
    assert system.stop() == 0, system.tail()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("place", ["attachments.before_rename=kill@2", "ingest.after_attachments=kill"])
async def test_killed_before_the_statements_are_appended_a_repeat_succeeds(make_system: Callable[..., System], place: str) -> None:
    system = make_system("postgres", settings={"TESTAMUR_FAILPOINTS": place}, arguments=("--workers", "1"))
    system.start()
    async with client(system) as there:
        with pytest.raises(httpx.TransportError):
            await there.post("/xapi/statements", content=BODY, headers=MULTIPART)
    await asyncio.to_thread(system.wait_ready)
    await assert_absent(system)
    if place.startswith("ingest"):
        assert kept(system).keys() == {sha2(SMALL), sha2(LARGE)}
    system.stop()
    del system.environment["TESTAMUR_FAILPOINTS"]
    system.start()
    await assert_repeat_succeeds(system)
    assert system.stop() == 0, system.tail()
