"""GET of statements with attachments=true: the JSON, then the content of each attachment once, as multipart/mixed (xAPI Communication 1.5.2 and 2.1.3).

Content is looked for where those who vouch for the shown statements have sent it, so nobody sees more than the statements allow. It is sent as it is read.
"""
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from services.runtime.attachments.store import Address, Attachments, Content
from services.runtime.callers.auth import Caller
from services.runtime.state import State

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?:[ \t]*;[ -~]{0,255})?")
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Attached:
    """One content that statements refer to: what the first of them says about it, and who vouches for those that do."""

    sha2: str
    content_type: str
    elsewhere: bool
    authorities: list[int] = field(default_factory=list)


async def with_attachments(state: State, request: Request, caller: Caller, rows: Sequence[asyncpg.Record], answer: Response) -> Response:
    """Return the answer about `rows` (each with `raw` and `authority`) with the content of their attachments; what is not kept here has no part.

    Raises ContentUnavailable while the store of attachments is away; when it goes away later, the answer breaks off.
    """
    boundary = secrets.token_hex(24)
    headers = {name: value for name, value in answer.headers.items() if name not in {"content-length", "content-type"}}
    headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    headers["Content-Type"] = f"multipart/mixed; boundary={boundary}"
    attached = [] if request.scope.get("head") else _attached(rows)
    opened = [(one, await _open(state.attachments, caller.tenant, one)) for one in attached[:1]]
    contents = _contents(state.attachments, caller.tenant, opened, attached[1:])
    return StreamingResponse(_parts(contents, bytes(answer.body), boundary.encode()), answer.status_code, headers)


def _attached(rows: Iterable[asyncpg.Record]) -> list[_Attached]:
    found: dict[str, _Attached] = {}
    for row in rows:
        raw: bytes = row["raw"]
        if b'"attachments"' in raw or b"\\u" in raw:  # a key may be written with escapes
            for attachment in _attachments(orjson.loads(raw)):
                sha2 = attachment["sha2"].lower()
                one = found.setdefault(sha2, _Attached(attachment["sha2"], attachment["contentType"], "fileUrl" in attachment))
                if row["authority"] not in one.authorities:
                    one.authorities.append(row["authority"])
    return list(found.values())


def _attachments(statement: dict[str, Any]) -> list[dict[str, Any]]:
    thing = statement["object"]
    return [*statement.get("attachments", ()), *(thing.get("attachments", ()) if thing.get("objectType") == "SubStatement" else ())]


async def _contents(
    attachments: Attachments, tenant: str, opened: Sequence[tuple[_Attached, Content | None]], others: Sequence[_Attached],
) -> AsyncIterator[tuple[_Attached, Content]]:
    for one, content in opened:
        if content is not None:
            yield one, content
    for one in others:
        if (content := await _open(attachments, tenant, one)) is not None:
            yield one, content


async def _parts(contents: AsyncIterator[tuple[_Attached, Content]], body: bytes, boundary: bytes) -> AsyncIterator[bytes]:
    yield b"".join((b"--", boundary, b"\r\nContent-Type: application/json\r\n\r\n", body, b"\r\n"))
    async for one, content in contents:
        media = one.content_type if _MEDIA_TYPE.fullmatch(one.content_type) else "application/octet-stream"
        head = f"\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: binary\r\nX-Experience-API-Hash: {one.sha2}\r\n\r\n"
        yield b"".join((b"--", boundary, head.encode()))
        async with aclosing(content.chunks) as chunks:
            async for chunk in chunks:
                yield chunk
        yield b"\r\n"
    yield b"".join((b"--", boundary, b"--\r\n"))


async def _open(attachments: Attachments, tenant: str, one: _Attached) -> Content | None:
    sha2 = one.sha2.lower()
    for authority in one.authorities:
        content = await attachments.open(Address(tenant, authority, sha2))
        if content is not None:
            return content
    if not one.elsewhere:
        _log.warning("the content of an attachment is not where it was kept", tenant=tenant, sha2=sha2)
    return None
