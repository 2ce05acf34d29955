"""Fixtures for all tests: databases on a real Postgres, and (from tests/servers/kafka.py) a real Kafka."""
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.servers.http_client import Connection
from tests.servers.postgres import MakePostgres, OwnPostgres, PostgresServer, make_own, own_template, postgres_server

pytest_plugins = ["tests.servers.kafka", "tests.servers.fixtures"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The Postgres of this session (of this worker, under xdist): it does not survive a crash, but is fast."""
    with postgres_server() as server:
        yield server


@pytest.fixture(autouse=True)
def connections_are_closed() -> Iterator[None]:
    """Close what a test left open; whose connection lasts longer opens another."""
    yield
    Connection.close_all()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The DSN of a database of this test's own: migrated and empty."""
    dsn = postgres.create(migrated=True)
    yield dsn
    postgres.drop(dsn)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The DSN of a database of this test's own, with nothing in it."""
    dsn = postgres.create(migrated=False)
    yield dsn
    postgres.drop(dsn)


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[Path]:
    """A data directory with a migrated database, to copy."""
    with own_template() as folder:
        yield folder


@pytest_asyncio.fixture
async def make_postgres(postgres_template: Path) -> AsyncIterator[MakePostgres]:
    """A factory of servers of this test's own: `server = await make_postgres(durable=True)`, then kill9(), restart(), freeze(), thaw()."""
    made: list[OwnPostgres] = []

    async def make(*, durable: bool = True, **settings: str) -> OwnPostgres:
        made.append(await make_own(postgres_template, durable=durable, **settings))
        return made[-1]

    yield make
    for server in made:
        await server.stop()
