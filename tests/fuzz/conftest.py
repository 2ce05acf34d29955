"""One running system with one web process, to be hurt in turn by all tests of this folder that a worker runs."""
from collections.abc import Iterator

import pytest

from tests.fuzz.target import Target
from tests.servers.system import System


@pytest.fixture(scope="package")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`testamur up`, which must end well after all that."""
    running = System(tmp_path_factory.mktemp("fuzz") / "data", arguments=("--workers", "1"))
    running.start()
    yield running
    code = running.stop()
    running.destroy()
    assert code == 0, running.tail()


@pytest.fixture(scope="package")
def target(hurt: System) -> Iterator[Target]:
    """A connection to its web process, which knows the shape of a statement by now."""
    connected = Target(hurt)
    for _ in range(3):
        assert connected.send("POST", "/xapi/statements", b"{}").status == 400
        assert connected.send("GET", "/docs/openapi.json").status == 200
    yield connected
    connected.close()
