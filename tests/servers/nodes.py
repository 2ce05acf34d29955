"""The whole product as many machines run it: ingest, api and projector twice each behind nginx, on Kafka and a Postgres of their own."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers.system import System, free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NODES = 2


def nginx() -> str:
    """Return the program; skip where there is none, but fail where every test must run."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        sentence = "the gateway needs nginx: install the package nginx (apt-get install nginx)"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


class Nodes(System):
    """Services in processes of their own and a gateway, which is what clients talk to."""

    def __init__(self, data_dir: Path, *, kafka: str, database: str, settings: Mapping[str, str] | None = None) -> None:
        """`database` is the address of an empty database that is theirs."""
        super().__init__(data_dir, kafka=kafka, settings={
            "TESTAMUR_DATABASE_URL": database, "TESTAMUR_SECRET": "the same on all nodes", "TESTAMUR_TRUSTED_PROXIES": "127.0.0.1", **(settings or {})})
        self._program, self._folder = nginx(), Path(tempfile.mkdtemp(prefix="testamur-nginx-"))
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {f"{service}{i}": free_port() for service in ("ingest", "api") for i in range(NODES)}

    def start(self, timeout_s: float = 90) -> None:
        """Start every node, wait until each says that it is ready, then start the gateway: so it never counts a node as failed that only began."""
        for name, port in self.ports.items():
            self.start_node(name, *self.argv(name[:-1], "--port", str(port)))
        for i in range(NODES):
            self.start_node(f"projector{i}", *self.argv("projector"))
        gateway, deadline = self.port, time.monotonic() + timeout_s
        for name in self.ports:
            self.port = self.ports[name]
            self.wait_ready(deadline - time.monotonic())
        self.port = gateway
        self._folder.chmod(0o755)
        configuration = self._folder / "nginx.conf"
        configuration.write_text(self._configuration())
        self.start_node("gateway", self._program, "-p", str(self._folder), "-c", str(configuration), "-e", "stderr", "-g", "daemon off;")
        self.wait_ready(deadline - time.monotonic())

    def start_node(self, name: str, *command: str) -> None:
        """Start one process under a name."""
        with self.output.open("ab") as output:
            self._nodes[name] = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self, name: str) -> None:
        """End one node at once."""
        self._nodes[name].kill()
        self._nodes[name].wait(10)

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Wait until api answers through the gateway that every partition is owned and folded."""
        ended = {name: node.poll() for name, node in self._nodes.items() if node.poll() not in {None, -signal.SIGKILL}}
        assert not ended, f"{ended}:\n{self.tail()}"
        super().wait_ready(timeout_s)

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM all but those that were killed, and return 0 if all ended so."""
        for node in self._nodes.values():
            node.terminate()
        codes = [node.wait(timeout_s) for node in self._nodes.values()]
        self._nodes.clear()
        return max((abs(code) for code in codes if code != -signal.SIGKILL), default=0)

    def destroy(self) -> None:
        """Kill whatever is left."""
        for node in self._nodes.values():
            node.kill()
            node.wait(10)
        self._nodes.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configuration(self) -> str:
        """Return the gateway's configuration as it is deployed, but for addresses and folders."""
        text = CONFIGURATION.read_text("utf-8")
        servers = {service: "".join(f"server 127.0.0.1:{port} max_fails=3 fail_timeout=2s;\n" for name, port in self.ports.items() if name[:-1] == service)
                   for service in ("ingest", "api")}
        for written, here in (
            ("listen 8080;", f"listen 127.0.0.1:{self.port};"), ("/tmp/", f"{self._folder}/"),
            ("server ingest:8080 max_fails=3 fail_timeout=2s;", servers["ingest"]), ("server api:8080 max_fails=3 fail_timeout=2s;", servers["api"]),
        ):
            assert written in text, written
            text = text.replace(written, here)
        return text
