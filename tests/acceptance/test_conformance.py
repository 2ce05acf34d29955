"""ADL's LRS conformance suite against whole systems, where TESTAMUR_TEST_ADL names the directory it was installed in (docs/conformance.md)."""
import json
import os
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.fixtures import EVERYWHERE
from tests.servers.system import System

SUITE = os.environ.get("TESTAMUR_TEST_ADL")
TOTALS = {"1.0.3": 1365, "2.0.0": 1442}
LIMIT_S = 600
"""Several tests of the suite have no limit of their own: where an answer never comes they wait for ever."""

pytestmark = [
    pytest.mark.kafka, pytest.mark.skipif(not SUITE, reason="the conformance suite is not ours: TESTAMUR_TEST_ADL names the directory where it is installed"),
    pytest.mark.parametrize("system", EVERYWHERE, indirect=True, scope="session"),
]


@pytest.fixture(scope="session")
def key(system: System) -> tuple[str, str]:
    """Key and secret of a tenant of the suite's own."""
    return system.create_key(f"conformance-{uuid4()}")


def last_words(system: System, version: str, key: tuple[str, str], output: Path) -> dict[str, int | str]:
    """Run the suite in one version of xAPI and return what it says last of itself: `total`, `passed`, `failed`, `version`."""
    command = ["node", "bin/console_runner.js", "-e", f"{system.url}/xapi", "-a", "-u", key[0], "-p", key[1], "-x", version]
    with output.open("wb") as file, subprocess.Popen(command, cwd=SUITE, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as running:
        try:
            running.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)  # it writes its log then
            running.wait(30)
        finally:
            running.kill()
    said = [line for line in output.read_text(errors="replace").splitlines() if line.startswith('{"total"')]
    assert said, output.read_text(errors="replace")[-2000:]
    found: dict[str, int | str] = json.loads(said[-1])
    return found


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("version", TOTALS)
@pytest.mark.parametrize("run", ["first", "again"])
def test_every_test_of_the_suite_passes_also_on_the_data_of_earlier_runs(system: System, key: tuple[str, str], version: str, run: str, tmp_path: Path) -> None:
    total = TOTALS[version]
    said = last_words(system, version, key, tmp_path / run)
    assert said == {"total": total, "passed": total, "failed": 0, "version": version}, "every exchange is in the suite's directory logs"
