"""Forms of 16 MiB that stand for other requests (xAPI 1.0.3), from those who have a key and from anybody: none costs more than another request may."""
import pytest

from tests.fuzz.target import COMMON, Target

MOST = 16 << 20
MOST_WITH_KEY_INSIDE = 1 << 20
MOST_GROWTH = 96 << 20
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "X-Experience-API-Version": "1.0.3"}
CONTENT = {
    "encoded": b"%61", "plain": b"a", "half of it encoded": b"%61a", "spaces": b"+", "stray signs": b"%", "stray signs before encoded ones": b"%%61",
    "wrongly encoded": b"%zz", "equals signs": b"=", "not UTF-8": b"%ff", "fields without a name": b"&=", "no fields": b"&",
}
KEYS = {"a key": COMMON["Authorization"], "a wrong key": "Basic eDp5", "no key": None}


@pytest.mark.parametrize("whose", KEYS)
@pytest.mark.parametrize("name", CONTENT)
def test_the_largest_forms_cost_no_more_than_other_bodies(target: Target, name: str, whose: str) -> None:
    piece, key = CONTENT[name], KEYS[whose]
    body = b"content=" + piece * ((MOST - 200) // len(piece))
    before = target.memory()
    status = target.send("POST", "/xapi/statements?method=PUT", body, {**HEADERS, "Authorization": key or ""}).status
    assert status in {"a key": (400, 413), "a wrong key": (401,), "no key": (413,)}[whose]
    assert target.memory() - before < MOST_GROWTH


@pytest.mark.parametrize("whose", ["a key", "a wrong key"])
@pytest.mark.parametrize("name", CONTENT)
def test_the_largest_forms_with_a_key_inside_cost_no_more_than_other_bodies(target: Target, name: str, whose: str) -> None:
    piece, key = CONTENT[name], KEYS[whose] or ""
    shown = b"Authorization=" + key.replace(" ", "+").encode() + b"&content="
    body = shown + piece * ((MOST_WITH_KEY_INSIDE - len(shown)) // len(piece))
    before = target.memory()
    status = target.send("POST", "/xapi/statements?method=PUT", body, {**HEADERS, "Authorization": ""}).status
    assert status in ((400, 413) if whose == "a key" else (400, 401))
    assert target.memory() - before < MOST_GROWTH
