"""The one port: what goes to ingest and what to the API, CORS, and bodies over a real socket."""
import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import uvicorn

from services.runtime.bounded_head import MAX_HEAD_BYTES, BoundedHead
from services.web import create_app
from tests.servers.in_process import Web, running_projector, settings_for, statement, until, web_process

ORIGIN = {"Origin": "https://tool.example.org"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, x-experience-api-version"}


@pytest_asyncio.fixture
async def web(database: str, tmp_path: Path) -> AsyncIterator[Web]:
    async with web_process(settings_for(tmp_path, max_body_bytes=1 << 16), database) as running, running_projector(running.state):
        running.app = create_app(running.state)
        yield running


async def test_a_browser_tool_of_any_origin_may_call_xapi_without_cookies(web: Web) -> None:
    preflight = await web.client(None, version=None).options("/xapi/statements", headers=PREFLIGHT)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in preflight.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "x-experience-api-version", "idempotency-key"} <= allowed
    client = web.client(await web.key())
    for answer in (await client.post("/xapi/statements", json=statement(), headers=ORIGIN), await client.get("/xapi/statements", headers=ORIGIN),
                   await client.post("/xapi/statements", json=1, headers=ORIGIN)):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "LRS-Position" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in (await client.get("/v1/learners", headers=ORIGIN)).headers


async def test_origins_can_be_narrowed(database: str, tmp_path: Path) -> None:
    async with web_process(settings_for(tmp_path, cors_origins="https://tool.example.org, https://other.example.org"), database) as web:
        web.app = create_app(web.state)
        client = web.client(None)
        allowed = await client.options("/xapi/statements", headers=PREFLIGHT)
        refused = await client.options("/xapi/statements", headers={**PREFLIGHT, "Origin": "https://evil.example.org"})
    assert (allowed.headers["Access-Control-Allow-Origin"], allowed.headers["Vary"]) == ("https://tool.example.org", "Origin")
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_what_is_written_can_be_read_and_doubled_slashes_do_not_matter(web: Web) -> None:
    client, sent = web.client(await web.key()), statement()
    written = await client.put("/xapi//statements", params={"statementId": sent["id"]}, json=sent)
    assert written.status_code == 204, written.text
    read = await client.get("/xapi//statements", params={"statementId": sent["id"]})
    assert (read.status_code, read.json()["id"]) == (200, sent["id"])


