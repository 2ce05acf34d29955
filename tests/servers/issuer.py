"""A small issuer of bearer tokens: discovery and keys over HTTP or HTTPS on this machine, real RSA and EC keys, and every request counted."""
import asyncio
import base64
import contextlib
import datetime as dt
import hmac
import ipaddress
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

AUDIENCE = "https://lrs.example.org"
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Issuer:
    """An issuer with keys by their id; answers can be replaced, and are counted by path."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, PrivateKey]] = {
            "rsa": ("RS256", rsa.generate_private_key(65537, 2048)), "ec": ("ES256", ec.generate_private_key(ec.SECP256R1()))}
        self.asked: Counter[str] = Counter()
        self.replaced: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.url = ""
        self._server: asyncio.Server | None = None

    async def open(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        """Listen; again on the same port after `close` when that is given."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    async def close(self) -> None:
        """Answer nobody any more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def rotate(self, kid: str) -> None:
        """Sign with a new RSA key and forget all others."""
        self.keys = {kid: ("RS256", rsa.generate_private_key(65537, 2048))}

    def token(self, kid: str = "rsa", *, head: dict[str, Any] | None = None, without: tuple[str, ...] = (), **claims: Any) -> str:
        """Return a token that is good for five minutes, but for what the arguments change."""
        algorithm, key = self.keys[kid]
        now = int(time.time())
        body = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "scope": "all", **claims}
        return jwt.encode({name: value for name, value in body.items() if name not in without}, key, algorithm, {"kid": kid, **(head or {})})

    def hs256(self) -> str:
        """Return a token that a careless reader checks with the public RSA key as the secret of an HMAC, and finds good."""
        public = self.keys["rsa"][1].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        head, body = ({"alg": "HS256", "kid": "rsa"}, jwt.decode(self.token(), options={"verify_signature": False}))
        signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, body))
        return b".".join((signed, base64.urlsafe_b64encode(hmac.digest(public, signed, "sha256")).rstrip(b"="))).decode()

    def jwks(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs."""
        return [
            {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, (algorithm, key) in self.keys.items()
        ]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            self.asked[path] += 1
            told = {DISCOVERY: {"issuer": self.url, "jwks_uri": self.url + KEYS}, KEYS: {"keys": self.jwks()}}
            status, headers, body = self.replaced.get(path, (200, {}, json.dumps(told.get(path, {})).encode()))
            head = "".join(f"{name}: {value}\r\n" for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items())
            writer.write(f"HTTP/1.1 {status} Told\r\n{head}\r\n".encode() + body)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def issuing(context: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
    """Run an issuer while the body runs."""
    issuer = Issuer()
    await issuer.open(context)
    try:
        yield issuer
    finally:
        await issuer.close()


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return the TLS context of a server at 127.0.0.1, and the file of the certificate to trust for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
    both, public = folder / "server.pem", folder / "trusted.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(private + public.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, public


