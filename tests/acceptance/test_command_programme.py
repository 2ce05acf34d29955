"""`testamur programme`: rules checked where nothing runs, previewed and published here and elsewhere."""
import asyncio
import json
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from services.core.rules.language import parse
from services.demo.awards import DATA
from services.runtime.embedded import EmbeddedPostgres
from tests.factories import activity, statement
from tests.servers.campus import slug_of
from tests.servers.system import KEY, SECRET, System

RULE = """
programme: https://example.org/programmes/first-steps
version: 1
title: First steps
award: {type: Badge}
requires:
  all:
    - {label: the first course, statement: {verb: completed, activity: https://example.org/course/1}}
    - {label: any other course, statement: {verb: completed, type: "http://adlnet.gov/expapi/activities/course"}}
"""


@pytest.mark.parametrize("file", sorted(DATA.glob("programmes/**/*.yaml")), ids=lambda file: str(file.relative_to(DATA / "programmes")))
def test_every_programme_of_the_sample_world_is_in_order(file: Path) -> None:
    programme = parse(file.read_bytes())

    assert programme.slug == file.stem


def test_a_rule_is_checked_and_told_in_words_where_nothing_runs_and_nothing_comes_to_be(tmp_path: Path) -> None:
    system, file = System(tmp_path / "data"), tmp_path / "rule.yaml"
    file.write_text(RULE)

    ended = system.command("programme", "check", str(file))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("First steps, version 1 (https://example.org/programmes/first-steps)\n")
    assert "the first course" in ended.stdout
    assert not system.data_dir.exists()


def test_every_fault_is_listed_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(RULE.replace("title: First steps", "titel: First steps").replace("verb: completed, type", "verb: completed, kind"))

    ended = System(tmp_path / "data").command("programme", "check", str(file))

    assert ended.returncode == 1
    listed = ended.stdout.splitlines()
    assert any(line.startswith(f"{file}:4: ") and "titel" in line for line in listed), ended.stdout
    assert any(line.startswith(f"{file}:9: ") and line.endswith("(/requires/all/1/statement/kind)") for line in listed), ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_preview_makes_no_store(tmp_path: Path) -> None:
    system, file = System(tmp_path / "data"), tmp_path / "rule.yaml"
    file.write_text(RULE)

    ended = system.command("programme", "preview", str(file))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"There is no Testamur in {system.data_dir}" in ended.stderr
    assert not system.data_dir.exists()


def wait_for(system: System, type_: str) -> list[str]:
    """Return the slugs of the programmes of which there are events of a type, once there are any."""
    with httpx.Client(base_url=system.url, auth=(KEY, SECRET), timeout=60, trust_env=False) as client:
        found: list[str] = []
        for _ in range(5):
            answer = client.get("/v1/events", params={"type": type_, "wait": 10})
            assert answer.status_code == 200, answer.text
            found = [slug_of(event["data"]["programme"]) for event in answer.json()["events"]]
            if found:
                break
    return found


async def falsify(system: System) -> None:
    """Let the decision about the credential say another time than it did, as no code of ours would."""
    server = EmbeddedPostgres(system.data_dir)
    connection = await asyncpg.connect(await server.start())
    try:
        changed = await connection.execute("""
            update testamur.decision set body = jsonb_set(body, '{since}', '"2001-01-01T00:00:00.000000Z"') where accepted and kind = 'programme'""")
        assert changed == "UPDATE 1"
    finally:
        await connection.close()
        await server.stop()


@pytest.mark.timeout(180)
def test_where_nothing_runs_it_is_previewed_and_published_and_decided_at_the_next_start(tmp_path: Path) -> None:
    system, file, sent = System(tmp_path / "data", arguments=("--workers", "1")), tmp_path / "rule.yaml", tmp_path / "statements.ndjson"
    file.write_text(RULE)
    typed = activity("course/2", definition={"type": "http://adlnet.gov/expapi/activities/course"})
    sent.write_text("".join(json.dumps(each) + "\n" for each in (statement(1, object="course/1"), statement(2, object=typed))))
    try:
        imported = system.command("import", str(sent))
        previewed = system.command("programme", "preview", str(file))
        published = system.command("programme", "publish", str(file), "--json")
        again = system.command("programme", "publish", str(file))
        system.start()
        awarded = wait_for(system, "credential.issued")
        doctor = system.command("doctor", "--decisions", "all")
        assert system.stop() == 0
        asyncio.run(falsify(system))
        alarmed = system.command("doctor")
    finally:
        system.destroy()
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert (previewed.returncode, previewed.stdout.splitlines()[0]) == (0, "1 learner would gain it:"), previewed.stdout + previewed.stderr
    assert (published.returncode, json.loads(published.stdout)) == (0, {"slug": "first-steps", "version": 1}), published.stderr
    assert (again.returncode, "the last one is 1" in again.stdout) == (1, True), again.stdout
    assert awarded == ["first-steps"]
    assert doctor.returncode == 0, doctor.stdout
    assert "decisions evaluated again say the same" in doctor.stdout
    [named] = [line for line in alarmed.stdout.splitlines() if line.startswith("BAD  decision ")]
    assert alarmed.returncode == 1
    assert "https://example.org/programmes/first-steps: issued since 2001-" in named, named
    assert "evaluated again says issued since 20" in named, named


def test_a_server_elsewhere_is_named_by_url_and_needs_no_store_here(here: System, tmp_path: Path) -> None:
    key, secret = here.create_key(f"elsewhere-{uuid4()}")
    file, elsewhere = tmp_path / "rule.yaml", System(tmp_path / "other")
    file.write_text(RULE)

    previewed, published = (
        elsewhere.command("programme", what, str(file), "--to", here.url, "--key", key, "--secret", secret) for what in ("preview", "publish"))

    assert previewed.returncode == 0, previewed.stdout + previewed.stderr
    assert (published.returncode, published.stdout) == (0, "first-steps, version 1, is published.\n"), published.stderr
