"""Brokers that ask who is there: TLS, passwords and certificates; and whoever is refused learns why, at once."""
import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from services import supervisor
from services.core.errors import LogUnavailable
from services.runtime.log.kafka_brokers import AccessRefused, Brokers
from services.runtime.log.kafka_client import KafkaClient
from services.runtime.log.kafka_log import open_kafka_log
from services.runtime.log.kafka_producer import KafkaProducer
from services.runtime.log.kafka_reader import KafkaReader
from services.runtime.log.kafka_topic import TopicAdmin
from services.runtime.settings import Settings
from tests.faults.kafka_writers import record
from tests.servers.kafka_access import PASSWORD, STRANGER, USER, GuardedKafka
from tests.servers.postgres import PostgresServer
from tests.servers.signing import Signer
from tests.servers.system import System

pytestmark = pytest.mark.kafka
AT_ONCE_S = 10.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A broker that asks."""
    broker = GuardedKafka(tmp_path_factory.mktemp("certificates"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def asked(guarded: GuardedKafka, **other: Any) -> Settings:
    """Return the settings of somebody who has a password."""
    return _settings(guarded, {"kafka": guarded.asking, "kafka_security": "SASL_SSL", "kafka_user": USER, "kafka_password": PASSWORD, **other})


def shown(guarded: GuardedKafka, **other: Any) -> Settings:
    """Return the settings of somebody who has a certificate."""
    return _settings(guarded, {"kafka": guarded.mutual, "kafka_security": "ssl", "kafka_certificate": guarded.client, **other})


def _settings(guarded: GuardedKafka, given: dict[str, Any]) -> Settings:
    return Settings(**{"kafka_ca": guarded.ca, "kafka_topic": f"log-{uuid4()}", "kafka_replication": 1, "partitions": 2, **given})


async def keeps_a_log(settings: Settings, database: str) -> None:
    """Open a log, write to it, read it and let time pass in it."""
    log = await open_kafka_log(settings, database)
    try:
        new = record(1)
        (position,) = await log.append([new])
        (read,) = await log.read(1, position.offset, max_records=1, max_bytes=1 << 20, wait_s=5.0)
        assert read.value == new.value
        (tick,) = await log.tick([1])
        assert tick.next_offset == position.offset + 2
    finally:
        await log.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "scram-sha-512"])
async def test_the_log_is_kept_by_brokers_that_ask_for_a_password_over_tls(guarded: GuardedKafka, database: str, mechanism: str) -> None:
    await keeps_a_log(asked(guarded, kafka_sasl_mechanism=mechanism), database)


async def test_the_log_is_kept_by_brokers_that_ask_for_a_certificate(guarded: GuardedKafka, database: str) -> None:
    await keeps_a_log(shown(guarded), database)


@pytest.mark.parametrize(("other", "why"), [
    ({"kafka_password": "another"}, "does not take TESTAMUR_KAFKA_USER"),
    ({"kafka_user": "somebody"}, "does not take TESTAMUR_KAFKA_USER"),
    ({"kafka_password": "another", "kafka_sasl_mechanism": "PLAIN"}, "does not take TESTAMUR_KAFKA_USER"),
    ({"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "does not take passwords by TESTAMUR_KAFKA_SASL_MECHANISM"),
])
async def test_whoever_the_brokers_do_not_know_is_told_so_at_once(guarded: GuardedKafka, database: str, other: dict[str, str], why: str) -> None:
    settings, begun = asked(guarded, **other), time.monotonic()
    with pytest.raises(AccessRefused, match=why) as refused:
        await open_kafka_log(settings, database)
    assert time.monotonic() - begun < AT_ONCE_S
    assert settings.kafka_password is not None
    assert settings.kafka_password.get_secret_value() not in str(refused.value)


def test_up_ends_with_one_sentence_where_brokers_refuse_it_and_runs_where_they_do_not(guarded: GuardedKafka, tmp_path: Path) -> None:
    given = {"TESTAMUR_KAFKA_SECURITY": "SASL_SSL", "TESTAMUR_KAFKA_CA": str(guarded.ca), "TESTAMUR_KAFKA_USER": USER, "TESTAMUR_KAFKA_REPLICATION": "1"}
    wrong, right = (System(tmp_path / "data", kafka=guarded.asking, settings={**given, "TESTAMUR_KAFKA_PASSWORD": each}) for each in ("wrong", PASSWORD))

    ended = wrong.command("up", "--port", "0", timeout_s=30)
    assert (ended.returncode, ended.stderr.count("does not take TESTAMUR_KAFKA_USER"), "Traceback" in ended.stderr) == (1, 1, False), ended.stderr

    try:
        right.start()
        assert right.stop() == 0
    finally:
        right.destroy()


async def test_a_start_ends_when_brokers_that_were_away_come_back_and_refuse_it(
    guarded: GuardedKafka, database: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE_S", 0.1)
    reasons: list[str] = []
    starting = supervisor.System(asked(guarded, kafka_password="wrong"), "http://127.0.0.1:9", database)
    async with asyncio.timeout(AT_ONCE_S):
        with pytest.raises(AccessRefused, match="does not take TESTAMUR_KAFKA_USER"):
            await starting.ready(reasons.append)
    assert reasons == ["no web process answers; it waits for the log or for Postgres"]


def test_more_copies_than_there_are_brokers_are_refused_with_the_name_of_the_setting(guarded: GuardedKafka, tmp_path: Path) -> None:
    given = {"TESTAMUR_KAFKA_SECURITY": "SASL_SSL", "TESTAMUR_KAFKA_CA": str(guarded.ca), "TESTAMUR_KAFKA_USER": USER, "TESTAMUR_KAFKA_PASSWORD": PASSWORD}
    starting = System(tmp_path / "data", kafka=guarded.asking, settings={**given, "TESTAMUR_KAFKA_TOPIC": f"log-{uuid4()}", "TESTAMUR_KAFKA_REPLICATION": "3"})
    ended = starting.command("up", "--port", "0", timeout_s=30)
    assert (ended.returncode, ended.stderr.count("TESTAMUR_KAFKA_REPLICATION says how many."), "Traceback" in ended.stderr) == (1, 1, False), ended.stderr


async def test_brokers_that_nobody_vouches_for_are_not_given_a_password(guarded: GuardedKafka, database: str, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(Signer("another authority", authority=True).pem)

    for ca in (tmp_path / "other.pem", None):
        with pytest.raises(AccessRefused, match=r"not trusted: [^.]*\. TESTAMUR_KAFKA_CA names"):
            await open_kafka_log(asked(guarded, kafka_ca=ca), database)


async def test_brokers_at_another_address_than_their_certificate_says_are_not_given_a_password(guarded: GuardedKafka, database: str) -> None:
    for elsewhere in (guarded.asking.replace("127.0.0.1", "localhost"), guarded.elsewhere):  # we look for it there, or it sends us there
        with pytest.raises(AccessRefused, match=r"broker localhost:\d+ has a certificate that is not trusted: [^.]*'localhost'\.$"):
            await open_kafka_log(asked(guarded, kafka=elsewhere), database)


@pytest.mark.parametrize("topic", ["the same", "another"])
async def test_whoever_lacks_rights_is_told_which_at_once(guarded: GuardedKafka, postgres: PostgresServer, topic: str) -> None:
    known, databases = asked(guarded), [postgres.create(migrated=True) for _ in range(2)]
    await keeps_a_log(known, databases[0])
    settings, begun = asked(guarded, kafka_user=STRANGER, **({"kafka_topic": known.kafka_topic} if topic == "the same" else {})), time.monotonic()

    with pytest.raises(AccessRefused, match=r"Our user may not .* Describe, DescribeConfigs, Read and Write"):
        await open_kafka_log(settings, databases[1])

    assert time.monotonic() - begun < AT_ONCE_S
    for each in databases:
        postgres.drop(each)


async def test_whoever_may_read_and_not_write_is_told_so_and_goes_on_when_it_may(guarded: GuardedKafka, postgres: PostgresServer) -> None:
    known, databases = asked(guarded), [postgres.create(migrated=True) for _ in range(2)]
    await keeps_a_log(known, databases[0])
    settings = asked(guarded, kafka_user=STRANGER, kafka_topic=known.kafka_topic)
    await guarded.allow(STRANGER, known.kafka_topic, 3, 8, 10)

    async with asyncio.timeout(AT_ONCE_S):
        with pytest.raises(AccessRefused, match="Read and Write"):
            await open_kafka_log(settings, databases[1])
    brokers = Brokers.of(settings)
    producer = KafkaProducer(brokers, settings.kafka_topic, TopicAdmin(brokers, settings.kafka_topic).limit)
    try:
        with pytest.raises(AccessRefused):
            await producer.begun()
        await guarded.allow(STRANGER, known.kafka_topic, 4)
        assert len(await producer.append([record(1)])) == 1
    finally:
        await producer.close()
        for each in databases:
            postgres.drop(each)


async def test_a_producer_that_loses_its_rights_writes_again_when_it_has_them(guarded: GuardedKafka, database: str) -> None:
    settings = asked(guarded)
    await keeps_a_log(settings, database)
    brokers, refusals = Brokers.of(settings), [AccessRefused("not now"), AccessRefused("not yet")]

    async def limit() -> int:
        if refusals:
            raise refusals.pop()
        return await TopicAdmin(brokers, settings.kafka_topic).limit()

    producer = KafkaProducer(brokers, settings.kafka_topic, limit)
    try:
        assert len(await producer.append([record(1)])) == 1
    finally:
        await producer.close()


async def test_a_reader_whose_leader_refuses_us_learns_anew_who_leads_and_the_reason_is_logged(guarded: GuardedKafka, database: str) -> None:
    settings = asked(guarded)
    await keeps_a_log(settings, database)
    client = KafkaClient(Brokers.of(settings.model_copy(update={"kafka": guarded.elsewhere})), settings.kafka_topic)
    try:
        with capture_logs() as said, pytest.raises(LogUnavailable, match="not trusted"):
            await KafkaReader(client).read(1, 0, max_records=1, max_bytes=1000, wait_s=1.0)
    finally:
        client.close()
    assert ["localhost" in str(each["host"]) for each in said if each["event"] == "kafka broker does not answer"] == [True]


async def test_a_broker_that_refuses_us_does_not_matter_where_another_takes_us(guarded: GuardedKafka, database: str) -> None:
    elsewhere = guarded.asking.replace("127.0.0.1", "localhost")
    await keeps_a_log(asked(guarded, kafka=f"{elsewhere},{guarded.asking}"), database)


async def test_a_broker_that_refuses_us_is_named_and_waited_with_where_another_is_away(guarded: GuardedKafka) -> None:
    elsewhere = guarded.asking.replace("127.0.0.1", "localhost")
    assert "certificate that is not trusted" in str(await unreached(asked(guarded, kafka=f"{elsewhere},127.0.0.1:9"), LogUnavailable))


async def test_whoever_shows_no_certificate_or_one_that_nobody_vouches_for_is_told_so(guarded: GuardedKafka, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(Signer("client").pem_with_key)

    for certificate in (None, tmp_path / "other.pem"):
        assert "wants a certificate of ours that it trusts" in str(await unreached(shown(guarded, kafka_certificate=certificate), AccessRefused))


async def test_whoever_does_not_speak_as_the_brokers_do_hangs_nowhere(guarded: GuardedKafka) -> None:
    hint = "one that hangs up at once may speak another protocol than TESTAMUR_KAFKA_SECURITY says"
    for settings in (
        Settings(kafka=guarded.asking), asked(guarded, kafka_security="SASL_PLAINTEXT", kafka_ca=None),
        _settings(guarded, {"kafka": guarded.asking, "kafka_security": "SSL"}),
        asked(guarded, kafka=guarded.bootstrap),
    ):
        said = str(await unreached(settings, LogUnavailable))
        assert hint in said
        assert ": (" not in said, "a reason is never empty"
    assert hint not in str(await unreached(asked(guarded, kafka="127.0.0.1:9"), LogUnavailable)), "nobody is there"
    assert "takes no passwords" in str(await unreached(asked(guarded, kafka=guarded.mutual, kafka_certificate=guarded.client), AccessRefused))


async def unreached(settings: Settings, why: type[Exception]) -> Exception:
    """Return what it is that keeps us from the brokers."""
    client, begun = KafkaClient(Brokers.of(settings), settings.kafka_topic), time.monotonic()
    try:
        with pytest.raises(why) as found:
            await client.reach()
    finally:
        client.close()
    assert time.monotonic() - begun < AT_ONCE_S
    return found.value


def test_files_that_are_no_certificates_are_named(guarded: GuardedKafka, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("hello")

    for path in (tmp_path / "text.pem", tmp_path / "missing.pem"):
        with pytest.raises(AccessRefused, match=rf"TESTAMUR_KAFKA_CA cannot be used: {path}"):
            Brokers.of(asked(guarded, kafka_ca=path))
    (tmp_path / "locked.pem").write_bytes(Signer("client", guarded.authority).pem_with_locked_key)
    for path in (tmp_path / "text.pem", tmp_path / "missing.pem", tmp_path / "locked.pem", guarded.ca):  # the last has a certificate, but no key
        with pytest.raises(AccessRefused, match=rf"TESTAMUR_KAFKA_CERTIFICATE cannot be used: {path}"):
            Brokers.of(shown(guarded, kafka_certificate=path))
    with pytest.raises(AccessRefused, match=f"{tmp_path / 'missing.key'} one with its key"):
        Brokers.of(shown(guarded, kafka_certificate_key=tmp_path / "missing.key"))


def test_the_text_of_brokers_shows_no_password(guarded: GuardedKafka) -> None:
    assert PASSWORD not in repr(Brokers.of(asked(guarded)))


@pytest.mark.parametrize(("given", "why"), [
    ({"kafka_security": "TLS"}, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
    ({"kafka_sasl_mechanism": "GSSAPI"}, "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"),
    ({"kafka_user": "u", "kafka_password": "p"}, "KAFKA_SECURITY=SASL_SSL"),
    ({"kafka_security": "SASL_SSL", "kafka_user": "u"}, "with both"),
    ({"kafka_security": "SASL_SSL"}, "with both"),
    ({"kafka_ca": "ca.pem"}, "KAFKA_SECURITY=SSL"),
    ({"kafka_security": "SASL_PLAINTEXT", "kafka_user": "u", "kafka_password": "p", "kafka_certificate": "c.pem"}, "KAFKA_SECURITY=SSL"),
    ({"kafka_security": "SSL", "kafka_certificate_key": "k.pem"}, "goes with TESTAMUR_KAFKA_CERTIFICATE"),
])
def test_what_would_be_left_unused_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**given)
