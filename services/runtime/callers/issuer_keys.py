"""The public keys of one issuer of bearer tokens (OpenID Connect Discovery 1.0), fetched when they are needed and kept for ten minutes.

Only what the settings name is ever asked, and what its own discovery document names for keys; no redirect is followed. While the issuer cannot be reached,
the keys that are known stay good for a day.
"""
import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import orjson
import structlog

from services.core.errors import Unavailable

MAX_AGE_S = 600.0
MISS_S = 60.0
"""How often a key that is not known may have the issuer asked again."""
REMEMBERED_S = 86_400.0
_RETRY_S = 5.0
_FETCH_S = 3.0
_MAX_BYTES = 256 << 10
_MAX_KEYS = 100
_KINDS = {"RS": ("RSA", None), "PS": ("RSA", None), "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"), "EdDSA": ("OKP", "Ed25519")}
_log = structlog.get_logger(__name__)
Jwk = dict[str, Any]


class CannotFetch(Exception):
    """The issuer's keys could not be fetched; the message is a sentence for the operator."""


class IssuerKeys:
    """The keys of one issuer, as this process knows them."""

    def __init__(self, issuer: str) -> None:
        """`issuer` is its URL, exactly as its tokens give it."""
        self.issuer = issuer
        self._known: list[Jwk] = []
        self._made: dict[tuple[str | None, str], jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = self._missed_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key of that id for an algorithm, None if the issuer has no such key. Without `kid`, its only one for the algorithm.

        Raises Unavailable when nothing is known and the issuer cannot be reached.
        """
        stale = time.monotonic() - self._fetched_at > MAX_AGE_S
        if stale:
            await self._renew_stale()
        found = self._find(kid, algorithm)
        if found is None and not stale:
            await self._look_again()
            found = self._find(kid, algorithm)
        return found

    async def _renew_stale(self) -> None:
        """Fetch keys that are too old. Once that failed, requests no longer wait for it while keys are known. Raises Unavailable."""
        fetching, failed = self._fetching, self._tried_at > self._fetched_at
        if fetching is None and time.monotonic() - self._tried_at >= _RETRY_S:
            fetching = self._fetch()
        remembered = time.monotonic() - self._fetched_at <= REMEMBERED_S
        if fetching is not None and not (remembered and failed):
            await asyncio.shield(fetching)
            remembered = time.monotonic() - self._fetched_at <= REMEMBERED_S
        if not remembered:
            raise Unavailable(f"The keys of the issuer {self.issuer} cannot be read right now; repeat the request a little later.")

    async def _look_again(self) -> None:
        """Fetch the keys since one is not among them; seldom, as anybody can make up ids of keys."""
        if self._fetching is None:
            if time.monotonic() - self._missed_at < MISS_S:
                return
            self._missed_at = time.monotonic()
        await asyncio.shield(self._fetching or self._fetch())

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        made = self._made.get((kid, algorithm))
        if made is not None:
            return made
        kind, curve = _KINDS.get(algorithm) or _KINDS[algorithm[:2]]
        fitting = [
            jwk for jwk in self._known
            if (kid is None or jwk.get("kid") == kid) and jwk.get("kty") == kind and curve in (None, jwk.get("crv")) and jwk.get("alg", algorithm) == algorithm
        ]
        if len(fitting) != 1:
            return None
        try:
            made = self._made[kid, algorithm] = jwt.PyJWK(fitting[0], algorithm)
        except jwt.PyJWTError as error:
            _log.warning("a key of the issuer cannot be used", issuer=self.issuer, error=str(type(error).__name__))
            return None
        return made

    def _fetch(self) -> asyncio.Task[None]:
        """Begin to fetch the keys; everybody who wants them meanwhile waits for this. What is known stays if it fails."""
        self._tried_at = time.monotonic()
        self._fetching = asyncio.create_task(self._renew(), name="fetch the keys of an issuer")
        return self._fetching

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):
                known = await fetch_keys(self.issuer)
        except (CannotFetch, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # ValueError: of an address that is none
            _log.warning("the keys of an issuer of tokens cannot be fetched", issuer=self.issuer, error=str(error) or type(error).__name__)
        else:
            self._known, self._made, self._fetched_at = known, {}, time.monotonic()
        finally:
            self._fetching = None


async def fetch_keys(issuer: str) -> list[Jwk]:
    """Return the keys for signatures that an issuer publishes. Raises CannotFetch, httpx.HTTPError or TimeoutError."""
    async with httpx.AsyncClient(follow_redirects=False, timeout=_FETCH_S, headers={"Accept": "application/json", "Accept-Encoding": "identity"}) as client:
        described = await _object(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        if described.get("issuer") != issuer:
            raise CannotFetch(f"the discovery document says it is of the issuer {described.get('issuer')!r}")
        address = described.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme not in {"https", urlsplit(issuer).scheme}:
            raise CannotFetch("the discovery document names no jwks_uri, or one without https")
        found = (await _object(client, address)).get("keys")
    if not isinstance(found, list):
        raise CannotFetch("the set of keys has no keys")
    return [jwk for jwk in found[:_MAX_KEYS] if isinstance(jwk, dict) and jwk.get("use", "sig") == "sig"]


async def _object(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    """Return the JSON object at an address."""
    body = b""
    async with client.stream("GET", address) as answer:
        if answer.status_code != httpx.codes.OK:
            raise CannotFetch(f"{address} answers {answer.status_code}")
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _MAX_BYTES:
                raise CannotFetch(f"{address} answers more than {_MAX_BYTES} bytes")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CannotFetch(f"{address} answers no JSON") from error
    if not isinstance(parsed, dict):
        raise CannotFetch(f"{address} answers no JSON object")
    return parsed
