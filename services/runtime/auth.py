"""Who calls: API keys as Basic credentials. A revoked key stops within 5 s; known ones work for 15 min while Postgres is away.

Secrets are random and long, so one keyed HMAC is the whole work, and an unknown key costs the same.
"""
import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from services.core.errors import Forbidden, Unauthenticated, Unavailable
from services.core.scopes import grants
from services.runtime.postgres import Pool, Statements, transient

FRESH_S = 5.0
REMEMBERED_S = 900.0
_QUERY_S = 2.0
_RETRY_S = 1.0
_MAX_STRANGERS = 10_000
_MAX_KEY = 1024
_MAX_VERIFIED = 4096
_sql = Statements(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Caller:
    """The key a request came with: on whose behalf it acts, and what it may do."""

    tenant: str
    tenant_id: int
    key: str
    authority: dict[str, Any]
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Return whether the key's scopes allow what `scope` does."""
        return grants(self.scopes, scope)

    def require(self, *scopes: str) -> None:
        """Raise Forbidden unless one of `scopes` is allowed."""
        for scope in scopes:
            if grants(self.scopes, scope):
                return
        raise Forbidden(f"This API key needs the scope {' or '.join(scopes)}.", scopes=list(scopes))


@dataclass(frozen=True, slots=True)
class _Row:
    caller: Caller
    secret_hash: bytes


@dataclass(frozen=True, slots=True)
class _Seen:
    row: _Row | None
    at: float


def hash_secret(server_secret: bytes, secret: str) -> bytes:
    """Return what is stored of a key's secret."""
    return hmac.new(b"testamur api key\0" + server_secret, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def basic_credentials(header: str | bytes | None) -> tuple[str, str]:
    """Return key and secret of an Authorization header. Raises Unauthenticated for anything that is not Basic with a colon in it."""
    if header is None:
        raise Unauthenticated
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    scheme, _, token = text.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("This server takes Basic authentication: the key as the user name and the secret as the password.")
    token = token.strip().rstrip("=")
    try:
        pair = base64.b64decode(token + "=" * (-len(token) % 4), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("The credentials of the Authorization header cannot be read.") from error
    key, colon, secret = pair.partition(":")
    if not colon or not key:
        raise Unauthenticated("The credentials of the Authorization header cannot be read.")
    return key, secret


class Keys:
    """The API keys as this process knows them."""

    def __init__(self, pool: Pool, server_secret: bytes) -> None:
        """`server_secret` is what `services/runtime/secret.py` gives."""
        self._pool = pool
        self._server_secret = server_secret
        self._salt = os.urandom(32)
        self._known: dict[str, _Seen] = {}
        self._strangers: OrderedDict[str, _Seen] = OrderedDict()
        self._verified: dict[bytes, tuple[Caller, float]] = {}
        self._loading: dict[str, asyncio.Task[_Seen]] = {}
        self._failed_at = float("-inf")
        self._spoken: dict[str, str] = {}

    async def authenticate(self, header: str | bytes | None) -> Caller:
        """Return the caller of a request with this Authorization header. Raises Unauthenticated, or Unavailable when nothing is known of the key."""
        raw = b"" if header is None else header if isinstance(header, bytes) else header.encode("utf-8", "surrogatepass")
        print_of_header = hashlib.blake2b(raw, digest_size=16, key=self._salt).digest()
        verified = self._verified.get(print_of_header)
        if verified is not None and time.monotonic() - verified[1] < FRESH_S:
            return verified[0]
        key, secret = basic_credentials(header)
        seen = await self._lookup(key)
        given = hash_secret(self._server_secret, secret)
        if not hmac.compare_digest(given, seen.row.secret_hash if seen.row else self._salt) or seen.row is None:
            raise Unauthenticated("This API key is unknown, revoked, or its secret is wrong.")
        if len(self._verified) >= _MAX_VERIFIED:
            self._verified.clear()
        self._verified[print_of_header] = (seen.row.caller, seen.at)
        return seen.row.caller

    def note_version(self, caller: Caller, version: str) -> None:
        """Remember the xAPI version that a key speaks, for answers to its requests that name none."""
        if self._spoken.get(caller.key) != version:
            self._spoken[caller.key] = version

    def spoken_version(self, header: str | bytes | None) -> str | None:
        """Return the xAPI version last spoken by the key in an Authorization header, whoever sent it; None if there was none."""
        try:
            return self._spoken.get(basic_credentials(header)[0])
        except Unauthenticated:
            return None

    async def _lookup(self, key: str) -> _Seen:
        now = time.monotonic()
        if len(key) > _MAX_KEY or "\0" in key:  # no key is like that, and what is remembered of strangers stays small
            return _Seen(None, now)
        seen = self._known.get(key) or self._strangers.get(key)
        if seen is not None and now - seen.at < FRESH_S:
            return seen
        try:
            if now - self._failed_at < _RETRY_S:
                raise Unavailable
            task = self._loading.get(key)
            if task is None:
                task = self._loading[key] = asyncio.create_task(self._load(key))
                task.add_done_callback(lambda _: self._loading.pop(key, None))
            return await asyncio.shield(task)
        except Unavailable:
            if seen is not None and seen.row is not None and now - seen.at < REMEMBERED_S:
                return seen
            raise

    async def _load(self, key: str) -> _Seen:
        at = time.monotonic()
        try:
            async with asyncio.timeout(_QUERY_S):
                found = await self._pool.fetchrow(_sql["api_key_by_id"], key)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not isinstance(error, OSError) and not transient(error):
                raise
            self._failed_at = at
            raise Unavailable("API keys cannot be read right now; repeat the request a little later.") from error
        self._known.pop(key, None)
        self._strangers.pop(key, None)
        if found is None:
            seen = self._strangers[key] = _Seen(None, at)
            if len(self._strangers) > _MAX_STRANGERS:
                self._strangers.popitem(last=False)
            return seen
        caller = Caller(found["tenant"], found["tenant_id"], found["id"], orjson.loads(found["authority"]), frozenset(found["scopes"]))
        seen = self._known[key] = _Seen(_Row(caller, found["secret_hash"]), at)
        return seen
