"""Writers of one document in several processes: no change is lost, and of two that exclude each other one happens."""
import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from services.api.xapi import document_store
from services.web import create_app
from tests.integration.document_service import ACTIVITY_PROFILE, JSON, STATE, Resource, tag_of
from tests.servers.in_process import Web, settings_for, web_process
from tests.servers.postgres import PostgresServer


@pytest_asyncio.fixture(scope="module")
async def processes(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Web]]:
    """Three web processes' worth of state on one database."""
    dsn, folder = postgres.create(migrated=True), tmp_path_factory.mktemp("documents")
    async with AsyncExitStack() as stack:
        stack.callback(postgres.drop, dsn)
        webs = [await stack.enter_async_context(web_process(settings_for(folder), dsn)) for _ in range(3)]
        for web in webs:
            web.app = create_app(web.state)
        yield webs


@pytest_asyncio.fixture
async def clients(processes: list[Web]) -> list[httpx.AsyncClient]:
    """One client of each process, all of a tenant that holds nothing yet."""
    key = await processes[0].key(tenant=f"tenant-{uuid4()}")
    return [web.client(key) for web in processes]


async def test_64_merges_at_once_into_one_document_keep_all_keys(clients: list[httpx.AsyncClient], resource: Resource) -> None:
    answers = await asyncio.gather(*(
        clients[n % len(clients)].post(resource.path, params=resource.params(), json={f"key{n}": n}) for n in range(64)))
    assert Counter(answer.status_code for answer in answers) == {204: 64}
    merged = await clients[0].get(resource.path, params=resource.params())
    assert merged.json() == {f"key{n}": n for n in range(64)}
    assert merged.headers["ETag"] in {answer.headers["ETag"] for answer in answers}


async def test_of_many_that_make_one_document_exactly_one_succeeds(clients: list[httpx.AsyncClient], resource: Resource) -> None:
    for _ in range(5):
        name = str(uuid4())
        answers = await asyncio.gather(*(
            clients[n % len(clients)].put(resource.path, params=resource.params(name), content=b"%d" % n, headers={"If-None-Match": "*"}) for n in range(12)))
        assert Counter(answer.status_code for answer in answers) == {204: 1, 412: 11}
        [winner] = [n for n, answer in enumerate(answers) if answer.status_code == 204]
        assert (await clients[0].get(resource.path, params=resource.params(name))).content == b"%d" % winner


async def test_of_many_that_replace_one_version_exactly_one_succeeds(clients: list[httpx.AsyncClient], resource: Resource) -> None:
    await clients[0].put(resource.path, params=resource.params(), content=b"first", headers={"If-None-Match": "*"})
    answers = await asyncio.gather(*(
        clients[n % len(clients)].put(resource.path, params=resource.params(), content=b"%d" % n, headers={"If-Match": tag_of(b"first")}) for n in range(12)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 412: 11}


async def test_a_counter_kept_by_compare_and_set_counts_every_change(clients: list[httpx.AsyncClient]) -> None:
    where = STATE.params()
    await clients[0].put(STATE.path, params=where, content=b"0")

    async def count(client: httpx.AsyncClient) -> None:
        for _ in range(5):
            while True:
                seen = await client.get(STATE.path, params=where)
                answer = await client.put(STATE.path, params=where, content=b"%d" % (int(seen.content) + 1), headers={"If-Match": seen.headers["ETag"]})
                assert answer.status_code in (204, 412)
                if answer.status_code == 204:
                    break

    await asyncio.gather(*(count(client) for client in clients for _ in range(2)))
    assert (await clients[0].get(STATE.path, params=where)).content == b"30"


async def test_documents_that_are_made_removed_and_removed_all_at_once_cost_no_errors(clients: list[httpx.AsyncClient]) -> None:
    async def step(client: httpx.AsyncClient, n: int) -> httpx.Response:
        where, made = STATE.params(str(n % 3)), {"If-None-Match": "*", "Content-Type": JSON}
        if n % 4 == 0:
            return await client.post(STATE.path, params=where, json={"n": n})
        if n % 4 == 1:
            return await client.put(STATE.path, params=where, content=b"{}", headers=made)
        return await client.delete(STATE.path, params=where if n % 4 == 2 else STATE.params(None))

    answers = await asyncio.gather(*(step(client, n) for n in range(40) for client in clients))
    assert {answer.status_code for answer in answers} <= {204, 412}


async def test_a_write_behind_a_frozen_one_is_given_up_in_time_and_readers_do_not_wait(
    processes: list[Web], clients: list[httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = ACTIVITY_PROFILE.params()
    assert (await clients[0].post(ACTIVITY_PROFILE.path, params=where, json={"a": 1})).status_code == 204
    async with processes[0].state.pool.acquire() as frozen, frozen.transaction():
        await frozen.execute("select from document for update")
        with monkeypatch.context() as patched:
            patched.setattr(document_store, "_CHANGE_S", 0.3)
            behind = await asyncio.gather(*(clients[1].post(ACTIVITY_PROFILE.path, params=where, json={"b": n}) for n in range(12)))
        assert {(answer.status_code, answer.headers["LRS-Outcome"], answer.headers["Retry-After"]) for answer in behind} == {(503, "unknown", "1")}
        read = await clients[1].get(ACTIVITY_PROFILE.path, params=where)
        assert (read.status_code, read.json()) == (200, {"a": 1})
        other = await clients[2].post(ACTIVITY_PROFILE.path, params=ACTIVITY_PROFILE.params("two"), json={})
        assert other.status_code == 204
    assert (await clients[1].post(ACTIVITY_PROFILE.path, params=where, content=b'{"b":2}', headers={"Content-Type": JSON})).status_code == 204
    assert (await clients[0].get(ACTIVITY_PROFILE.path, params=where)).json() == {"a": 1, "b": 2}


async def test_a_context_holds_so_many_documents_and_no_more(clients: list[httpx.AsyncClient], resource: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_store, "MAX_DOCUMENTS", 2)
    answers = [await clients[0].post(resource.path, params=resource.params(name), json={}) for name in ("a", "b", "c", "a")]
    assert [answer.status_code for answer in answers] == [204, 204, 413, 204]
    await clients[0].delete(resource.path, params=resource.params("a"))
    assert (await clients[0].post(resource.path, params=resource.params("c"), json={})).status_code == 204
