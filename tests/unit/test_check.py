"""Every rule of xAPI Data: what is accepted, what is refused, and the pointer that says where."""

import time
from importlib.resources import files
from typing import Any

import orjson
import pytest

from services.core.check import check, identify
from services.core.errors import BadRequest, InvalidStatement
from services.core.explain import faults
from tests.factories import activity, actor, rich_statement, statement, verb

UUID_TEXT = "6d5104a4-87fe-4e5c-b7ab-588370717558"
VOIDED = verb("voided")
REF = {"objectType": "StatementRef", "id": UUID_TEXT}
GROUP = {"objectType": "Group", "member": [actor("ada"), actor("linus")]}
ATTACHMENT = {
    "usageType": "https://example.org/usage",
    "display": {"en": "notes"},
    "contentType": "text/plain",
    "length": 27,
    "sha2": "ab" * 32,
    "fileUrl": "https://example.org/notes.txt",
}
CHOICE = {"interactionType": "choice", "choices": [{"id": "a", "description": {"en": "A"}}, {"id": "b"}], "correctResponsesPattern": ["a"]}


def sub(**members: Any) -> dict[str, Any]:
    return {"objectType": "SubStatement", **statement(**members)}


def context(**members: Any) -> dict[str, Any]:
    return statement(context=members)


def result(**members: Any) -> dict[str, Any]:
    return statement(result=members)


def score(**members: Any) -> dict[str, Any]:
    return result(score=members)


VALID = [
    statement(),
    statement(1),
    rich_statement(),
    statement(actor=GROUP),
    statement(actor={"objectType": "Group", "mbox": "mailto:a@b.c"}),
    statement(actor=actor(openid="https://ada.example.org")),
    statement(actor=actor(mbox_sha1sum="AB" * 20)),
    statement(actor={"mbox": "mailto:a@b.c"}),
    statement(authority=GROUP),
    statement(authority=actor()),
    statement(object=actor()),
    statement(object=GROUP),
    statement(object=REF),
    statement(verb=VOIDED, object=REF),
    statement(object=sub()),
    statement(object=sub(object=REF)),
    statement(object=sub(object=actor(), timestamp="2026-05-01T12:00:00Z")),
    statement(object={"id": "act:x"}),
    statement(object=activity(definition=CHOICE)),
    statement(object=activity(definition={})),
    statement(object=activity(definition={"interactionType": "matching", "source": [{"id": "1"}]})),
    statement(object=activity(definition={"description": {"en": ""}})),
    statement(attachments=[]),
    statement(attachments=[ATTACHMENT]),
    statement(version="1.0"),
    statement(version="1.0.9"),
    statement(version="1.0.32"),
    score(scaled=-1),
    score(min=0, max=10, raw=10),
    score(raw=3),
    score(scaled=1.0, min=-1.5, raw=-1.5),
    result(extensions={}),
    result(duration="P4W"),
    result(extensions={"https://e.org/x": {"a": [None, "", {}, [[[[1]]]]]}}),
    result(extensions={"https://e.org/null": None}),
    result(success=False, response=""),
    context(instructor=GROUP, team=GROUP),
    context(contextActivities={"parent": activity(), "other": [activity(), {"id": "act:y"}], "category": []}),
    context(contextActivities={"parent": activity(definition=CHOICE)}),
    context(revision="1", platform="x", language="fr-CA", registration=UUID_TEXT.upper()),
    context(statement=REF),
    statement(timestamp="2099-01-01T00:00:00+05:30"),
    statement(timestamp="2024-02-29T00:00Z"),
    statement(stored="2026-05-01T12:00:00Z"),
    statement(object=sub(context={"platform": "x"})),
]

