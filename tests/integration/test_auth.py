"""API keys: who gets in, what they may do, how soon a revoked one stops, and what is remembered while Postgres is away."""
import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.core.errors import BadRequest, Forbidden, Unauthenticated, Unavailable
from services.core.scopes import KNOWN
from services.runtime.callers import auth
from services.runtime.callers.api_keys import create_key, ensure_bootstrap, list_keys, revoke_key
from services.runtime.callers.auth import Keys, basic_credentials
from services.runtime.postgres import Pool, open_pool
from services.runtime.secret import SecretRefused, confirm_secret, resolve_secret
from services.runtime.settings import Settings
from tests.servers.in_process import Web, running_projector, settings_for, statement, until, web_process
from tests.servers.postgres import MakePostgres

SECRET = b"a secret for tests"
URL = "https://lrs.example.org"


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, max=3) as opened:
        yield opened


@pytest_asyncio.fixture
async def web(database: str, tmp_path: Path) -> AsyncIterator[Web]:
    async with web_process(settings_for(tmp_path), database, visible_s=20.0) as running:
        yield running


def _basic(key: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


async def _opens(keys: Keys, header: str) -> bool:
    try:
        await keys.authenticate(header)
    except Unauthenticated:
        return False
    return True


async def _refuses(keys: Keys, header: str) -> bool:
    return not await _opens(keys, header)


@pytest.mark.parametrize("header", [
    "Basic a2V5OnNlOmNyZXQ=", "basic a2V5OnNlOmNyZXQ=", "BASIC a2V5OnNlOmNyZXQ", " Basic   a2V5OnNlOmNyZXQ= ", b"Basic a2V5OnNlOmNyZXQ=",
])
def test_basic_credentials_are_read_in_the_forms_clients_send(header: str | bytes) -> None:
    assert basic_credentials(header) == ("key", "se:cret")


@pytest.mark.parametrize("header", [
    None, "", "Basic", "Basic:xyz", "Basic !!!", "Basic YQ==", "Basic Og==", "Basic /////w==", "Bearer abc", "Basic \u00ff", b"\xff\xfe", "Basic a",
])
def test_anything_else_is_unauthenticated(header: str | bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        basic_credentials(header)


async def test_a_key_opens_its_tenant_with_its_scopes_and_authority(pool: Pool) -> None:
    keys = Keys(pool, SECRET)
    made = await create_key(pool, SECRET, name="lms", tenant="school", scopes=["statements/write", "lrs:read"], public_url=URL)
    caller = await keys.authenticate(_basic(made["key"], made["secret"]))
    assert (caller.tenant, caller.key, caller.scopes) == ("school", made["key"], frozenset({"statements/write", "lrs:read"}))
    assert caller.authority == {"objectType": "Agent", "account": {"homePage": URL, "name": "lms"}}
    named = await create_key(pool, SECRET, name="lms", tenant="school", scopes=["all"], authority={"mbox": "mailto:lms@example.org"}, public_url=URL)
    assert (await keys.authenticate(_basic(named["key"], named["secret"]))).authority == {"mbox": "mailto:lms@example.org"}
    assert (await keys.authenticate(_basic(named["key"], named["secret"]))).tenant_id == caller.tenant_id


async def test_a_key_without_scopes_gets_those_of_the_specification(pool: Pool) -> None:
    assert (await create_key(pool, SECRET, name="n", public_url=URL))["scopes"] == ["statements/write", "statements/read/mine"]


async def test_wrong_secrets_unknown_and_revoked_keys_are_refused_alike(pool: Pool) -> None:
    made, other = [await create_key(pool, SECRET, name=name, public_url=URL) for name in ("a", "b")]
    await revoke_key(pool, other["key"])
    keys = Keys(pool, SECRET)
    refusals = set()
    for key, secret in ((made["key"], other["secret"]), ("nobody", made["secret"]), (other["key"], other["secret"]), ("nul\0", "x"), (made["key"], "")):
        with pytest.raises(Unauthenticated) as refused:
            await keys.authenticate(_basic(key, secret))
        refusals.add(refused.value.detail)
    assert len(refusals) == 1
    with pytest.raises(Unauthenticated):
        await Keys(pool, b"another installation").authenticate(_basic(made["key"], made["secret"]))


async def test_a_key_with_a_nul_in_it_or_without_end_is_no_key_and_is_not_remembered(pool: Pool) -> None:
    made = await create_key(pool, SECRET, name="a", public_url=URL)
    keys = Keys(pool, SECRET)

    for key in (made["key"] + "\0", made["key"][:4] + "\0" + made["key"][4:], "k" * 1025):
        assert await _refuses(keys, _basic(key, made["secret"]))
    assert not keys._known
    assert not keys._strangers
    assert await _opens(keys, _basic(made["key"], made["secret"]))


async def test_a_revoked_key_stops_within_five_seconds(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert auth.FRESH_S <= 5
    monkeypatch.setattr(auth, "FRESH_S", 0.2)
    made, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)
    header = _basic(made["key"], made["secret"])
    await keys.authenticate(header)
    assert await revoke_key(pool, made["key"])
    assert not await revoke_key(pool, made["key"])
    await until(lambda: _refuses(keys, header), 5)


async def test_only_who_was_verified_just_now_and_has_no_rate_is_let_in_without_waiting(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(pool, SECRET)
    free, limited = [await create_key(pool, SECRET, name="n", public_url=URL, rate=rate) for rate in (None, 50.0)]
    headers = [_basic(made["key"], made["secret"]) for made in (free, limited)]
    assert [keys.admitted(header) for header in (*headers, None, _basic(free["key"], "wrong"))] == [None] * 4
    caller, _ = [await keys.authenticate(header) for header in headers]
    assert [keys.admitted(header) for header in (*headers, None, _basic(free["key"], "wrong"))] == [caller, None, None, None]
    monkeypatch.setattr(auth, "FRESH_S", 0.0)
    assert keys.admitted(headers[0]) is None


async def test_a_key_made_after_it_was_asked_for_opens_within_five_seconds(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FRESH_S", 0.2)
    settings = Settings(bootstrap_key="admin", bootstrap_secret="s", secret="x")
    keys = Keys(pool, SECRET)
    with pytest.raises(Unauthenticated):
        await keys.authenticate(_basic("admin", "s"))
    await ensure_bootstrap(settings, pool, SECRET, public_url=URL)
    await until(lambda: _opens(keys, _basic("admin", "s")), 5)


async def test_known_keys_work_while_postgres_is_away_and_unknown_ones_are_told_to_come_again(
    make_postgres: MakePostgres, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "FRESH_S", 0.0)
    server = await make_postgres()
    pool = await open_pool(server.dsn, max=3)
    made, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)
    header = _basic(made["key"], made["secret"])
    known = await keys.authenticate(header)
    server.kill9()
    async with asyncio.timeout(20):
        assert await keys.authenticate(header) == known
        with pytest.raises(Unauthenticated):
            await keys.authenticate(_basic(made["key"], "wrong"))
        with pytest.raises(Unavailable):
            await keys.authenticate(_basic("unknown", "x"))
        monkeypatch.setattr(auth, "REMEMBERED_S", 0.0)
        with pytest.raises(Unavailable):
            await keys.authenticate(header)
    pool.terminate()


async def test_keys_are_listed_without_their_secrets(pool: Pool) -> None:
    made = await create_key(pool, SECRET, name="n", tenant="t", scopes=["lrs:read"], public_url=URL)
    [listed] = await list_keys(pool)
    assert (listed["key"], listed["name"], listed["tenant"], listed["scopes"], listed["revoked_at"]) == (made["key"], "n", "t", ["lrs:read"], None)
    assert made["secret"] not in str(listed)
    assert made["secret"] not in str(await pool.fetch("select * from api_key"))


async def test_a_key_that_makes_no_sense_is_not_made(pool: Pool) -> None:
    refused: list[dict[str, Any]] = [
        {"scopes": ["everything"]}, {"name": ""}, {"tenant": "a\nb"}, {"authority": {"name": "nobody"}}, {"authority": {"mbox": "ada"}},
    ]
    for changes in refused:
        with pytest.raises(BadRequest):
            await create_key(pool, SECRET, **{"name": "n", "tenant": "t", "scopes": [], "public_url": URL, **changes})
    assert await list_keys(pool) == []


async def test_an_administrator_is_made_at_the_first_start_and_shown_once(pool: Pool) -> None:
    settings = Settings(secret="x")
    made = [key for key in await asyncio.gather(*(ensure_bootstrap(settings, pool, SECRET, public_url=URL) for _ in range(3))) if key]
    assert len(made) == 1
    assert (await Keys(pool, SECRET).authenticate(_basic(made[0]["key"], made[0]["secret"]))).may("lrs:manage")
    assert await ensure_bootstrap(settings, pool, SECRET, public_url=URL) is None


async def test_a_given_administrator_is_taken_as_given_at_each_start(pool: Pool) -> None:
    keys_of = {secret: Settings(secret="x", bootstrap_key="admin", bootstrap_secret=secret) for secret in ("first", "second")}
    for secret, settings in keys_of.items():
        assert await ensure_bootstrap(settings, pool, SECRET, public_url=URL) is None
        await Keys(pool, SECRET).authenticate(_basic("admin", secret))
    await revoke_key(pool, "admin")
    await ensure_bootstrap(keys_of["second"], pool, SECRET, public_url=URL)
    await Keys(pool, SECRET).authenticate(_basic("admin", "second"))
    with pytest.raises(Unauthenticated):
        await Keys(pool, SECRET).authenticate(_basic("admin", "first"))
    with pytest.raises(BadRequest):
        await ensure_bootstrap(Settings(secret="x", bootstrap_key="admin"), pool, SECRET, public_url=URL)
    with pytest.raises(BadRequest):
        await ensure_bootstrap(Settings(secret="x", bootstrap_key="a:b", bootstrap_secret="c"), pool, SECRET, public_url=URL)


def test_the_secret_of_an_installation_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new", secret=None)
    made = resolve_secret(settings)
    assert len(made) >= 32
    assert resolve_secret(settings) == made
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret"]
    assert resolve_secret(Settings(data_dir=tmp_path, secret="given")) == b"given"
    (tmp_path / "secret").touch()
    for settings in (Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, secret="")):
        with pytest.raises(SecretRefused, match="is empty"):
            resolve_secret(settings)


async def test_a_database_is_refused_to_another_secret_than_that_it_was_first_used_with(database: str, tmp_path: Path) -> None:
    first, other = (Settings(data_dir=tmp_path, secret=secret) for secret in ("first", "other"))
    await asyncio.gather(*(confirm_secret(first, database) for _ in range(3)))
    with pytest.raises(SecretRefused, match="made with another secret than that of TESTAMUR_SECRET"):
        await confirm_secret(other, database)
    with pytest.raises(SecretRefused, match=f"the file {tmp_path / 'secret'}"):
        await confirm_secret(Settings(data_dir=tmp_path, secret=None), database)
    await confirm_secret(first, database)


async def test_only_scopes_that_allow_writing_write(web: Web) -> None:
    writing = {"statements/write", "all", "lrs:admin"}
    async with running_projector(web.state):
        for scope in sorted(KNOWN):
            answer = await web.client(await web.key(scope)).post("/xapi/statements", json=statement())
            assert answer.status_code == (200 if scope in writing else 403), scope
            assert answer.headers["LRS-Outcome"] == ("stored" if scope in writing else "rejected")


async def test_a_write_without_a_valid_key_is_asked_for_one(web: Web) -> None:
    made = await web.key()
    for credentials in (None, ("nobody", "x"), (made[0], "wrong")):
        answer = await web.client(credentials).post("/xapi/statements", content=b"not even JSON")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert answer.headers["X-Experience-API-Version"] == "2.0.0"
        assert "X-Experience-API-Consistent-Through" in answer.headers


async def test_tenants_do_not_see_each_other_s_ids(web: Web) -> None:
    ours, theirs = web.client(await web.key(tenant="ours")), web.client(await web.key(tenant="theirs"))
    sent = statement()
    async with running_projector(web.state):
        assert (await ours.post("/xapi/statements", json=sent)).status_code == 200
        assert (await theirs.post("/xapi/statements", json={**sent, "verb": {"id": "urn:x-other"}})).status_code == 200
    rows = await web.state.pool.fetch("select tenant_id from statement where id = $1", UUID(sent["id"]))
    assert len(rows) == 2


def test_a_caller_is_told_which_scope_it_needs() -> None:
    caller = auth.Caller("t", 1, "k", {}, frozenset({"statements/read"}))
    caller.require("statements/write", "statements/read/mine")
    with pytest.raises(Forbidden, match="lrs:void"):
        caller.require("lrs:void")
