"""Real Kafka brokers for tests: one or several processes of this machine in KRaft combined mode, which can be killed, frozen and started again one by one.

The jars come from Maven Central once (`kafka-pom.xml`) and stay in `.cache/kafka`. `TESTAMUR_TEST_KAFKA` names brokers to use instead; without Java a
container is started.
"""
import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

POM = Path(__file__).with_name("kafka-pom.xml")
CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
START_DEADLINE_S = 90
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_starter = ThreadPoolExecutor(1, "kafka-starter")
"""The one thread that starts brokers: they end with it, that is with the tests, however these end."""


class Kafka:
    """Brokers to talk to: `bootstrap` is what clients are given, `replication` how many brokers there are."""

    def __init__(self, bootstrap: str, replication: int = 1) -> None:
        """For brokers that somebody else started."""
        self.bootstrap, self.replication = bootstrap, replication

    def close(self) -> None:
        """Leave them running."""


class KafkaServers(Kafka):
    """`n` brokers of this process in a temporary directory; numbers of brokers begin at 0."""

    users: tuple[str, ...] = ()
    """Arguments of `format` that make users."""

    def __init__(self, n: int, *, session_timeout_ms: int = 4000) -> None:
        """`session_timeout_ms`: how long the others wait for a silent broker before its partitions get other leaders."""
        self._libs, self._directory = jars(), Path(tempfile.mkdtemp(prefix="testamur-kafka-"))
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * n
        self._ports, self._session_timeout_ms = free_ports(2 * n), session_timeout_ms
        super().__init__(",".join(f"127.0.0.1:{port}" for port in self._ports[:n]), n)
        self._probe = f"ready-{uuid4()}"

    def start(self) -> None:
        """Format and start all; return when a record was acknowledged by all of them in each of several partitions."""
        cluster = str(uuid4())[:22].replace("-", "A")
        formats = [self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._write_config(i)), *self.users, log=f"format{i}")
                   for i in range(self.replication)]
        for process in formats:
            if process.wait(timeout=START_DEADLINE_S):
                raise RuntimeError(f"a broker's directory could not be formatted: see {self._directory}")
        for i in range(self.replication):
            self._run(i)
        self.wait_ready()

    def pid(self, i: int) -> int:
        """Return the process id of a running broker."""
        process = self._processes[i]
        assert process is not None, f"broker {i} is not running"
        return process.pid

    def kill9(self, i: int) -> None:
        """End a broker at once, as a power cut would."""
        self._end(i, signal.SIGKILL)

    def terminate(self, i: int) -> None:
        """Ask a broker to hand over its partitions and end; wait until it has."""
        self._end(i, signal.SIGTERM)

    def stop(self, i: int) -> None:
        """Freeze a broker: its connections stay open and nothing answers."""
        os.kill(self.pid(i), signal.SIGSTOP)

    def cont(self, i: int) -> None:
        """Let a frozen broker go on."""
        os.kill(self.pid(i), signal.SIGCONT)

    def restart(self, i: int) -> None:
        """Start a broker that was ended, on its old data; `wait_ready` tells when it has caught up."""
        assert self._processes[i] is None, f"broker {i} is running"
        self._run(i)

    def wait_ready(self) -> None:
        """Return when every broker takes part: a record in each partition of a topic was acknowledged by all replicas."""
        _in_a_thread(_await_produce, self.bootstrap, self._probe, self.replication)

    def revive(self) -> None:
        """Thaw and start whatever is frozen or dead, and wait until all take part: for use between tests."""
        for i, process in enumerate(self._processes):
            if process is not None and process.poll() is None:
                self.cont(i)
            else:
                self._processes[i] = None
                self._run(i)
        self.wait_ready()

    def close(self) -> None:
        """End every broker and remove their data."""
        for i, process in enumerate(self._processes):
            if process is not None:
                self.kill9(i)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _end(self, i: int, sign: signal.Signals) -> None:
        process = self._processes[i]
        assert process is not None, f"broker {i} is not running"
        process.send_signal(sign)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)
        self._processes[i] = None

    def _run(self, i: int) -> None:
        self._processes[i] = self._java("kafka.Kafka", str(self._directory / f"{i}.properties"), log=f"broker{i}")

    def _java(self, main: str, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        command = ["java", "-Xmx320m", "-Xms320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                   "-cp", f"{self._libs}/*", main, *arguments]
        return _starter.submit(_start, command, self._directory / f"{log}.log").result()

    def _write_config(self, i: int) -> Path:
        path = self._directory / f"{i}.properties"
        path.write_text("\n".join(f"{name}={value}" for name, value in self.config(i).items()))
        return path

    def config(self, i: int) -> dict[str, object]:
        """Return the properties of a broker."""
        n, listeners, controllers = self.replication, self._ports[:self.replication], self._ports[self.replication:]
        return {
            "process.roles": "broker,controller", "node.id": i + 1,
            "controller.quorum.voters": ",".join(f"{j + 1}@127.0.0.1:{port}" for j, port in enumerate(controllers)),
            "listeners": f"PLAINTEXT://127.0.0.1:{listeners[i]},CONTROLLER://127.0.0.1:{controllers[i]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{listeners[i]}",
            "controller.listener.names": "CONTROLLER", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": f"{self._directory}/data{i}", "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": n, "transaction.state.log.replication.factor": n, "transaction.state.log.min.isr": n,
            "offsets.topic.num.partitions": 1, "num.network.threads": 2, "num.io.threads": 4, "log.cleaner.enable": "false",
            "broker.session.timeout.ms": self._session_timeout_ms, "broker.heartbeat.interval.ms": 500, "replica.lag.time.max.ms": 5000,
        }


def jars() -> Path:
    """Return the folder of Kafka's jars, copied on first use; parallel test processes copy them once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    libs = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libs.exists():
            fresh = Path(tempfile.mkdtemp(dir=CACHE))
            subprocess.run(["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"],
                           check=True, timeout=600, stdin=subprocess.DEVNULL)
            fresh.rename(libs)
    return libs


@contextlib.contextmanager
def running(n: int) -> Iterator[Kafka]:
    """Give `n` brokers and end them afterwards; one that is named by the environment, or a container's, is only for n = 1."""
    named = os.environ.get("TESTAMUR_TEST_KAFKA")
    if named and n == 1:
        yield Kafka(named)
    elif shutil.which("java"):
        servers = KafkaServers(n)
        try:
            servers.start()
            yield servers
        finally:
            servers.close()
    elif n == 1:
        from testcontainers.kafka import KafkaContainer  # needs docker, so only where there is no Java
        with KafkaContainer("confluentinc/cp-kafka:7.6.0").with_kraft() as container:
            yield Kafka(container.get_bootstrap_server())
    else:
        pytest.skip("several brokers need Java on this machine")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """One broker for the whole session: use a topic of your own."""
    with running(1) as brokers:
        yield brokers


@pytest.fixture(scope="session")
def _three_brokers() -> Iterator[Kafka]:
    with running(3) as brokers:
        yield brokers


@pytest.fixture
def kafka_cluster(_three_brokers: Kafka) -> KafkaServers:
    """Three brokers that a test may kill and freeze: all of them take part again when the next test begins."""
    assert isinstance(_three_brokers, KafkaServers)
    _three_brokers.revive()
    return _three_brokers


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True,
                                preexec_fn=_die_with_parent)  # noqa: PLW1509 - one C call, which takes no lock


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _in_a_thread(function: object, *arguments: object) -> None:
    """Run a coroutine function to its end wherever we are called from: a fixture may find a loop running, or none."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(function(*arguments))).result()  # type: ignore[operator]


async def _await_produce(bootstrap: str, topic: str, n: int) -> None:
    """An open port is no readiness: produce until every replica has acknowledged."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            async with asyncio.timeout(15):
                return await _produce(bootstrap, topic, n)
        except (KafkaError, TimeoutError, OSError) as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the brokers {bootstrap} are not ready") from error
            await asyncio.sleep(0.1)  # noqa: TID251 - a poll with a deadline


async def _produce(bootstrap: str, topic: str, n: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
    try:
        await admin.start()
        answer = await admin.create_topics([NewTopic(topic, n, n, topic_configs={"min.insync.replicas": str(n)})])
        code = answer.topic_errors[0][1]
        if code not in (0, 36):  # made, or there already
            raise for_code(code)
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=3000)
    try:
        await producer.start()
        for partition in range(n):
            await producer.send_and_wait(topic, b"ready", partition=partition)
    finally:
        await producer.stop()
