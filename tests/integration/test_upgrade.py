"""Data that an earlier version folded are folded anew after an upgrade, whatever happens meanwhile, and nobody folds or reads them before."""
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from services.projector.building import Progress, ReplayRefused, open_control
from services.projector.checksum import checksum
from services.projector.main import make_projections
from services.projector.upgrade import upgrade, upgrade_projection
from services.runtime.log import Log
from services.runtime.log.open_log import open_log
from services.runtime.migrate import FOLDER, VIEWS, NewerVersion, OlderProjections, fingerprint_of, migrate, outdated, require_current
from tests import factories
from tests.integration.earlier import connected, make_earlier, make_earlier_embedded
from tests.integration.projecting import SETTINGS, append, fetch, projector, record, statement, until_folded, voiding
from tests.servers.system import System


@pytest.fixture
async def log(database: str) -> AsyncIterator[Log]:
    """The log of the database, on which little is folded so far."""
    opened = await open_log(SETTINGS, database)
    target = uuid4()
    for n in range(6):
        await append(
            opened, record(0, statement(uuid4(), actor=f"someone{n % 3}"), statement(target if n == 4 else uuid4())), record(0, voiding(uuid4(), target)))
    async with projector(database, opened, projections=make_projections(SETTINGS)):
        await until_folded(database, opened, "learners")
        await until_folded(database, opened)
    yield opened
    await opened.close()


@contextmanager
def silently(_name: str) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda *_: None


async def rows(dsn: str) -> dict[str, dict[str, str]]:
    """Return the checksums of all tables in use."""
    async with connected(dsn) as connection:
        in_use = await connection.fetch("select name, version from projection where state = 'active' order by name")
        return {name: await checksum(connection, name, version) for name, version in in_use}


async def versions(dsn: str) -> list[tuple[Any, ...]]:
    """Return the versions in use, and how many have tables."""
    return [tuple(row) for row in await fetch(
        dsn, "select name, version, (select count(*) from pg_namespace where nspname ~ ('^' || name || '_[0-9]+$')) from projection "
        "where state = 'active' order by name")]


Command = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest.fixture
def command(database: str, tmp_path: Path) -> Command:
    """A function that runs a `testamur` command on the database; settings are environment variables."""
    common = {**os.environ, "TESTAMUR_DATABASE_URL": database, "TESTAMUR_DATA_DIR": str(tmp_path / "data"), "TESTAMUR_SECRET": "a secret of tests"}

    async def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "services.cli", *arguments]
        return await asyncio.to_thread(subprocess.run, argv, env=common | settings, capture_output=True, text=True, timeout=120, check=False)

    return run


async def test_what_an_earlier_version_folded_is_folded_anew_to_the_same_rows_that_this_one_folds(database: str, log: Log, command: Command) -> None:
    before = await rows(database)
    await make_earlier(database)
    await fetch(database, "insert into dead_letter select 'learners', 1, 0, 1, 0, 1, null, null, 'a bug of before', 'its code', now(), 1")
    assert set(await outdated(database)) == set(VIEWS)

    ended = await command("migrate")

    assert ended.returncode == 0, ended.stderr
    assert "statements: folding" in ended.stderr
    assert "learners: version 2 is in use; other code made version 1, so there was nothing to compare it with" in ended.stderr
    assert await rows(database) == before
    assert await versions(database) == [("learners", 2, 1), ("statements", 2, 1)]
    assert await fetch(database, "select from dead_letter") == []
    assert (await fetch(database, "select reltuples from pg_class where oid = 'statements_2.statement'::regclass"))[0][0] == 18, "plans are made blindly"
    assert await outdated(database) == []
    await append(log, record(0, statement(uuid4())))
    async with projector(database, log, projections=make_projections(SETTINGS)):
        await until_folded(database, log)
    assert len(await fetch(database, "select from statement where fp is not null")) == 19


