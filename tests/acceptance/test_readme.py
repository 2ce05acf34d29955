"""What the README says to type does what it says: its snippets are run as they stand, but for the address and the key."""
import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.servers.system import KEY, SECRET, System

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SNIPPETS = [block for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) if "curl" in block]
COMMANDS = [command for command in re.findall(r"`testamur ([^`]+)`", README) if not command.startswith(("up", "replay"))]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_of_the_readme_works(system: System, snippet: str) -> None:
    script = snippet.replace("KEY:SECRET", f"{KEY}:{SECRET}").replace("http://127.0.0.1:8080", system.url)
    script = script.replace("curl ", "curl --silent --show-error --fail-with-body ")

    ended = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    sent, found = ended.stdout.replace("]{", "]\n{").splitlines()
    assert len(json.loads(sent)) == 1
    assert "learners" in json.loads(found)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(system: System, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    verb = {"id": "http://adlnet.gov/expapi/verbs/passed"}
    statement = {"actor": {"mbox": "mailto:you@example.org"}, "verb": verb, "object": {"id": "https://example.org/courses/latin"}}
    (tmp_path / "statements.ndjson.gz").write_bytes(gzip.compress(json.dumps(statement).encode()))

    ended = system.command(*command.split())

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_readme_has_snippets_and_commands() -> None:
    assert SNIPPETS
    assert len(COMMANDS) >= 3
