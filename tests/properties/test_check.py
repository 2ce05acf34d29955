"""The compiled schema and the slow validator are written apart: over mutated statements and texts they must always agree."""

import os
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core import syntax
from services.core.check import check
from services.core.errors import BadRequest, InvalidStatement
from services.core.explain import faults
from services.core.json_slices import escape, load
from tests.factories import Statement, activity, actor, rich_statement, statement, verb

SAMPLES = Path(os.environ.get("TESTAMUR_TEST_SAMPLES") or Path(__file__).parents[2] / ".." / "shared" / "samples")
UUID_TEXT = "6d5104a4-87fe-4e5c-b7ab-588370717558"
COMPONENTS = {"interactionType": "choice", "choices": [{"id": "a"}, {"id": "b", "description": {"en": "B"}}], "correctResponsesPattern": ["a"]}
ATTACHMENT = {"usageType": "https://e.org/u", "display": {"en": "x"}, "contentType": "text/plain", "length": 1, "sha2": "ab" * 32, "fileUrl": "https://e.org/f"}
GROUP = {"objectType": "Group", "member": [actor(), actor("linus")]}


def bases() -> list[Statement]:
    sub = {"objectType": "SubStatement", **rich_statement(id=None, version=None)}
    return [
        rich_statement(),
        rich_statement(object=sub, context=None),
        statement(1, authority=GROUP, attachments=[ATTACHMENT], stored="2026-05-01T12:00:00Z"),
        statement(object=activity(definition=COMPONENTS), context={"contextActivities": {"other": activity(definition=COMPONENTS)}}),
        statement(verb=verb("voided"), object={"objectType": "StatementRef", "id": UUID_TEXT}),
        statement(object=GROUP, context={"statement": {"objectType": "StatementRef", "id": UUID_TEXT}}),
        statement(
            context={
                "contextAgents": [{"objectType": "contextAgent", "agent": actor(), "relevantTypes": ["a:b"]}],
                "contextGroups": [{"objectType": "contextGroup", "group": GROUP}],
            }
        ),
    ]


@cache
def sampled() -> list[Statement]:
    if not SAMPLES.is_dir():
        return bases()
    corpus = (SAMPLES / "valid.ndjson").read_bytes().splitlines()
    return bases() * 10 + [orjson.loads(line) for line in corpus[::40]]


