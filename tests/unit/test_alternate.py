"""Forms that stand for other requests: what they are decoded to, and what has to be shown before."""
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alternate import stands_for
from services.core.errors import BadRequest, TooLarge, Unauthenticated
from services.runtime.http import Receive, Scope

LIMIT = 8 << 20
LARGE = 1 << 20


def scope(**headers: str) -> Scope:
    given_ = {"content-type": "application/x-www-form-urlencoded", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"method": "POST", "query_string": b"method=PUT", "headers": [(name.encode(), value.encode()) for name, value in given_.items()]}


def sent(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def never() -> dict[str, Any]:
    raise AssertionError("the body was read")


async def anybody(_: bytes | None) -> None:
    pass


async def nobody(_: bytes | None) -> None:
    raise Unauthenticated


async def content_of(body: bytes) -> bytes:
    _, receive = await stands_for(scope(authorization="Basic eDp5"), sent(body), LIMIT, anybody)
    content: bytes = (await receive())["body"]
    return content


@given(st.lists(st.sampled_from([b"%", b"%4", b"%41", b"%c3%A9", b"=", b"+", b"\r", b"\n", b"_", b"4", b"g", b"%%", b"%3D", b"\xc3\xa9"]), max_size=12))
async def test_content_is_decoded_as_forms_are(pieces: list[bytes]) -> None:
    encoded = b"".join(pieces)
    assert await content_of(b"content=" + encoded) == unquote_to_bytes(encoded.replace(b"+", b" "))


@pytest.mark.parametrize("shift", range(7))
async def test_content_of_many_slices_is_decoded_as_that_of_one(shift: int) -> None:
    text = "a" * shift + 'é "%+=\r\n€' * 20_000
    for encoded in (quote_plus(text).encode(), quote_from_bytes(text.encode(), safe="%").replace("%0D", "\r").encode()):
        assert await content_of(b"content=" + encoded) == unquote_to_bytes(encoded.replace(b"+", b" "))


async def test_the_other_fields_are_headers_and_parameters_wherever_they_stand() -> None:
    body = b"a+b=%C3%A9&&cont%65nt=%7B%7D&If-Match=%2A&empty&x=a=b"
    made, receive = await stands_for(scope(), sent(body), LIMIT, anybody)
    assert dict(parse_qsl(made["query_string"].decode(), keep_blank_values=True)) == {"a b": "é", "empty": "", "x": "a=b"}
    assert dict(made["headers"])[b"if-match"] == b"*"
    assert (await receive())["body"] == b"{}"


async def test_a_large_form_with_a_wrong_key_in_its_head_is_not_read() -> None:
    for length in ({}, {"content_length": str(LARGE)}):
        with pytest.raises(Unauthenticated):
            await stands_for(scope(authorization="Basic eDp5", **length), never, LIMIT, nobody)


@pytest.mark.parametrize("more", [b"", b"&Authorization=Basic+eDp5"])
async def test_a_large_form_of_nobody_known_is_not_decoded(more: bytes) -> None:
    shown = []

    async def stranger(header: bytes | None) -> None:
        shown.append(header)
        raise Unauthenticated

    wrong = b"content=" + b"%ff" * (LARGE // 4) + more
    with pytest.raises(Unauthenticated):
        await stands_for(scope(), sent(wrong), LIMIT, stranger)
    assert shown == [b"Basic eDp5" if more else None]
    with pytest.raises(BadRequest, match="not UTF-8"):
        await stands_for(scope(), sent(wrong), LIMIT, anybody)


async def test_of_a_form_whose_key_can_only_be_inside_it_no_more_than_a_mebibyte_is_read() -> None:
    read = 0

    async def endless() -> dict[str, Any]:
        nonlocal read
        read += 1 << 16
        return {"type": "http.request", "body": b"x" * (1 << 16), "more_body": True}

    for declared, receive in (({"content_length": str(LARGE + 1)}, never), ({}, endless), ({"authorization": ""}, endless)):
        with pytest.raises(TooLarge, match="Authorization in its head"):
            await stands_for(scope(**declared), receive, LIMIT, anybody)
    assert read <= 2 * (LARGE + (1 << 16))
    form = b"Authorization=Basic+eDp5&content=" + b"x" * (LARGE - 100)
    _, again = await stands_for(scope(), sent(form), LIMIT, anybody)
    assert (await again())["body"] == b"x" * (LARGE - 100)


@pytest.mark.parametrize(("body", "says"), [
    (b"content=a&content=b", "given twice"), (b"a=1&content=x&%61=2", "given twice"), (b"content=%ff", "not UTF-8"), (b"content=a%c3", "not UTF-8"),
    (b"a=%ff&content=", "not UTF-8"), (b"a=" + b"1" * LARGE + b"&content=", "other than `content`"), (b"%61" * LARGE, "other than `content`"),
    (b"content=" + b"%" * LARGE, "not percent-encoded"), (b"content=" + b"=" * LARGE, "not percent-encoded"),
    (b"&".join(b"a%d=1" % number for number in range(60)), "more than 50 fields"), (b"a=1", "`content` is missing"),
])
async def test_forms_that_stand_for_nothing_are_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        await content_of(body)
