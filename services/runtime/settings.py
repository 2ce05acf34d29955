"""Every setting of every service, read once from the environment (`TESTAMUR_…`) and passed down. `docs/settings.md` is made from this class."""
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.timeline import MAX_PARTITIONS

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms of signatures that a public key checks: all that a bearer token can ever be signed with here."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _public_url(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("it is an address such as https://lrs.example.org or https://example.org/lrs")
    return value.rstrip("/")


def _networks(value: str) -> str:
    for each in value.split(","):
        if each.strip():
            ip_network(each.strip(), strict=False)
    return value


def _issuers_named(value: str) -> str:
    for url in _issuers(value):
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment or (parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
            raise ValueError(f"the issuer {url!r} is not an https address")
    return value


def _algorithms_named(value: str) -> str:
    if unknown := [each for each in value.split(",") if each.strip() not in ALGORITHMS]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(ALGORITHMS)}")
    return value


def _issuers(value: str) -> dict[str, str | None]:
    pairs = (each.strip().partition("=") for each in value.split(",") if each.strip())
    return {url.strip(): tenant.strip() or None for url, _, tenant in pairs}


def _versions(value: str) -> str:
    versions = [version.strip() for version in value.split(",")]
    if not all(re.fullmatch(r"[12]\.0\.\d{1,4}", version) for version in versions):
        raise ValueError("versions of xAPI are written as 1.0.3 or 2.0.0, comma-separated")
    return ",".join(dict.fromkeys(versions))


