"""A write of statements with attachments, in multipart/mixed: the statements first, then a part for each content (xAPI Communication 1.5.2, Data 2.4.11).

Content is compared with its digest while it arrives and kept when nothing is left that would refuse the statements, before they
are appended: what dies in between leaves content nobody refers to.
"""
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from cryptography.x509.verification import Store

from services.core.actor import authority_text
from services.core.errors import BadRequest, InvalidStatement, Overloaded, TooLarge
from services.core.keys import key64
from services.core.multipart import Limits, MultipartParser, PartBegins, PartBytes
from services.core.signature import trusted, verify
from services.core.syntax import is_sha2
from services.core.timeline import moment
from services.core.vocabulary import SIGNATURE
from services.ingest.arriving import Arriving
from services.ingest.statements import Batch
from services.runtime.attachments.spool import Spool, Spooled
from services.runtime.attachments.store import Address, Attachments, ContentUnavailable
from services.runtime.callers.auth import Caller
from services.runtime.failpoint import hit
from services.runtime.http import TooSlow
from services.runtime.settings import Settings
from services.runtime.state import State

UPLOAD_S = 300.0
"""How long a whole body may take to arrive."""
UPLOADS_AT_ONCE = 32
"""How many bodies one process takes at once, which bounds the disk that they fill while they arrive."""
_AT_ONCE = 4
MAX_SIGNATURES = 4
"""How many signatures, of different content, one statement may have."""
MAX_VERIFIED = 500
"""How many are verified in one request."""
VERIFYING_S = 20.0
"""How long that may take in all."""
_SIGNATURE_BYTES = 64 << 10
"""What a signature may have beyond the statement in it: its header with the certificates, and the signature itself."""
_arriving: set[object] = set()
BatchOf = Callable[[bytes, frozenset[str]], Batch]
"""Gives the statements of a body, for which content with these digests came along. Raises BadRequest."""


def trust_store(settings: Settings) -> Store | None:
    """Return the certificates that signatures must lead to, None if any may sign. Raises OSError or ValueError for a file that cannot be read."""
    return None if settings.trust_store is None else trusted(settings.trust_store.read_bytes())


@dataclass(slots=True)
class Upload:
    """A complete body: its statements, and the content that came along, by digest."""

    batch: Batch
    parts: dict[str, Spooled]

    async def keep(self, attachments: Attachments, caller: Caller) -> None:
        """Keep the content, durably. Raises ContentUnavailable."""
        authority, turns = key64(authority_text(caller.authority)), asyncio.Semaphore(_AT_ONCE)

        async def keep(part: Spooled) -> None:
            async with turns:
                await attachments.keep(Address(caller.tenant, authority, part.sha2), part)

        try:
            async with asyncio.TaskGroup() as group:
                for part in self.parts.values():
                    group.create_task(keep(part))
        except* ContentUnavailable as errors:
            raise ContentUnavailable from errors
        hit("ingest.after_attachments")

    async def check_signatures(self, version: str, trust: Store | None, now: int, max_statement_bytes: int) -> None:
        """Hold every signature that came along against its statement, each once; a statement whose signature does not hold is set aside where others are.

        Raises BadRequest with a pointer, or TooLarge.
        """
        limit, verified = max_statement_bytes * 4 // 3 + _SIGNATURE_BYTES, 0
        try:
            async with asyncio.timeout(VERIFYING_S):
                for incoming in tuple(self.batch.statements):
                    place, statement = self.batch.place(incoming), orjson.loads(incoming.raw)
                    check = partial(verify, statement=statement, id_=incoming.id, version=version, trust=trust, now=moment(now))
                    try:
                        for at, part in self._signatures(statement, place):
                            verified += 1
                            if verified > MAX_VERIFIED:
                                raise TooLarge(f"The statements of one request may have at most {MAX_VERIFIED} signatures.")
                            await asyncio.to_thread(_check_signature, part, check, f"{place}/attachments/{at}", limit)
                    except BadRequest as error:
                        self.batch.set_aside(incoming, error, frozenset(self.parts))
        except TimeoutError as error:
            raise TooLarge("The signatures of this request take too long to verify: send fewer statements at once.") from error

    def _signatures(self, statement: dict[str, Any], place: str) -> list[tuple[int, Spooled]]:
        """Return the content of a statement's signatures as far as it came along, each once, with its place among the attachments. Raises BadRequest."""
        found: dict[str, tuple[int, Spooled]] = {}
        for at, attachment in enumerate(statement.get("attachments", ())):
            sha2 = attachment["sha2"].lower()
            if attachment["usageType"] == SIGNATURE and sha2 in self.parts:
                found.setdefault(sha2, (at, self.parts[sha2]))
        if len(found) > MAX_SIGNATURES:
            raise BadRequest(f"A statement may have at most {MAX_SIGNATURES} signatures.", pointer=f"{place}/attachments")
        return list(found.values())


def _check_signature(part: Spooled, check: Callable[[bytes], None], place: str, limit: int) -> None:
    if part.size > limit:
        raise TooLarge(f"A signature may have at most {limit} bytes.", pointer=place)
    try:
        check(part.read())
    except InvalidStatement as error:
        error.pointer = place
        raise


