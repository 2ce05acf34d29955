"""The installation's secret: the setting, or a file in the data directory made once, readable by its owner alone."""
import contextlib
import os
import secrets
from pathlib import Path

from services.runtime.settings import Settings

FILE = "secret"


def resolve_secret(settings: Settings) -> bytes:
    """Return the secret. Makes the file on first use; of two processes that race the first to link it wins."""
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
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


def _read(path: Path) -> bytes:
    secret = path.read_bytes().strip()
    if not secret:
        raise ValueError(f"{path} is empty: it must hold the secret of this installation; restore it from a backup")
    return secret
