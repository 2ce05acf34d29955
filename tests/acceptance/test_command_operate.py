"""`testamur key`, `status`, `doctor`, `replay` and `migrate`: what operators type."""
import json
import os
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from tests.servers.system import System

SOAK = bool(os.environ.get("TESTAMUR_SOAK"))


def status_of(system: System, key: str, secret: str) -> int:
    """Return what the server answers to a key."""
    token = b64encode(f"{key}:{secret}".encode()).decode()
    request = Request(f"{system.url}/xapi/statements?limit=1", headers={"Authorization": f"Basic {token}", "X-Experience-API-Version": "1.0.3"})
    try:
        with urlopen(request, timeout=10) as answer:
            code: int = answer.status
            return code
    except HTTPError as refused:
        return refused.code


def test_a_key_made_is_in_force_at_once_and_a_revoked_one_within_five_seconds(here: System) -> None:
    made = json.loads(here.command("key", "create", "--name", "lms", "--tenant", f"t-{uuid4()}", "--scope", "all", "--scope", "lrs:read", "--json").stdout)
    in_force = status_of(here, made["key"], made["secret"])
    revoked = here.command("key", "revoke", made["key"])
    deadline = time.monotonic() + 5

    while status_of(here, made["key"], made["secret"]) != 401:
        assert time.monotonic() < deadline, "still in force"
    assert made["scopes"] == ["all", "lrs:read"]
    assert sorted(made) == ["key", "scopes", "secret", "tenant"]
    assert (in_force, revoked.returncode) == (200, 0)
    assert here.command("key", "revoke", made["key"]).returncode == 1


def test_a_key_is_listed_without_its_secret_and_with_its_authority(here: System) -> None:
    authority = {"mbox": "mailto:office@example.org", "objectType": "Agent"}
    made = json.loads(here.command("key", "create", "--name", "office", "--authority", json.dumps(authority), "--json").stdout)

    listed = here.command("key", "list", "--json")

    [row] = [row for row in json.loads(listed.stdout) if row["key"] == made["key"]]
    assert row["authority"] == authority
    assert row["scopes"] == made["scopes"] == ["statements/write", "statements/read/mine"]
    assert made["secret"] not in listed.stdout


def test_the_list_of_keys_shows_each_key_whole_however_narrow_the_terminal_and_all_of_it_without_one(here: System) -> None:
    name, tenant = "a name of some length " * 5, f"t{uuid4().hex}" + "t" * 25
    made = json.loads(here.command("key", "create", "--name", name, "--tenant", tenant, "--json").stdout)

    on_a_terminal = System(here.data_dir, settings={"FORCE_COLOR": "1", "COLUMNS": "80"}).command("key", "list").stdout
    piped = here.command("key", "list").stdout

    assert made["key"] in on_a_terminal.split()
    assert tenant not in on_a_terminal
    [row] = [line for line in piped.splitlines() if made["key"] in line]
    assert name.strip() in row
    assert tenant in row
    assert " ".join(made["scopes"]) in row


@pytest.mark.parametrize("command", [
    ("status",), ("doctor",), ("replay", "learners"), ("key", "list"), ("key", "revoke", "k"), ("key", "rotate", "k"), ("key", "quarantine", "k"),
    ("log", "copy", "--to", "kafka:localhost:1"),
])
def test_a_command_that_asks_about_a_store_makes_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    system = System(tmp_path / "data")

    ended = system.command(*command)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"testamur: There is no Testamur in {system.data_dir}: start one with `testamur up`, or name its folder with --data-dir.\n"
    assert not system.data_dir.exists()


