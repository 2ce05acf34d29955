"""multipart/mixed: what a body says, what is forgiven and what is refused, and that hostile bodies cost little."""
import time
import tracemalloc

import pytest

from services.core.errors import BadRequest, TooLarge
from services.core.multipart import Limits, MultipartParser, PartBegins, PartBytes, PartEnds, boundary_of

Part = tuple[dict[str, str], bytes]


def parts_of(body: bytes, *, boundary: bytes = b"b", limits: Limits | None = None, step: int | None = None) -> list[Part]:
    """Return the parts of a body that is fed in pieces of `step` bytes."""
    parser, found = MultipartParser(boundary, limits), list[Part]()
    for at in range(0, len(body), step or max(len(body), 1)):
        for event in parser.feed(body[at : at + (step or len(body))]):
            if isinstance(event, PartBegins):
                found.append((event.headers, b""))
            elif isinstance(event, PartBytes):
                assert event.content
                found[-1] = (found[-1][0], found[-1][1] + event.content)
            else:
                assert isinstance(event, PartEnds)
    parser.close()
    return found


ONE = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n"


@pytest.mark.parametrize("body", [
    ONE, ONE.removesuffix(b"\r\n"), b"\r\n" + ONE, b"for old readers\r\n" + ONE, ONE.replace(b": ", b":"), ONE.replace(b": ", b": \t "),
    ONE.replace(b"--b\r\n", b"--b \t\r\n"), ONE.replace(b"Content-Type", b"CONTENT-type"), ONE + b"\r\n \r\n",
])
def test_what_real_senders_write_is_read(body: bytes) -> None:
    assert parts_of(body) == [({"content-type": "application/json"}, b"{}")]


def test_content_is_every_byte_between_the_line_ends_around_it() -> None:
    contents = [b"", b"\r\n", b"\r", b"-", b"\r\n--", b"\r\n--B", b"x--b", b"\n--b\n", b"\x00\xff" * 300, b"\r\n\r\n", b"\r\r\n-b"]
    body = b"".join(b"--b\r\nA: %d\r\n\r\n%s\r\n" % (index, content) for index, content in enumerate(contents)) + b"--b--"
    for step in (None, 1, 2, 3, 7):
        assert parts_of(body, step=step) == [({"a": str(index)}, content) for index, content in enumerate(contents)]


def test_a_part_may_lack_headers_or_the_empty_line_s_own_line_end() -> None:
    assert parts_of(b"--b\r\n\r\nx\r\n--b--") == [({}, b"x")]
    assert parts_of(b"--b\r\nA: 1\r\n\r\n--b--") == [({"a": "1"}, b"")]


@pytest.mark.parametrize(("body", "says"), [
    (b"", "does not have the boundary"),
    (b"{}", "does not have the boundary"),
    (ONE.replace(b"\r\n", b"\n"), "not followed by a line end"),
    (b"x" * 9000 + b"\r\n" + ONE, "at its beginning"),
    (ONE[:-6], "ends before its closing boundary"),
    (ONE[:20], "ends before its closing boundary"),
    (b"--b", "ends before its closing boundary"),
    (b"--bb\r\n" + ONE, "not followed by a line end"),
    (ONE.replace(b"--b\r\n", b"--bx\r\n"), "not followed by a line end"),
    (ONE.replace(b"--b\r\n", b"--b" + b" " * 100 + b"\r\n"), "not followed by a line end"),
    (ONE.replace(b"{}\r\n--b--", b"{}\r\n--b-x"), "not followed by a line end"),
    (ONE + b"more", "after the closing boundary"),
    (ONE + ONE, "after the closing boundary"),
    (b"--b\r\nA\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\n: x\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\nA B: x\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\nA: x\r\n folded\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\nA: x\rB: y\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\nA: x\x00\r\n\r\nx\r\n--b--", "cannot be read"),
    (b"--b\r\nA: x\r\na: y\r\n\r\nx\r\n--b--", "twice"),
    (b"--b\r\n" + b"A: 1\r\n" * 33 + b"\r\nx\r\n--b--", "at most 32 headers"),
    (b"--b\r\nA: " + b"x" * 8200 + b"\r\n\r\nx\r\n--b--", "at most 8192 bytes"),
])
def test_what_is_malformed_is_refused_with_a_sentence_however_it_arrives(body: bytes, says: str) -> None:
    for step in (None, 1, 5):
        with pytest.raises(BadRequest, match=says):
            parts_of(body, step=step)


