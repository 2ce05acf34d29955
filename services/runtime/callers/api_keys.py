"""API keys as rows: made, listed, rotated, revoked, and the administrator key ensured at each start. A secret is shown once and kept only as a keyed hash."""
import binascii
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import orjson

from services.core.check import check
from services.core.errors import BadRequest
from services.core.scopes import DEFAULT, KNOWN
from services.runtime.callers.auth import hash_secret
from services.runtime.postgres import Pool, Statements
from services.runtime.settings import Settings

DEFAULT_TENANT = "default"
BOOTSTRAP_NAME = "administrator"
ADMIN = ("lrs:admin",)
MAX_RATE = 1_000_000.0
MAX_GRACE = timedelta(days=366)
_KEY_ID = re.compile(r"[\x21-\x39\x3b-\x7e]{1,200}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_sql = Statements(Path(__file__).with_suffix(".sql"))


class NewKey(TypedDict):
    """A key as told to its owner, once."""

    key: str
    secret: str
    tenant: str
    scopes: list[str]


class KeyListed(TypedDict):
    """A key as listed. `former_until` is how long the secret before its last rotation works, `rate` requests a second."""

    key: str
    name: str
    tenant: str
    scopes: list[str]
    authority: dict[str, Any]
    rate: float | None
    quarantine: bool
    created_at: datetime
    expires_at: datetime | None
    former_until: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def create_key(  # noqa: PLR0913 - what a key is made of
    pool: Pool, server_secret: bytes, *, name: str, tenant: str = DEFAULT_TENANT, scopes: Sequence[str] = (),
    authority: dict[str, Any] | None = None, public_url: str, expires: timedelta | None = None, rate: float | None = None,
    quarantine: bool = False,
) -> NewKey:
    """Make a key, and its tenant with the first. Without `scopes` it gets the default ones of xAPI. Raises BadRequest.

    `expires` is how long it works, by the database's clock, `rate` how many requests it may make a second; None is without end. With `quarantine` an invalid
    statement that it sends is set aside and costs the others of its request nothing.
    """
    _check_names(name, tenant)
    if expires is not None and expires <= timedelta(0):
        raise BadRequest("The end of an API key is in the future.")
    if rate is not None and not 0.001 <= rate <= MAX_RATE:
        raise BadRequest(f"The rate of an API key is 0.001 to {MAX_RATE:.0f} requests a second.")
    granted = list(dict.fromkeys(scopes)) or list(DEFAULT)
    _check_scopes(granted)
    vouching = _checked_authority(authority) if authority is not None else default_authority(public_url, name)
    key = "lrs_" + secrets.token_hex(8)
    secret = _new_secret(key)
    async with pool.acquire() as connection, connection.transaction():
        tenant_id = await connection.fetchval(_sql["ensure_tenant"], tenant)
        await connection.execute(_sql["insert_key"], tenant_id, key, name, hash_secret(server_secret, secret), granted, orjson.dumps(vouching).decode(),
                                 expires, rate, quarantine)
    return NewKey(key=key, secret=secret, tenant=tenant, scopes=granted)


async def rotate_key(pool: Pool, server_secret: bytes, key: str, *, grace: timedelta) -> NewKey | None:
    """Give a key a new secret; the one before it works until `grace` is over, any older one no more. None if the key is not in force. Raises BadRequest."""
    if not timedelta(0) <= grace <= MAX_GRACE:
        raise BadRequest(f"The former secret works on for 0 to {MAX_GRACE.days} days.")
    secret = _new_secret(key)
    row = await pool.fetchrow(_sql["rotate_key"], key, hash_secret(server_secret, secret), grace)
    return None if row is None else NewKey(key=key, secret=secret, tenant=row["tenant"], scopes=row["scopes"])


async def revoke_former_secret(pool: Pool, key: str) -> bool:
    """End the secret before the last rotation, on every node within 5 s; return whether there was one in force."""
    return await pool.fetchval(_sql["revoke_former_secret"], key) is not None


async def list_keys(pool: Pool) -> list[KeyListed]:
    """Return all keys, revoked ones too, oldest first."""
    rows = await pool.fetch(_sql["list_keys"])
    return [
        KeyListed(key=row["id"], name=row["name"], tenant=row["tenant"], scopes=row["scopes"], authority=orjson.loads(row["authority"]),
                  rate=row["rate"], quarantine=row["quarantine"], created_at=row["created_at"], expires_at=row["expires_at"], former_until=row["former_until"],
                  last_used_at=row["last_used_at"], revoked_at=row["revoked_at"])
        for row in rows
    ]


async def set_quarantine(pool: Pool, key: str, *, on: bool) -> bool:
    """Say whether invalid statements that a key sends are set aside, on every node within 5 s; return whether the key is in force."""
    return await pool.fetchval(_sql["set_quarantine"], key, on) is not None


async def revoke_key(pool: Pool, key: str) -> bool:
    """Take a key out of force, on every node within 5 s; return whether it was in force."""
    return await pool.fetchval(_sql["revoke_key"], key) is not None


async def ensure_bootstrap(settings: Settings, pool: Pool, server_secret: bytes, *, public_url: str) -> NewKey | None:
    """Ensure the administrator key: as the settings give it, else one made at the first start. Return it if it was made up now, to be shown once."""
    given = settings.bootstrap_secret.get_secret_value() if settings.bootstrap_secret else None
    if (settings.bootstrap_key is None) != (given is None):
        raise BadRequest("TESTAMUR_BOOTSTRAP_KEY and TESTAMUR_BOOTSTRAP_SECRET must be given together.")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_sql["lock_bootstrap"])
        if settings.bootstrap_key is None and await connection.fetchval(_sql["any_key"]):
            return None
        key = settings.bootstrap_key or "lrs_" + secrets.token_hex(8)
        if not _KEY_ID.fullmatch(key):
            raise BadRequest("The id of an API key is 1 to 200 printable characters without space and colon.")
        secret = given or _new_secret(key)
        tenant_id = await connection.fetchval(_sql["ensure_tenant"], DEFAULT_TENANT)
        await connection.execute(_sql["put_bootstrap_key"], tenant_id, key, BOOTSTRAP_NAME, hash_secret(server_secret, secret), list(ADMIN),
                                 orjson.dumps(default_authority(public_url, BOOTSTRAP_NAME)).decode())
    return None if given else NewKey(key=key, secret=secret, tenant=DEFAULT_TENANT, scopes=list(ADMIN))


