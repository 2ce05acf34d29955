"""Signers of statements: certificates made on the spot, and JSON web signatures."""
import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

HASHES: dict[str, hashes.HashAlgorithm] = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "RS512": hashes.SHA512()}

_NOTHING_ELSE = dict.fromkeys(
    ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)


def b64(content: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


class Signer:
    """A key with a certificate, by itself or by another signer."""

    def __init__(self, name: str, issuer: "Signer | None" = None, *, authority: bool = False, days: int = 10, address: str | None = None) -> None:
        """`authority`: it may vouch for others; `days` until it expires; `address`: the IP address it may answer at."""
        self.key: RSAPrivateKey = generate_private_key(65537, 2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by, now = issuer or self, datetime.now(UTC)
        builder = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(by.name).public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=20)).not_valid_after(now + timedelta(days=days))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **_NOTHING_ELSE), critical=True)
        if address is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        self.certificate = builder.sign(by.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """The certificate for a trust store."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pem_with_key(self) -> bytes:
        """The certificate after its key, for a server or a client of TLS."""
        return self._key_pem(serialization.NoEncryption()) + self.pem

    @property
    def pem_with_locked_key(self) -> bytes:
        """The same with a key that a passphrase opens."""
        return self._key_pem(serialization.BestAvailableEncryption(b"a passphrase")) + self.pem

    def _key_pem(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def jws(self, payload: Any, *others: "Signer", algorithm: str = "RS256", **header: Any) -> bytes:
        """Sign in compact form; with `others` (or x5c=True) the certificates, this one first, come along."""
        if header.pop("x5c", bool(others)):
            ders = [each.certificate.public_bytes(serialization.Encoding.DER) for each in (self, *others)]
            header["x5c"] = [base64.b64encode(der).decode() for der in ders]
        content = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        signed = b64(orjson.dumps({"alg": algorithm, **header})) + b"." + b64(content)
        return signed + b"." + b64(self.key.sign(signed, PKCS1v15(), HASHES.get(algorithm, hashes.SHA256())))
