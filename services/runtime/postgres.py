"""Postgres: connections that never wait for ever, SQL kept in .sql files, and which errors pass by themselves, as requests are told.

Every connection has a command timeout on this side and, on the server's, a statement timeout, an idle-in-transaction limit and TCP limits.
"""
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg

from services.core.errors import Unavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

MIGRATION_LOCK = 0x7465_7374_0001
"""Advisory lock: held while the schema is migrated."""
GENESIS_LOCK = 0x7465_7374_0002
"""Advisory lock: held while a log is made, by either implementation."""

CONNECT_TIMEOUT_S = 5.0
_NAME_LINE = re.compile(r"^-- name: ([a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)
_PASSING = ("08", "40", "53", "57P", "58")
_PASSING_STATES = frozenset({"55P03", "57014", "25P03", "25P04", "25006"})


class Statements:
    """The statements of one .sql file, each under a line `-- name: x`, as attributes or items.

    Text before the first name is the file's own comment. Raises ValueError for a name given twice or a name without SQL.
    """

    def __init__(self, file: Path) -> None:
        """Read `file`, which lies beside the Python that owns it."""
        self._file = file
        self._sql: dict[str, str] = {}
        _, *parts = _NAME_LINE.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in self._sql or not text.strip():
                raise ValueError(f"{file}: the statement {name} is empty or given twice")
            self._sql[name] = text.strip().rstrip(";")

    def __getattr__(self, name: str) -> str:
        """Return the SQL of a statement."""
        try:
            return self.__dict__["_sql"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"{self.__dict__.get('_file')} has no statement {name}") from None

    def __getitem__(self, name: str) -> str:
        """Return the SQL of a statement."""
        return self._sql[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the file."""
        return iter(self._sql)


def session(search_path: str, application_name: str, command_timeout_s: float, idle_in_transaction_s: float) -> dict[str, str]:
    """Return the server-side settings of a connection: the server lets go of what a lost or frozen client holds."""
    return {
        "search_path": search_path,
        "application_name": application_name,
        "statement_timeout": str(int(command_timeout_s * 1000) + 500),  # a little later than the client's own, which leaves a clean connection
        "idle_in_transaction_session_timeout": str(int(idle_in_transaction_s * 1000)),
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "15000",
        "timezone": "UTC",
        "jit": "off",
    }


async def open_pool(  # noqa: PLR0913 - one argument for each thing that differs between pools
    dsn: str, *, min: int = 1, max: int = 4, search_path: str = "testamur", application_name: str = "testamur",  # noqa: A002 - asyncpg's words without its `_size`
    command_timeout_s: float = 10.0, idle_in_transaction_s: float = 15.0, server_settings: dict[str, str] | None = None, reset: bool = True,
    connection_class: "type[asyncpg.Connection[asyncpg.Record]]" = asyncpg.Connection,
) -> Pool:
    """Return an open pool. `reset=False` saves a round trip at each release, for users that never change the session.

    Raises what `transient` calls passing when the server cannot be reached.
    """
    return await asyncpg.create_pool(
        dsn, min_size=min, max_size=max, command_timeout=command_timeout_s, timeout=CONNECT_TIMEOUT_S, max_inactive_connection_lifetime=300,
        server_settings=session(search_path, application_name, command_timeout_s, idle_in_transaction_s) | (server_settings or {}),
        reset=None if reset else _keep, connection_class=connection_class,
    )


async def connect(  # noqa: PLR0913 - as above
    dsn: str, *, search_path: str = "testamur", application_name: str = "testamur", command_timeout_s: float = 10.0, idle_in_transaction_s: float = 15.0,
    connect_timeout_s: float = CONNECT_TIMEOUT_S, server_settings: dict[str, str] | None = None,
) -> "asyncpg.Connection[asyncpg.Record]":
    """Return a connection of one's own."""
    return await asyncpg.connect(
        dsn, command_timeout=command_timeout_s, timeout=connect_timeout_s,
        server_settings=session(search_path, application_name, command_timeout_s, idle_in_transaction_s) | (server_settings or {}),
    )


def transient(error: BaseException) -> bool:
    """Return whether the same work, done again on a new connection, may well succeed: it is not the work's own fault.

    A connection lost or refused, a timeout, a deadlock or serialization failure, a lock or memory or disk that was not to be had, a server that
    stops or starts, a plan made before a migration. It does not say whether what was interrupted was committed.
    """
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", None) or "")
        return state.startswith(_PASSING) or state in _PASSING_STATES or isinstance(error, asyncpg.InvalidCachedStatementError)
    if isinstance(error, asyncpg.InterfaceError):  # asyncpg's own word for a lost connection, but for wrong arguments too
        return "clos" in str(error) or "connection" in str(error)
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


@asynccontextmanager
async def or_unavailable(sentence: str, within_s: float) -> AsyncIterator[None]:
    """Give the body `within_s` seconds. Raises Unavailable with this sentence when they end, and for all else that passes by itself."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if not transient(error):
            raise
        raise Unavailable(sentence) from error


@asynccontextmanager
async def while_connected(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """Cut the body short when the connection is lost, which a COPY in the middle of its data would never hear of. Raises TimeoutError then."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        def lost(_connection: object) -> None:
            limit.reschedule(loop.time())

        connection.add_termination_listener(lost)
        try:
            yield
        except RuntimeError as error:  # uvloop's word for writing to what is closed, which a COPY does when it is cut short
            if limit.when() is None:
                raise
            raise TimeoutError("the connection was lost") from error
        finally:
            connection.remove_termination_listener(lost)


async def _keep(_connection: object) -> None:
    """Give a connection back to its pool as it is."""