INVALID = [
    ("", {"actor": actor(), "verb": verb()}),
    ("", {}),
    ("/Id", statement(Id=UUID_TEXT)),
    ("/dummy", statement(dummy=1)),
    ("/attachmentS", statement(attachmentS=[])),
    ("/actor", statement(actor={"objectType": "Agent"})),
    ("/actor", statement(actor=actor(mbox="mailto:a@b.c", openid="https://a.b"))),
    ("/actor/mbox", statement(actor=actor(mbox="mailto:should.fail.com"))),
    ("/actor/objectType", statement(actor=actor(objectType="agent"))),
    ("/actor/name", {**statement(), "actor": {"mbox": "mailto:a@b.c", "name": None}}),
    ("/actor/mbox_sha1sum", statement(actor=actor(mbox_sha1sum="xyz"))),
    ("/actor/account", statement(actor=actor(account={"homePage": "https://e.org"}))),
    ("/actor/account/name", statement(actor=actor(account={"homePage": "https://e.org", "name": 1}))),
    ("/actor/account/homePage", statement(actor=actor(account={"homePage": "should fail", "name": "x"}))),
    ("/actor", statement(actor={"objectType": "Group"})),
    ("/actor/member/0/objectType", statement(actor={"objectType": "Group", "member": [GROUP]})),
    ("/actor/member", statement(actor={"objectType": "Group", "member": actor()})),
    ("/authority/member", statement(authority={"objectType": "Group", "member": [actor()]})),
    ("/authority", statement(authority={**GROUP, "mbox": "mailto:a@b.c"})),
    ("/verb/id", statement(verb={"id": "should.fail.com"})),
    ("/verb", statement(verb={"display": {"en": "x"}})),
    ("/verb/display/a12345678", statement(verb=verb(display={"a12345678": "x"}))),
    ("/verb/display/en-US", {**statement(), "verb": {"id": "a:b", "display": {"en-US": None}}}),
    ("/id", statement(id=1)),
    ("/id", statement(id=UUID_TEXT + "1")),
    ("/object/objectType", statement(object={"objectType": "activity", "id": "a:b"})),
    ("/object", statement(object={"mbox": "mailto:a@b.c"})),
    ("/object", statement(verb=VOIDED)),
    ("/object/object", statement(object=sub(verb=VOIDED))),
    ("/object/object/objectType", statement(object=sub(object=sub()))),
    *(
        (f"/object/{key}", statement(object=sub(**{key: value})))
        for key, value in (("id", UUID_TEXT), ("stored", "2026-05-01T12:00:00Z"), ("version", "1.0.0"), ("authority", actor()))
    ),
    ("/object/definition", statement(object=activity(definition={"correctResponsesPattern": ["a"]}))),
    ("/object/definition", statement(object=activity(definition={"steps": []}))),
    ("/object/definition/interactionType", statement(object=activity(definition={"interactionType": "Choice"}))),
    ("/object/definition/choices", statement(object=activity(definition={"interactionType": "choice", "choices": [{"id": "a"}, {"id": "a"}]}))),
    ("/object/definition/moreInfo", {**statement(), "object": {"id": "a:b", "definition": {"moreInfo": None}}}),
    ("/object/id", statement(object={"objectType": "StatementRef", "id": "x"})),
    ("/result/score/scaled", score(scaled=1.01)),
    ("/result/score/scaled", score(scaled="1")),
    ("/result/score", score(min=1, max=1)),
    ("/result/score/raw", score(raw=11, max=10)),
    ("/result/score/raw", score(min=0, raw=-1)),
    ("/result/success", result(success="true")),
    ("/result/duration", result(duration="P4W1D")),
    ("/result/duration", result(duration=5)),
    ("/result/extensions/x", result(extensions={"x": 1})),
    ("/result/response", result(response=1)),
    ("/context/registration", context(registration="x")),
    ("/context/team", context(team={"objectType": "Group"})),
    ("/context/team/objectType", context(team=actor(), platform="x")),
    ("/context/language", context(language="something")),
    ("/context/contextActivities/Parent", context(contextActivities={"Parent": activity()})),
    ("/context/contextActivities/parent/1/id", context(contextActivities={"parent": [activity(), {"id": "x"}]})),
    (
        "/context/contextActivities/other/definition/scale",
        context(contextActivities={"other": activity(definition={"interactionType": "likert", "scale": [{"id": "a"}, {"id": "a"}]})}),
    ),
    ("/context/contextActivities/other", context(contextActivities={"other": 1})),
    ("/context/statement", context(statement={"objectType": "StatementRef"})),
    ("/context/platform", statement(object=actor(), context={"platform": "x"})),
    ("/object/context/revision", statement(object=sub(object=REF, context={"revision": "x"}))),
    ("/timestamp", statement(timestamp="2026-05-01T12:00:00-00:00")),
    ("/timestamp", statement(timestamp="2026-02-29T12:00:00Z")),
    ("/stored", statement(stored="2026-06-31T12:00:00Z")),
    ("/version", statement(version="0.9.9")),
    ("/version", statement(version="1.1.0")),
    ("/version", statement(version="1.0.")),
    ("/attachments/0", statement(attachments=[{}])),
    ("/attachments/0/sha2", statement(attachments=[ATTACHMENT | {"sha2": ""}])),
    ("/attachments/0/length", statement(attachments=[ATTACHMENT | {"length": 1.5}])),
    ("/attachments", statement(attachments={})),
    ("/object/definition/name", {**statement(), "object": activity(definition={"name": []})}),
    ("", []),
    ("", 1),
    ("", None),
]


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize("good", VALID)
def test_a_valid_statement_is_returned_as_it_is(good: dict[str, Any], version: str) -> None:
    assert check(orjson.dumps(good), version) == good
    assert faults(good, version) == []


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize(("pointer", "bad"), INVALID)
def test_an_invalid_statement_is_refused_at_its_first_fault(pointer: str, bad: Any, version: str) -> None:
    with pytest.raises(InvalidStatement) as refused:
        check(orjson.dumps(bad), version)
    assert refused.value.pointer == pointer
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize("key", ["contextAgents", "contextGroups"])
def test_context_agents_and_groups_are_unknown_to_1_0_3_and_known_to_2_0_0(key: str) -> None:
    kind = key[:-1]
    member: dict[str, Any] = {"agent": actor()} if kind == "contextAgent" else {"group": GROUP}
    good = {"objectType": kind, **member, "relevantTypes": ["https://example.org/role"]}
    for statement_ in (context(**{key: [good]}), statement(object=sub(context={key: [good]}))):
        assert check(orjson.dumps(statement_), "2.0.0")
        with pytest.raises(InvalidStatement) as refused:
            check(orjson.dumps(statement_), "1.0.3")
        assert (refused.value.pointer or "").endswith(f"/context/{key}")
    for bad in (member, good | {"objectType": "Agent"}, good | {"relevantTypes": []}, good | {"relevantTypes": ["x"]}, good | {"x": 1}, {"objectType": kind}):
        with pytest.raises(InvalidStatement):
            check(orjson.dumps(context(**{key: [bad]})), "2.0.0")