@pytest.mark.parametrize("place", ["projector.after_commit", "upgrade.in_use"])
async def test_killed_on_the_way_it_begins_again_and_leaves_nothing_behind(database: str, log: Log, command: Command, place: str) -> None:
    before = await rows(database)
    await make_earlier(database)

    killed = await command("migrate", TESTAMUR_FAILPOINTS=f"{place}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "learners" in await outdated(database)

    await upgrade(SETTINGS, database, silently)
    assert await rows(database) == before
    assert [tables for _, _, tables in await versions(database)] == [1, 1]
    assert {row["state"] for row in await fetch(database, "select state from projection")} == {"active", "retired"}


async def test_killed_before_it_could_drop_the_old_tables_the_next_start_does(database: str, log: Log, command: Command) -> None:
    await make_earlier(database)
    await fetch(database, "update projection set fingerprint = $1 where name = 'learners'", fingerprint_of("learners"))
    assert (await command("migrate", TESTAMUR_FAILPOINTS="upgrade.in_use=kill")).returncode == -signal.SIGKILL
    assert await versions(database) == [("learners", 1, 1), ("statements", 2, 2)]
    assert await outdated(database) == []

    await upgrade(SETTINGS, database, silently)
    assert await versions(database) == [("learners", 1, 1), ("statements", 2, 1)]


@pytest.mark.parametrize("arguments", [("projector",), ("api", "--port", "0"), ("ingest", "--port", "0"), ("replay", "learners")])
async def test_a_service_refuses_what_an_earlier_version_folded_and_names_the_command(database: str, command: Command, arguments: tuple[str, ...]) -> None:
    await fetch(database, "update projection set fingerprint = null")

    ended = await command(*arguments)

    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.startswith("testamur: This database was made by an earlier version of Testamur, and its statements and learners must be folded anew")
    assert "run `testamur migrate`" in ended.stderr


async def test_other_code_with_the_same_tables_is_seen_by_its_number(database: str) -> None:
    await require_current(database)
    ours = fingerprint_of("learners")
    await fetch(database, "update projection set fingerprint = $1 where name = 'learners'", "0:" + ours.partition(":")[2])

    assert await outdated(database) == ["learners"]
    with pytest.raises(OlderProjections, match="its learners must be folded anew"):
        await require_current(database)


@pytest.mark.parametrize(("added", "differs"), [("-- A word more.", False), ("create table another (one int);", True)])
def test_other_tables_are_seen_without_a_number_and_a_comment_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: str, differs: bool,
) -> None:
    ours = fingerprint_of("learners")
    shutil.copytree(FOLDER, tmp_path / "postgres")
    with (tmp_path / "postgres" / "projections" / "learners.sql").open("a") as file:
        file.write(f"\n\n{added}\n")
    monkeypatch.setattr("services.runtime.migrate.FOLDER", tmp_path / "postgres")

    assert (fingerprint_of("learners") != ours) == differs


async def test_what_a_newer_version_folded_is_refused_and_left_alone(database: str, command: Command) -> None:
    await fetch(database, "update projection set fingerprint = '999:of the future' where name = 'learners'")
    before = await fetch(database, "select * from projection order by name")

    ended = await command("up", "--port", "0")

    assert (ended.returncode, "The projection learners of this database was folded by a newer Testamur." in ended.stderr) == (1, True), ended.stderr
    with pytest.raises(NewerVersion):
        await migrate(database)
    assert await fetch(database, "select * from projection order by name") == before


async def test_while_a_projector_still_folds_nothing_is_folded_anew(database: str, log: Log) -> None:
    await make_earlier(database)
    await fetch(database, "insert into projector_worker values ($1, now())", uuid4())
    control = await open_control(database)

    with pytest.raises(ReplayRefused, match="A projector still runs"):
        await upgrade_projection(database, log, control, make_projections(SETTINGS)[0], lambda *_: None, patience_s=0)

    control.terminate()
    assert await versions(database) == [("learners", 1, 1), ("statements", 1, 1)]


