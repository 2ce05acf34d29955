"""The configuration asked of a topic."""
from services.runtime.log.kafka_topic import TopicConfig
from services.runtime.settings import Settings


def test_a_topic_made_by_these_settings_has_no_fault() -> None:
    config = TopicConfig.of(Settings())
    assert config.faults(config.all()) == []


def test_more_than_enough_is_no_fault() -> None:
    config = TopicConfig.of(Settings())
    assert config.faults(config.all() | {"min.insync.replicas": "3", "max.message.bytes": "99999999"}) == []


def test_a_topic_that_would_lose_or_reorder_is_refused_with_all_its_faults() -> None:
    config = TopicConfig.of(Settings(max_body_bytes=1 << 20))
    wrong = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime", "min.insync.replicas": "1", "max.message.bytes": "1048588"}
    assert config.faults(config.all() | wrong) == [
        "cleanup.policy is compact and must be delete",
        "message.timestamp.type is CreateTime and must be LogAppendTime",
        "min.insync.replicas is 1 and must be at least 2",
        "max.message.bytes is 1048588 and must be at least 2097152",
    ]


def test_one_replica_needs_one_in_sync() -> None:
    assert TopicConfig.of(Settings(kafka_replication=1)).at_least["min.insync.replicas"] == 1