def test_more_parts_than_there_may_be_are_too_large() -> None:
    body = b"--b\r\n\r\nx\r\n" * 3 + b"--b--"
    assert len(parts_of(body, limits=Limits(parts=3))) == 3
    with pytest.raises(TooLarge, match="at most 2 parts"):
        parts_of(body, limits=Limits(parts=2))


@pytest.mark.parametrize(("content_type", "boundary"), [
    (b"multipart/mixed; boundary=abc", b"abc"), (b'multipart/mixed; boundary="a b:c"', b"a b:c"), (b"multipart/mixed;boundary=a=b/c?d", b"a=b/c?d"),
    (b'multipart/mixed ; charset="x;boundary=y" ; BOUNDARY=-------314159265358979323846 ; ', b"-------314159265358979323846"),
    (b'multipart/mixed; boundary="a\\+b"', b"a+b"), (b"multipart/mixed; boundary=" + b"x" * 70, b"x" * 70),
])
def test_the_boundary_is_found_quoted_or_not(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", [
    b"multipart/mixed", b"multipart/mixed;", b"multipart/mixed; boundary=", b'multipart/mixed; boundary=""', b"multipart/mixed; boundary=" + b"x" * 71,
    b'multipart/mixed; boundary="x "', b"multipart/mixed; boundary=a; boundary=b", b'multipart/mixed; boundary="a', b"multipart/mixed; boundary=a\xff",
    b'multipart/mixed; boundary="a\r\nb"', b"multipart/mixed boundary=a", b"multipart/mixed; boundary=a b", b"multipart/mixed" + b";" * 16_000,
    b'multipart/mixed; boundary="' + b"\\" * 16_000,
])
def test_a_content_type_without_a_boundary_that_can_be_used_is_refused(content_type: bytes) -> None:
    with pytest.raises(BadRequest):
        boundary_of(content_type)


HOSTILE = {
    "endless headers": b"--b\r\n" + b"A: 1\r\n" * 1_000_000,
    "one endless header": b"--b\r\nA: " + b" " * 6_000_000,
    "endless preamble": b"\r\n--" * 1_500_000,
    "boundaries that are almost one": b"--b\r\n\r\n" + b"\r\n--" * 1_500_000,
    "line ends": b"--b\r\n\r\n" + b"\r\n" * 3_000_000,
    "returns": b"--b\r\n\r\n" + b"\r" * 6_000_000,
    "empty parts": b"--b\r\n\r\n\r\n" * 600_000,
    "endless padding": b"--b" + b" " * 6_000_000,
    "endless epilogue": ONE + b"\r\n" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("boundary", [b"b", b"-" * 70])
def test_hostile_bodies_cost_linear_time_and_bounded_memory(name: str, boundary: bytes) -> None:
    body = HOSTILE[name].replace(b"--b", b"--" + boundary)
    parser, most, begun = MultipartParser(boundary), 0, time.process_time()
    tracemalloc.start()
    try:
        for at in range(0, len(body), 1 << 16):
            parser.feed(body[at : at + (1 << 16)])
        parser.close()
    except (BadRequest, TooLarge):
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 1 << 20
    assert time.process_time() - begun < 3  # a thousandth of a second for each piece is far more than it takes


def test_bytes_that_come_one_by_one_cost_the_same_each() -> None:
    body = b"--" + b"-" * 70 + b"\r\nA: " + b"x" * 8000 + b"\r\n\r\n" + b"\r\n--" * 20_000
    parser, begun = MultipartParser(b"-" * 70), time.process_time()
    for at in range(len(body)):
        parser.feed(body[at : at + 1])
    assert time.process_time() - begun < 3
