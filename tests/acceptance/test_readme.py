"""What the README says to type does what it says: its snippets are run as they stand, but for the address and the key."""
import gzip
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.system import KEY, SECRET, System

README_FILE = Path(__file__).parents[2] / "README.md"
README = README_FILE.read_text(encoding="utf-8")
SNIPPETS = [block for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) if "curl" in block]
COMMANDS = [command for command in re.findall(r"`testamur ([^`]+)`", README) if not command.startswith(("up", "replay"))]

OLDER = """{programme: https://example.org/programmes/older, version: 1, title: There before, award: {type: Badge},
requires: {statement: {verb: passed, activity: https://example.org/courses/latin}}}"""
"""A programme that has its events before those that the README waits for, as the sample world's have."""


def run(system: System, snippet: str, folder: Path) -> str:
    """Run a snippet as it stands, but for the address and the key; return what it printed."""
    script = snippet.replace("KEY:SECRET", f"{KEY}:{SECRET}").replace("http://127.0.0.1:8080", system.url)
    script = script.replace("curl ", "curl --silent --show-error --fail-with-body ")
    command = f'testamur() {{ {shlex.quote(sys.executable)} -m services.cli "$@"; }}\n'
    environment = {**system.environment, "PYTHONPATH": str(README_FILE.parent), "TESTAMUR_DATA_DIR": str(system.data_dir)}
    ended = subprocess.run(["bash", "-euc", command + script], capture_output=True, text=True, timeout=100, check=False, cwd=folder, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_snippets_of_the_readme_work_one_after_the_other(system: System, tmp_path: Path) -> None:
    statement, programme = SNIPPETS
    (tmp_path / "older.yaml").write_text(OLDER)
    assert system.command("programme", "publish", str(tmp_path / "older.yaml")).returncode == 0

    sent, found = run(system, statement, tmp_path).replace("]{", "]\n{").splitlines()
    older = run(system, "curl -u KEY:SECRET 'http://127.0.0.1:8080/v1/events?type=credential.issued&wait=10'", tmp_path)
    told = run(system, programme, tmp_path)

    assert len(json.loads(sent)) == 1
    assert "learners" in json.loads(found)
    assert "1 learner would gain it" in told
    assert json.loads(older)["events"]
    [issued] = json.loads(told.splitlines()[-1])["events"]
    assert issued["data"]["programme"] == "https://example.org/programmes/latin"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(system: System, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    verb = {"id": "http://adlnet.gov/expapi/verbs/passed"}
    statement = {"actor": {"mbox": "mailto:you@example.org"}, "verb": verb, "object": {"id": "https://example.org/courses/latin"}}
    (tmp_path / "cmi5.xml").write_bytes((README_FILE.parent / "services" / "demo" / "data" / "cmi5.xml").read_bytes())
    (tmp_path / "statements.ndjson.gz").write_bytes(gzip.compress(json.dumps(statement).encode()))

    ended = system.command(*command.split())

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_readme_has_snippets_and_commands() -> None:
    assert len(SNIPPETS) == 2
    assert len(COMMANDS) >= 3