def _security(value: str) -> str:
    if value.upper() not in {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
        raise ValueError("PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    return value.upper()


def _mechanism(value: str) -> str:
    if value.upper() not in {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}:
        raise ValueError("SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
    return value.upper()


def _store(value: str) -> str:
    if value != "file" and not value.startswith("s3://"):
        raise ValueError("either `file` or `s3://bucket/prefix`")
    return value.rstrip("/")


class Settings(BaseSettings):
    """Where things are and how much of them there may be. Frozen; secrets never show in its text."""

    model_config = SettingsConfigDict(env_prefix="TESTAMUR_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(Path("~/.testamur").expanduser(), description="Where the embedded Postgres and the secret are kept.")
    database_url: SecretStr | None = Field(None, description="Postgres to use, as `postgresql://…`. None: an embedded one in the data directory.")
    kafka: str | None = Field(None, description="Bootstrap servers of the Kafka that keeps the log, comma-separated. None: the log is a table in Postgres.")
    kafka_topic: str = Field("testamur.log.v1", description="The topic of the log. It must exist, or the first start makes it.")
    kafka_replication: int = Field(3, ge=1, description="Replication factor of a topic that the first start makes; min(2, it) replicas must be in sync.")
    kafka_security: Annotated[str, AfterValidator(_security)] = Field(
        "PLAINTEXT", description="How brokers are spoken to, in Kafka's words: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.")
    kafka_ca: Path | None = Field(None, description="A PEM file of the authorities that brokers' certificates must come from. None: those this machine trusts.")
    kafka_certificate: Path | None = Field(None, description="A PEM file with our own certificate, for brokers that ask for one.")
    kafka_certificate_key: Path | None = Field(None, description="A PEM file with its key, without a passphrase. None: it is in the same file.")
    kafka_sasl_mechanism: Annotated[str, AfterValidator(_mechanism)] = Field(
        "SCRAM-SHA-512", description="How we say who we are, with `SASL_…`: `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.")
    kafka_user: str | None = Field(None, description="Our name, with `SASL_…`.")
    kafka_password: SecretStr | None = Field(None, description="Its password.")
    partitions: int | None = Field(None, ge=1, le=MAX_PARTITIONS, description="Partitions of the log, fixed when it is made. None: 1 on Postgres, 12 on Kafka.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int | None = Field(None, ge=1, description="Web processes of `testamur up`. None: one for each two cores, at least one.")
    public_url: Annotated[str | None, AfterValidator(_public_url)] = Field(
        None, description="The address people and tools use, in links and as the home page of authorities; it may have a path. None: http://host:port.")
    secret: SecretStr | None = Field(None, description="Key of keyed hashes and stored secrets; the same on all nodes. None: a file in the data directory.")
    bootstrap_key: str | None = Field(None, description="Id of an administrator key ensured at each start.")
    bootstrap_secret: SecretStr | None = Field(None, description="Its secret, taken as given.")
    allow_hosts: str = Field("", description="Private hosts that webhooks may reach, comma-separated; for webhooks, which are to come.")
    cors_origins: str = Field("*", description="Origins that browser tools may call /xapi from, comma-separated.")
    about_versions: Annotated[str, AfterValidator(_versions)] = Field(
        "1.0.0,1.0.1,1.0.2,1.0.3,2.0.0",
        description="Versions that /xapi/about lists, comma-separated; all 1.0.x and 2.0.x are spoken. Some tools stumble over one they do not know.")
    max_body_bytes: int = Field(8 << 20, ge=1024, description="Largest JSON body accepted.")
    max_multipart_bytes: int = Field(100 << 20, ge=1024, description="Largest body of statements with attachments (multipart/mixed) accepted.")
    max_attachments: int = Field(100, ge=0, le=10_000, description="Most parts with the content of attachments in one request.")
    attachments: Annotated[str, AfterValidator(_store)] = Field(
        "file", description="Where the content of attachments is kept: `file`, in the data directory, or `s3://bucket/prefix`, with the usual AWS_ variables.")
    attachments_endpoint: str | None = Field(None, description="The address of an S3-compatible store that is not Amazon's, as `https://…`.")
    trust_store: Path | None = Field(
        None, description="A PEM file of certificates. Signed statements must then be signed by a certificate that leads to one of these. None: any may sign.")
    max_statements: int = Field(500, ge=1, description="Most statements in one request.")
    max_statement_bytes: int = Field(1 << 20, ge=1024, description="Largest statement accepted.")
    max_quarantined: int = Field(
        10_000, ge=1, description="Most invalid statements of one tenant that wait in quarantine, for keys that set them aside; then such requests get 503.")
    max_depth: int = Field(64, ge=8, le=500, description="Deepest nesting accepted.")
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="Addresses or networks of reverse proxies whose `X-Forwarded-*` and `Forwarded` headers are believed, comma-separated.")
    oidc_issuers: Annotated[str, AfterValidator(_issuers_named)] = Field("", description=(
        "Issuers whose bearer tokens are taken, comma-separated, exactly as their tokens give them; `https://issuer.example.org=school` puts all of one "
        "into that tenant. Only over https, except on this machine."))
    oidc_audience: str = Field("", description="What `aud` of a bearer token must be; of several, comma-separated, one. Needed with issuers.")
    oidc_algorithms: Annotated[str, AfterValidator(_algorithms_named)] = Field(
        ",".join(ALGORITHMS), description="Algorithms that bearer tokens may be signed with, comma-separated.")
    oidc_tenant: str = Field("default", description="Tenant of bearer tokens whose issuer has none of its own.")
    oidc_tenant_claim: str | None = Field(None, description="Claim of a bearer token that names its tenant instead.")
    oidc_scope_prefix: str = Field("", description=(
        "What stands before our scopes in a bearer token, as `https://lrs.example.org/`. Without it the OpenID Connect scope `profile` is that of xAPI."))
    failpoints: str | None = Field(None, description="For tests of faults only: `name=action` pairs, comma-separated. None: off.")

    @property
    def log_partitions(self) -> int:
        """How many partitions a log made now gets."""
        return self.partitions or (12 if self.kafka else 1)

    @property
    def issuers(self) -> dict[str, str | None]:
        """The issuers whose bearer tokens are taken, each with the tenant it is bound to, if it is."""
        return _issuers(self.oidc_issuers)

    @model_validator(mode="after")
    def _access_to_brokers(self) -> Self:
        """Refuse what would be left unused: whoever set it believes that something is encrypted or signed in that is not."""
        tls, sasl = self.kafka_security.endswith("SSL"), self.kafka_security.startswith("SASL")
        if not sasl == bool(self.kafka_user) == bool(self.kafka_password):
            raise ValueError("TESTAMUR_KAFKA_USER and TESTAMUR_KAFKA_PASSWORD go with TESTAMUR_KAFKA_SECURITY=SASL_SSL or SASL_PLAINTEXT, and it with both")
        if (self.kafka_ca or self.kafka_certificate) and not tls:
            raise ValueError("TESTAMUR_KAFKA_CA and TESTAMUR_KAFKA_CERTIFICATE go with TESTAMUR_KAFKA_SECURITY=SSL or SASL_SSL")
        if self.kafka_certificate_key and not self.kafka_certificate:
            raise ValueError("TESTAMUR_KAFKA_CERTIFICATE_KEY goes with TESTAMUR_KAFKA_CERTIFICATE")
        return self

    @model_validator(mode="after")
    def _audience_with_issuers(self) -> Self:
        if self.issuers and not self.oidc_audience.strip():
            raise ValueError("TESTAMUR_OIDC_ISSUERS needs TESTAMUR_OIDC_AUDIENCE: else tokens meant for others would be taken")
        return self
