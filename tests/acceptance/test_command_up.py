"""`testamur up`: started, stopped, killed and started again, it keeps its promises and its data."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from services.demo import town
from tests.factories import statement
from tests.servers.system import KEY, SECRET, System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system of one test's own, not started."""
    made = System(tmp_path / "data", arguments=("--workers", "1"))
    yield made
    made.destroy()


def until(holds: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.05)  # noqa: TID251 - a poll with a deadline


def test_killed_with_everything_it_is_ready_again_within_30_s_with_its_data(system: System, tmp_path: Path) -> None:
    system.start()
    file = tmp_path / "file.ndjson"
    file.write_text("".join(json.dumps(statement(number)) + "\n" for number in range(20)))
    assert system.command("import", str(file)).returncode == 0
    [supervisor] = system.pids("supervisor")
    children = [*system.pids("web"), *system.pids("projector")]
    for pid in (supervisor, *children):
        os.kill(pid, signal.SIGKILL)
    system.signal("postgres", signal.SIGKILL)

    system.start(30)

    assert json.loads(system.command("status", "--json").stdout)["statements"] == 20
    assert system.stop() == 0


def test_children_end_when_it_is_killed(system: System) -> None:
    system.start()
    children = [psutil.Process(pid) for pid in (*system.pids("web"), *system.pids("projector"))]
    assert len(children) == 2

    os.kill(system.pids("supervisor")[0], signal.SIGKILL)

    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children), 5)


def test_a_signal_to_the_whole_process_group_drains_and_ends_with_0(system: System) -> None:
    system.start()
    supervisor = psutil.Process(system.pids("supervisor")[0])
    postgres = psutil.Process(system.pids("postgres")[0])

    os.killpg(os.getpgid(supervisor.pid), signal.SIGTERM)

    assert system.stop() == 0
    until(lambda: not postgres.is_running() or postgres.status() == psutil.STATUS_ZOMBIE)
    assert "Testamur has stopped." in system.tail()


def test_a_second_one_on_the_same_data_directory_is_refused_with_a_sentence(system: System) -> None:
    system.start()

    second = system.command("up", "--port", "0")

    assert second.returncode == 1
    assert f"already running on the data directory {system.data_dir}" in second.stderr
    assert system.is_ready()


def test_a_port_that_is_taken_is_refused_with_a_sentence(system: System, tmp_path: Path) -> None:
    system.start()
    other = System(tmp_path / "other")

    second = other.command("up", "--port", str(system.port))

    assert second.returncode == 1
    assert f"127.0.0.1:{system.port} cannot be listened on" in second.stderr


@pytest.mark.parametrize(("arguments", "says"), [
    (("--host", "nowhere.invalid"), "nowhere.invalid is no address of this machine"), (("--port", "99999"), "TESTAMUR_PORT"),
    (("--data-dir", "/proc/nothing"), "/proc/nothing: No such file or directory."),
])
def test_what_cannot_be_opened_is_named_and_the_database_is_not_blamed(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    directory = () if "--data-dir" in arguments else ("--data-dir", str(tmp_path))

    ended = subprocess.run([sys.executable, "-m", "services.cli", "up", *directory, *arguments], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert ended.stderr.startswith("testamur: ")
    assert says in ended.stderr
    assert "database" not in ended.stderr


def test_without_a_key_given_one_is_made_at_the_first_start_and_shown_once(system: System) -> None:
    for name in ("TESTAMUR_BOOTSTRAP_KEY", "TESTAMUR_BOOTSTRAP_SECRET"):
        del system.environment[name]
    system.start()
    until(lambda: "Ctrl-C" in system.tail())
    assert system.stop() == 0
    system.start()
    until(lambda: system.tail().count("Ctrl-C") == 2)

    assert len(re.findall(r"secret +\S+ +\(shown this once\)", system.tail())) == 1
    assert system.tail().count("a new secret: `testamur key rotate KEY`") == 1


def told(system: System, type_: str) -> set[str]:
    """Return the programmes of the events of one type so far."""
    token = b64encode(f"{KEY}:{SECRET}".encode()).decode()
    request = Request(f"{system.url}/v1/events?limit=500&type={type_}", headers={"Authorization": f"Basic {token}"})
    with urlopen(request, timeout=10) as answer:
        return {event["data"]["programme"].rsplit("/", 1)[-1] for event in json.load(answer)["events"]}


def test_the_sample_world_is_loaded_once_and_says_what_to_look_at(system: System, tmp_path: Path) -> None:
    world = system.data_dir / "demo" / "world"
    subprocess.run([sys.executable, "-m", "services.demo.mooc_world", "--out", str(world), "--statements", "1500"], check=True, stdout=subprocess.DEVNULL)
    notes = [json.loads(line) for line in (world / "expect.ndjson").read_text().splitlines()]
    refused = sum(note["expect"].startswith("4") for note in notes)
    demo, system._arguments = system, ("--workers", "1", "--demo")
    demo.start()
    until(lambda: "transcript" in demo.tail(50_000), 60)
    first = demo.tail(50_000)
    until(lambda: {"summer-2013", "welding-mastery", "safety-induction", "continuing-education"} <= told(demo, "credential.issued"), 60)
    assert "statistics-with-distinction" in told(demo, "rule.published")
    assert demo.stop() == 0
    demo.start()
    until(lambda: demo.tail(50_000)[len(first):].count("transcript") == 1, 60)

    stands = json.loads(demo.command("status", "--json").stdout)
    [address] = set(re.findall(r"'(http://[^']+/v1/learners\?q=[^']+)'", demo.tail(50_000)))
    assert demo.stop() == 0
    assert demo.tail(50_000).count("The sample world is loaded") == 1
    assert sum(map(int, re.findall(r"(\d+) with 4\d\d", first))) == refused
    around = sum(len(said) for said in town.statements(world).values())
    assert stands["statements"] == len({json.loads(line)["id"] for line in _accepted(world, notes)}) + around
    assert address.startswith(demo.url)


def test_a_child_that_dies_is_started_again(system: System) -> None:
    system.start()
    before = system.pids("web"), system.pids("projector")
    for role in ("web", "projector"):
        system.signal(role, signal.SIGKILL)

    until(lambda: system.pids("web") and system.pids("projector") and system.is_ready())

    assert (system.pids("web"), system.pids("projector")) != before
    with urlopen(f"{system.url}/healthz/live", timeout=5) as answer:
        assert answer.status == 200


def _accepted(world: Path, notes: list[dict[str, object]]) -> list[str]:
    refused = {note["line"] for note in notes if str(note["expect"]).startswith("4")}
    return [line for number, line in enumerate((world / "statements.ndjson").read_text().splitlines(), 1) if number not in refused]
