"""The name of a projection's code: statements that other code has set aside are tried again."""
from pathlib import Path
from types import ModuleType

import pytest

from services.projector.run import hash_of_code


@pytest.mark.parametrize("changed", ["fold.py", "neighbour.py", "fold.sql"])
def test_a_change_of_a_module_its_sql_or_its_neighbours_is_other_code(tmp_path: Path, changed: str) -> None:
    for name in ("fold.py", "neighbour.py", "fold.sql"):
        (tmp_path / name).write_text("one")
    module = ModuleType("fold")
    module.__file__ = str(tmp_path / "fold.py")
    before = hash_of_code(module)
    assert hash_of_code(module) == before
    (tmp_path / changed).write_text("two")
    assert hash_of_code(module) != before
