"""Which log an installation has: Kafka where brokers are set, else the table in Postgres."""
from services.runtime.log import Log
from services.runtime.log.postgres_log import open_postgres_log
from services.runtime.settings import Settings


async def open_log(settings: Settings, dsn: str) -> Log:
    """Return the log that the settings name, made if this is its first start. `dsn` is the migrated database, which knows the log's uuid.

    Raises LogUnavailable when it cannot be reached, and an error with a sentence when it is not the log of this database.
    """
    if settings.kafka:
        from services.runtime.log.kafka_log import open_kafka_log  # noqa: PLC0415 - a machine without Kafka need not load its client
        return await open_kafka_log(settings, dsn)
    return await open_postgres_log(dsn, settings.partitions)
