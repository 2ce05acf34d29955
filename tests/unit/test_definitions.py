"""What several definitions of an activity make together, and where a statement gives them."""
from typing import Any

import orjson

from services.core.definitions import definitions_in, merged, text_of
from services.core.json_members import joined
from tests.factories import activity, statement


def made_of(*definitions: dict[str, Any]) -> Any:
    """Return the definition that these make, the earliest first."""
    return orjson.loads(joined(merged([text_of(one) for one in definitions])))


def test_one_definition_is_what_was_sent() -> None:
    sent = {"name": {"en-GB": "Maths"}, "type": "https://example.org/t", "extensions": {"https://example.org/e": [1.5, None, {}]}, "moreInfo": "https://example.org/m"}
    assert made_of(sent) == sent
    assert made_of({}) == {}


def test_languages_and_extensions_are_united_key_by_key_and_a_later_one_wins() -> None:
    made = made_of(
        {"name": {"en-GB": "old", "en-US": "math"}, "description": {"en": "d"}, "extensions": {"https://e.org/a": 1, "https://e.org/b": 1}, "type": "https://e.org/1"},
        {"name": {"en-GB": "new", "fr-FR": "maths"}, "extensions": {"https://e.org/b": {"c": 2}}, "type": "https://e.org/2"})
    assert made == {
        "name": {"en-GB": "new", "en-US": "math", "fr-FR": "maths"}, "description": {"en": "d"}, "type": "https://e.org/2",
        "extensions": {"https://e.org/a": 1, "https://e.org/b": {"c": 2}}}


def test_an_interaction_is_replaced_whole() -> None:
    choice = {"interactionType": "choice", "choices": [{"id": "a"}], "correctResponsesPattern": ["a"]}
    assert made_of(choice, {"interactionType": "true-false", "correctResponsesPattern": ["true"]}) == {
        "interactionType": "true-false", "correctResponsesPattern": ["true"]}
    assert made_of(choice, {"name": {"en": "Q"}}) == {**choice, "name": {"en": "Q"}}


def test_equal_definitions_have_one_text() -> None:
    assert text_of({"name": {"b": "1", "a": "2"}, "type": "t"}) == text_of({"type": "t", "name": {"a": "2", "b": "1"}})
    assert text_of({"name": {"a": "1"}}) != text_of({"name": {"a": "2"}})


def test_a_statement_defines_its_object_its_context_activities_and_those_of_its_sub_statement() -> None:
    def defined(path: str) -> dict[str, Any]:
        return activity(path, definition={"name": {"en": path}})

    inner = statement(object=defined("inner"), context={"contextActivities": {"other": [defined("inner/other")]}})
    outer = statement(object={"objectType": "SubStatement", **inner}, context={"contextActivities": {
        "parent": defined("parent"), "grouping": [defined("g/1"), activity("plain"), defined("g/2")]}})
    assert [iri.removeprefix("https://example.org/") for iri, _ in definitions_in(outer)] == ["inner", "inner/other", "parent", "g/1", "g/2"]
    assert definitions_in(statement(object={"objectType": "Agent", "mbox": "mailto:a@example.org"})) == []
    assert definitions_in(statement(object={"id": "https://example.org/a", "definition": {}})) == [("https://example.org/a", {})]
