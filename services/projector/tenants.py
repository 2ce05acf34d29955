"""Tenants as the log names them and as the tables number them. A log carried to a new database brings its tenants along."""
from typing import Any

from services.projector.cursor import sql


class Tenants:
    """Names to numbers, remembered: tenants never go away."""

    def __init__(self, pool: Any) -> None:
        """`pool` is asked once for each name."""
        self._pool = pool
        self._ids: dict[str, int] = {}

    async def id(self, name: str) -> int:
        """Return the number of a tenant, made here if the database does not know it."""
        known = self._ids.get(name)
        if known is None:
            await self._pool.execute(sql.make_tenant, name)
            known = self._ids[name] = await self._pool.fetchval(sql.tenant, name)
        return known
