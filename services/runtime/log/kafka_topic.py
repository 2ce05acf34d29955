"""The topic of a Kafka log: how it must be configured for the log's promises to hold, made so at the first start and checked at every start.

`deploy/kafka-topic.md` says the same to whoever makes the topic by hand.
"""
import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiokafka.errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from aiokafka.protocol.metadata import MetadataRequest

from services.core.errors import LogUnavailable
from services.runtime.log import WrongLog
from services.runtime.log.kafka_brokers import Brokers, refused
from services.runtime.settings import Settings

ENVELOPE_BYTES = 1 << 20
"""What a record may add to the largest body: ids, fingerprints, authority."""
_ADMIN_TIMEOUT_S = 8.0


class TopicError(WrongLog):
    """The topic, or the installation that wants to use it, is not as a log needs it; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """What is asked of the topic: settings that must be equal, and numbers that must be at least so."""

    exact: dict[str, str]
    at_least: dict[str, int]

    @classmethod
    def of(cls, settings: Settings) -> "TopicConfig":
        """Return what these settings need."""
        return cls(
            exact={
                "cleanup.policy": "delete",  # compaction would keep one record of each key
                "retention.ms": "-1",
                "retention.bytes": "-1",
                "message.timestamp.type": "LogAppendTime",  # the log's own clock, which `stored` is made of
                "unclean.leader.election.enable": "false",  # it would lose what was acknowledged
                "compression.type": "producer",
            },
            at_least={
                "min.insync.replicas": min(2, settings.kafka_replication),
                "max.message.bytes": settings.max_body_bytes + ENVELOPE_BYTES,
            },
        )

    def all(self) -> dict[str, str]:
        """Return the configuration of a topic made now."""
        return self.exact | {name: str(value) for name, value in self.at_least.items()}

    def faults(self, actual: dict[str, str]) -> list[str]:
        """Return what is wrong with a topic, each as `name is x and must be y`."""
        wrong = [f"{name} is {actual.get(name)} and must be {value}" for name, value in self.exact.items() if actual.get(name) != value]
        low = [f"{name} is {actual.get(name)} and must be at least {least}" for name, least in self.at_least.items() if int(actual.get(name, 0)) < least]
        return wrong + low


class TopicAdmin:
    """Looks at and makes the topic. Each call ends within 8 s; raises AccessRefused where we lack rights, LogUnavailable where the brokers do not answer."""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        """Connect at each call: calls are rare."""
        self._brokers, self._topic = brokers, topic

    async def partitions(self) -> int | None:
        """Return how many partitions the topic has; None where there is no such topic."""
        async with self._admin() as admin:
            # Not `describe_topics`: its question would make a topic with the brokers' defaults where they allow that.
            answer = await admin._send_request(MetadataRequest([self._topic], allow_auto_topic_creation=False))  # noqa: SLF001
            code, _, _, partitions = answer.topics[0]
            if code == UnknownTopicOrPartitionError.errno:
                return None
            _raise_for(code)
            return len(partitions)

    async def make(self, partitions: int, replication: int, config: TopicConfig) -> None:
        """Make the topic, unless somebody else just has. Raises TopicError where the brokers refuse it for good."""
        async with self._admin() as admin:
            answer = await admin.create_topics([NewTopic(self._topic, partitions, replication, topic_configs=config.all())])
            _, code, *reason = answer.topic_errors[0]
            if code and code != TopicAlreadyExistsError.errno:
                error = kafka_errors.for_code(code)
                if (found := refused(error())) is not None:
                    raise found
                if not error.retriable:
                    hint = " TESTAMUR_KAFKA_REPLICATION says how many." if error is InvalidReplicationFactorError else ""
                    raise TopicError(f"The topic {self._topic} cannot be made: {' '.join(filter(None, reason)) or error.description}{hint}")
                raise error

    async def config(self) -> dict[str, str]:
        """Return the topic's configuration in force, brokers' defaults included."""
        async with self._admin() as admin:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, self._topic)])
            code, _, _, _, entries = answer.resources[0]
            _raise_for(code)
            return {entry[0]: entry[1] for entry in entries}

    async def limit(self) -> int:
        """Return the largest record batch that the topic takes now, in bytes."""
        return int((await self.config())["max.message.bytes"])

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._brokers.addresses, **self._brokers.access, client_id="testamur", request_timeout_ms=3000)
        try:
            async with asyncio.timeout(_ADMIN_TIMEOUT_S):
                try:
                    await admin.start()
                    yield admin
                finally:
                    await admin.close()
        except (KafkaError, OSError, TimeoutError) as error:
            if (found := refused(error)) is not None:
                raise found from error
            raise LogUnavailable(f"the topic {self._topic} cannot be looked at: {error!r}") from error


def _raise_for(code: int) -> None:
    if code:
        raise kafka_errors.for_code(code)
