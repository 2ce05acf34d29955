"""Hashes that stand for texts in keys: 64-bit ones for the statement store, 128-bit keyed ones for learners."""
import hashlib
from functools import lru_cache, partial
from uuid import UUID

_SHORT = 256
"""Longer texts are not remembered: a sender of many must not fill the memory."""


@lru_cache(maxsize=65536)
def key64(text: str) -> int:
    """Return a signed 64-bit hash of an IRI or a canonical IFI, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


@lru_cache(maxsize=65536)
def key128(text: str) -> UUID:
    """Return a 128-bit hash of a text, for keys where two texts must never meet."""
    return UUID(bytes=hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


class KeyedHash:
    """Unguessable hashes of identities: the same on all nodes that share the secret, different between tenants."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is TESTAMUR_SECRET, at most 64 bytes are used."""
        self._secret = hashlib.sha512(secret).digest()
        self._begun = lru_cache(maxsize=64)(self._begin)
        self._partition_key = lru_cache(maxsize=16384)(partial(self._digest, "log"))

    def ifi(self, tenant: str, identity: str) -> UUID:
        """Return the key of an identity: also the id of the learner who has no other."""
        return UUID(bytes=self._digest("ifi", tenant, identity), version=4)

    def partition_key(self, tenant: str, identity: str) -> bytes:
        """Return the log key of whatever concerns this identity."""
        return self._partition_key(tenant, identity) if len(identity) <= _SHORT else self._digest("log", tenant, identity)

    def id(self, purpose: str, *parts: str) -> UUID:
        """Return a UUIDv4-shaped id that the same parts always give."""
        return UUID(bytes=self._digest(purpose, *parts), version=4)

    def mac(self, purpose: str, message: bytes) -> bytes:
        """Return 16 bytes that prove that this installation made `message` for `purpose`."""
        return self._keyed(purpose, message)

    def _digest(self, purpose: str, *parts: str) -> bytes:
        message = b"".join(len(part := text.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + part for text in parts)
        return self._keyed(purpose, message)

    def _keyed(self, purpose: str, message: bytes) -> bytes:
        keyed = self._begun(purpose).copy()
        keyed.update(message)
        return keyed.digest()

    def _begin(self, purpose: str) -> "hashlib.blake2b":
        return hashlib.blake2b(digest_size=16, key=self._secret, person=purpose.encode()[:16])


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that a log key belongs to."""
    return int.from_bytes(key[:8], "big") % partitions
