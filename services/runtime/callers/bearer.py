"""Bearer tokens: JWTs of the issuers that the settings name (RFC 9068, OpenID Connect), and what they let their bearer do.

Which issuers, algorithms and audiences are believed is fixed by the settings; a token, and an issuer's description of itself, choose nothing.
"""
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson

from services.core.errors import Forbidden, Unauthenticated
from services.core.scopes import DEFAULT, KNOWN
from services.runtime.callers.auth import Caller
from services.runtime.callers.issuer_keys import IssuerKeys
from services.runtime.postgres import Pool, Statements, or_unavailable
from services.runtime.settings import Settings

MAX_TOKEN = 8 << 10
LEEWAY_S = 60
_MAX_LIFE_S = 86_400.0
_QUERY_S = 2.0
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_OF_ID_TOKENS = frozenset({"nonce", "at_hash", "c_hash"})
"""Claims that OpenID Connect gives to ID tokens. Some issuers put them into access tokens too, which name their scopes then."""
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_FAULTS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidIssuedAtError: "its `iat` is no moment that was",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.MissingRequiredClaimError: "it needs the claims `iss`, `aud`, `exp` and `iat`",
    jwt.InvalidSignatureError: "its signature does not fit",
}
_sql = Statements(Path(__file__).with_suffix(".sql"))


class BadToken(Unauthenticated):
    """The bearer token is not accepted."""

    challenges = ('Bearer realm="Testamur", error="invalid_token"',)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer that is trusted, and the tenant of all its tokens; None: the claim that the settings name says which."""

    url: str
    tenant: str | None
    keys: IssuerKeys


class BearerTokens:
    """What this process knows of issuers and tenants; call it with a token."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        """`settings` name at least one issuer and an audience."""
        self._pool, self._settings = pool, settings
        self._issuers = {url: Issuer(url, tenant, IssuerKeys(url)) for url, tenant in settings.issuers.items()}
        self._audiences = [each.strip() for each in settings.oidc_audience.split(",") if each.strip()]
        self._algorithms = frozenset(each.strip() for each in settings.oidc_algorithms.split(","))
        self._tenants: dict[str, int] = {}

    async def __call__(self, token: str) -> tuple[Caller, float]:
        """Return the caller, and until when (monotonic) the token is good. Raises BadToken, Forbidden or Unavailable."""
        if len(token) > MAX_TOKEN:
            raise BadToken(f"The bearer token is longer than {MAX_TOKEN} bytes.")
        try:
            issuer, claims = await self._verified(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            fault = next((sentence for kind, sentence in _FAULTS.items() if isinstance(error, kind)), "it is no JWT, or a claim is not what it should be")
            raise BadToken(f"The bearer token is not accepted: {fault}.") from error
        user, client, scopes = _named(claims, "sub"), _named(claims, "azp", "client_id", "cid", "appid"), self._scopes(claims)
        tenant = issuer.tenant or self._tenant_named(claims)
        caller = Caller(
            tenant, await self._tenant_id(tenant), orjson.dumps([issuer.url, user, client]).decode(), authority(issuer.url, user, client),
            scopes, bearer=True)
        return caller, time.monotonic() + min(float(claims["exp"]) - time.time() + LEEWAY_S, _MAX_LIFE_S)

    async def _verified(self, token: str) -> tuple[Issuer, dict[str, Any]]:
        """Return who issued a token, and its claims. Raises BadToken, Unavailable, or what PyJWT raises."""
        head = jwt.get_unverified_header(token)
        algorithm, kid = head.get("alg"), head.get("kid")
        if algorithm not in self._algorithms:
            raise BadToken("The bearer token is not accepted: it is not signed with an algorithm that this server allows.")
        if not isinstance(typ := head.get("typ", ""), str) or typ.lower() not in _TYPES or "crit" in head:
            raise BadToken("The bearer token is not accepted: its `typ` is not at+jwt or JWT, or it has `crit`.")
        issuer = self._issuers.get(str(jwt.decode(token, options={"verify_signature": False}).get("iss")))
        if issuer is None:
            raise BadToken("The bearer token is not accepted: its issuer is not one that this server trusts.")
        key = await issuer.keys.key(kid, algorithm)
        if key is None:
            raise BadToken("The bearer token is not accepted: its issuer has no such key.")
        return issuer, jwt.decode(
            token, key, algorithms=[algorithm], audience=self._audiences, issuer=issuer.url, leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "exp", "iat"], "enforce_minimum_key_length": True})

    def _scopes(self, claims: dict[str, Any]) -> frozenset[str]:
        """Return the scopes of a token: those with the prefix of the settings, without it; of a token that speaks of no scopes, the specification's default.

        Raises BadToken for an ID token.
        """
        given = claims.get("scope", claims.get("scp"))
        if given is None:
            if not _OF_ID_TOKENS.isdisjoint(claims):
                raise BadToken("The bearer token is not accepted: it is an ID token, which tells an application who somebody is; send the access token.")
            return frozenset(DEFAULT)
        texts = given.split() if isinstance(given, str) else [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
        prefix = self._settings.oidc_scope_prefix
        return frozenset(text.removeprefix(prefix) for text in texts if text.startswith(prefix)) & KNOWN

    def _tenant_named(self, claims: dict[str, Any]) -> str:
        claim = self._settings.oidc_tenant_claim
        if not claim:
            return self._settings.oidc_tenant
        tenant = claims.get(claim)
        if not isinstance(tenant, str) or not _NAME.fullmatch(tenant):
            raise Forbidden(f"The token names no tenant in its claim `{claim}`.")
        return tenant

    async def _tenant_id(self, tenant: str) -> int:
        known = self._tenants.get(tenant)
        if known is not None:
            return known
        async with or_unavailable("Tenants cannot be read right now; repeat the request a little later.", _QUERY_S):
            found = await self._pool.fetchval(_sql["tenant_by_name"], tenant)
        if found is None:
            raise Forbidden("The token's tenant is not known here; a tenant comes to be with its first API key.")
        known = self._tenants[tenant] = int(found)
        return known


def authority(issuer: str, user: str | None, client: str | None) -> dict[str, Any]:
    """Return who vouches for what comes with a token (xAPI 1.0.3 Communication 4.1): application and user as a Group, or the one that is known."""
    members = [{"objectType": "Agent", "account": {"homePage": issuer, "name": name}} for name in dict.fromkeys((client, user)) if name is not None]
    if not members:
        raise BadToken("The bearer token is not accepted: it names neither a user (`sub`) nor a client (`azp`, `client_id`).")
    return members[0] if len(members) == 1 else {"objectType": "Group", "member": members}


def _named(claims: dict[str, Any], *names: str) -> str | None:
    """Return the first of some claims that is there. Raises BadToken for one that no account could be called."""
    found = next((claims[name] for name in names if name in claims), None)
    if found is not None and not (isinstance(found, str) and _NAME.fullmatch(found)):
        raise BadToken("The bearer token is not accepted: its user or client is not a name of 1 to 255 characters.")
    return found
