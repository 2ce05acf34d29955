"""The page of the API says in a few words what a value is, links to what has a name, and escapes everything."""
from typing import Any

import pytest

from services.api.description_page import inside, kind, page, prose, required, sentence


@pytest.mark.parametrize(("schema", "said"), [
    ({"type": "string"}, "string"),
    ({"type": "string", "format": "uuid"}, "uuid"),
    ({"type": ["string", "null"]}, "string or null"),
    ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "null"}]}, "string or null"),
    ({"allOf": [{"$ref": "#/components/schemas/Actor"}, {"type": "object"}]}, '<a href="#Actor">Actor</a> and object'),
    ({"enum": ["a", "b"]}, "<code>a</code> or <code>b</code>"),
    ({"if": {}, "then": {"type": "object"}, "else": {"if": {}, "then": {"type": "string"}, "else": False}}, "object or string"),
    ({"const": True}, "<code>true</code>"),
    ({"type": "string", "allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "string"),
    ({"const": "<"}, "<code>&lt;</code>"),
    ({"type": "array", "items": {"$ref": "#/components/schemas/Link"}}, 'list of <a href="#Link">Link</a>'),
    ({"type": "array"}, "list of anything"),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, "object whose values are integer"),
    ({"type": "object", "additionalProperties": False}, "object"),
    ({}, "anything"),
    (True, "anything"),
    (False, "nothing"),
])
def test_a_schema_is_said_in_a_few_words(schema: Any, said: str) -> None:
    assert kind(schema) == said


def test_members_are_those_of_the_object_or_of_what_a_list_holds_and_those_that_are_only_required() -> None:
    thing = {"type": "object", "required": ["b"], "properties": {"a": {"type": "string"}}}
    assert inside(thing) == inside({"type": "array", "items": thing}) == {"a": {"type": "string"}, "b": True}
    assert required(thing) == required({"type": "array", "items": thing}) == {"b"}
    assert inside({"type": "array"}) == inside({"type": "string"}) == inside(True) == {}  # noqa: FBT003 - a schema may be that


def test_a_summary_ends_as_a_sentence_does() -> None:
    assert [sentence(text) for text in ("A thing", "Is it?", "It is.")] == ["A thing.", "Is it?", "It is."]


def test_what_stands_between_backticks_is_code_and_everything_is_escaped() -> None:
    assert prose("`a<b` & <c>") == "<code>a&lt;b</code> &amp; &lt;c&gt;"


def test_a_request_is_told_with_its_parameters_its_body_and_its_answers() -> None:
    sizes = {"type": "array", "description": "How large.", "items": {"type": "object", "properties": {"cm": {"type": "number"}}}}
    body = {"type": "object", "required": ["sizes"], "properties": {"sizes": sizes}}
    text = page({
        "info": {"title": "Things", "description": "All of them."},
        "components": {"schemas": {"Thing": {"type": "object", "description": "One.", "properties": {"size": {"type": "integer"}}}}},
        "paths": {"/things/{id}": {"put": {
            "tags": ["things"], "summary": "Keep a thing", "operationId": "putThing",
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": {"description": "It.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                          "default": {"description": "A problem."}}}}}}, "/docs/openapi.json")
    for said in ('id="putThing"', "Keep a thing.", "<code>id</code> <strong>required</strong>", "<code>sizes</code> <strong>required</strong>", "How large.",
                 "<code>cm</code>", '<a href="#Thing">Thing</a>', '<section id="Thing">', "<code>size</code>"):
        assert said in text
    assert "A problem." not in text
