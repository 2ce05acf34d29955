"""Statements with attachments as tests send and read them, and the files that a service keeps of their content."""
from typing import Any

import httpx

from tests.integration.api_service import STATEMENTS, Service, Tenant
from tests.servers.multipart import MULTIPART, parts_of

ESSAY, PHOTO = b"to be or not to be\r\n", b"\xff\xd8\x00\r\n--" + bytes(range(256))
ELSEWHERE = "https://files.example.org/essay.txt"


async def post(tenant: Tenant, body: bytes, client: httpx.AsyncClient | None = None, *, content_type: str = MULTIPART["Content-Type"]) -> httpx.Response:
    """Post a body in multipart/mixed."""
    return await (client or tenant.client).post(STATEMENTS, content=body, headers={"Content-Type": content_type})


async def get(tenant: Tenant, client: httpx.AsyncClient | None = None, **params: Any) -> tuple[Any, dict[str, bytes]]:
    """Return the JSON of an answer with attachments, and content by digest."""
    answer = await (client or tenant.client).get(STATEMENTS, params={"attachments": "true", **params})
    found, parts = parts_of(answer)
    contents = {headers["X-Experience-API-Hash"]: content for headers, content in parts}
    assert len(contents) == len(parts)
    return found, contents


def files(service: Service) -> set[str]:
    """Return the names of the files of content."""
    return {path.name for path in (service.web.state.settings.data_dir / "attachments").rglob("*") if path.is_file()}