TEXTS = [
    "",
    "x",
    "Agent",
    "agent",
    "Group",
    "Activity",
    "StatementRef",
    "SubStatement",
    "contextAgent",
    "contextGroup",
    "en-US",
    "something",
    "a-b",
    "x-y",
    "a:b",
    "https://e.org/x y",
    "mailto:a@b.c",
    "mailto:a",
    UUID_TEXT,
    UUID_TEXT.upper(),
    UUID_TEXT + "0",
    "2026-05-01T12:00:00Z",
    "2026-02-29T12:00:00Z",
    "2026-05-01T12:00:00-00:00",
    "2026-05-01T12:00",
    "PT1S",
    "P4W1D",
    "P1.5D",
    "ab" * 32,
    "AB" * 20,
    "1.0",
    "1.0.3",
    "2.0.0",
    "1.1.0",
    "choice",
    "http://adlnet.gov/expapi/verbs/voided",
    "true",
]
KEYS = [
    "id",
    "objectType",
    "actor",
    "verb",
    "object",
    "result",
    "context",
    "timestamp",
    "stored",
    "authority",
    "version",
    "attachments",
    "mbox",
    "account",
    "openid",
    "mbox_sha1sum",
    "member",
    "name",
    "definition",
    "interactionType",
    "choices",
    "steps",
    "correctResponsesPattern",
    "score",
    "min",
    "max",
    "raw",
    "scaled",
    "platform",
    "revision",
    "team",
    "instructor",
    "contextActivities",
    "parent",
    "contextAgents",
    "contextGroups",
    "extensions",
    "a:b",
    "en",
    "x y",
    "fileUrl",
    "display",
]
LEAVES = st.one_of(st.sampled_from(TEXTS), st.none(), st.booleans(), st.integers(-3, 200), st.sampled_from([0.5, -1.0, 1.0, 1e300, 27.0]))
VALUES = st.one_of(
    LEAVES,
    LEAVES,
    st.sampled_from(
        [{}, [], GROUP, actor(), activity(), activity(definition=COMPONENTS), ATTACHMENT, statement(), {"objectType": "SubStatement", **statement()}]
    ),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_leaves=5),
)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a document."""
    found: list[tuple[Any, Any]] = []
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        found += [(node, key), *places(child)]
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    document = deepcopy(draw(st.sampled_from(sampled())))
    for _ in range(draw(st.integers(1, 3))):
        if not (all_places := places(document)):
            break
        container, key = draw(st.sampled_from(all_places))
        act = draw(st.sampled_from(["replace", "replace", "delete", "rename", "add", "copy"]))
        if act == "replace":
            container[key] = deepcopy(draw(VALUES))
        elif act == "delete":
            del container[key]
        elif act == "rename" and isinstance(container, dict):
            container[draw(st.sampled_from(KEYS))] = container.pop(key)
        elif act == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(KEYS))] = deepcopy(draw(VALUES))
        elif act == "copy":
            other, name = draw(st.sampled_from(all_places))
            container[key] = deepcopy(other[name]) if isinstance(other, dict) and name in other else None
    return document


def resolves(document: Any, pointer: str) -> bool:
    for token in pointer.split("/")[1:]:
        if isinstance(document, dict):
            document = {escape(key): value for key, value in document.items()}[token]
        else:
            document = document[int(token)]
    return True


@settings(max_examples=400, deadline=None)
@given(document=mutated(), version=st.sampled_from(["1.0.3", "2.0.0"]), sent=st.sampled_from([frozenset[str](), frozenset({"ab" * 32})]))
def test_the_fast_check_refuses_exactly_what_the_slow_one_finds_fault_with(document: Any, version: str, sent: frozenset[str]) -> None:
    found = faults(document, version, sent=sent)
    raw = orjson.dumps(document)
    try:
        assert check(raw, version, sent=sent) == document
        refused = None
    except InvalidStatement as error:
        refused = error.pointer
    assert refused == (found[0].pointer if found else None), found
    assert all(resolves(document, fault.pointer) for fault in found)


@cache
def schema_of(name: str) -> Any:
    schema = orjson.loads(files("schemas").joinpath("xapi", "statement-1.0.3.json").read_bytes())
    return jsonschema_rs.Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{name}"}, pattern_options=jsonschema_rs.RegexOptions()).is_valid


READERS: dict[str, Callable[[str], bool]] = {
    "iri": syntax.is_iri,
    "uuid": syntax.is_uuid,
    "sha1": syntax.is_sha1,
    "sha2": syntax.is_sha2,
    "mailbox": syntax.is_mailbox,
    "language": syntax.is_language_tag,
    "duration": lambda text: syntax.duration(text) is not None,
    "timestamp": lambda text: syntax.timestamp(text) is not None,
}
RARE_DAYS = {"02-29", "02-30", "02-31", "04-31", "06-31", "09-31", "11-31"}
ALPHABETS = {
    "duration": "PYMWDTHS0123456789.,",
    "timestamp": "0123456789-:.,TtZz+ ",
    "uuid": "0123456789abcdefABCDEF-g",
    "language": "abzAZ019-_xXiI",
    "mailbox": "mailto:@ab.\x7f\n é",
    "iri": "ab1:+-.<>{} /\x00\x7f\x9f\xa0é",
    "sha1": "0123456789abcdefABCDEFg",
    "sha2": "0123456789abcdefABCDEFg",
}
SEEDS = {
    "duration": ["P3Y1M29DT4H35M59.14S", "P4W", "PT1,5H", "P1.5D", "P0.1Y", "P2.5M"],
    "timestamp": ["2026-05-01T12:00:00.123Z", "2024-02-29T23:59:60+05:30", "2026-12-31T23:59-0100", "0001-01-01 00:00:00,1"],
    "uuid": [UUID_TEXT],
    "language": ["zh-Hans-CN", "x-klingon", "i-default", "en-US"],
    "mailbox": ["mailto:a@b.c"],
    "iri": ["a:b", "https://e.org/å"],
    "sha1": ["ab" * 20],
    "sha2": ["ab" * 32, "0" * 56],
}


@st.composite
def near(draw: st.DrawFn, name: str) -> str:
    text = draw(st.sampled_from(SEEDS[name]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(ALPHABETS[name], max_size=2)) + text[at + draw(st.integers(0, 2)) :]
    return text


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_pattern_of_the_schema_and_its_reader_agree(name: str, data: st.DataObject) -> None:
    text = data.draw(st.one_of(near(name), st.text(ALPHABETS[name], max_size=12)))
    by_schema = schema_of(name)(text)
    if name == "timestamp" and by_schema and text[5:10] in RARE_DAYS:
        return  # the calendar is not the schema's business
    assert READERS[name](text) == by_schema, text


@settings(max_examples=200, deadline=None)
@given(
    document=st.recursive(
        st.one_of(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5), st.integers(), st.none()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(':"\\ab', max_size=3), inner, max_size=4),
        max_leaves=12,
    ),
    data=st.data(),
)
def test_a_key_is_found_to_be_given_twice_exactly_if_it_is(document: Any, data: st.DataObject) -> None:
    twice = False

    def written(node: Any) -> str:
        nonlocal twice
        blank = data.draw(st.sampled_from(["", "", " ", "\n"]))
        if isinstance(node, dict):
            members = [f"{_spelled(key, data)}{blank}:{written(value)}" for key, value in node.items()]
            if node and data.draw(st.integers(0, 5)) == 0:
                twice = True
                members.insert(data.draw(st.integers(0, len(members))), f"{_spelled(next(iter(node)), data)}:{written(data.draw(st.integers(0, 9)))}")
            return "{" + f"{blank},".join(members) + "}"
        if isinstance(node, list):
            return "[" + ",".join(written(value) for value in node) + blank + "]"
        return _spelled(node, data) if isinstance(node, str) else orjson.dumps(node if not isinstance(node, int) or abs(node) < 2**63 else 1).decode()

    raw = written(document).encode()
    if twice:
        with pytest.raises(BadRequest, match="twice"):
            load(raw)
    else:
        load(raw)


def _spelled(text: str, data: st.DataObject) -> str:
    if data.draw(st.integers(0, 3)) == 0:
        return '"' + "".join(f"\\u{ord(unit):04x}" if ord(unit) < 0x10000 else unit for unit in text) + '"'
    return orjson.dumps(text).decode()
