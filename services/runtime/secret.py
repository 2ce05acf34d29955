"""The installation's secret: the setting, or a file in the data directory made once, readable by its owner alone.

A database remembers a fingerprint of the secret it was first used with, and is refused to any other.
"""
import contextlib
import hmac
import os
import secrets
from pathlib import Path

from services.core.keys import KeyedHash
from services.runtime.postgres import Statements, connect
from services.runtime.settings import Settings

FILE = "secret"
_sql = Statements(Path(__file__).with_suffix(".sql"))


class SecretRefused(Exception):
    """This secret cannot be used; the message is a sentence for the operator."""


def resolve_secret(settings: Settings) -> bytes:
    """Return the secret. Makes the file on first use; of two processes that race the first to link it wins. Raises SecretRefused for an empty one."""
    if settings.secret is not None:
        if not (given := settings.secret.get_secret_value().encode()):
            raise SecretRefused("TESTAMUR_SECRET is empty: set it to the secret of this installation, or leave it out.")
        return given
    path = settings.data_dir / FILE
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return _read(path)


async def confirm_secret(settings: Settings, dsn: str) -> None:
    """Give a migrated database the fingerprint of the secret, if it has none. Raises SecretRefused when it has that of another secret."""
    fingerprint = KeyedHash(resolve_secret(settings)).mac("fingerprint", b"the secret of this installation")
    connection = await connect(dsn, application_name="testamur secret")
    try:
        await connection.execute(_sql.remember, fingerprint)
        known: bytes = await connection.fetchval(_sql.fingerprint)
    finally:
        await connection.close(timeout=5)
    if not hmac.compare_digest(known, fingerprint):
        here = f"the file {settings.data_dir / FILE}" if settings.secret is None else "TESTAMUR_SECRET"
        raise SecretRefused(
            f"The database was made with another secret than that of {here}: with this one API keys would not work and learners would have other ids. "
            "Nothing was changed. Give back the former secret, in TESTAMUR_SECRET or in the file.")


def _read(path: Path) -> bytes:
    secret = path.read_bytes().strip()
    if not secret:
        raise SecretRefused(f"{path} is empty: it must hold the secret of this installation; restore it from a backup.")
    return secret
