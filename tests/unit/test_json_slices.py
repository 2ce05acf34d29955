"""A body is cut into the exact bytes of its statements, and each of them is read strictly."""

import contextlib
import time
import tracemalloc

import pytest

from services.core.errors import BadRequest, TooLarge
from services.core.json_slices import is_deeper, load, split


def test_slices_are_the_senders_bytes_without_the_white_space_around_them() -> None:
    slices, is_array = split(b'\n[ {"a": 1.50 }\t, {"b":[1 ,2]}\r\n ] ')
    assert slices == [b'{"a": 1.50 }', b'{"b":[1 ,2]}']
    assert is_array
    assert split(b' {"a": 1e2}\n') == ([b'{"a": 1e2}'], False)
    assert split(b"[]") == ([], True)


@pytest.mark.parametrize("body", [b"", b"  ", b'"x"', b"1", b"null", b"[1,", b"[{}]]", b"[{} {}]", b"[,]", b"\xff", b'\xef\xbb\xbf{"a":1}', b"[" * 100_000])
def test_a_body_that_is_no_object_and_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        split(body)


def test_what_is_too_large_is_named() -> None:
    with pytest.raises(TooLarge) as too_long:
        split(b'[{"a":1},{"a":"' + b"x" * 100 + b'"}]', max_statement_bytes=50)
    assert too_long.value.pointer == "/1"
    assert too_long.value.status == 413
    with pytest.raises(TooLarge):
        split(b"[" + b",".join([b"{}"] * 11) + b"]", max_statements=10)
    assert len(split(b"[" + b",".join([b"{}"] * 10) + b"]", max_statements=10)[0]) == 10


def test_millions_of_elements_do_not_fill_the_memory() -> None:
    body = b"[" + b"1," * 2_000_000 + b"1]"
    tracemalloc.start()
    with pytest.raises(TooLarge):
        split(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(body)


def test_a_large_array_within_the_limits_is_cut() -> None:
    statement = b'{"a":"' + b"x" * 2000 + b'"}'
    assert split(b"[" + b",".join([statement] * 300) + b"]")[0] == [statement] * 300


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"a":1,"a":2}', "/a"),
        (b'{"x":{"b" : 1, "c":[{"d":1,"e":2 ,"d":3}]}}', "/x/c/0/d"),
        (b'{"a":"b","\\u0061":1}', "/a"),
        (b'{"a/b":{"~":1,"~":2}}', "/a~1b/~0"),
        (b'{"a":{"x":":","x":1},"b":"\\u003a"}', "/a/x"),
        (b'{"a":{"x":1, "x":1},"b":"\\u003A"}', "/a/x"),
        (b'{"a":{"x":1, "x":1},"b":"\\\\u003A"}', "/a/x"),
        (b'{"a" :1,"a":1,"b":"\\u0022:"}', "/a"),
        (b'{"a":{"b":1,"b":2},"a":1}', "/a"),
    ],
)
def test_a_duplicate_key_is_refused_at_its_place(raw: bytes, pointer: str) -> None:
    with pytest.raises(BadRequest) as refused:
        load(raw)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"a":["","\\u0000"]}', "/a/1"),
        (b'{"a":{"b\\u0000":1}}', "/a"),
        (b'{"a":' + b"1" * 41 + b"}", "/a"),
        (b'{"a":[0,1.' + b"0" * 40 + b"]}", "/a/1"),
        (b'{"a": 0.' + b"1" * 5000 + b"e5}", "/a"),
    ],
)
def test_what_a_database_or_another_parser_could_not_hold_is_refused_at_its_place(raw: bytes, pointer: str) -> None:
    with pytest.raises(BadRequest) as refused:
        load(raw)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\x00"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}x',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"a":' + b"9" * 100_000 + b"}",
    ],
)
def test_what_is_not_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        load(raw)


def test_escapes_that_only_look_dangerous_are_read() -> None:
    assert load(b'{"a\\u003a":"\\u003A","b\\\\u003a":"\\\\\\u003a"}') == {"a:": ":", "b\\u003a": "\\:"}
    assert load(b'{"a":"\\\\u0000","b":"\\u003c:\\u00e5"}') == {"a": "\\u0000", "b": "<:å"}
    assert load(b'{"a":"' + b"1" * 100 + b'", "b" : ' + b"9" * 40 + b"}") == {"a": "1" * 100, "b": 1e40}


def test_depth_is_counted_in_objects_and_arrays() -> None:
    assert load(b"[" * 64 + b"]" * 64) is not None
    for depth in (65, 200, 300, 1000):
        with pytest.raises(BadRequest):
            load(b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1))
    assert not is_deeper({"a": [1]}, 2)
    assert is_deeper({"a": [1]}, 1)
    assert not is_deeper(1, 0)
    assert not is_deeper([[], []] * 100, 2)


def test_a_hostile_statement_of_a_megabyte_costs_less_than_a_second() -> None:
    n = 1 << 20
    bodies = [
        b'{"a":"' + b"\\u00e4" * (n // 6) + b'"}',
        b"[" * (n // 2) + b"]" * (n // 2),
        b'{"a":"' + b":" * n + b'","a":1}',
        b'{"a":"' + b'\\"' * (n // 2) + b'"}',
        b"{" + b",".join(b'"%d":1' % i for i in range(n // 12)) + b"}",
    ]
    for body in bodies:
        started = time.process_time()
        with contextlib.suppress(BadRequest):
            load(body)
        assert time.process_time() - started < 1, body[:20]
