"""How a file is cut into statements: the bytes of each are the sender's, and one without an id always gets the same."""
import gzip
import json
from pathlib import Path

import pytest

from services.data_dir import Refused
from services.importer.source import Line, read


def lines(tmp_path: Path, content: bytes) -> list[Line]:
    file = tmp_path / "file"
    file.write_bytes(content)
    return list(read(file))


@pytest.mark.parametrize("content", [
    b'{"id":"a"}\n{"id":"b"}\n', b'\xef\xbb\xbf\n{"id":"a"}\r\n\r\n{"id":"b"}', b'[{"id":"a"},{"id":"b"}]', b'[\n{"id":"a"}\n,\n{"id":"b"}\n]\n',
    b'[{"id":"a"}]\n[{"id":"b"}]', b'{\n"id":"a"\n}\n{"id":"b"}', gzip.compress(b'{"id":"a"}\n{"id":"b"}\n', mtime=0),
])
def test_every_shape_gives_the_same_statements_in_order(tmp_path: Path, content: bytes) -> None:
    found = lines(tmp_path, content)

    assert [json.loads(line.raw) for line in found] == [{"id": "a"}, {"id": "b"}]
    assert [line.ordinal for line in found] == [1, 2]


def test_the_bytes_of_a_statement_are_untouched(tmp_path: Path) -> None:
    raw = '{ "id":"a", "n": 1.50, "t":"],[{\\"é" }'.encode()

    assert [line.raw for line in lines(tmp_path, b"[ " + raw + b" , " + raw + b"]")] == [raw, raw]


def test_numbers_are_lines_of_the_file(tmp_path: Path) -> None:
    assert [line.number for line in lines(tmp_path, b'\n{"id":"a"}\n\nnonsense\n[{"id":"b"},{"id":"c"}]\n')] == [2, 4, 5, 5]


def test_what_is_no_object_is_kept_to_be_refused(tmp_path: Path) -> None:
    assert [(line.raw, line.id) for line in lines(tmp_path, b'{"id":"a"}\n{"id":\n5\n')] == [(b'{"id":"a"}', "a"), (b'{"id":', None), (b"5", None)]


def test_a_broken_array_gives_up_nothing(tmp_path: Path) -> None:
    assert [line.raw for line in lines(tmp_path, b'[{"id":"a"},{"id":')] == [b'{"id":"a"}', b'{"id":']


@pytest.mark.parametrize(("content", "number"), [
    (b'[{"id":"a"},', 2), (b'[{"id":"a"}', 2), (b'[\n{"id":"a"}\n,\n', 2), (b'[[{"id":"a"}', 1), (b'{"id":"a"}\n[', 2),
    (gzip.compress(b'[{"id":"a"},', mtime=0), 2),
])
def test_the_end_that_an_array_lacks_is_a_line_to_be_refused(tmp_path: Path, content: bytes, number: int) -> None:
    whole, lacking = lines(tmp_path, content)

    assert (whole.raw, whole.id, whole.fault) == (b'{"id":"a"}', "a", None)
    assert (lacking.ordinal, lacking.number, lacking.id) == (2, number, None)
    assert lacking.fault is not None


def test_an_id_made_up_follows_from_the_line_and_how_often_it_came_before(tmp_path: Path) -> None:
    first, again, other = lines(tmp_path, b'{"x":1}\n{"x":1}\n{"x":2}\n')

    assert len({first.id, again.id, other.id}) == 3
    assert json.loads(first.raw) == {"id": first.id, "x": 1}
    assert [line.id for line in lines(tmp_path, b'{"x":0}\n{"x":1}\n{"x":1}\n')][1:] == [first.id, again.id]


def test_a_statement_of_xapi_2_is_sent_as_one(tmp_path: Path) -> None:
    content = b'{"id":"a"}\n{"id":"b","version":"2.0.0"}\n{"id":"c","context":{"contextAgents":[]}}\n{"id":"d","version":"1.0.3"}\n'

    assert [line.version for line in lines(tmp_path, content)] == ["1.0.3", "2.0.0", "2.0.0", "1.0.3"]


@pytest.mark.parametrize("damaged", [
    gzip.compress(b'{"id":"a"}\n' * 500, mtime=0)[:-9], b"\x1f\x8bnothing of the kind", gzip.compress(b'{"id":"a"}\n', mtime=0)[:12] + b"\xff" * 20,
])
def test_a_damaged_gzip_file_is_refused_with_a_sentence_that_says_where(tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(Refused, match=r"file is damaged after statement \d+: .+"):
        lines(tmp_path, damaged)