def default_authority(public_url: str, name: str) -> dict[str, Any]:
    """Return the agent that vouches for what a key sends when none was named: an account of this installation."""
    return {"objectType": "Agent", "account": {"homePage": public_url, "name": name}}


def _new_secret(key: str) -> str:
    body = f"{key}_{secrets.token_urlsafe(32)}"
    return f"{body}_{binascii.crc32(body.encode()):08x}"


def _check_names(name: str, tenant: str) -> None:
    for what, text in (("name of an API key", name), ("tenant", tenant)):
        if not _NAME.fullmatch(text):
            raise BadRequest(f"The {what} is 1 to 200 characters without control characters.")


def _check_scopes(scopes: Sequence[str]) -> None:
    unknown = [scope for scope in scopes if scope not in KNOWN]
    if unknown:
        raise BadRequest(f"Unknown scope {unknown[0]!r}. There are: {', '.join(sorted(KNOWN))}.")


def _checked_authority(authority: dict[str, Any]) -> dict[str, Any]:
    """Return the authority when a statement could carry it. Raises InvalidStatement."""
    check(orjson.dumps({"actor": {"mbox": "mailto:a@example.org"}, "verb": {"id": "urn:a"}, "object": {"id": "urn:a"}, "authority": authority}), "1.0.3")
    return authority