async def test_a_projector_that_slept_through_an_upgrade_folds_nothing(database: str, log: Log) -> None:
    await append(log, record(0, statement(uuid4())))
    await fetch(database, "update projection set fingerprint = '999:of the future'")

    async with projector(database, log, ready=False):
        await asyncio.sleep(0.5)  # noqa: TID251 - nothing is to happen, and it looks for work ten times a second
        assert await fetch(database, "select from projector_worker") == []

    assert await fetch(database, "select from projection_cursor where owner is not null") == []
    assert len(await fetch(database, "select from statement where fp is not null")) == 18


@pytest.mark.parametrize("passed_it", [False, True])
async def test_a_damaged_record_keeps_the_old_tables_in_use_only_if_they_hold_what_comes_after_it(database: str, log: Log, passed_it: bool) -> None:
    damaged = 5
    await make_earlier(database)
    await fetch(database, 'update log_record set value = $2 where "offset" = $1', damaged, b"{}")
    if not passed_it:
        await fetch(database, "update projection_cursor set position = $1, halted = 'damaged'", damaged)

    if passed_it:
        with pytest.raises(ReplayRefused, match=f"The new version of statements halted in partition 0, offset {damaged}"):
            await upgrade(SETTINGS, database, silently)
        assert [version for _, version, _ in await versions(database)] == [1, 1]
    else:
        await upgrade(SETTINGS, database, silently)
        assert [version for _, version, _ in await versions(database)] == [2, 2]
        assert all(row["position"] == damaged and row["halted"] for row in await fetch(
            database, "select position, halted from projection_cursor where version = 2"))


async def test_up_folds_anew_though_killed_once_and_answers_as_before_with_its_documents_and_keys(tmp_path: Path) -> None:
    system = System(tmp_path / "data", arguments=("--workers", "1"))
    try:
        system.start()
        await _tell(system)
        before = await _answers(system)
        assert system.stop() == 0
        await make_earlier_embedded(system.data_dir)
        refused = system.command("api", "--port", "0")
        assert (refused.returncode, "testamur migrate" in refused.stderr) == (1, True), refused.stderr
        system.environment["TESTAMUR_FAILPOINTS"] = "projector.after_commit=kill"
        assert system.command("up", "--port", "0").returncode == -signal.SIGKILL
        del system.environment["TESTAMUR_FAILPOINTS"]

        system.start()

        assert "statements: folding" in system.tail()
        assert await _answers(system) == before
        assert [each["version"] for each in json.loads(system.command("status", "--json").stdout)["projections"]] == [2, 2]
        assert system.stop() == 0
    finally:
        system.destroy()


async def _tell(system: System) -> None:
    """Send statements and a document."""
    async with system.connection() as connection:
        course = factories.activity(definition={"name": {"en": "A course"}})
        sent = [factories.statement(number, actor=f"person{number % 3}", object=course) for number in range(30)]
        answer = await connection.request("POST", "/xapi/statements", json.dumps(sent).encode(), {"Prefer": "wait=10"})
        assert answer.status == 200, answer.body
        assert (await connection.request("PUT", _state(), b'{"at": 7}')).status == 204
        waited = await connection.request("GET", "/v1/learners", headers={"LRS-Min-Position": answer.headers["lrs-position"], "Prefer": "wait=10"})
        assert waited.status == 200, waited.body


async def _answers(system: System) -> dict[str, Any]:
    """Return what the system says about everything, with the key it always had."""
    async with system.connection() as connection:
        learners = json.loads((await connection.request("GET", "/v1/learners")).body)["learners"]
        assert len(learners) == 3
        paths = [
            "/xapi/statements?limit=50", _state(), *(f"/v1/learners/{learner['id']}/transcript" for learner in learners),
            "/xapi/activities?" + urlencode({"activityId": factories.activity()["id"]}),
        ]
        told = {path: await connection.request("GET", path) for path in paths}
    assert {answer.status for answer in told.values()} == {200}
    return {"learners": learners} | {path: json.loads(answer.body) for path, answer in told.items()}


def _state() -> str:
    agent = {"mbox": "mailto:person1@example.org"}
    return "/xapi/activities/state?" + urlencode({"activityId": "https://example.org/course/1", "agent": json.dumps(agent), "stateId": "bookmark"})
