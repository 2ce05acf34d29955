"""The formats ids and canonical: what is left of each part of a statement, and what keeps its bytes."""
from typing import Any

import orjson

from services.core.definitions import text_of
from services.core.formats import Canonical, Form, Ids, activities_in, rewritten
from services.core.languages import Languages
from tests.factories import activity, actor, rich_statement, statement, verb

GROUP = {"objectType": "Group", "name": "Team", "mbox": "mailto:team@example.org", "member": [actor("ada", name="Ada")]}
NAMELESS = {"objectType": "Group", "name": "Some", "member": [actor("ada", name="Ada"), {"name": "Bo", "openid": "https://bo.example.org/"}]}
MAP = {"en-GB": "colour", "en-US": "color", "sv": "färg"}


def formatted(sent: dict[str, Any], form: Form) -> Any:
    return orjson.loads(rewritten(orjson.dumps(sent), form))


def canonical(sent: dict[str, Any], header: str | None = "en-GB", **definitions: list[dict[str, Any]]) -> Any:
    texts = {f"https://example.org/{path}": [text_of(one) for one in defined] for path, defined in definitions.items()}
    return formatted(sent, Canonical(texts, Languages(header)))


def test_ids_leaves_what_identifies_and_no_more() -> None:
    sent = statement(
        actor=actor("ada", name="Ada"), authority=actor(account={"homePage": "https://example.org", "name": "tool"}, name="Tool"),
        object={"objectType": "SubStatement", "actor": GROUP, "verb": verb(), "object": activity("a", definition={"name": MAP}),
                "context": {"instructor": NAMELESS, "contextActivities": {"parent": [activity("p", definition={"name": MAP})]}}},
        context={"team": GROUP, "contextActivities": {"other": [activity("o")], "parent": []}})
    ids = formatted(sent, Ids())
    team = {"objectType": "Group", "mbox": "mailto:team@example.org"}
    assert ids == {
        "actor": {"objectType": "Agent", "mbox": "mailto:ada@example.org"}, "verb": {"id": verb()["id"]},
        "authority": {"objectType": "Agent", "account": {"homePage": "https://example.org", "name": "tool"}},
        "object": {
            "objectType": "SubStatement", "actor": team, "verb": {"id": verb()["id"]}, "object": {"id": "https://example.org/a"},
            "context": {
                "instructor": {"objectType": "Group", "member": [{"objectType": "Agent", "mbox": "mailto:ada@example.org"}, {"openid": "https://bo.example.org/"}]},
                "contextActivities": {"parent": [{"id": "https://example.org/p"}]}}},
        "context": {"team": team, "contextActivities": {"other": [{"id": "https://example.org/o"}], "parent": []}}}


def test_ids_of_agents_as_objects_and_references() -> None:
    assert formatted(statement(object={**GROUP}), Ids())["object"] == {"objectType": "Group", "mbox": "mailto:team@example.org"}
    assert formatted(statement(object=actor("bo", name="Bo")), Ids())["object"] == actor("bo")
    reference = {"objectType": "StatementRef", "id": "00000000-0000-4000-8000-000000000000"}
    assert formatted(statement(object=reference), Ids())["object"] == reference


def test_the_agents_of_a_context_of_2_0_keep_their_types() -> None:
    types = ["https://example.org/types/tutor"]
    sent = statement(context={
        "contextAgents": [{"objectType": "contextAgent", "agent": actor("ada", name="Ada"), "relevantTypes": types}],
        "contextGroups": [{"objectType": "contextGroup", "group": GROUP}]})
    assert formatted(sent, Ids())["context"] == {
        "contextAgents": [{"objectType": "contextAgent", "agent": actor("ada"), "relevantTypes": types}],
        "contextGroups": [{"objectType": "contextGroup", "group": {"objectType": "Group", "mbox": "mailto:team@example.org"}}]}
    assert canonical(sent) == sent | {"verb": {**sent["verb"]}}


