"""Authorization as clients write it: what is understood, what is refused in which words, and that none of it is ever logged or kept."""
import base64
import secrets
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from services.runtime.callers.api_keys import create_key, revoke_key
from tests.integration.api_service import STATEMENTS, Service, api_service, served
from tests.servers.in_process import statement
from tests.servers.system import System

VERSION = {"X-Experience-API-Version": "1.0.3"}


service = served(api_service)


def _token(key: str, secret: str) -> str:
    return base64.b64encode(f"{key}:{secret}".encode()).decode()


async def _asked(service: Service, *values: str | bytes) -> tuple[httpx.Response, httpx.Response]:
    """Return what a read and a write answer to these Authorization headers."""
    client = service.web.client(None, version="1.0.3")
    headers = [(b"Authorization", value if isinstance(value, bytes) else value.encode()) for value in values]
    return await client.get(STATEMENTS, headers=headers), await client.post(STATEMENTS, json=statement(), headers=headers)


@pytest.mark.parametrize("form", [
    "Basic {}", "basic {}", "BASIC {}", "bAsIc   {}", "  Basic {}  ", "Basic\u0020\u0020{}\u0020",
])
async def test_credentials_are_understood_however_the_scheme_is_written(service: Service, form: str) -> None:
    key, secret = await service.web.key("all")
    assert [answer.status_code for answer in await _asked(service, form.format(_token(key, secret)))] == [200, 200]


async def test_credentials_are_understood_without_their_padding(service: Service) -> None:
    made = [await service.web.key("all", name=name) for name in ("a", "ab", "abc")]
    for key, secret in made:
        assert [answer.status_code for answer in await _asked(service, "Basic " + _token(key, secret).rstrip("="))] == [200, 200]


@pytest.mark.parametrize(("values", "sentence"), [
    ((), "needs an API key"), (("",), "takes Basic authentication"), (("Basic",), "no colon"), (("Basic:xyz",), "takes Basic authentication"),
    (("Digest username=x",), "takes Basic authentication"), (("Bearer abc",), "takes Basic authentication"), (("Basic !!!",), "the Base64 of the key, a colon"),
    (("Basic " + base64.b64encode(b"\xff\xfe:x").decode(),), "not UTF-8"), ((b"Basic \xff\xfe",), "the Base64 of the key, a colon"),
    (("Basic " + base64.b64encode(b"nothing").decode(),), "no colon"), (("Basic Og==",), "name no key"),
    (("Basic " + _token("k", "s"), "Basic x"), "more than one"),
    (("Basic " + _token("k", "s"),) * 2, "more than one"), (("Basic a, Basic b",), "more than one"), (("Basic " + "A" * 20_000,), "longer than"),
    (("Basic " + _token("nobody", "x"),), "unknown, revoked or expired"),
])
async def test_what_is_wrong_with_credentials_is_said_in_a_problem(service: Service, values: tuple[str | bytes, ...], sentence: str) -> None:
    for answer in await _asked(service, *values):
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Testamur", charset="UTF-8"'
        assert answer.headers["X-Experience-API-Version"] == "1.0.3"
        assert sentence in answer.json()["detail"]


async def test_of_several_headers_none_is_believed_though_one_is_right(service: Service) -> None:
    right, wrong = "Basic " + _token(*await service.web.key("all")), "Basic " + _token("nobody", "x")
    for values in ((right, wrong), (wrong, right), (right, right), (right, "")):
        assert [answer.status_code for answer in await _asked(service, *values)] == [401, 401], values


async def test_an_answer_does_not_tell_whether_a_key_is_there(service: Service) -> None:
    state = service.web.state
    made, revoked = [await create_key(state.pool, state.secret, name=name, public_url=state.public_url) for name in ("there", "revoked")]
    await revoke_key(state.pool, revoked["key"])
    client = service.web.client(None, version=None)
    right = {"Authorization": "Basic " + _token(made["key"], made["secret"]), **VERSION}
    assert (await client.post(STATEMENTS, json=statement(), headers=right)).status_code == 200  # which the key spoke xAPI 1.0.3 with
    for method in ("GET", "POST"):
        told = set()
        for key, secret in ((made["key"], "wrong"), ("lrs_0123456789abcdef", made["secret"]), (revoked["key"], revoked["secret"])):
            answer = await client.request(method, STATEMENTS, headers={"Authorization": "Basic " + _token(key, secret)})
            del answer.headers["X-Experience-API-Consistent-Through"]
            told.add((answer.status_code, answer.text, tuple(answer.headers.items())))
        assert len(told) == 1, told


