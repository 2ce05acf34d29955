"""Fixtures of whole systems: one shared by all tests that do not hurt it, and a maker of systems to hurt; on either log."""
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.kafka import KafkaServers
from tests.servers.nodes import Nodes
from tests.servers.postgres import PostgresServer
from tests.servers.system import System

LOGS = ("postgres", "kafka")
EVERYWHERE = (*LOGS, "nodes")
"""What `system` can be, for whole files that ask for more: `pytestmark = pytest.mark.parametrize("system", EVERYWHERE, indirect=True)`."""


@pytest.fixture(scope="session", params=LOGS)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`testamur up` on each log, for tests that leave it as they found it but for statements in tenants of their own."""
    if request.param == "nodes":
        yield request.getfixturevalue("nodes")
        return
    running = System(tmp_path_factory.mktemp(f"system-{request.param}") / "data", kafka=_kafka(request, request.param), settings=_settings(request.param))
    running.start()
    yield running
    code = running.stop()
    running.destroy()
    assert code == 0, running.tail()


@pytest.fixture(scope="session")
def nodes(kafka: KafkaServers, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Services in processes of their own behind the gateway, for tests that leave them as they found them."""
    database = postgres.create(migrated=False)
    running = Nodes(tmp_path_factory.mktemp("nodes") / "data", kafka=kafka.bootstrap, database=database, settings={
        **_settings("kafka"), "TESTAMUR_PUBLIC_URL": "https://lrs.example.org/under/a/path"})
    try:
        running.start()
        yield running
        code = running.stop()
        assert code == 0, running.tail()
    finally:
        running.destroy()
        postgres.drop(database)


@pytest.fixture
def make_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Return a maker of systems of one test's own: `make_system("kafka", settings={…})`, not started yet."""
    made: list[System] = []

    def make(log: str, *, settings: dict[str, str] | None = None, arguments: tuple[str, ...] = ("--workers", "2")) -> System:
        environment = {**_settings(log, str(tmp_path.name)), **(settings or {})}
        made.append(System(tmp_path / f"data{len(made)}", kafka=_kafka(request, log), settings=environment, arguments=arguments))
        return made[-1]

    yield make
    for each in made:
        each.destroy()


def _kafka(request: pytest.FixtureRequest, log: str) -> str | None:
    if log != "kafka":
        return None
    brokers: KafkaServers = request.getfixturevalue("kafka")
    return brokers.bootstrap


def _settings(log: str, unique: str = "shared") -> dict[str, str]:
    """A topic of its own, of this run of the tests too, kept on the one broker there is."""
    return {"TESTAMUR_KAFKA_TOPIC": f"testamur.log.{unique}.{uuid4().hex[:8]}".lower(), "TESTAMUR_KAFKA_REPLICATION": "1"} if log == "kafka" else {}
