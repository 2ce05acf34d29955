"""Which statements are the same: what xAPI excepts does not count, everything else does."""

from collections.abc import Callable
from copy import deepcopy
from itertools import takewhile
from typing import Any

import orjson
import pytest

from services.core.fingerprint import canonical, fingerprint
from services.core.syntax import timestamp
from tests.factories import Statement, activity, actor, rich_statement, statement

Change = Callable[[Statement], object]


def full() -> Statement:
    attachment = {
        "usageType": "https://e.org/u",
        "display": {"en-US": "notes"},
        "contentType": "text/plain",
        "length": 27,
        "sha2": "ab" * 32,
        "fileUrl": "https://e.org/f",
    }
    sub = {
        "objectType": "SubStatement",
        **statement(timestamp="2026-01-01T00:00:00Z", context={"contextActivities": {"parent": [activity("p", definition={"name": {"en": "P"}})]}}),
    }
    whole = rich_statement(object=sub, stored="2026-05-02T00:00:00Z", authority=actor("lrs"), attachments=[attachment])
    whole["context"]["statement"] = {"objectType": "StatementRef", "id": "abcdef01-0000-4000-8000-000000000001"}
    whole["context"]["extensions"]["https://e.org/n"] = {"one": 1, "list": [1.5, 2.0]}
    del whole["context"]["platform"]
    return whole


def at(path: str, value: Any) -> Change:
    """Return a change that puts `value` (or what it makes of the old value) at the path."""
    *steps, last = (step.replace("~", "/") for step in path.split("/"))

    def change(whole: Statement) -> None:
        node: Any = whole
        for step in steps:
            node = node[int(step) if isinstance(node, list) else step]
        key: Any = int(last) if isinstance(node, list) else last
        node[key] = value(node[key]) if callable(value) else value

    return change


def without(path: str) -> Change:
    *steps, last = (step.replace("~", "/") for step in path.split("/"))

    def change(whole: Statement) -> None:
        node: Any = whole
        for step in steps:
            node = node[int(step) if isinstance(node, list) else step]
        del node[last]

    return change


SAME: dict[str, Change] = {
    "another id": at("id", "6d5104a4-87fe-4e5c-b7ab-588370717558"),
    "no id": without("id"),
    "no stored": without("stored"),
    "another authority": at("authority", actor("x")),
    "no version": without("version"),
    "another verb display": at("verb/display", {"fr": "réussi"}),
    "no verb display": without("verb/display"),
    "other definition": at("context/contextActivities/parent/0/definition", {"name": {"en": "New"}}),
    "no definition": without("context/contextActivities/grouping/0/definition"),
    "definition in the SubStatement": without("object/context/contextActivities/parent/0/definition"),
    "sub verb display": without("object/verb/display"),
    "members in another order": at("context/team/member", lambda members: members[::-1]),
    "domain in upper case": at("context/instructor/mbox", lambda text: text.replace("example", "EXAMPLE")),
    "registration in upper case": at("context/registration", str.upper),
    "ref in upper case": at("context/statement/id", str.upper),
    "language in lower case": at("context/language", "EN-us"),
    "no objectType of an agent": without("context/instructor/objectType"),
    "no objectType of an activity": without("context/contextActivities/parent/0/objectType"),
    "a lone activity": at("context/contextActivities/parent", lambda activities: activities[0]),
    "1 as 1.0": at("context/extensions/https:~~e.org~n/one", 1.0),
    "2.0 as 2": at("context/extensions/https:~~e.org~n/list/1", 2),
    "score 100 as 100.0": at("result/score/max", 100.0),
    "another offset": at("timestamp", "2026-05-01T14:00:00.123+02:00"),
    "more zeros": at("timestamp", "2026-05-01T12:00:00.123000000Z"),
    "sha2 in upper case": at("attachments/0/sha2", str.upper),
    "tag case": at("attachments/0/display", {"EN-us": "notes"}),
}
DIFFERENT: dict[str, Change] = {
    "another actor": at("actor", actor("x")),
    "another name": at("actor/name", "Ada"),
    "another verb": at("verb/id", "http://adlnet.gov/expapi/verbs/failed"),
    "no timestamp": without("timestamp"),
    "another timestamp": at("timestamp", "2026-05-01T12:00:00.124Z"),
    "a nanosecond later": at("timestamp", "2026-05-01T12:00:00.123000001Z"),
    "another score": at("result/score/raw", 87.25),
    "success": at("result/success", value=False),
    "a boolean for a number": at("context/extensions/https:~~e.org~n/one", value=True),
    "a text for a number": at("context/extensions/https:~~e.org~n/one", "1"),
    "duration spelled otherwise": at("result/duration", "PT161M12.5S"),
    "no member": at("context/team/member", lambda members: members[:1]),
    "local part case": at("context/instructor/mbox", "mailto:Grace@example.org"),
    "order of activities": at("context/contextActivities/grouping", lambda given: [activity("z"), *given]),
    "another sub object": at("object/object/id", "act:other"),
    "another sub timestamp": at("object/timestamp", "2026-01-01T00:00:01Z"),
    "another file": at("attachments/0/fileUrl", "https://e.org/g"),
    "another length": at("attachments/0/length", 28),
    "an extension more": at("context/extensions/act:x", None),
    "no context": without("context"),
    "another language": at("context/language", "en-GB"),
}


def changed(change: Change) -> Statement:
    whole = deepcopy(full())
    change(whole)
    return whole


@pytest.mark.parametrize("name", SAME)
def test_what_xapi_excepts_makes_no_difference(name: str) -> None:
    assert fingerprint(changed(SAME[name])) == fingerprint(full())


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_other_change_makes_another_statement(name: str) -> None:
    assert fingerprint(changed(DIFFERENT[name])) != fingerprint(full())


def test_the_fingerprint_is_32_bytes_leaves_the_statement_alone_and_does_not_see_key_order() -> None:
    whole = full()
    before = orjson.dumps(whole)
    assert len(fingerprint(whole)) == 32
    assert orjson.dumps(whole) == before
    assert fingerprint(dict(reversed(whole.items()))) == fingerprint(whole)


def test_the_same_agent_twice_in_a_group_is_not_once() -> None:
    once, twice = ({"objectType": "Group", "member": [actor()] * n} for n in (1, 2))
    assert fingerprint(statement(actor=once)) != fingerprint(statement(actor=twice))


@pytest.mark.parametrize("text", [
    "2026-05-01T12:00:00Z", "2026-05-01T12:00:00.1Z", "2026-05-01T12:00:00,123456Z", "2026-05-01T12:00:00.1234567Z", "2026-05-01t12:00:00z",
    "2026-05-01T12:00:00.123456-02:30", "2026-05-01T12:00:00.1234567+02", "2026-05-01T12:00:00.12345678+0200", "2026-05-01T12:00:00.123456789",
    "2026-05-01 12:00Z", "2026-05-01T23:59:60Z", "2026-05-01T12:30", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31T23:59:60+00:00",
])
def test_a_timestamp_counts_as_the_instant_that_the_strict_reader_finds(text: str) -> None:
    fraction = text.replace(",", ".").partition(".")[2]
    finer = "".join(takewhile(str.isdigit, fraction))[6:].rstrip("0")
    assert canonical(statement(timestamp=text))["timestamp"] == [timestamp(text), finer]
