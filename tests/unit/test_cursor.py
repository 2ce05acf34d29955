"""Cursors: what was made comes back, and nothing else does."""
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.cursor import Cursors, Place
from services.core.errors import BadRequest
from services.core.keys import KeyedHash
from services.runtime.callers.auth import Caller

CURSORS = Cursors(KeyedHash(b"secret"))
CALLER = Caller("tenant", 1, "key", {}, frozenset())
PATH = "/xapi/statements"
PARAMS = {"verb": "http://example.org/ä b", "limit": "2"}


def params_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=50), max_size=3).map(tuple))
def test_a_place_comes_back_as_it_was(place: Place) -> None:
    url = CURSORS.url("more", CALLER, PATH, PARAMS, place)
    assert url.startswith(PATH + "?")
    assert {**PARAMS, "more": params_of(url)["more"]} == params_of(url)
    assert CURSORS.place("more", CALLER, PATH, params_of(url)) == list(place)


def test_a_chain_of_pages_carries_one_cursor() -> None:
    first = CURSORS.url("more", CALLER, PATH, PARAMS, (1,))
    second = CURSORS.url("more", CALLER, PATH, params_of(first), (2,))
    assert CURSORS.place("more", CALLER, PATH, params_of(second)) == [2]


def test_no_cursor_is_no_place() -> None:
    assert CURSORS.place("more", CALLER, PATH, PARAMS) is None


@pytest.mark.parametrize(("caller", "path", "params", "view"), [
    (replace(CALLER, tenant="other"), PATH, PARAMS, ""), (replace(CALLER, key="other"), PATH, PARAMS, ""), (CALLER, PATH + "/x", PARAMS, ""),
    (CALLER, PATH, {**PARAMS, "limit": "3"}, ""), (CALLER, PATH, {"limit": "2"}, ""), (CALLER, PATH, PARAMS, "mine"),
])
def test_a_cursor_is_good_for_its_caller_and_question_only(caller: Caller, path: str, params: dict[str, str], view: str) -> None:
    token = params_of(CURSORS.url("more", CALLER, PATH, PARAMS, (1,)))["more"]
    with pytest.raises(BadRequest):
        CURSORS.place("more", caller, path, {**params, "more": token}, view=view)
    with pytest.raises(BadRequest):
        Cursors(KeyedHash(b"another secret")).place("more", CALLER, PATH, {**PARAMS, "more": token})


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_whatever_was_not_made_here_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        CURSORS.place("more", CALLER, PATH, {"more": text})


def test_every_changed_letter_is_noticed() -> None:
    token = params_of(CURSORS.url("more", CALLER, PATH, PARAMS, (123456789, "x")))["more"]
    for at in range(len(token) - 1):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
        with pytest.raises(BadRequest):
            CURSORS.place("more", CALLER, PATH, {**PARAMS, "more": changed})
