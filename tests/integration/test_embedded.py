"""Rules of the embedded Postgres: several commands share one server, crashes do not matter, and foreign files are refused."""
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.runtime.embedded import CannotStart, EmbeddedPostgres
from services.runtime.embedded.cluster import major_version
from services.runtime.postgres import connect
from tests.servers.postgres import copy

TINY = {"shared_buffers": "16MB", "max_connections": "20"}
USER = """
import asyncio, sys
from pathlib import Path
from services.runtime.embedded import EmbeddedPostgres
async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), {"shared_buffers": "16MB"})
    print(await server.start(), server.pid, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()
asyncio.run(main())
"""


@pytest.fixture
async def home() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="testamur-embedded-", dir="/tmp"))
    yield folder
    for data_dir in (folder, folder / ("d" * 100)):
        last = EmbeddedPostgres(data_dir, TINY)
        if last.pid is not None:
            os.kill(last.pid, signal.SIGCONT)
            await last.start()
            await last.stop()
    shutil.rmtree(folder)


@pytest.fixture
def made(home: Path, postgres_template: Path) -> Path:
    """A data directory in which a server once ran."""
    copy(postgres_template, home)
    return home


async def answers(dsn: str) -> bool:
    try:
        connection = await connect(dsn, connect_timeout_s=2)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


def run_user(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_it_makes_starts_and_stops_a_durable_server_that_only_its_folder_leads_to(home: Path) -> None:
    server = EmbeddedPostgres(home / "new", TINY)
    dsn = await server.start()
    connection = await connect(dsn)
    durability = ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
    settings = [await connection.fetchval("select current_setting($1)", name) for name in durability]
    await connection.close()
    folder = home / "new" / "postgres"
    await server.stop()

    assert settings == ["on", "on", "on", ""]
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == (psutil.Process().uids().real or folder.stat().st_uid)
    assert (server.pid, await answers(dsn)) == (None, False)


async def test_the_last_user_stops_it_and_no_other(made: Path) -> None:
    first, second = EmbeddedPostgres(made, TINY), EmbeddedPostgres(made, TINY)
    dsn = await first.start()
    assert (await second.start(), second.pid) == (dsn, first.pid)
    await second.stop()
    assert await answers(dsn)
    third = run_user(made)
    assert third.stdout is not None
    await asyncio.to_thread(third.stdout.readline)
    await first.stop()
    assert await answers(dsn)

    await asyncio.to_thread(third.communicate, "go\n")
    third.stdout.close()
    assert not await answers(dsn)


async def test_users_that_race_to_make_it_make_one(home: Path) -> None:
    users = [EmbeddedPostgres(home, TINY) for _ in range(3)]
    assert len(set(await asyncio.gather(*(user.start() for user in users)))) == 1
    assert len({user.pid for user in users}) == 1

    await asyncio.gather(*(user.stop() for user in users))
    assert users[0].pid is None


async def test_it_outlives_a_kill_of_its_user_and_the_next_user_stops_it(made: Path) -> None:
    user = run_user(made)
    assert user.stdout is not None
    dsn, pid = (await asyncio.to_thread(user.stdout.readline)).split()
    user.kill()
    user.wait()
    user.communicate()
    assert await answers(dsn)
    following = EmbeddedPostgres(made, TINY)
    await following.start()

    assert following.pid == int(pid)
    await following.stop()
    assert not await answers(dsn)


@pytest.mark.parametrize("all_of_it", [True, False], ids=["everything", "the first process only"])
async def test_it_starts_again_after_kill_9_with_what_was_committed(made: Path, all_of_it: bool) -> None:
    server = EmbeddedPostgres(made, TINY)
    connection = await connect(await server.start())
    await connection.execute("create table kept as select 1 as one")
    assert server.pid is not None
    first = psutil.Process(server.pid)
    for process in [first, *(first.children() if all_of_it else [])]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    connection.terminate()
    began = time.monotonic()
    again = EmbeddedPostgres(made, TINY)
    connection = await connect(await again.start())

    assert time.monotonic() - began < 10
    assert await connection.fetchval("select one from kept") == 1
    await connection.close()
    await again.stop()
    await server.stop()


async def test_a_pid_file_that_names_a_strangers_process_does_not_matter(made: Path) -> None:
    (made / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{made / 'postgres'}\n1\n5432\n\n\n")
    server = EmbeddedPostgres(made, TINY)
    assert server.pid is None

    assert await answers(await server.start())
    await server.stop()


async def test_an_interrupted_first_start_leaves_nothing_in_the_way(home: Path) -> None:
    (home / "postgres.new-123").mkdir()
    (home / "postgres.new-123" / "PG_VERSION").write_text("half")
    server = EmbeddedPostgres(home, TINY)

    assert await answers(await server.start())
    assert [each.name for each in home.glob("postgres.new*")] == []
    await server.stop()


async def test_a_path_too_long_for_a_socket_is_no_obstacle(home: Path) -> None:
    server = EmbeddedPostgres(home / ("d" * 100), TINY)
    dsn = await server.start()

    assert "host=/tmp/testamur-" in dsn
    assert await answers(dsn)
    await server.stop()
    assert not Path(dsn.partition("host=")[2].partition("&")[0]).exists()


async def test_files_of_another_postgres_are_refused_with_a_sentence_and_left_alone(made: Path) -> None:
    (made / "postgres" / "PG_VERSION").write_text("15\n")
    before = sorted(each.name for each in (made / "postgres").iterdir())

    with pytest.raises(CannotStart, match=f"made by Postgres 15, and this Testamur carries Postgres {major_version()}"):
        await EmbeddedPostgres(made, TINY).start()
    assert sorted(each.name for each in (made / "postgres").iterdir()) == before


async def test_a_folder_that_is_no_cluster_is_refused_with_a_sentence(home: Path) -> None:
    (home / "postgres").mkdir()

    with pytest.raises(CannotStart, match="not a Postgres data directory"):
        await EmbeddedPostgres(home, TINY).start()


async def test_why_it_cannot_start_is_said_in_its_own_words(made: Path) -> None:
    with pytest.raises(CannotStart, match="shared_buffers"):
        await EmbeddedPostgres(made, {"shared_buffers": "lots"}).start()
