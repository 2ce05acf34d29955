"""Who waits when `testamur up` is stopped is answered at once, and who goes away in the middle of a request is nobody's trouble: neither leaves a trace."""
import json
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.factories import statement
from tests.servers.system import KEY, SECRET, System

QUICK_S = 5
TOKEN = b64encode(f"{KEY}:{SECRET}".encode()).decode()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system of one test's own, running."""
    made = System(tmp_path / "data", arguments=("--workers", "1"))
    made.start()
    yield made
    made.destroy()


def begin(system: System, request: str, *headers: str, body: bytes = b"") -> socket.socket:
    """Send a request and return its connection once the only web process has it: it has answered another that came later."""
    connection = socket.create_connection(("127.0.0.1", system.port), timeout=15)
    connection.sendall("\r\n".join((f"{request} HTTP/1.1", "Host: x", f"Authorization: Basic {TOKEN}", *headers, "", "")).encode() + body)
    assert system.is_ready()
    return connection


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of what came until the server closed the connection."""
    with connection:
        head, _, body = b"".join(iter(lambda: connection.recv(1 << 16), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_poll_that_waits_is_answered_with_its_empty_page_and_the_stop_is_quick_and_silent(system: System) -> None:
    polls = [begin(system, f"GET /v1/events?after=77&wait=30{more}") for more in ("", "&type=credential.issued")]
    started = time.monotonic()

    assert system.stop() == 0

    assert time.monotonic() - started < QUICK_S
    assert [answer(poll) for poll in polls] == [(200, {"events": [], "next": "77", "head": "0"})] * 2
    assert "Traceback" not in system.tail(), system.tail()
    assert "Cancel" not in system.tail()


def test_who_waits_for_what_is_not_folded_is_told_to_come_back_later(system: System) -> None:
    system.signal("projector", signal.SIGSTOP)
    with urlopen(Request(f"{system.url}/xapi/statements", json.dumps(statement()).encode(), {
            "Authorization": f"Basic {TOKEN}", "Content-Type": "application/json", "X-Experience-API-Version": "1.0.3", "Prefer": "respond-async"})) as sent:
        position = sent.headers["LRS-Position"]
    waiting = begin(system, "GET /v1/learners", f"LRS-Min-Position: {position}", "Prefer: wait=10")
    started = time.monotonic()
    system.signal("supervisor", signal.SIGTERM)

    status, problem = answer(waiting)

    assert (status, problem["type"].rpartition("/")[2]) == (503, "not-yet-visible")
    assert time.monotonic() - started < QUICK_S
    system.signal("projector", signal.SIGCONT)
    assert system.stop() == 0
    assert "Traceback" not in system.tail(), system.tail()


def test_a_body_that_never_ends_does_not_spoil_the_stop(system: System) -> None:
    slow = [begin(system, f"POST {path}", "Content-Length: 1000", "Content-Type: application/json", "X-Experience-API-Version: 1.0.3", body=b'{"a": ')
            for path in ("/v1/identity/links", "/xapi/statements")]

    assert system.stop() == 0

    assert [answer(each)[0] for each in slow] == [503, 503]
    assert "Traceback" not in system.tail(), system.tail()


@pytest.mark.parametrize(("request_", "content_type"), [
    ("POST /v1/identity/links", "application/json"), ("POST /v1/programmes", "application/yaml"), ("POST /xapi/statements", "application/json"),
    ("PUT /xapi/agents/profile?profileId=x&agent=%7B%22mbox%22:%22mailto:a@example.org%22%7D", "text/plain"),
])
def test_a_client_that_goes_away_in_the_middle_of_a_body_leaves_nothing_in_what_is_printed(here: System, request_: str, content_type: str) -> None:
    told = here.output.stat().st_size

    begin(here, request_, "Content-Length: 1000", f"Content-Type: {content_type}", "X-Experience-API-Version: 1.0.3", body=b'{"a": ').close()

    assert here.is_ready()
    assert "Traceback" not in here.output.read_text()[told:]
