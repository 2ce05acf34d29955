"""Who calls: API keys as Basic credentials, and bearer tokens of issuers that are trusted (services/runtime/callers/bearer.py).

A change of a key is in force within 5 s; known ones work for 15 min while Postgres is away. Secrets are random and long, so one keyed HMAC is the whole
work, and an unknown key costs the same. No part of an Authorization header is ever logged or kept.
"""
import asyncio
import base64
import binascii
import hashlib
import hmac
import math
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from services.core.errors import Forbidden, Unauthenticated, Unavailable
from services.core.scopes import grants
from services.runtime.callers.key_use import KeyUse
from services.runtime.callers.rate_limit import RateLimits
from services.runtime.postgres import Pool, Statements, or_unavailable

FRESH_S = 5.0
REMEMBERED_S = 900.0
_QUERY_S = 2.0
_RETRY_S = 1.0
_MAX_STRANGERS = 10_000
_MAX_KEY = 1024
_MAX_VERIFIED = 4096
_MAX_SPOKEN = 10_000
_MAX_HEADER = 16 << 10
_UNREADABLE = "The credentials of the Authorization header cannot be read: "
_NOBODY = (None, 0.0)
_sql = Statements(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, slots=True)
class Caller:
    """The key or token a request came with: on whose behalf it acts, and what it may do. A token's `key` is its issuer, user and client."""

    tenant: str
    tenant_id: int
    key: str
    authority: dict[str, Any]
    scopes: frozenset[str]
    rate: float | None = None
    """How many requests a second the key may make; None is any number."""
    bearer: bool = False
    quarantine: bool = False
    """Whether an invalid statement of a request is set aside instead of refusing the request (services/ingest/quarantine.py)."""

    def may(self, scope: str) -> bool:
        """Return whether the key's scopes allow what `scope` does."""
        return grants(self.scopes, scope)

    def require(self, *scopes: str) -> None:
        """Raise Forbidden unless one of `scopes` is allowed."""
        for scope in scopes:
            if grants(self.scopes, scope):
                return
        error = Forbidden(f"This {'token' if self.bearer else 'API key'} needs the scope {' or '.join(scopes)}.", scopes=list(scopes))
        if self.bearer:
            error.challenges = (f'Bearer realm="Testamur", error="insufficient_scope", scope="{scopes[0]}"',)
        raise error


Bearer = Callable[[str], Awaitable[tuple[Caller, float]]]
"""Gives the caller of a bearer token, and until when (monotonic) the token is good. Raises Unauthenticated, Forbidden or Unavailable."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A key in force; the secret before its last rotation opens it until `former_ends`, all of it ends at `ends` (both monotonic)."""

    caller: Caller
    secret_hash: bytes
    ends: float
    former_hash: bytes | None
    former_ends: float


@dataclass(frozen=True, slots=True)
class _Seen:
    row: _Row | None
    at: float


def hash_secret(server_secret: bytes, secret: str) -> bytes:
    """Return what is stored of a key's secret."""
    return hmac.new(b"testamur api key\0" + server_secret, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def basic_credentials(header: str | bytes | None) -> tuple[str, str]:
    """Return key and secret of an Authorization header. Raises Unauthenticated for anything that is not Basic with a colon in it."""
    scheme, credentials = _credentials(header)
    if scheme != "basic":
        raise Unauthenticated("This server takes Basic authentication: the key as the user name and the secret as the password.")
    credentials = credentials.rstrip("=")
    try:
        pair = base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True).decode()
    except UnicodeDecodeError as error:
        raise Unauthenticated(_UNREADABLE + "what they are the Base64 of is not UTF-8.") from error
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated(_UNREADABLE + "after Basic comes the Base64 of the key, a colon, and the secret.") from error
    key, colon, secret = pair.partition(":")
    if not colon:
        raise Unauthenticated(_UNREADABLE + "there is no colon between key and secret.")
    if not key:
        raise Unauthenticated("The credentials of the Authorization header name no key, and nobody comes in without one.")
    return key, secret


def _credentials(header: str | bytes | None) -> tuple[str, str]:
    """Return the scheme of an Authorization header, in lower case, and what follows it. Raises Unauthenticated for none, several, or one without end."""
    if header is None:
        raise Unauthenticated
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    if len(text) > _MAX_HEADER:
        raise Unauthenticated(f"The Authorization header is longer than {_MAX_HEADER} bytes.")
    scheme, _, credentials = text.strip().partition(" ")
    if "," in text:  # neither Base64 nor a token has one: it stands between two headers or two credentials
        raise Unauthenticated(_UNREADABLE + "there is more than one; send one.")
    return scheme.lower(), credentials.strip()


