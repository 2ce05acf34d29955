"""The address people see is not the one the server listens on: another port, a path, a proxy that ends TLS; and whom the server believes about it."""
import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from pydantic import ValidationError

from services.runtime.bounded_head import BoundedHead
from services.runtime.forwarded import Front, forwarded, trusted
from services.runtime.http import Receive, Scope, Send, respond
from services.runtime.settings import Settings
from services.web import create_app
from tests.integration.api_service import STATEMENTS
from tests.servers.in_process import Web, running_projector, settings_for, statement, until, web_process
from tests.servers.issuer import certified
from tests.servers.proxy import proxying

VERSION = {"X-Experience-API-Version": "1.0.3"}


@asynccontextmanager
async def _served(database: str, tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Web, int]]:
    """Give an open state and the port of a real server on it, with three statements."""
    changed = settings_for(tmp_path).model_copy(update={"public_url": None, **settings})
    async with web_process(Settings.model_validate(changed.model_dump()), database) as web, running_projector(web.state):
        config = uvicorn.Config(
            Front(create_app(web.state), web.state.settings), host="127.0.0.1", port=0, lifespan="off", log_config=None, http=BoundedHead, proxy_headers=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        try:
            await until(lambda: _is(server.started))
            web.app = create_app(web.state)
            sent = await web.client(await web.key()).post(STATEMENTS, json=[statement() for _ in range(3)])
            assert sent.status_code == 200
            yield web, server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def _is(value: bool) -> bool:
    return value


async def _all_pages(base: str, auth: tuple[str, str], verify: ssl.SSLContext | bool = True) -> tuple[int, set[str]]:
    """Return how many statements a client finds that starts at a base address and follows `more`, and the paths it was given."""
    found, paths, origin = 0, set(), "{0.scheme}://{0.netloc}".format(urlsplit(base))
    async with httpx.AsyncClient(auth=auth, headers=VERSION, verify=verify, timeout=20) as client:
        url = f"{base}/xapi/statements?limit=1"
        while url:
            answer = await client.get(url)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += len(page["statements"])
            paths |= {urlsplit(page["more"]).path} - {""}
            url = page["more"] and origin + page["more"]
    return found, paths


async def test_behind_another_port_the_first_login_works_and_every_page_is_found(database: str, tmp_path: Path) -> None:
    async with _served(database, tmp_path) as (web, port), proxying(port) as proxy:
        assert await _all_pages(f"http://127.0.0.1:{proxy.port}", await web.key()) == (3, {STATEMENTS})
        origin = {"Origin": f"http://localhost:{proxy.port}"}
        async with httpx.AsyncClient() as client:
            preflight = await client.options(
                f"http://127.0.0.1:{proxy.port}/xapi/statements", headers={**origin, "Access-Control-Request-Method": "GET"})
            answer = await client.get(f"http://127.0.0.1:{proxy.port}/xapi/statements", headers={**origin, **VERSION}, auth=await web.key())
        assert (preflight.status_code, answer.status_code) == (204, 200)


@pytest.mark.parametrize("strip", ["", "/lrs"])
async def test_under_a_path_links_have_it_whether_the_proxy_takes_it_off_or_leaves_it(database: str, tmp_path: Path, strip: str) -> None:
    async with _served(database, tmp_path, public_url="https://host.example.org/lrs") as (web, port), proxying(port, strip=strip) as proxy:
        base = f"http://127.0.0.1:{proxy.port}/lrs"
        assert await _all_pages(base, await web.key()) == (3, {"/lrs/xapi/statements"})
        async with httpx.AsyncClient(auth=await web.key(), follow_redirects=True) as client:
            assert (await client.get(base + "//xapi///about")).status_code == 200
            root = await client.get(base + "/")
            assert (root.status_code, root.url.path) == (200, "/lrs/docs")
            assert 'href="/lrs/docs/openapi.json"' in root.text
            assert (await client.get(f"http://127.0.0.1:{port}/lrsx/xapi/about")).status_code == 404


async def test_a_trusted_proxy_that_ends_tls_says_the_path_itself(database: str, tmp_path: Path) -> None:
    context, certificate = certified(tmp_path)
    told = {"X-Forwarded-Prefix": "/school", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    async with _served(database, tmp_path, trusted_proxies="127.0.0.0/8") as (web, port), proxying(port, strip="/school", add=told, tls=context) as proxy:
        found = await _all_pages(f"https://127.0.0.1:{proxy.port}/school", await web.key(), ssl.create_default_context(cafile=str(certificate)))
        assert found == (3, {"/school/xapi/statements"})


async def test_nobody_else_is_believed(database: str, tmp_path: Path) -> None:
    told = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example.org", "Forwarded": "for=1.2.3.4;proto=https"}
    async with _served(database, tmp_path, trusted_proxies="192.0.2.0/24") as (web, port), proxying(port, add=told) as proxy:
        assert await _all_pages(f"http://127.0.0.1:{proxy.port}", await web.key()) == (3, {STATEMENTS})


@pytest.mark.parametrize(("headers", "client", "scheme", "host", "prefix"), [
    ({"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https", "x-forwarded-host": "lrs.example.org"}, "203.0.113.9", "https", "lrs.example.org", None),
    ({"x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.7", "x-forwarded-proto": "http, https, http"}, "203.0.113.9", "https", "inner", None),
    ({"x-forwarded-host": "lrs.example.org", "x-forwarded-port": "8443"}, "10.0.0.1", "http", "lrs.example.org:8443", None),
    ({"forwarded": 'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https;host="lrs.example.org:444"'}, "2001:db8::1", "https", "lrs.example.org:444", None),
    ({"forwarded": 'for=_hidden;proto=gopher;host="a b"'}, "10.0.0.1", "http", "inner", None),
    ({"forwarded": "for=6.6.6.6;proto=https", "x-forwarded-for": "203.0.113.9:80"}, "203.0.113.9", "http", "inner", None),
    ({"x-forwarded-prefix": "/lrs/"}, "10.0.0.1", "http", "inner", "/lrs"), ({"x-forwarded-prefix": "//evil.example.org"}, "10.0.0.1", "http", "inner", None),
    ({"x-forwarded-prefix": "/a b"}, "10.0.0.1", "http", "inner", None), ({"x-forwarded-for": "nobody"}, "10.0.0.1", "http", "inner", None),
    ({"x-forwarded-for": "6.6.6.6, " * 1000 + "203.0.113.9, 10.0.0.7", "x-forwarded-proto": "http, " * 5000 + "https, http"},
     "203.0.113.9", "https", "inner", None),
    ({"forwarded": "a" * 60_000 + ",for=203.0.113.9;proto=https"}, "203.0.113.9", "https", "inner", None), ({}, "10.0.0.1", "http", "inner", None),
])
def test_of_what_proxies_say_the_part_that_trusted_ones_said_counts(
    headers: dict[str, str], client: str, scheme: str, host: str, prefix: str | None,
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in {"host": "inner", **headers}.items()]
    scope = {"type": "http", "client": ("10.0.0.1", 5), "scheme": "http", "path": "/", "headers": raw}
    seen, told = forwarded(scope, trusted("10.0.0.0/8"))
    assert (seen["client"][0], seen["scheme"], dict(seen["headers"])[b"host"].decode(), told) == (client, scheme, host, prefix)


def test_proxies_are_named_by_address_or_network() -> None:
    assert trusted(" 10.0.0.0/8, ::1 ,192.0.2.7") == tuple(ipaddress.ip_network(each) for each in ("10.0.0.0/8", "::1", "192.0.2.7"))
    refused: list[dict[str, Any]] = [
        {"trusted_proxies": "proxy.example.org"}, {"public_url": "lrs.example.org"}, {"public_url": "ftp://a"}, {"public_url": "https://a/?b"},
        {"public_url": "https://user@a"},
    ]
    for settings in refused:
        with pytest.raises(ValidationError):
            Settings(**settings)
    assert Settings(public_url="https://lrs.example.org/a/").public_url == "https://lrs.example.org/a"


async def test_without_proxies_and_a_path_a_request_passes_as_it_came() -> None:
    passed: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        passed.append(scope)
        await respond(send, 204, [])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(cast("Any", Front(app, Settings())))) as client:
        assert (await client.get("http://lrs/lrs/xapi", headers={"X-Forwarded-Prefix": "/lrs"})).status_code == 204
    assert passed[0]["path"] == "/lrs/xapi"