def test_a_2_0_0_request_may_carry_statements_of_both_versions_and_a_1_0_3_request_of_one() -> None:
    for version in ("2.0.0", "2.0", "1.0.3", "1.0"):
        assert check(orjson.dumps(statement(version=version)), "2.0.0")
    with pytest.raises(InvalidStatement):
        check(orjson.dumps(statement(version="2.0.0")), "1.0.3")
    with pytest.raises(InvalidStatement):
        check(orjson.dumps(statement(version="2.1.0")), "2.0.0")


@pytest.mark.parametrize("where", ["/attachments/0", "/object/attachments/0"])
def test_an_attachment_without_file_url_needs_its_content_in_the_request(where: str) -> None:
    attachment = {key: value for key, value in ATTACHMENT.items() if key != "fileUrl"} | {"sha2": "AB" * 32}
    raw = orjson.dumps(statement(attachments=[attachment]) if where == "/attachments/0" else statement(object=sub(attachments=[attachment])))
    with pytest.raises(InvalidStatement) as refused:
        check(raw, "1.0.3")
    assert refused.value.pointer == where
    assert check(raw, "1.0.3", sent={"ab" * 32})
    assert faults(orjson.loads(raw), "1.0.3", sent={"ab" * 32}) == []


def test_the_pointer_names_the_first_fault_and_the_explanation_all_of_them() -> None:
    bad = {"verb": {"id": "x"}, "actor": {"mbox": "x", "name": 1}, "object": activity(), "result": {"score": {"scaled": 2}}, "extra": 1}
    assert [fault.pointer for fault in faults(bad, "1.0.3")] == ["/verb/id", "/actor/mbox", "/actor/name", "/result/score/scaled", "/extra"]
    with pytest.raises(InvalidStatement) as refused:
        check(orjson.dumps(bad), "1.0.3")
    assert refused.value.pointer == "/verb/id"


