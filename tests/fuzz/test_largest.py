"""Bodies of 8 MiB, as large as they are taken, of the shapes that cost the most: each within the CPU that any request may cost, and no memory stays taken."""
from collections.abc import Callable

import orjson
import pytest

from tests.fuzz.target import Target

MOST = 8 << 20
MOST_GROWTH = 96 << 20
STATE = "/xapi/activities/state?activityId=a:b&agent=%7B%22mbox%22:%22mailto:a@b.c%22%7D&stateId="
AGENT = {"mbox": "mailto:a@example.org"}


def statement(extension: bytes) -> bytes:
    return (b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"https://example.org/v"},"object":{"id":"https://example.org/a"},'
            b'"result":{"extensions":{"https://example.org/e":%b}}}' % extension)


def many(extension: bytes) -> bytes:
    return b"[" + b",".join([statement(extension)] * 500) + b"]"


def members(count: int, colon: bytes = b"") -> bytes:
    return b"{" + b",".join(b'"k%d%b":1' % (number, colon) for number in range(count)) + b"}"


def listed(name: bytes, item: bytes) -> bytes:
    return b'{"%b":[%b1]}' % (name, (item + b",") * ((MOST - 40) // (len(item) + 1)))


def alone(**more: object) -> bytes:
    return orjson.dumps({"actor": AGENT, "verb": {"id": "a:b"}, "object": {"id": "a:b"}, **more})


def attachment(number: int) -> dict[str, object]:
    return {"usageType": "a:b", "display": {"en": "a"}, "contentType": "a/b", "length": 1, "sha2": f"{number:064x}", "fileUrl": "a:b"}


Body = tuple[str, str, Callable[[], bytes]]
STATEMENTS, COURSES, LINKS = ("POST", "/xapi/statements"), ("PUT", "/v1/courses"), ("POST", "/v1/identity/links")
BODIES: dict[str, Body] = {
    "500 statements of one long string": (*STATEMENTS, lambda: many(b'"' + b"x" * 15_000 + b'"')),
    "500 statements of escaped colons": (*STATEMENTS, lambda: many(members(600, b"\\u003a"))),
    "500 statements, of which the last has a key twice": (*STATEMENTS, lambda: many(members(600, b"\\u003a"))[:-1] + b"," + statement(b'{"a":1,"a":2}') + b"]"),
    "500 statements of as many values as are taken": (*STATEMENTS, lambda: many(b"[" + b"1," * 1950 + b"1]")),
    "500 statements of more values than are taken": (*STATEMENTS, lambda: many(b"[" + b"1," * 7900 + b"1]")),
    "500 statements of unknown members": (*STATEMENTS, lambda: b"[" + b",".join([members(1400)] * 500) + b"]"),
    "one statement of 20,000 values": (*STATEMENTS, lambda: statement(b"[" + b",".join([b'{"a":"' + b"b" * 40 + b'"}'] * 9900) + b"]")),
    "a group of 6,000": (*STATEMENTS, lambda: alone(actor={"objectType": "Group", "member": [{"mbox": f"mailto:a{n}@example.org"} for n in range(6000)]})),
    "a verb in 9,000 languages": (*STATEMENTS, lambda: alone(verb={"id": "a:b", "display": {f"en-x-{number}": "a" for number in range(9000)}})),
    "2,000 attachments": (*STATEMENTS, lambda: alone(attachments=[attachment(number) for number in range(2000)])),
    "9,000 activities": (*STATEMENTS, lambda: alone(context={"contextActivities": {"other": [{"id": f"a:{number}"} for number in range(9000)]}})),
    "commas": (*STATEMENTS, lambda: b"[" + b"," * (MOST - 2) + b"]"),
    "empty objects": (*STATEMENTS, lambda: b"[" + b"{}," * ((MOST - 5) // 3) + b"{}]"),
    "brackets": (*STATEMENTS, lambda: b"[" * MOST),
    "2,000 courses": (*COURSES, lambda: b'{"courses":[' + b",".join(b'{"id":"a:%d"}' % number for number in range(2000)) + b"]}"),
    "courses that are numbers": (*COURSES, lambda: listed(b"courses", b"1")),
    "courses with a key twice": (*COURSES, lambda: listed(b"courses", b'{"id":"a:b","id":"a:c"}')),
    "courses with members that nobody knows": (*COURSES, lambda: members(49_000)),
    "a link of many agents": (*LINKS, lambda: listed(b"agents", b'{"mbox":"mailto:a@b.c"}')),
    "a document of one long string": ("POST", STATE + "long", lambda: b'{"a":"' + b"x" * (MOST - 20) + b'"}'),
    "a document that is merged with it": ("POST", STATE + "long", lambda: members(49_000)),
    "a document of escaped colons": ("POST", STATE + "colons", lambda: members(49_000, b"\\u003a")[:-1] + b',"s":"' + b"\\u003a" * 1_200_000 + b'"}'),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_largest_bodies_cost_no_more_than_others(target: Target, name: str) -> None:
    method, path, body = BODIES[name]
    before = target.memory()
    assert target.send(method, path, body()).status in (200, 204, 400, 413)
    assert target.memory() - before < MOST_GROWTH
