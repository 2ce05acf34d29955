"""No key, string or number of values beyond what we take, and the pointer that says where."""
from typing import Any

import orjson
import pytest

from services.core.check import check
from services.core.errors import BadRequest
from services.core.json_limits import MAX_KEY_BYTES, MAX_NODES, MAX_STRING_BYTES
from tests.factories import statement

EXTENSION = "https://example.org/ext"


def holding(value: Any) -> bytes:
    return orjson.dumps(statement(result={"extensions": {EXTENSION: value}}))


@pytest.mark.parametrize("letter", ["a", "é", '"', "\\"])
def test_a_statement_at_the_limits_is_taken_and_one_beyond_them_refused_with_a_pointer(letter: str) -> None:
    where = "/result/extensions/https:~1~1example.org~1ext"
    string, key = (letter * (most // len(letter.encode())) for most in (MAX_STRING_BYTES, MAX_KEY_BYTES))
    padding = ["x" * 99] * 300
    for good in (string, [{key: padding}], [string, "é"]):
        assert check(holding(good), "2.0.0")
    for bad, pointer in ((string + letter, ""), ([0, {"b": string + letter}], "/1/b"), ([{key + letter: padding}], "/0")):
        with pytest.raises(BadRequest, match="has more than") as refused:
            check(holding(bad), "2.0.0")
        assert refused.value.pointer == where + pointer


def test_a_statement_of_too_many_values_is_refused() -> None:
    assert check(holding([0] * (MAX_NODES - 100)), "2.0.0")
    hostile: list[list[Any]] = [[0] * MAX_NODES, [{"a": [[]]}] * (MAX_NODES // 3)]
    for bad in hostile:
        with pytest.raises(BadRequest, match="more than 20000 values"):
            check(holding(bad), "2.0.0")
