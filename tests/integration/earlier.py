"""Databases as an earlier version of Testamur left them: with other tables, and nothing that says who made them."""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.runtime.embedded import EmbeddedPostgres
from services.runtime.migrate import migrate
from services.runtime.postgres import connect

EARLIER = """
drop table statements_1.definition cascade;
alter table statements_1.statement drop column refers cascade;
alter table learners_1.ifi drop column linked cascade;
create view testamur.statement as select * from statements_1.statement;
create view testamur.ifi as select * from learners_1.ifi;
alter table testamur.projection drop column fingerprint;
delete from testamur.schema_version where name = '0009_projection_fingerprint';
"""
"""Makes of a database the one of a version before: less is folded, and nothing says so."""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    """Have a connection."""
    connection = await connect(dsn, command_timeout_s=30)
    try:
        yield connection
    finally:
        await connection.close()


async def make_earlier(dsn: str) -> None:
    """Turn the database into the one of an earlier version, which was then migrated by this one."""
    async with connected(dsn) as connection:
        await connection.execute(EARLIER)
    await migrate(dsn)


async def make_earlier_embedded(data_dir: Path) -> None:
    """Do so with the database of a data directory that nobody uses, and leave the migration to whoever starts it next."""
    postgres = EmbeddedPostgres(data_dir)
    async with connected(await postgres.start()) as connection:
        await connection.execute(EARLIER)
    await postgres.stop()
