"""The sample world: the same seed and arguments give the same bytes."""
import hashlib
from pathlib import Path

from services.demo.mooc_world import Plan, World

FILES = ("statements.ndjson", "expect.ndjson", "links.ndjson", "courses.json", "truth/persons.ndjson", "truth/results.ndjson")


def digest(folder: Path, plan: Plan) -> str:
    World(plan).write(folder)
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in FILES)).hexdigest()


def test_the_default_world_is_the_one_it_always_was(tmp_path: Path) -> None:
    statistics = World(Plan()).write(tmp_path)

    assert statistics["sha256"] == "19958bee39bcd69ec0215b434358d5c4a94b0f9a4c7c72b8f8f8f6329fb44f89"
    assert statistics["statements"] == 101_007


def test_a_small_world_is_the_one_it_always_was(tmp_path: Path) -> None:
    made = digest(tmp_path, Plan(statements=2000, seed=9, modules=frozenset({"CCC", "GGG"}), density=3, several=1))

    assert made == "bfeab2f9c4b16d6a74cc8e95fc68f4aa9ec1993db08af96a44f2daf9dfd4e3fe"


def test_a_clean_world_has_no_troubles_but_voids(tmp_path: Path) -> None:
    statistics = World(Plan(statements=2000, seed=3, clean=True)).write(tmp_path)

    assert set(statistics["troubles"]) <= {"void", "void-before-target"}
