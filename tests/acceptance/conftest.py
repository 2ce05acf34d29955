"""One system on the Postgres log, for tests of the commands: each works in a tenant of its own."""
from collections.abc import Iterator

import pytest

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