def test_a_first_key_makes_a_store_and_says_so(tmp_path: Path) -> None:
    system = System(tmp_path / "data")

    first, second = (system.command("key", "create", "--name", "lms", "--json") for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert (first.stderr, second.stderr) == (f"A new Testamur was made in {system.data_dir}.\n", "")
    assert "consistent through  nothing yet" in system.command("status").stdout


def test_a_copy_says_at_once_that_it_waits_for_brokers_and_ends_with_a_sentence_when_none_answers(here: System) -> None:
    argv = here.argv("log", "copy", "--to", "kafka:localhost:1")
    with subprocess.Popen(argv, env=here.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as copying:
        assert copying.stderr is not None
        assert copying.stderr.readline().startswith("log: waiting for Kafka at localhost:1, ")
        if not SOAK:  # it goes on for 45 s
            copying.kill()
            return
        *_, last = copying.stderr.read().splitlines()

    assert copying.returncode == 1
    assert last.startswith("testamur: ")


@pytest.mark.parametrize("arguments", [("--scope", "everything"), ("--authority", "{"), ("--authority", '{"name": "nobody"}')])
def test_a_key_that_makes_no_sense_is_refused_with_a_sentence(here: System, arguments: tuple[str, ...]) -> None:
    ended = here.command("key", "create", "--name", "x", *arguments)

    assert ended.returncode == 1
    assert ended.stderr.startswith("testamur: ")
    assert "Traceback" not in ended.stderr


def test_the_help_of_making_a_key_names_the_scopes(here: System) -> None:
    shown = "".join(here.command("key", "create", "--help").stdout.split())
    assert "lrs:manage" in shown
    assert "statements/read/mine" in shown


@pytest.mark.parametrize("command", [
    ("key", "create", "--name", "x"), ("replay", "learners"), ("projector",), ("api", "--port", "0"), ("ingest", "--port", "0"), ("import", __file__),
])
def test_data_are_refused_to_another_secret_than_their_own(here: System, command: tuple[str, ...]) -> None:
    ended = System(here.data_dir, settings={"TESTAMUR_SECRET": "another"}).command(*command)

    assert ended.returncode == 1, ended.stdout
    assert ended.stderr.startswith("testamur: The database was made with another secret than that of TESTAMUR_SECRET"), ended.stderr


def test_up_is_refused_data_of_another_secret_or_an_empty_one(tmp_path: Path) -> None:
    system = System(tmp_path / "data", settings={"TESTAMUR_SECRET": "the first"})
    assert system.command("key", "create", "--name", "x").returncode == 0
    for secret, sentence in (("another", "made with another secret"), ("", "TESTAMUR_SECRET is empty")):
        ended = System(system.data_dir, settings={"TESTAMUR_SECRET": secret}).command("up", "--port", "0")
        assert (ended.returncode, sentence in ended.stderr, "Traceback" in ended.stderr) == (1, True, False), ended.stderr
    assert system.command("key", "create", "--name", "x").returncode == 0


def test_up_is_refused_a_log_of_another_kind_or_shape_with_one_sentence(tmp_path: Path) -> None:
    system = System(tmp_path / "data")
    try:
        system.start()
        assert system.stop() == 0
    finally:
        system.destroy()
    for other, sentence in (
        (System(system.data_dir, settings={"TESTAMUR_PARTITIONS": "3"}), "The log has 1 partitions"),
        (System(system.data_dir, kafka="127.0.0.1:9"), "The log of this installation is in Postgres"),
    ):
        ended = other.command("up", "--port", "0", timeout_s=20)
        assert (ended.returncode, ended.stderr.count(sentence), "Traceback" in ended.stderr) == (1, 1, False), ended.stderr


def test_status_as_json_has_the_members_of_the_contract(here: System) -> None:
    told = json.loads(here.command("status", "--json").stdout)

    assert set(told) == {"statements", "learners", "consistent_through", "partitions", "projections", "dead_letters", "conflicts", "quarantined", "decisions"}
    assert [sorted(each) for each in told["partitions"]] == [["end", "halted", "partition"]]
    assert [each["name"] for each in told["projections"]] == ["learners", "statements"]
    assert all(sorted(each) == ["lag", "name", "version"] for each in told["projections"])


def test_the_doctor_finds_a_running_system_sound(here: System) -> None:
    ended = here.command("doctor")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(line.startswith("ok") for line in ended.stdout.splitlines())


@pytest.mark.parametrize("name", ["statements", "learners"])
def test_a_replay_of_a_running_system_equals_it_and_changes_over(here: System, name: str) -> None:
    ended = here.command("replay", name)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "DIFFERS" not in ended.stdout


def test_a_replay_of_nothing_is_refused_with_a_sentence(here: System) -> None:
    ended = here.command("replay", "nonsense")

    assert (ended.returncode, ended.stderr) == (1, "testamur: There is no projection nonsense; there are statements and learners.\n")


@pytest.mark.parametrize("command", [("up",), ("status",), ("key", "list"), ("migrate",)])
def test_a_data_directory_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    system = System(tmp_path / "data")
    system.data_dir.mkdir()
    (system.data_dir / "format").write_text("99\n")

    ended = system.command(*command)

    assert ended.returncode == 1
    assert "newer version of Testamur" in ended.stderr
    assert [file.name for file in system.data_dir.iterdir()] == ["format"]


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    system = System(tmp_path / "data", settings={"TESTAMUR_PARTITIONS": "many"})

    ended = system.command("migrate")

    assert ended.returncode == 1
    assert "TESTAMUR_PARTITIONS" in ended.stderr