def test_canonical_has_one_language_in_each_map_and_all_else_as_it_was() -> None:
    def defined(path: str) -> dict[str, Any]:
        return activity(path, definition={
            "type": "https://example.org/t", "name": MAP, "description": {"en-US": "one"}, "interactionType": "choice", "correctResponsesPattern": ["a"],
            "choices": [{"id": "a", "description": MAP}, {"id": "b"}], "extensions": {"https://example.org/e": {"en-GB": "x", "en-US": "y"}}})

    def expected(path: str) -> dict[str, Any]:
        return activity(path, definition={**defined(path)["definition"], "name": {"en-GB": "colour"}, "choices": [
            {"id": "a", "description": {"en-GB": "colour"}}, {"id": "b"}]})

    inner = statement(verb=verb(display=MAP), object=defined("o"), context={"contextActivities": {"parent": [defined("p")]}})
    sent = statement(
        actor=GROUP, verb=verb(display=MAP), context={"contextActivities": {"grouping": [defined("g")]}, "team": NAMELESS},
        object={"objectType": "SubStatement", **inner},
        attachments=[{"usageType": "https://example.org/u", "display": MAP, "contentType": "text/plain", "length": 1, "sha2": "0" * 64}])
    seen = canonical(sent)
    assert seen["verb"] == seen["object"]["verb"] == verb(display={"en-GB": "colour"})
    assert seen["object"]["object"] == expected("o")
    assert seen["object"]["context"]["contextActivities"] == {"parent": [expected("p")]}
    assert seen["context"]["contextActivities"] == {"grouping": [expected("g")]}
    for path in (("actor",), ("attachments",), ("context", "team"), ("object", "actor")):
        before: Any = sent
        after: Any = seen
        for name in path:
            before, after = before[name], after[name]
        assert before == after


def test_canonical_says_what_the_lrs_knows_of_an_activity_instead_of_what_was_sent() -> None:
    known: list[dict[str, Any]] = [{"name": {"en-US": "math"}}, {"name": {"en-GB": "maths"}, "moreInfo": "https://example.org/m"}]
    assert canonical(statement(object=activity("a", definition={"name": {"en-GB": "other"}})), a=known)["object"] == activity(
        "a", definition={"name": {"en-GB": "maths"}, "moreInfo": "https://example.org/m"})
    assert canonical(statement(object=activity("a")), header="en-US", a=known)["object"]["definition"]["name"] == {"en-US": "math"}
    assert canonical(statement(object={"id": "https://example.org/b", "definition": {"name": MAP}}))["object"] == {
        "id": "https://example.org/b", "definition": {"name": {"en-GB": "colour"}}}
    assert canonical(statement(object=activity("b")))["object"] == activity("b")


def test_each_map_gets_its_own_best_language_and_an_empty_one_stays() -> None:
    definition = {"name": {"sv": "a", "fr": "b"}, "description": {"fr": "c", "de": "d"}}
    seen = canonical(statement(object=activity("a", definition=definition), verb=verb(display={})), header="sv, de;q=0.5")
    assert (seen["object"]["definition"], seen["verb"]["display"]) == ({"name": {"sv": "a"}, "description": {"de": "d"}}, {})


def test_results_extensions_and_numbers_keep_the_sender_s_text() -> None:
    sent = (b'{"actor":{"mbox":"mailto:a@b.c"},"verb":{"id":"http://v.org/v"},"object":{"id":"http://a.org/a","definition":{"extensions":{"http://e.org/e":1.50}}},'
            b'"result":{"score":{"scaled":0.50,"raw":1e2},"extensions":{"http://e.org/e":123456789012345678901234567890}}}')
    assert rewritten(sent, Canonical({}, Languages())) == sent
    assert rewritten(sent, Ids()) == sent.replace(b',"definition":{"extensions":{"http://e.org/e":1.50}}', b"")


def test_the_activities_of_statements_are_found_wherever_they_are() -> None:
    inner = {"objectType": "SubStatement", **statement(object="in", context={"contextActivities": {"other": [activity("in/other")]}})}
    found = activities_in(orjson.dumps(one) for one in (statement(object=inner), rich_statement(), statement(object=GROUP)))
    assert {iri.removeprefix("https://example.org/") for iri in found} == {"in", "in/other", "course/1", "course/1/exam", "course/1/unit/3", "profile/exam"}
