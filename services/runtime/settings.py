"""Every setting of every service, read once from the environment (`TESTAMUR_…`) and passed down. `docs/settings.md` is made from this class."""
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.timeline import MAX_PARTITIONS


def _origin(value: str) -> str:
    return value.rstrip("/")


class Settings(BaseSettings):
    """Where things are and how much of them there may be. Frozen; secrets never show in its text."""

    model_config = SettingsConfigDict(env_prefix="TESTAMUR_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("~/.testamur").expanduser(), description="Where the embedded Postgres and the secret are kept.")
    database_url: SecretStr | None = Field(None, description="Postgres to use, as `postgresql://…`. None: an embedded one in the data directory.")
    kafka: str | None = Field(None, description="Bootstrap servers of the Kafka that keeps the log, comma-separated. None: the log is a table in Postgres.")
    kafka_topic: str = Field("testamur.log.v1", description="The topic of the log. It must exist, or the first start makes it.")
    kafka_replication: int = Field(3, ge=1, description="Replication factor of a topic that the first start makes; min(2, it) replicas must be in sync.")
    partitions: int | None = Field(None, ge=1, le=MAX_PARTITIONS, description="Partitions of the log, fixed when it is made. None: 1 on Postgres, 12 on Kafka.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int | None = Field(None, ge=1, description="Web processes of `testamur up`. None: one for each two cores, at least one.")
    public_url: Annotated[str | None, AfterValidator(lambda url: url and _origin(url))] = Field(
        None, description="The address people and tools use, in links and as the home page of authorities. None: http://host:port.")
    secret: SecretStr | None = Field(None, description="Key of keyed hashes and stored secrets; the same on all nodes. None: a file in the data directory.")
    bootstrap_key: str | None = Field(None, description="Id of an administrator key ensured at each start.")
    bootstrap_secret: SecretStr | None = Field(None, description="Its secret, taken as given.")
    allow_hosts: str = Field("", description="Private hosts that webhooks may reach, comma-separated.")
    cors_origins: str = Field("*", description="Origins that browser tools may call /xapi from, comma-separated.")
    max_body_bytes: int = Field(8 << 20, ge=1024, description="Largest JSON body accepted.")
    max_statements: int = Field(500, ge=1, description="Most statements in one request.")
    max_statement_bytes: int = Field(1 << 20, ge=1024, description="Largest statement accepted.")
    max_depth: int = Field(64, ge=8, le=500, description="Deepest nesting accepted.")
    failpoints: str | None = Field(None, description="For tests of faults only: `name=action` pairs, comma-separated. None: off.")

    @property
    def log_partitions(self) -> int:
        """How many partitions a log made now gets."""
        return self.partitions or (12 if self.kafka else 1)
