"""Statements in the format a client asks for. Pure work of tens of milliseconds for a full page is done in portions, so that other requests go on meanwhile."""
import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from fastapi import Request

from services.api.context import Api
from services.api.xapi.activities import definitions_of
from services.core.formats import Canonical, Format, Ids, activities_in, rewritten
from services.core.languages import Languages
from services.runtime.callers.auth import Caller

_PORTION_BYTES = 128 << 10


async def formatted(api: Api, request: Request, caller: Caller, statements: list[bytes], wanted: Format) -> list[bytes]:
    """Return spliced statements in a format; Accept-Language matters to `canonical` alone. `exact` is what they are already."""
    if wanted == "exact":
        return statements
    if wanted == "ids":
        return await _each(statements, partial(rewritten, form=Ids()))
    iris = set[str]()
    for portion in _portions(statements):
        iris |= activities_in(portion)
        await asyncio.sleep(0)
    languages = Languages(", ".join(request.headers.getlist("accept-language")))
    return await _each(statements, partial(rewritten, form=Canonical(await definitions_of(api, caller.tenant_id, iris), languages)))


async def _each(statements: list[bytes], rewrite: Callable[[bytes], bytes]) -> list[bytes]:
    found: list[bytes] = []
    for portion in _portions(statements):
        found += map(rewrite, portion)
        await asyncio.sleep(0)
    return found


def _portions(statements: Iterable[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for one in statements:
        portion.append(one)
        size += len(one)
        if size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    yield portion
