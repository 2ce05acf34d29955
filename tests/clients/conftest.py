"""A running system, a key for clients, the programs that play clients, and a site of another origin with their pages."""
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.clients import installed
from tests.clients.site import Site
from tests.servers.system import System

Play = Callable[..., dict[str, Any]]
LookAt = Callable[[str, int, str], dict[str, list[str]]]
CLIENT_S = 90


@dataclass(frozen=True)
class Account:
    """What a client is told: where, who it is, and a `marker` for its names, which is in no other's."""

    endpoint: str
    key: str
    secret: str
    marker: str


@pytest.fixture(scope="package")
def lrs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`testamur up`, which says that it speaks 1.0.3 alone: the library for Python stumbles over the name of a version it does not know."""
    running = System(tmp_path_factory.mktemp("clients") / "data", arguments=("--workers", "1"), settings={"TESTAMUR_ABOUT_VERSIONS": "1.0.3"})
    running.start()
    yield running
    code = running.stop()
    running.destroy()
    assert code == 0, running.tail()


@pytest.fixture(scope="package")
def credential(lrs: System) -> tuple[str, str]:
    """A key, and its secret, for all of xAPI and for reading transcripts."""
    return lrs.create_key(f"clients-{uuid4()}", "all", "lrs:read")


@pytest.fixture
def account(lrs: System, credential: tuple[str, str]) -> Account:
    """What a client is told."""
    return Account(f"{lrs.url}/xapi/", *credential, marker=f"client-{uuid4().hex[:12]}")


@pytest.fixture
def play() -> Play:
    """Run a program of this folder with Node: `play("tincanjs.cjs", endpoint=…)` returns its report."""
    _needs(installed.missing_node())

    def played(program: str, **given: Any) -> dict[str, Any]:
        return _node(program, given)

    return played


@pytest.fixture
def browse() -> Play:
    """Open a page in Chromium: `browse(page=…)` returns what the page reports, with `preflights` and `errors`."""
    _needs(installed.missing_browser())

    def browsed(page: str) -> dict[str, Any]:
        return _node("browser.cjs", {"page": page, "program": installed.chromium()})

    return browsed


@pytest.fixture
def look_at() -> LookAt:
    """Lay out a page in Chromium: `look_at(address, width, authorization)` returns the `words` in its tables and which of them are `broken`."""
    _needs(installed.missing_browser())

    def looked_at(page: str, width: int, authorization: str) -> dict[str, list[str]]:
        return _node("words.cjs", {"page": page, "width": width, "authorization": authorization, "program": installed.chromium()})

    return looked_at


@pytest.fixture
def site(account: Account) -> Iterator[Site]:
    """The pages of this folder at an origin of their own, with a fetch URL of cmi5 that hands out the account's credential."""
    with Site(Path(__file__).parent / "pages", installed.PACKAGES, f"{account.key}:{account.secret}") as served:
        yield served


def _needs(missing: str | None) -> None:
    if missing is not None:
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


def _node(program: str, given: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "NODE_PATH": str(installed.PACKAGES), "NODE_NO_WARNINGS": "1"}
    ended = subprocess.run(["node", str(Path(__file__).with_name(program)), json.dumps(given)], env=environment, capture_output=True, text=True,
                           timeout=CLIENT_S, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    seen: dict[str, Any] = json.loads(ended.stdout)
    return seen