async def test_a_scope_that_is_missing_is_named(service: Service) -> None:
    read, write = await _asked(service, "Basic " + _token(*await service.web.key("state")))
    assert (read.status_code, read.json()["scopes"]) == (403, ["statements/read", "statements/read/mine"])
    assert (write.status_code, write.json()["detail"]) == (403, "This API key needs the scope statements/write.")


class _Canaries:
    """Texts that must be nowhere afterwards, each as it is, in Base64, and in hexadecimal."""

    def __init__(self) -> None:
        self.planted: set[str] = set()

    def plant(self, text: str | None = None) -> str:
        made = text or f"canary-{secrets.token_hex(12)}"
        self.planted |= {made, made.encode().hex(), base64.b64encode(made.encode()).decode().rstrip("=")}
        return made

    def basic(self, key: str, secret: str) -> str:
        """Return a header that is planted whole, too."""
        self.plant(_token(key, self.plant(secret)))
        return "Basic " + _token(key, secret)

    def found(self, text: str) -> set[str]:
        return {planted for planted in self.planted if planted in text}


async def _everything(dsn: str) -> str:
    """Return all rows of all tables of a database as text, bytes as hexadecimal."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        found = [row[0] for table in tables for row in await connection.fetch(f"select t::text from {table['name']} t")]
    finally:
        await connection.close()
    assert len(tables) > 10
    return "\n".join(found)


async def test_no_secret_is_in_any_log_or_table(database: str, make_system: Callable[..., System], tmp_path: Path) -> None:
    system = make_system("postgres", settings={
        "TESTAMUR_DATABASE_URL": database, "TESTAMUR_FAILPOINTS": "ingest.after_lookup=error@2", "TESTAMUR_OIDC_ISSUERS": "http://127.0.0.1:1",
        "TESTAMUR_OIDC_AUDIENCE": "a"}, arguments=("--workers", "1"))
    system.start()
    canaries = _Canaries()
    key, secret = system.create_key("default", "all")
    admin = canaries.basic(system.environment["TESTAMUR_BOOTSTRAP_KEY"], system.environment["TESTAMUR_BOOTSTRAP_SECRET"])
    token = canaries.plant()
    wrong = [
        canaries.basic(key, canaries.plant()), canaries.basic("nobody", canaries.plant()), f"Basic {canaries.plant()}",
        f"Bearer {token}", f"Bearer a.{token}.b",
        f"Digest {canaries.plant()}", canaries.plant(), f"Basic {canaries.plant()}, Basic {canaries.plant()}",
        "Bearer " + canaries.plant(".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (
            b'{"alg": "RS256", "kid": "k"}', b'{"iss": "http://127.0.0.1:1"}', b"x"))),
    ]
    right = canaries.basic(key, secret)
    statuses = set()
    async with httpx.AsyncClient(base_url=system.url, headers=VERSION, timeout=30) as client:
        for header in (right, admin, *wrong):
            for method, path in (("GET", STATEMENTS), ("POST", STATEMENTS), ("GET", "/v1/courses"), ("PUT", "/xapi/activities/state"), ("GET", "/nowhere")):
                answer = await client.request(method, path, headers={"Authorization": header}, json=statement() if method == "POST" else None)
                statuses.add(answer.status_code)
                assert not canaries.found(answer.text + str(answer.headers))
            form = {"Authorization": header, "X-Experience-API-Version": "1.0.3"}
            answer = await client.post(STATEMENTS, params={"method": "GET"}, data=form)
            assert not canaries.found(answer.text + str(answer.headers))
    assert {200, 400, 401, 404, 500} <= statuses
    assert system.stop() == 0
    assert "FailpointHit" in system.tail(1 << 20)
    assert not canaries.found(system.tail(1 << 20))
    assert not canaries.found(await _everything(database))
    assert not canaries.found("".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()))