@asynccontextmanager
async def _listening(web: Web) -> AsyncIterator[int]:
    """Serve on a real socket and give its port."""
    server = uvicorn.Server(uvicorn.Config(web.app, host="127.0.0.1", port=0, http=BoundedHead, ws="none", lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def _talk(port: int, head: str, body: bytes = b"") -> bytes:
    """Send raw bytes and return what comes until the connection is closed or nothing more comes for a second after an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    answer = b""
    async with asyncio.timeout(10):
        while part := await reader.read(1 << 16):
            answer += part
    writer.close()
    return answer


async def test_over_a_socket_a_body_that_is_too_large_is_answered_before_it_is_sent_and_the_connection_closed(web: Web) -> None:
    key, secret = await web.key()
    head = (f"POST /xapi/statements HTTP/1.1\nHost: x\nX-Experience-API-Version: 2.0.0\nContent-Type: application/json\n"
            f"Authorization: Basic {base64.b64encode(f'{key}:{secret}'.encode()).decode()}\n")
    async with _listening(web) as port:
        declared = await _talk(port, f"{head}Content-Length: 999999999", b"[")
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        chunked = await _talk(port, f"{head}Transfer-Encoding: chunked", chunk * 6)
        stranger = await _talk(port, "POST /xapi/statements HTTP/1.1\nHost: x\nTransfer-Encoding: chunked", chunk)
    for answer, status in ((declared, b"413"), (chunked, b"413"), (stranger, b"401")):
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"connection: close" in answer.lower()
        assert b"application/problem+json" in answer


@pytest.mark.parametrize(("start", "status"), [
    (b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nX-Long: ", b"431"), (b"GET /", b"431"),
    (b"POST /xapi/statements HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ", b""),
])
async def test_over_a_socket_a_head_or_trailers_without_end_are_cut_off(web: Web, start: bytes, status: bytes) -> None:
    async with _listening(web) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        answer, sent = b"", 0
        async with asyncio.timeout(10):
            while not writer.transport.is_closing() and not reader.at_eof() and sent < 64 * MAX_HEAD_BYTES:
                writer.write(b"a" * 4096)
                sent += 4096
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                await asyncio.sleep(0)  # noqa: TID251 - lets the server of the same loop read
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
        writer.close()

    assert sent < 64 * MAX_HEAD_BYTES
    assert not answer or status in answer.split(b"\r\n")[0]


async def test_over_a_socket_statements_are_written_and_connections_kept(web: Web) -> None:
    key, secret = await web.key()
    async with _listening(web) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(key, secret)) as client:
        for _ in range(3):
            answer = await client.post("/xapi/statements", json=[statement() for _ in range(3)], headers={"X-Experience-API-Version": "2.0.0"})
            assert answer.status_code == 200
            assert "Date" in answer.headers
        assert (await client.get("/healthz/live")).status_code == 200


async def test_a_form_stands_for_another_request_in_xapi_1_0_3_and_not_in_2_0(web: Web) -> None:
    auth, sent = await web.key(), statement()
    fields = {
        "Authorization": "Basic " + base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode(), "X-Experience-API-Version": "1.0.3",
        "Content-Type": "application/json; charset=utf-8",
    }
    bare = web.client(None, version=None)
    put = {**fields, "statementId": sent["id"], "content": json.dumps(sent)}
    assert (await bare.post("/xapi/statements?method=PUT", data=put)).status_code == 204
    listed = await bare.post("/xapi/statements?method=GET", data={**fields, "limit": "1"})
    assert (listed.status_code, listed.json()["statements"][0]["id"]) == (200, sent["id"])
    assert (await web.client(auth, version="1.0.3").post("/xapi/statements?method=GET", data={"statementId": sent["id"]})).status_code == 200
    refused = [
        await bare.post("/xapi/statements?method=PUT&statementId=x", data=put),
        await bare.post("/xapi/statements?method=PUT", data={**fields, "statementId": sent["id"]}),
        await bare.post("/xapi/statements?method=PUT", json=sent),
        await bare.post("/xapi/statements?method=BREW", data=put),
        await bare.post("/xapi/statements?method=GET", data={**fields, "X-Experience-API-Version": "2.0.0"}),
        await web.client(auth, version="1.0.3").post("/xapi/statements?method=GET", data={**fields, "X-Experience-API-Version": "0.8"}),
        await web.client(auth, version="2.0.0").post("/xapi/statements?method=GET", data=fields),
        await web.client(auth, version="1.0.3").put("/xapi/statements?method=POST", json=sent),
    ]
    for answer in refused:
        assert answer.status_code == 400, answer.text
        assert answer.headers["X-Experience-API-Version"]
        assert answer.headers["X-Experience-API-Consistent-Through"]


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("DELETE", "/xapi/statements", {"GET", "HEAD", "POST", "PUT"}), ("PATCH", "/v1/courses", {"GET", "HEAD", "PUT"}), ("PUT", "/v1/learners", {"GET", "HEAD"}),
    ("GET", "/v1/identity/links", {"POST"}), ("GET", f"/v1/identity/links/{UUID(int=1)}", {"DELETE"}), ("POST", "/healthz/live", {"GET", "HEAD"}),
])
async def test_a_wrong_method_is_answered_with_every_method_the_path_knows(web: Web, method: str, path: str, allowed: set[str]) -> None:
    async with web.client(await web.key("all")) as client:
        answer = await client.request(method, path)

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed
