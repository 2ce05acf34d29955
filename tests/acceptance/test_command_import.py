"""`testamur import`: whatever the shape of the file and whatever happens, each line is stored once or refused with its reason."""
import gzip
import json
import os
import signal
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from tests.factories import statement
from tests.servers.system import System


class Tenant:
    """A tenant of a running system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.key, self.secret = system.create_key(f"import-{uuid4()}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.system.command("import", *arguments, "--key", self.key, "--secret", self.secret)

    def get(self, path: str) -> dict[str, Any]:
        token = b64encode(f"{self.key}:{self.secret}".encode()).decode()
        request = Request(f"{self.system.url}{path}", headers={"Authorization": f"Basic {token}", "X-Experience-API-Version": "1.0.3"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def statements(self) -> list[dict[str, Any]]:
        return self.pages("/xapi/statements", "statements", "more")

    def pages(self, path: str, name: str, following: str = "next") -> list[dict[str, Any]]:
        found, place = [], f"{path}?limit=500"
        while place:
            page = self.get(place)
            found += page[name]
            place = page[following]
        return found


@pytest.fixture
def tenant(here: System) -> Tenant:
    return Tenant(here)


def ndjson(file: Path, *lines: dict[str, Any] | str) -> Path:
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8")
    return file


def test_a_refused_line_is_listed_with_its_reason_and_costs_its_neighbours_nothing(tenant: Tenant, tmp_path: Path) -> None:
    good = [statement(id=str(uuid4())) for _ in range(4)]
    bad = statement(id=str(uuid4()), actor={"mbox": "nobody"})
    other = good[0] | {"verb": {"id": "http://example.org/other"}}
    file = ndjson(tmp_path / "mixed.ndjson", good[0], good[1], bad, "", "this is no JSON", good[2], other, good[0], good[3])

    ended = tenant.run(str(file))

    assert ended.returncode == 1, ended.stderr
    listed = ended.stdout.splitlines()
    assert [line.split(":", 1)[1][:6] for line in listed[:3]] == ["3: 400", "5: 400", "7: 409"], ended.stdout
    assert listed[0].endswith("(/actor/mbox)")
    assert listed[3].endswith("5 lines stored or there already, 3 refused")
    assert ended.stderr.splitlines()[-1] == "mixed.ndjson: 100%, 8 lines, 3 refused"
    assert sorted(each["id"] for each in tenant.statements()) == sorted(each["id"] for each in good)


@pytest.mark.parametrize("shape", ["array", "pretty", "lines of arrays", "gzip"])
def test_arrays_and_gzip_are_read_like_lines(tenant: Tenant, tmp_path: Path, shape: str) -> None:
    statements = [statement(id=str(uuid4())) for _ in range(5)]
    shapes = {
        "array": json.dumps(statements).encode(), "pretty": json.dumps(statements, indent=2).encode(),
        "lines of arrays": (json.dumps(statements[:2]) + "\n" + json.dumps(statements[2:])).encode(), "gzip": gzip.compress(json.dumps(statements).encode())}
    (tmp_path / "file").write_bytes(shapes[shape])

    ended = tenant.run(str(tmp_path / "file"))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(each["id"] for each in tenant.statements()) == sorted(each["id"] for each in statements)


def test_an_array_that_is_cut_off_is_stored_as_far_as_it_is_whole_and_said_to_be_cut_off(tenant: Tenant, tmp_path: Path) -> None:
    good = [statement(id=str(uuid4())) for _ in range(2)]
    whole = json.dumps(good)[:-1]
    (tmp_path / "at the comma").write_text(whole + ",")
    (tmp_path / "after a statement").write_text(whole)
    (tmp_path / "within a line").write_text(json.dumps(good) + "\n" + whole + "\n" + json.dumps(good[0]))

    ended = [tenant.run(str(tmp_path / name)) for name in ("at the comma", "after a statement", "within a line")]

    assert [each.returncode for each in ended] == [1, 1, 1]
    for each, place in zip(ended, (3, 3, 2), strict=True):
        told, counted = each.stdout.splitlines()
        assert told.endswith(f":{place}: The array ends in the middle: its closing bracket is missing."), told
        assert "lines stored or there already, 1 refused" in counted
    assert sorted(each["id"] for each in tenant.statements()) == sorted(each["id"] for each in good)


def test_a_file_imported_again_stores_nothing_twice_even_without_ids(tenant: Tenant, tmp_path: Path) -> None:
    lines = [statement(), statement(), statement(verb="passed")]
    file = ndjson(tmp_path / "file.ndjson", *lines)

    ended = [tenant.run(str(file)), tenant.run(str(ndjson(file, *lines, statement(verb="failed"))))]

    assert [each.returncode for each in ended] == [0, 0]
    assert len(tenant.statements()) == 4


def test_killed_in_mid_file_it_goes_on_and_stores_each_line_once(tenant: Tenant, tmp_path: Path) -> None:
    lines = [statement(verb="experienced", object=f"page/{n}") for n in range(6000)]
    file = ndjson(tmp_path / "long.ndjson", *lines, "no JSON")
    arguments = ("import", str(file), "--key", tenant.key, "--secret", tenant.secret)
    running = subprocess.Popen(tenant.system.argv(*arguments), env=tenant.system.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(tenant.get("/xapi/statements?limit=500")["statements"]) < 500:
        assert time.monotonic() < deadline
        assert running.poll() is None, "it was done before it was killed"
    os.kill(running.pid, signal.SIGKILL)
    running.wait(10)

    ended = tenant.run(str(file))

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].endswith("6000 lines stored or there already, 1 refused")
    stored = [each["object"]["id"] for each in tenant.statements()]
    assert sorted(stored) == sorted(line["object"]["id"] for line in lines)


def test_courses_are_described_by_the_body_of_the_put(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "courses.json"
    file.write_text(json.dumps({"courses": [{"id": "https://example.org/course/1", "credits": 7.5}]}))

    ended = tenant.run("--courses", str(file))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [course["id"] for course in tenant.get("/v1/courses")["courses"]] == ["https://example.org/course/1"]


def test_a_file_may_describe_more_courses_than_one_request(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "courses.json"
    file.write_text(json.dumps({"courses": [{"id": f"https://example.org/course/{number:04}"} for number in range(1_100)]}))

    ended = tenant.run("--courses", str(file))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "https://example.org/course/1099" in {course["id"] for course in tenant.pages("/v1/courses", "courses")}


def test_courses_that_are_refused_end_with_1(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "courses.json"
    file.write_text(json.dumps({"courses": [{"name": "no id"}]}))

    ended = tenant.run("--courses", str(file))

    assert ended.returncode == 1
    assert ended.stdout.strip() == f'{file}: 400 /courses/0 lacks "id". (/courses/0)'


def test_a_server_elsewhere_takes_it_by_url(tenant: Tenant, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "file.ndjson", statement())
    elsewhere = {**tenant.system.environment, "TESTAMUR_DATA_DIR": str(tmp_path / "other")}
    argv = [*tenant.system.argv("import", str(file), "--to", tenant.system.url, "--key", tenant.key, "--secret", tenant.secret)[:-2]]

    ended = subprocess.run(argv, env=elsewhere, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == f"{file}: 1 line stored or there already, 0 refused\n"
    assert "A new Testamur" not in ended.stderr
    assert len(tenant.statements()) == 1


def test_a_wrong_key_is_said_at_once(tenant: Tenant, tmp_path: Path) -> None:
    tenant.secret = "wrong"

    ended = tenant.run(str(ndjson(tmp_path / "file.ndjson", statement())))

    assert ended.returncode == 1
    assert "refused the key" in ended.stderr


def test_where_nothing_runs_it_starts_what_it_needs_while_it_works(tmp_path: Path) -> None:
    system = System(tmp_path / "data")
    file = ndjson(tmp_path / "file.ndjson", *(statement() for _ in range(10)), "{}")
    try:
        ended = system.command("import", str(file))
        told = json.loads(system.command("status", "--json").stdout)
    finally:
        system.destroy()

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "10 lines stored or there already, 1 refused" in ended.stdout
    assert f"A new Testamur was made in {system.data_dir}." in ended.stderr
    assert told["statements"] == 10
    assert not list((tmp_path / "data").rglob("postmaster.pid")), "Postgres was left running"
