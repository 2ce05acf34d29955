"""Requests to the broker that leads a partition: each alone on its connection and under its own deadline, so nothing can hang behind anything else.

aiokafka's wire layer does the talking. Its group-aware consumer is not used: a cursor in Postgres says what to read, so a read needs no state that could go
stale, get stuck or jump (`auto_offset_reset`).
"""
import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, LeaderNotAvailableError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from services.core.errors import LogUnavailable
from services.runtime.log.kafka_brokers import AccessRefused, Brokers, Refusal, refusal

CONNECT_TIMEOUT_S = 3.0
CALL_TIMEOUT_S = 3.0
"""How long a broker may take beyond the time it was asked to wait."""
_LONGEST_CALL_S = 30.0
_IDLE_S = 60
_REFRESH_PAUSE_S = 0.1
_HINT = "one that hangs up at once may speak another protocol than TESTAMUR_KAFKA_SECURITY says"

log = structlog.get_logger(__name__)
# aiokafka reports each attempt that fails, many a second while a broker is away. What matters of it we report ourselves, once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class KafkaClient:
    """Who leads which partition of one topic, and connections to them."""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        """Nothing is connected before the first request."""
        self.topic = topic
        self._bootstrap = [(host, port) for host, port, _ in collect_hosts(brokers.addresses)]
        self._access = brokers.access
        self._cluster = ClusterMetadata()
        self._idle: dict[tuple[str, int], list[AIOKafkaConnection]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed = 0.0
        self._silent: dict[tuple[str, int], str] = {}
        """Brokers that did not answer when asked last, and why: that is reported once."""
        self._closed = False

    async def reach(self) -> None:
        """See that we can speak with one of the brokers to begin with, and with one at the address under which it is known in its cluster.

        Raises AccessRefused where all of them refuse us, LogUnavailable where none answers; within 12 s.
        """
        self._cluster.update_metadata(await self._ask_any(self._bootstrap))
        await self._ask_any([(broker.host, broker.port) for broker in self._cluster.brokers()])

    async def ask_leader(self, partition: int, request: Any, *, wait_s: float = 0.0) -> Any:
        """Send a request to the leader of a partition; return its answer, which may hold an error code.

        Ends within `wait_s` (what the broker is asked to wait) + 3 s, plus 3 s where a connection has to be made. Raises KafkaError.
        """
        if self._closed:
            raise KafkaError("the log is closed")
        node = self._cluster.leader_for_partition(TopicPartition(self.topic, partition))
        broker = None if node is None or node < 0 else self._cluster.broker_metadata(node)
        if broker is None:
            raise LeaderNotAvailableError(f"no leader of partition {partition} of {self.topic} is known")
        return await self._ask((broker.host, broker.port), request, wait_s)

    async def refresh(self, within_s: float) -> None:
        """Learn anew who leads what, together with everybody else who asks; return when learnt or when the time is over."""
        if self._closed:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh(), name="kafka-metadata")
        await asyncio.wait({self._refreshing}, timeout=within_s)

    def close(self) -> None:
        """Drop every connection, at once."""
        self._closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _refresh(self) -> None:
        """Ask each broker known, then each of the bootstrap list (the addresses of a cluster may all have changed since), last those that were silent."""
        await asyncio.sleep(max(0.0, self._refreshed + _REFRESH_PAUSE_S - time.monotonic()))
        known = [(broker.host, broker.port) for broker in self._cluster.brokers() if not self._cluster.is_bootstrap(broker.nodeId)]
        for address in sorted(dict.fromkeys([*known, *self._bootstrap]), key=self._silent.__contains__):
            try:
                answer = await self._ask(address, self._question(), 0.0)
            except KafkaError as error:
                if str(error) != self._silent.get(address):
                    log.warning("kafka broker does not answer", host=address[0], port=address[1], error=str(error))
                self._silent[address] = str(error)
                continue
            self._silent.pop(address, None)
            if answer.brokers:
                self._cluster.update_metadata(answer)
                break
        self._refreshed = time.monotonic()

    def _question(self) -> MetadataRequest:
        return MetadataRequest([self.topic], allow_auto_topic_creation=False)

    async def _ask_any(self, addresses: Sequence[tuple[str, int]]) -> Any:
        """Ask all at once who leads what; return the first answer."""
        errors: list[KafkaError] = []
        asked = [asyncio.ensure_future(self._ask(address, self._question(), 0.0)) for address in addresses]
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    return await answer
                except KafkaError as error:
                    errors.append(error)
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if errors and all(isinstance(error, Refusal) for error in errors):
            raise AccessRefused(str(errors[0]))
        hint = "" if all(_is_away(error) for error in errors) else f" ({_HINT})"
        raise LogUnavailable(f"no broker of {len(addresses)} answers: {'; '.join(dict.fromkeys(map(str, errors)))}{hint}")

    async def _ask(self, address: tuple[str, int], request: Any, wait_s: float) -> Any:
        try:
            connection = await self._connection(address)
            done = False
            try:
                async with asyncio.timeout(wait_s + CALL_TIMEOUT_S):
                    answer = await connection.send(request)
                done = True
            finally:  # whatever happened, a late answer must not meet the next request
                if done and not self._closed:
                    self._idle.setdefault(address, []).append(connection)
                else:
                    connection.close()
        except TimeoutError as error:
            raise RequestTimedOutError(f"{address[0]}:{address[1]} did not answer in time") from error
        except (KafkaError, OSError) as error:
            if (found := refusal(*address, error)) is not None:
                raise found from error
            if isinstance(error, KafkaError):
                raise
            raise KafkaConnectionError(f"{address[0]}:{address[1]}: {str(error) or repr(error)}") from error
        return answer

    async def _connection(self, address: tuple[str, int]) -> AIOKafkaConnection:
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if connection.connected():
                return connection
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await create_conn(*address, **self._access, client_id="testamur", request_timeout_ms=int(_LONGEST_CALL_S * 1000), max_idle_ms=_IDLE_S * 1000)


def _is_away(error: KafkaError) -> bool:
    """Return whether nobody was there, or nobody said anything: what a broker does that is stopped or far away."""
    return isinstance(error, RequestTimedOutError) or isinstance(error.__cause__, ConnectionRefusedError | socket.gaierror)
