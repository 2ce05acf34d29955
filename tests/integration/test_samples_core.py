"""The corpus of real statements and the sample world, judged by both validators; skipped where the samples are not at hand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.core.actor import agent_of, ifi
from services.core.check import check
from services.core.errors import BadRequest, InvalidStatement
from services.core.explain import faults
from services.core.fingerprint import fingerprint
from services.core.json_slices import split
from services.core.splice import flags_of, splice
from services.core.timeline import micros, moment

SAMPLES = Path(os.environ.get("TESTAMUR_TEST_SAMPLES") or Path(__file__).parents[2] / ".." / "shared" / "samples")
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample corpus is not here")


def lines(name: str) -> Iterator[bytes]:
    for line in (SAMPLES / name).read_bytes().splitlines():
        yield line.strip()


def pointer_of_refusal(raw: bytes, version: str = "1.0.3") -> str | None:
    """Return where `check` found the first fault, and None if none; the slow validator must say the same."""
    refusal = None
    try:
        check(raw, version)
    except InvalidStatement as error:
        refusal = error
    found = faults(orjson.loads(raw), version)
    assert (refusal.pointer if refusal else None) == (found[0].pointer if found else None)
    return refusal.pointer if refusal else None


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_every_valid_statement_is_accepted_but_for_four_whose_attachment_is_missing(version: str) -> None:
    refused = [pointer for raw in lines("valid.ndjson") if (pointer := pointer_of_refusal(raw, version)) is not None]
    assert refused == ["/attachments/0"] * 4
    for raw in lines("valid.ndjson"):
        sums = {attachment["sha2"] for attachment in orjson.loads(raw).get("attachments", ())}
        assert check(raw, version, sent=sums)


def test_every_invalid_statement_is_refused_with_a_pointer() -> None:
    samples = [orjson.loads(line) for line in lines("invalid.ndjson")]
    assert len(samples) == 110
    accepted = [sample["why"] for sample in samples if pointer_of_refusal(orjson.dumps(sample["statement"])) is None]
    assert accepted == []


def test_where_validators_disagree_we_read_the_specification_strictly() -> None:
    """Empty descriptions, times without seconds and anonymous Groups are fine; min = max and a sum that is no SHA-2 sum are not."""
    for sample in map(orjson.loads, lines("disputed.ndjson")):
        accepted = pointer_of_refusal(orjson.dumps(sample["statement"])) is None
        assert accepted == sample["verdicts"]["strict-1.0.3"], sample["why"]


def test_every_valid_statement_survives_splicing_and_names_its_actor() -> None:
    for raw in lines("valid.ndjson"):
        statement = orjson.loads(raw)
        out = splice(raw, flags_of(statement), id=UUID(int=1), stored=micros(moment(5)), authority_json=b'{"mbox":"mailto:a@b.c"}', version="1.0.0")
        answer = orjson.loads(out)
        assert answer["actor"] == statement["actor"]
        assert len(fingerprint(statement)) == 32
        assert check(out, "1.0.3", sent={attachment["sha2"] for attachment in statement.get("attachments", ())})
        if (text := ifi(statement["actor"])) is not None:
            assert ifi(agent_of(text)) == text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    subprocess.run([sys.executable, str(SAMPLES / "mooc_world.py"), "--out", str(folder), "--statements", "6000"], check=True, capture_output=True, timeout=100)
    return folder


def test_the_sample_world_is_accepted_but_for_what_it_marks_invalid(world: Path) -> None:
    expected: dict[int, str] = {}
    for entry in map(orjson.loads, (world / "expect.ndjson").read_bytes().splitlines()):
        if entry["expect"] == "400":
            expected[entry["line"]] = entry["kind"]
    raws = (world / "statements.ndjson").read_bytes().splitlines()
    refused = {number for number, raw in enumerate(raws, 1) if pointer_of_refusal(raw) is not None}
    assert refused == set(expected)
    assert len(expected) >= 5


def test_the_sample_world_cut_from_batches_is_the_same_bytes(world: Path) -> None:
    raws = (world / "statements.ndjson").read_bytes().splitlines()
    for start in range(0, len(raws), 50):
        assert split(b"[" + b",\n".join(raws[start : start + 50]) + b"]") == (raws[start : start + 50], True)


def test_equal_copies_of_the_sample_world_have_one_fingerprint_and_conflicting_ones_two(world: Path) -> None:
    raws = (world / "statements.ndjson").read_bytes().splitlines()
    prints: dict[str, set[bytes]] = {}
    for raw in raws:
        try:
            statement: dict[str, Any] = check(raw, "1.0.3")
        except BadRequest:
            continue
        prints.setdefault(statement["id"], set()).add(fingerprint(statement))
    kinds: dict[str, set[str]] = {}
    for entry in map(orjson.loads, (world / "expect.ndjson").read_bytes().splitlines()):
        kinds.setdefault(entry["id"], set()).add(entry["kind"])
    for id_, kind in kinds.items():
        if kind & {"duplicate", "duplicate-reordered", "conflict"} and id_ in prints:
            assert len(prints[id_]) == (2 if "conflict" in kind else 1), (id_, kind)