def test_what_is_wrong_is_told_as_a_sentence_that_begins_with_the_place() -> None:
    told = {
        'The statement lacks "actor".': {"verb": verb("passed"), "object": activity()},
        "/actor/mbox must be": statement(actor={"mbox": "x"}),
        '/extra: "extra" is not a property that belongs here.': statement(extra=1),
    }
    for sentence, bad in told.items():
        with pytest.raises(InvalidStatement) as refused:
            check(orjson.dumps(bad), "2.0.0")
        assert refused.value.detail.startswith(sentence), refused.value.detail


def test_a_pointer_escapes_what_json_pointer_escapes() -> None:
    with pytest.raises(InvalidStatement) as refused:
        check(orjson.dumps(result(extensions={"a/b~c": 1})), "1.0.3")
    assert refused.value.pointer == "/result/extensions/a~1b~0c"


def test_duplicate_keys_are_refused_inside_extensions_too() -> None:
    raw = orjson.dumps(result(extensions={"https://e.org/x": {"k1": 1, "k2": 2}})).replace(b'"k2"', b'"k1"')
    with pytest.raises(BadRequest) as refused:
        check(raw, "1.0.3")
    assert refused.value.pointer == "/result/extensions/https:~1~1e.org~1x/k1"


def test_extensions_may_be_deep_but_not_deeper_than_the_limit() -> None:
    def nested(depth: int) -> bytes:
        value: Any = orjson.Fragment(b"[" * depth + b"1" + b"]" * depth)
        return orjson.dumps(result(extensions={"https://e.org/x": value}))

    assert check(nested(61), "1.0.3")
    for depth in (62, 100, 200):
        with pytest.raises(BadRequest):
            check(nested(depth), "1.0.3")
    with pytest.raises(BadRequest):
        check(nested(5), "1.0.3", max_depth=6)


def test_checking_again_says_the_same() -> None:
    assert check(orjson.dumps(rich_statement()), "1.0.3") == check(orjson.dumps(rich_statement()), "1.0.3")
    for _ in range(2):
        with pytest.raises(InvalidStatement, match="/dummy"):
            check(orjson.dumps(statement(dummy=1)), "1.0.3")


def test_the_id_of_anything_is_found_or_not() -> None:
    assert str(identify(statement(id=UUID_TEXT.upper()))) == UUID_TEXT
    without: list[Any] = [statement(), statement(id="x"), statement(id=1), [], None, 1]
    for value in without:
        assert identify(value) is None


def test_hostile_statements_cost_linear_time() -> None:
    n = 100_000
    hostile = [
        statement(verb={"id": "a" * n}),
        statement(timestamp="2026-05-01T12:00:00." + "9" * n),
        result(duration="P" + "1" * n),
        context(language="a-" * (n // 2)),
        statement(actor=actor(mbox="mailto:" + "@" * n)),
        statement(actor=actor(openid="a:" + "a" * n + " ")),
        statement(version="1.0." + "1" * n + "x"),
    ]
    hostile += [result(extensions={f"{i}": 1 for i in range(n // 10)}), statement(attachments=[1] * (n // 6)), statement(attachments=[1] * n * 5)]
    for bad in hostile:
        raw = orjson.dumps(bad)
        started = time.process_time()
        with pytest.raises(BadRequest):
            check(raw, "1.0.3")
        assert time.process_time() - started < 0.5, str(bad)[:60]


def test_the_two_schemas_differ_in_the_version_and_in_context_agents_and_groups_alone() -> None:
    old, new = (orjson.loads(files("schemas").joinpath("xapi", f"statement-{name}.json").read_bytes()) for name in ("1.0.3", "2.0"))
    for key in ("contextAgents", "contextGroups"):
        del new["$defs"]["context"]["properties"][key], new["$defs"][key[:-1]]
    del old["properties"]["version"], new["properties"]["version"]
    assert (old["$defs"], old["properties"]) == (new["$defs"], new["properties"])
