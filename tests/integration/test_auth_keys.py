"""The life of an API key: two secrets while one is exchanged, its end, its last use, and how soon each change is in force."""
import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.cli import app
from services.core.errors import BadRequest, Unauthenticated
from services.runtime.callers import auth
from services.runtime.callers.api_keys import NewKey, create_key, ensure_bootstrap, list_keys, revoke_former_secret, revoke_key, rotate_key
from services.runtime.callers.auth import Keys
from services.runtime.postgres import Pool, open_pool
from services.runtime.settings import Settings
from tests.servers.in_process import until
from tests.servers.postgres import MakePostgres

SECRET = b"a secret for tests"
URL = "https://lrs.example.org"


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, max=3) as opened:
        yield opened


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes at most five seconds takes a tenth of one."""
    assert auth.FRESH_S <= 5
    monkeypatch.setattr(auth, "FRESH_S", 0.1)


async def _opens(keys: Keys, made: NewKey) -> bool:
    try:
        await keys.authenticate("Basic " + base64.b64encode(f"{made['key']}:{made['secret']}".encode()).decode())
    except Unauthenticated:
        return False
    return True


async def _shut(keys: Keys, made: NewKey) -> bool:
    return not await _opens(keys, made)


async def test_after_a_rotation_both_secrets_open_until_the_grace_is_over(pool: Pool, soon: None) -> None:
    first, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)
    assert await _opens(keys, first)
    second = await rotate_key(pool, SECRET, first["key"], grace=timedelta(hours=1))
    assert second is not None
    assert (second["key"], second["scopes"], second["tenant"]) == (first["key"], first["scopes"], first["tenant"])
    await until(lambda: _opens(keys, second), 5)
    assert await _opens(Keys(pool, SECRET), first)
    await pool.execute("update api_key set former_until = now() + interval '300 ms'")
    await until(lambda: _shut(keys, first), 5)
    assert await _opens(keys, second)


async def test_a_second_rotation_ends_the_secret_before_the_former_and_none_is_kept_without_a_grace(pool: Pool) -> None:
    first = await create_key(pool, SECRET, name="n", public_url=URL)
    second = await rotate_key(pool, SECRET, first["key"], grace=timedelta(hours=1))
    third = await rotate_key(pool, SECRET, first["key"], grace=timedelta(hours=1))
    fourth = await rotate_key(pool, SECRET, first["key"], grace=timedelta(0))
    assert second
    assert third
    assert fourth
    assert [await _opens(Keys(pool, SECRET), made) for made in (first, second, third, fourth)] == [False, False, False, True]


async def test_the_former_secret_can_be_ended_before_its_time(pool: Pool, soon: None) -> None:
    first, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)
    second = await rotate_key(pool, SECRET, first["key"], grace=timedelta(hours=1))
    assert second
    assert await _opens(keys, first)
    assert await revoke_former_secret(pool, first["key"])
    assert not await revoke_former_secret(pool, first["key"])
    await until(lambda: _shut(keys, first), 5)
    assert await _opens(keys, second)


async def test_a_key_out_of_force_is_not_rotated_and_a_revoked_one_opens_with_neither_secret(pool: Pool) -> None:
    first = await create_key(pool, SECRET, name="n", public_url=URL)
    second = await rotate_key(pool, SECRET, first["key"], grace=timedelta(hours=1))
    assert second
    await revoke_key(pool, first["key"])
    assert [await _opens(Keys(pool, SECRET), made) for made in (first, second)] == [False, False]
    for key in (first["key"], "nobody"):
        assert await rotate_key(pool, SECRET, key, grace=timedelta(0)) is None
    with pytest.raises(BadRequest):
        await rotate_key(pool, SECRET, first["key"], grace=timedelta(days=1000))


async def test_a_key_ends_when_it_was_said_to(pool: Pool, soon: None) -> None:
    made, keys = await create_key(pool, SECRET, name="n", public_url=URL, expires=timedelta(days=1)), Keys(pool, SECRET)
    assert await _opens(keys, made)
    await pool.execute("update api_key set expires_at = now() + interval '300 ms'")
    await until(lambda: _shut(keys, made), 5)
    with pytest.raises(BadRequest):
        await create_key(pool, SECRET, name="n", public_url=URL, expires=timedelta(0))


async def test_a_key_ends_when_it_was_said_to_though_postgres_is_away(make_postgres: MakePostgres, soon: None) -> None:
    server = await make_postgres()
    pool = await open_pool(server.dsn, max=3)
    made, lasting = [await create_key(pool, SECRET, name="n", public_url=URL, expires=expires) for expires in (timedelta(seconds=2), None)]
    keys = Keys(pool, SECRET)
    assert await _opens(keys, made)
    assert await _opens(keys, lasting)
    server.kill9()
    await until(lambda: _shut(keys, made), 20)
    assert await _opens(keys, lasting)
    pool.terminate()


async def test_the_last_use_of_a_key_is_listed_to_the_hour(pool: Pool) -> None:
    made, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)
    [before] = await list_keys(pool)
    assert before["last_used_at"] is None
    assert await _shut(keys, {**made, "secret": "wrong"})
    assert await _opens(keys, made)

    async def used() -> bool:
        return (await list_keys(pool))[0]["last_used_at"] is not None

    await until(used, 5)
    assert await _opens(Keys(pool, SECRET), made)
    [after] = await list_keys(pool)
    assert (after["expires_at"], after["former_until"], after["rate"], after["revoked_at"]) == (None, None, None, None)


async def test_the_administrator_of_the_settings_has_the_one_secret_they_give(pool: Pool) -> None:
    settings = Settings(secret="x", bootstrap_key="admin", bootstrap_secret="given")
    await ensure_bootstrap(settings, pool, SECRET, public_url=URL)
    rotated = await rotate_key(pool, SECRET, "admin", grace=timedelta(hours=1))
    await ensure_bootstrap(settings, pool, SECRET, public_url=URL)
    assert rotated
    assert await _shut(Keys(pool, SECRET), rotated)
    assert await _opens(Keys(pool, SECRET), {**rotated, "secret": "given"})


def test_the_command_makes_rotates_and_lists_keys(database: str, tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner(env={"TESTAMUR_DATABASE_URL": database, "TESTAMUR_SECRET": "s"}).invoke(app, ["key", *arguments, "--data-dir", str(tmp_path)])
        assert done.exit_code == code, done.output
        return done.output

    made = json.loads(run("create", "--name", "lms", "--expires", "90d", "--rate", "2.5", "--json"))
    rotated = json.loads(run("rotate", made["key"], "--grace", "12h", "--json"))
    assert rotated["key"] == made["key"]
    assert rotated["secret"] != made["secret"]
    [listed] = json.loads(run("list", "--json"))
    assert listed["rate"] == 2.5
    assert re.match(r"\d{4}-\d\d-\d\dT", listed["expires_at"])
    assert listed["former_until"] < listed["expires_at"]
    assert "2.5/s" in run("list")
    run("revoke", made["key"], "--former")
    assert json.loads(run("list", "--json"))[0]["former_until"] is None
    run("rotate", made["key"], "--grace", "a while", code=2)
    run("create", "--name", "n", "--expires", "-1d", code=2)
    run("revoke", made["key"])


async def test_changes_meet_requests_under_way_without_an_error(pool: Pool, soon: None) -> None:
    made, keys = await create_key(pool, SECRET, name="n", public_url=URL), Keys(pool, SECRET)

    async def rotations() -> None:
        for _ in range(10):
            assert await rotate_key(pool, SECRET, made["key"], grace=timedelta(0))

    results = await asyncio.gather(rotations(), *(_opens(keys, made) for _ in range(50)))
    assert set(results[1:]) <= {True, False}
