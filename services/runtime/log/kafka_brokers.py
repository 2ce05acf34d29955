"""How brokers are reached, and how they know who we are: their addresses, TLS and SASL, the same for every connection that is made to them."""
import ssl
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from services.runtime.log import WrongLog
from services.runtime.settings import Settings

_UNKNOWN_ISSUERS = frozenset({2, 18, 19, 20, 21})
"""What OpenSSL says of a certificate of which it does not know the issuer, in several ways."""
_OF_OUR_CERTIFICATE = ("ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_HANDSHAKE_FAILURE")
"""What a broker says that misses a certificate of ours or does not trust it, by the versions of TLS; the last also where no cipher suits both."""
_RIGHTS = "Our user may not do with the topic what is needed: Describe, DescribeConfigs, Read and Write, and Create where there is none yet."


class AccessRefused(WrongLog):
    """The brokers do not take us for whom we say we are, or are not whom we trust: no trying again helps. The text is a sentence for the operator."""


class Refusal(KafkaError):  # type: ignore[misc]
    """The same of one broker; others may take us."""

    retriable = False

    def __str__(self) -> str:
        """Return the sentence, without the name of the class."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Brokers:
    """The addresses to begin with (`host:port`, comma-separated) and what aiokafka is told for each connection, a password perhaps."""

    addresses: str
    access: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Brokers":
        """Return those that the settings name. Reads certificates from their files; raises AccessRefused for those that are none."""
        access: dict[str, Any] = {"security_protocol": settings.kafka_security}
        if settings.kafka_security.endswith("SSL"):
            access["ssl_context"] = _tls(settings)
        if settings.kafka_password:
            access |= {"sasl_mechanism": settings.kafka_sasl_mechanism, "sasl_plain_username": settings.kafka_user,
                       "sasl_plain_password": settings.kafka_password.get_secret_value()}
        return cls(settings.kafka or "", access)


def _tls(settings: Settings) -> ssl.SSLContext:
    """Return what checks the brokers' certificates and the names in them, and shows ours if there is one."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca)
    except (OSError, ssl.SSLError) as error:
        raise AccessRefused(f"TESTAMUR_KAFKA_CA cannot be used: {settings.kafka_ca} cannot be read as a PEM file of certificates ({error}).") from error
    if settings.kafka_certificate is not None:
        key = settings.kafka_certificate_key or settings.kafka_certificate
        try:
            context.load_cert_chain(settings.kafka_certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise AccessRefused(f"TESTAMUR_KAFKA_CERTIFICATE cannot be used: {settings.kafka_certificate} must be a PEM file with a certificate, and {key} "
                                f"one with its key, without a passphrase ({error}).") from error
    return context


def _no_passphrase() -> str:
    """Answer what OpenSSL would else ask a terminal, that nobody may be sitting at."""
    return ""


def refusal(host: str, port: int, error: BaseException) -> Refusal | None:
    """Return what a connection failed of if trying again will not help, None for anything that may pass."""
    for each in (error, error.__cause__):
        if (why := _why(each)) is not None:
            return Refusal(f"The broker {host}:{port} {why}")
    return None


def _why(error: BaseException | None) -> str | None:
    match error:
        case AuthenticationFailedError() | SaslAuthenticationFailed():
            return "does not take TESTAMUR_KAFKA_USER with TESTAMUR_KAFKA_PASSWORD."
        case UnsupportedSaslMechanismError():
            return "does not take passwords by TESTAMUR_KAFKA_SASL_MECHANISM."
        case IllegalSaslStateError():
            return "takes no passwords at this address: TESTAMUR_KAFKA_SECURITY or the port is another."
        case ssl.SSLCertVerificationError():
            hint = " TESTAMUR_KAFKA_CA names whom to trust." if error.verify_code in _UNKNOWN_ISSUERS else ""
            return f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}.{hint}"
        case ssl.SSLError() if any(each in (error.reason or "") for each in _OF_OUR_CERTIFICATE):
            ciphers = ", or no cipher suits both" if "HANDSHAKE" in (error.reason or "") else ""
            return f"wants a certificate of ours that it trusts: TESTAMUR_KAFKA_CERTIFICATE{ciphers} ({error.reason})."
    return None


def refused(error: BaseException) -> AccessRefused | None:
    """Return what is behind an error if trying again will not help, None for anything that may pass."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, Refusal):
            return AccessRefused(str(behind))
        if isinstance(behind, TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
            return AccessRefused(_RIGHTS)
        behind = behind.__cause__
    return None
