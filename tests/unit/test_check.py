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
from tests.unit.statements_by_rule import ATTACHMENT, GROUP, INVALID, UUID_TEXT, VALID, context, result, sub


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
