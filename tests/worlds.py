"""Sample worlds on disk: statements in order of arrival, links, courses, and what a correct transcript says of each person."""
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any


@dataclass(frozen=True)
class World:
    """One generated world. `accepted` are the lines a conforming store takes, of several copies of one id the first."""

    accepted: list[dict[str, Any]]
    links: list[dict[str, Any]]
    courses: list[dict[str, Any]]
    persons: list[dict[str, Any]]
    results: list[dict[str, Any]]


@cache
def world(seed: int, statements: int, *modules: str) -> World:
    """Generate a world, once for each set of arguments in a session."""
    folder = Path(mkdtemp(prefix="testamur-world-"))
    options = ["--seed", str(seed), "--statements", str(statements), *(("--modules", ",".join(modules)) if modules else ())]
    subprocess.run([sys.executable, "-m", "services.demo.mooc_world", "--out", str(folder), *options], check=True, capture_output=True, timeout=100)
    refused = {note["line"] for note in _rows(folder / "expect.ndjson") if note["expect"].startswith("4")}
    taken: dict[str, dict[str, Any]] = {}
    for number, statement in enumerate(_rows(folder / "statements.ndjson"), 1):
        if number not in refused:
            taken.setdefault(statement["id"], statement)
    return World(
        list(taken.values()), _rows(folder / "links.ndjson"), json.loads((folder / "courses.json").read_text("utf-8"))["courses"],
        _rows(folder / "truth" / "persons.ndjson"), _rows(folder / "truth" / "results.ndjson"))


def truth_of(result: dict[str, Any]) -> tuple[set[str], str | None, float | None, float]:
    """Return what a transcript must say of a result: the statuses it may have, grade, best score, credits."""
    statuses = {"passed": {"passed"}, "failed": {"failed"}, "withdrawn": {"withdrawn"}, "revoked": {"registered", "attempted", "completed"}}[result["result"]]
    return statuses, result["grade"], result["score"], result["credits"]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