@dataclass(slots=True)
class _Reading:
    """The parts of one body as they arrive: the statements are collected and checked, then each content is spooled."""

    batch_of: BatchOf
    max_json: int
    incoming: Path
    json: bytearray | None = None
    batch: Batch | None = None
    asked: frozenset[str] = frozenset()
    spool: Spool | None = None
    parts: dict[str, Spooled] = field(default_factory=dict)
    turn: object = field(default_factory=object)

    async def read(self, parser: MultipartParser, pieces: AsyncIterator[bytes]) -> None:
        """Read a whole body. Raises LrsError for one that is refused, or Disconnected."""
        try:
            async with asyncio.timeout(UPLOAD_S):
                async for piece in pieces:
                    for event in parser.feed(piece):
                        if isinstance(event, PartBegins):
                            self.begin(event.headers)
                        elif isinstance(event, PartBytes):
                            await self.take(event.content)
                        else:
                            await self.end()
        except TimeoutError as error:
            raise TooSlow from error
        except OSError as error:
            raise ContentUnavailable from error
        parser.close()

    def begin(self, headers: dict[str, str]) -> None:
        """A part begins."""
        encoding = headers.get("content-transfer-encoding", "binary").lower()
        media = headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if self.batch is None:
            if media != "application/json":
                raise BadRequest("The first part must be the statements: its Content-Type must be application/json.")
            if encoding not in {"binary", "8bit", "7bit"}:
                raise BadRequest("The part with the statements must not be encoded: its Content-Transfer-Encoding can only be binary.")
            self.json = bytearray()
            return
        if encoding != "binary":
            raise BadRequest("The content of an attachment must not be encoded: the Content-Transfer-Encoding of its part can only be binary.")
        sha2 = headers.get("x-experience-api-hash", "").lower()
        if not sha2:
            raise BadRequest("Each part after the first is the content of an attachment and needs the header X-Experience-API-Hash, with its digest.")
        if not is_sha2(sha2):
            raise BadRequest("The header X-Experience-API-Hash of a part is no digest of SHA-2: 56, 64, 96 or 128 hexadecimal digits.")
        if sha2 not in self.asked:
            raise BadRequest("No attachment of the statements has the digest (sha2) that the header X-Experience-API-Hash of a part gives.")
        self.spool = Spool(self.incoming, sha2)

    async def take(self, content: bytes) -> None:
        """Take more of the part."""
        if self.spool is not None:
            await self.spool.write(content)
            return
        assert self.json is not None
        self.json += content
        if len(self.json) > self.max_json:
            raise TooLarge(f"The part with the statements may have at most {self.max_json} bytes.")

    async def end(self) -> None:
        """Check the part that is complete."""
        if self.spool is None:
            assert self.json is not None
            body = bytes(self.json)
            self.asked = _asked(body)
            self.batch = self.batch_of(body, self.asked)
            return
        part, said = await self.spool.finish(), self.spool.sha2
        self.spool = None
        before = self.parts.pop(part.sha2, None)  # the same content twice is one
        self.parts[part.sha2] = part
        if before is not None:
            before.discard()
        if part.sha2 != said:
            raise BadRequest("The content of a part does not have the digest that its header X-Experience-API-Hash gives.")

    def upload(self) -> Upload:
        """Return what arrived. Raises InvalidStatement when content is missing."""
        if self.batch is None or self.json is None:
            raise BadRequest("The body has no parts: the first must be the statements.")
        if len(self.parts) < len(self.asked):
            self.batch = self.batch_of(bytes(self.json), frozenset(self.parts))  # which says whose content is missing, unless that is somewhere else
        return Upload(self.batch, self.parts)

    def discard(self) -> None:
        """Remove what is in files."""
        if self.spool is not None:
            self.spool.discard()
        for part in self.parts.values():
            part.discard()


@asynccontextmanager
async def uploaded(
    arriving: Arriving, boundary: bytes, declared: bytes | None, pause_s: float, state: State, batch_of: BatchOf,
) -> AsyncIterator[Upload]:
    """Read a whole body, each piece within `pause_s`, and give it, with its content at hand until the end.

    Raises LrsError for one that is refused, or Disconnected.
    """
    settings = state.settings
    parser = MultipartParser(boundary, Limits(parts=1 + settings.max_attachments))
    reading = _Reading(batch_of, settings.max_body_bytes, state.attachments.incoming)
    if len(_arriving) >= UPLOADS_AT_ONCE:
        raise Overloaded("More statements with attachments arrive than are taken at once; repeat the request unchanged a little later.")
    _arriving.add(reading.turn)
    try:
        await reading.read(parser, arriving.pieces(declared, settings.max_multipart_bytes, pause_s))
        yield reading.upload()
    finally:
        _arriving.discard(reading.turn)
        reading.discard()


def _asked(body: bytes) -> frozenset[str]:
    """Return the digests, in lower case, of all attachments of statements that are not checked yet."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return frozenset()  # whoever checks the statements says what is wrong
    found: set[str] = set()
    for statement in given if isinstance(given, list) else [given]:
        if isinstance(statement, dict):
            for holder in (statement, statement.get("object")):
                attachments = holder.get("attachments") if isinstance(holder, dict) else None
                if isinstance(attachments, list):
                    found |= {one["sha2"].lower() for one in attachments if isinstance(one, dict) and _is_digest(one.get("sha2"))}
    return frozenset(found)


def _is_digest(given: Any) -> bool:
    return isinstance(given, str) and is_sha2(given)