class Keys:
    """The API keys as this process knows them, and the way in for bearer tokens where their issuers are trusted."""

    def __init__(self, pool: Pool, server_secret: bytes, bearer: Bearer | None = None) -> None:
        """`server_secret` is what `services/runtime/secret.py` gives; without `bearer` no token is taken."""
        self._pool, self._bearer = pool, bearer
        self._rates, self._use = RateLimits(pool), KeyUse(pool)
        self._server_secret = server_secret
        self._salt = os.urandom(32)
        self._known: dict[str, _Seen] = {}
        self._strangers: OrderedDict[str, _Seen] = OrderedDict()
        self._verified: dict[bytes, tuple[Caller, float]] = {}
        self._loading: dict[str, asyncio.Task[_Seen]] = {}
        self._failed_at = float("-inf")
        self._spoken: dict[str, str] = {}

    def admitted(self, header: str | bytes | None) -> Caller | None:
        """Return the caller of a request with this Authorization header if nothing has to be waited for: its credentials held just now, and it has no rate."""
        caller, at = self._verified.get(self._print(header), _NOBODY)
        return None if caller is None or caller.rate is not None or time.monotonic() - at >= FRESH_S else caller

    async def authenticate(self, header: str | bytes | None) -> Caller:
        """Return the caller of a request with this Authorization header.

        Raises Unauthenticated, Forbidden, Unavailable when nothing is known of the key, or TooManyRequests.
        """
        caller = await self.recognise(header)
        if caller.rate is not None:
            await self._rates.take(caller.key, caller.rate)
        return caller

    async def recognise(self, header: str | bytes | None) -> Caller:
        """Return whose Authorization header this is; no request is let in by that, and none counts towards a rate.

        Raises Unauthenticated, Forbidden, or Unavailable when nothing is known of the key.
        """
        print_of_header = self._print(header)
        verified = self._verified.get(print_of_header)
        if verified is None or time.monotonic() - verified[1] >= FRESH_S:
            caller, ends, at = await self._verify(header)
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            verified = self._verified[print_of_header] = (caller, min(at, ends - FRESH_S))
        return verified[0]

    async def _verify(self, header: str | bytes | None) -> tuple[Caller, float, float]:
        """Return the caller, until when the credentials are good, and when that was known (both monotonic)."""
        try:
            scheme, token = _credentials(header)
            if scheme == "bearer" and self._bearer is not None:
                return *(await self._bearer(token)), time.monotonic()
            return await self._verify_key(*basic_credentials(header))
        except Unauthenticated as error:
            if self._bearer is not None and not any(challenge.startswith("Bearer") for challenge in error.challenges):
                error.challenges = (*error.challenges, 'Bearer realm="Testamur"')
            raise

    async def _verify_key(self, key: str, secret: str) -> tuple[Caller, float, float]:
        seen = await self._lookup(key)
        row, now, given = seen.row, time.monotonic(), hash_secret(self._server_secret, secret)
        current = hmac.compare_digest(given, row.secret_hash if row else self._salt)
        former = hmac.compare_digest(given, row.former_hash if row and row.former_hash else self._salt)
        if row is not None and current and now < row.ends:
            ends = row.ends
        elif row is not None and former and now < min(row.ends, row.former_ends):
            ends = min(row.ends, row.former_ends)
        else:
            raise Unauthenticated("This API key is unknown, revoked or expired, or its secret is wrong.")
        self._use.note(key)
        return row.caller, ends, seen.at

    async def in_force(self, key: str) -> bool:
        """Return whether there is an API key of this id that is neither revoked nor expired. Raises Unavailable when nothing is known of it."""
        row = (await self._lookup(key)).row
        return row is not None and time.monotonic() < row.ends

    def note_version(self, caller: Caller, version: str) -> None:
        """Remember the xAPI version that a key speaks, for answers to its requests that name none."""
        if self._spoken.get(caller.key) != version:
            if len(self._spoken) >= _MAX_SPOKEN:  # tokens of ever new people
                self._spoken.clear()
            self._spoken[caller.key] = version

    def spoken_version(self, header: str | bytes | None) -> str | None:
        """Return the xAPI version last spoken with the key of an Authorization header; None if there was none, or the header opened nothing lately."""
        verified = self._verified.get(self._print(header))
        return None if verified is None else self._spoken.get(verified[0].key)

    def _print(self, header: str | bytes | None) -> bytes:
        raw = b"" if header is None else header if isinstance(header, bytes) else header.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=16, key=self._salt).digest()

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
            async with or_unavailable("API keys cannot be read right now; repeat the request a little later.", _QUERY_S):
                found = await self._pool.fetchrow(_sql["api_key_by_id"], key)
        except Unavailable:
            self._failed_at = at
            raise
        self._known.pop(key, None)
        self._strangers.pop(key, None)
        if found is None:
            seen = self._strangers[key] = _Seen(None, at)
            if len(self._strangers) > _MAX_STRANGERS:
                self._strangers.popitem(last=False)
            return seen
        seen = self._known[key] = _Seen(_row(found, at), at)
        return seen


def _row(found: asyncpg.Record, at: float) -> _Row:
    """Return a key as read at a monotonic instant; how long it is good was reckoned by the database's clock."""
    caller = Caller(
        found["tenant"], found["tenant_id"], found["id"], orjson.loads(found["authority"]), frozenset(found["scopes"]), found["rate"],
        quarantine=found["quarantine"])
    ends = math.inf if found["left_s"] is None else at + found["left_s"]
    former_ends = -math.inf if found["former_left_s"] is None else at + found["former_left_s"]
    return _Row(caller, found["secret_hash"], ends, found["former_hash"], former_ends)
