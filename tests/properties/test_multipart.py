"""However a body is cut into pieces, it says the same."""
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import LrsError
from services.core.multipart import Limits, MultipartParser, PartBegins, PartBytes
from tests.unit.test_multipart import Part, parts_of

LIMITS = Limits(parts=4, header_bytes=40, header_lines=3, preamble_bytes=20)
TOKENS = st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"b", b"--b", b"\r\n--b", b"\r\n--b--", b"\r\n--b\r\n", b"A: 1",
                          b"B:2\r\n", b" ", b"\r\n\r\n", b"{}"])
CONTENT = st.lists(st.one_of(TOKENS, st.binary(max_size=5)), max_size=8).map(b"".join)


def outcome(body: bytes, cuts: list[int]) -> list[Part] | str:
    """Return the parts, or the refusal, of a body cut at these places."""
    try:
        return _cut(body, cuts)
    except LrsError as error:
        return error.detail


def _cut(body: bytes, cuts: list[int]) -> list[Part]:
    parser, found = MultipartParser(b"b", LIMITS), list[Part]()
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for begin, end in pairwise(places):
        for event in parser.feed(body[begin:end]):
            if isinstance(event, PartBegins):
                found.append((event.headers, b""))
            elif isinstance(event, PartBytes):
                found[-1] = (found[-1][0], found[-1][1] + event.content)
    parser.close()
    return found


@given(st.lists(TOKENS, max_size=24).map(b"".join), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_of_any_bytes_gives_the_same_parts_or_the_same_refusal(body: bytes, cuts: list[int]) -> None:
    body = b"--b\r\n" + body
    whole = outcome(body, [])
    assert outcome(body, cuts) == whole
    assert outcome(body, list(range(len(body)))) == whole


@given(st.lists(CONTENT.filter(lambda content: b"\r\n--b" not in b"\r\n" + content), min_size=1, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_what_was_put_into_parts_comes_out_of_them(contents: list[bytes], cuts: list[int]) -> None:
    body = b"".join(b"--b\r\nA: %d\r\n\r\n%s\r\n" % (index, content) for index, content in enumerate(contents)) + b"--b--"
    assert outcome(body, cuts) == [({"a": str(index)}, content) for index, content in enumerate(contents)]
    assert parts_of(body, step=3) == outcome(body, cuts)
