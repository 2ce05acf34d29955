"""Rate limits of keys: one bucket for all processes, 429 with Retry-After beyond it, nothing at all for keys without one."""
import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.core.errors import BadRequest, TooManyRequests
from services.runtime.callers import rate_limit
from services.runtime.callers.api_keys import create_key
from services.runtime.callers.rate_limit import RateLimits
from services.runtime.postgres import Pool, open_pool
from tests.servers.in_process import settings_for, statement, until, web_process
from tests.servers.postgres import MakePostgres

URL = "https://lrs.example.org"


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, max=3) as opened:
        yield opened


async def _let_in(limits: RateLimits, key: str, rate: float) -> bool:
    try:
        await limits.take(key, rate)
    except TooManyRequests:
        return False
    return True


async def _count(processes: list[RateLimits], key: str, rate: float, times: int) -> int:
    return sum(await asyncio.gather(*(_let_in(limits, key, rate) for _ in range(times) for limits in processes)))


async def test_all_processes_together_let_in_what_the_rate_allows(pool: Pool) -> None:
    processes = [RateLimits(pool) for _ in range(3)]
    started = time.monotonic()
    admitted = sum([await _count(processes, "k", 30, 10) for _ in range(5)])
    assert admitted >= 30 - 3 * 2  # what a process drew and did not use is less than a tenth of a second's
    assert admitted <= 30 + 30 * (time.monotonic() - started) + 1
    await until(lambda: _let_in(processes[0], "k", 30), 5)


async def test_keys_do_not_use_up_each_other_s_rate(pool: Pool) -> None:
    limits = RateLimits(pool)
    assert await _count([limits], "a", 2, 10) >= 2
    assert await _let_in(limits, "b", 2)


async def test_a_rate_below_one_a_second_lets_one_in_and_says_how_long_to_wait(pool: Pool) -> None:
    limits = RateLimits(pool)
    await limits.take("slow", 0.25)
    with pytest.raises(TooManyRequests) as refused:
        await limits.take("slow", 0.25)
    assert refused.value.retry_after_s in {3, 4}
    assert "0.25 requests a second" in refused.value.detail


async def test_a_flood_asks_the_database_seldom(pool: Pool) -> None:
    limits = RateLimits(pool)
    await _count([limits], "k", 1, 10)
    drawn = await pool.fetchval("select at from api_key_rate where key = 'k'")
    for _ in range(100):
        await _let_in(limits, "k", 1)
    assert await pool.fetchval("select at from api_key_rate where key = 'k'") == drawn


async def test_while_postgres_is_away_each_process_allows_the_whole_rate(make_postgres: MakePostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_AWAY_S", 60.0)
    server = await make_postgres()
    pool = await open_pool(server.dsn, max=3)
    limits = RateLimits(pool)
    assert await _let_in(limits, "k", 40)
    server.kill9()
    started = time.monotonic()
    async with asyncio.timeout(20):
        admitted = await _count([limits], "k", 40, 200)
    assert 4 <= admitted <= 12 + 40 * (time.monotonic() - started)
    pool.terminate()


async def test_a_key_with_a_rate_is_answered_429_beyond_it_and_one_without_never(database: str, tmp_path: Path) -> None:
    async with web_process(settings_for(tmp_path), database, visible_s=0.01) as web:
        made = await create_key(web.state.pool, web.state.secret, name="n", scopes=["all"], public_url=URL, rate=2)
        limited, free = web.client((made["key"], made["secret"])), web.client(await web.key("all"))
        answers = [await limited.post("/xapi/statements", json=statement()) for _ in range(8)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in refused} == {429}
        assert answers[0].status_code == answers[1].status_code == 200
        for answer in refused:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["LRS-Outcome"] == "rejected"
            assert answer.json()["type"].endswith("/too-many-requests")
        assert {(await free.post("/xapi/statements", json=statement())).status_code for _ in range(8)} == {200}
        wrong = [await web.client((made["key"], "wrong")).post("/xapi/statements", json=1) for _ in range(3)]
        assert {answer.status_code for answer in wrong} == {401}


async def test_a_rate_that_makes_no_sense_is_refused(pool: Pool) -> None:
    for rate in (0.0, -1.0, float("nan"), float("inf"), 1e9):
        with pytest.raises(BadRequest):
            await create_key(pool, b"s", name="n", public_url=URL, rate=rate)
    made = await create_key(pool, b"s", name="n", public_url=URL, rate=2.5)
    assert await pool.fetchval("select rate from api_key where id = $1", made["key"]) == 2.5
