"""One system on the Postgres log, for tests of the commands: each works in a tenant of its own. And a tenant on each log for all scenarios of programmes."""
from collections.abc import Iterator

import pytest

from tests.servers.campus import Campus
from tests.servers.system import System


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`testamur up`, running."""
    running = System(tmp_path_factory.mktemp("commands") / "data", arguments=("--workers", "1"))
    running.start()
    yield running
    code = running.stop()
    running.destroy()
    assert code == 0, running.tail()


@pytest.fixture(scope="session")
def campus(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    """A tenant whose learners and programmes the scenarios share: each has people and IRIs of its own."""
    made = Campus(system, tmp_path_factory.mktemp("campus"))
    yield made
    made.close()
