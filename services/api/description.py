"""The whole description of the API: what FastAPI makes of the routes, and what they cannot say.

That is: the writes of statements, which ingest answers; the headers that xAPI asks for and answers; the shapes of xAPI; and who may call.
"""
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from services.api.parameters import UUID_TEXT, Parameter
from services.api.xapi.document_places import RESOURCES
from services.core.multipart import MAX_BOUNDARY
from services.runtime.http import THROUGH_HEADER, VERSION_HEADER

Described = dict[str, Any]
_STATEMENTS = "/xapi/statements"
_DOCUMENTS = frozenset(resource.path for resource in RESOURCES)
_PUBLIC = ("/xapi/about", "/healthz/")
_FOLDED = ("/v1/learners", "/v1/courses", "/v1/programmes", "/v1/credentials", "/v1/events")
_PREVIEW = "/v1/programmes/preview"
_SCHEMA = "statement-2.0.json"
_QUARANTINED = "/v1/quarantine/{id}"
_REDRIVE = _QUARANTINED + "/redrive"
_NO_RECORDS = (_QUARANTINED, _PREVIEW, "/v1/issuers/{slug}", "/v1/credentials/{id}/visibility")
"""Paths of which no method appends to the log."""
_UNSAID = "Successful Response"
"""What FastAPI says of an answer that its route says nothing of."""
_STATEMENT_ID = Parameter("statementId", "The id of the statement; one that has an id of its own must have this one.", UUID_TEXT, required=True)


def whole(described: Described) -> Described:
    """Return the description of the routes with all that they cannot say; `described` is changed."""
    described["components"]["schemas"] |= _shapes()
    described["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "basic", "description": "An API key and its secret."},
        "token": {"type": "http", "scheme": "bearer", "description": "A JWT of an issuer this server trusts."},
    }
    described["security"] = [{"key": []}, {"token": []}]
    described["paths"].setdefault(_STATEMENTS, {}).update(_statement_writes())
    described["paths"][_REDRIVE] = _redrive()
    for path, method, operation in _operations(described):
        _complete(path, method, operation)
    return described


def _operations(described: Described) -> Iterator[tuple[str, str, Described]]:
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: Described) -> None:
    """Add who may call, the headers of a request, and those of its good answers."""
    for status, answer in operation["responses"].items():
        if answer["description"] == _UNSAID:
            answer["description"] = "It is done." if status == "204" else "It is so."
    if path.startswith(_PUBLIC):
        operation["security"] = []
        return
    asked, answered = _headers(path, method)
    if asked:
        operation["parameters"] = [*operation.get("parameters", ()), *asked]
    for status, answer in operation["responses"].items():
        if status != "default" and answered:
            answer["headers"] = {name: {"description": says, "schema": {"type": "string"}} for name, says in answered.items()}
    operation["responses"]["default"] = _problem()
    if path in _DOCUMENTS and method == "get":
        _document(operation)
    shape = _ANSWERS.get((path, method))
    if shape is not None:
        operation["responses"]["200"]["content"]["application/json"]["schema"] = shape


def _headers(path: str, method: str) -> tuple[list[Described], dict[str, str]]:
    """Return the headers of a request, as parameters, and those of its answer with what they say."""
    asked: list[Described] = []
    answered: dict[str, str] = {}
    if path.startswith("/xapi"):
        asked.append(_VERSION)
        answered[VERSION_HEADER] = "The version of xAPI that was spoken, or 1.0.3 or 2.0.0 as the request had it."
    if path == _STATEMENTS:
        answered[THROUGH_HEADER] = "All statements stored up to this instant are in the lists."
    if path in _DOCUMENTS:
        asked += _CONDITIONS
        answered |= {"ETag": "The SHA-1 of the content, in quotes.", "Last-Modified": "When the document was stored."}
    if (method == "get" and (path == _STATEMENTS or path.startswith(_FOLDED))) or path == _PREVIEW:
        asked += [_MIN_POSITION, _PREFER_WAIT]
    if method != "get" and path not in _DOCUMENTS and path not in _NO_RECORDS:
        asked.append(_PREFER_ASYNC)
        answered["LRS-Position"] = "Where the log has it: what a read takes as LRS-Min-Position."
    if method != "get" and path != _PREVIEW:
        answered["LRS-Outcome"] = "Always `stored`; a problem has `rejected`, `partial` or `unknown`."
    if method != "get" and path == _STATEMENTS:
        answered["LRS-Outcome"] = "`stored`, or `rejected` when all that was sent is set aside; a problem has `rejected`, `partial` or `unknown`."
        answered["LRS-Quarantined"] = "How many invalid statements were set aside, as the key asks for: see `/v1/quarantine`."
    if (path, method) == (_STATEMENTS, "post"):
        asked.append(_IDEMPOTENCY_KEY)
    if path in (_STATEMENTS, "/xapi/activities") and method == "get":
        asked.append(_LANGUAGE)
    return asked, answered


def _header(name: str, says: str, *, required: bool = False, **schema: Any) -> Described:
    return {"name": name, "in": "header", "required": required, "description": says, "schema": {"type": "string", **schema}}


_VERSION = _header(VERSION_HEADER, "The version of xAPI that is spoken: any 1.0.x, or any 2.0.x.", required=True, pattern=r"^(1|2)\.0(\.[0-9]{1,4})?$",
                   examples=["2.0.0", "1.0.3"])
_CONDITIONS = [
    _header("If-Match", "The ETag that the document must have."),
    _header("If-None-Match", "The ETags that the document must not have; `*`: there must be none."),
]
_MIN_POSITION = _header("LRS-Min-Position", "What a write answered as LRS-Position: wait until it is to be seen.")
_PREFER_WAIT = _header("Prefer", "`wait=N`: how many seconds to wait at most; 2 without it, never more than 10.")
_PREFER_ASYNC = _header("Prefer", "`respond-async`: answer once it is durable, whether it can be seen yet or not.")
_IDEMPOTENCY_KEY = _header("Idempotency-Key", "Statements without ids get the same ids whenever they are sent with the same key.", minLength=1, maxLength=255)
_LANGUAGE = _header("Accept-Language", "Which language to show where there are several: of statements, in the format `canonical`.")


def _statement_writes() -> Described:
    """Return PUT and POST of statements, as services/ingest answers them."""
    one = {"$ref": "#/components/schemas/XapiStatement"}
    many = {"oneOf": [one, {"type": "array", "maxItems": 500, "items": one}]}
    ids = {"type": "array", "items": {"type": "string", "format": "uuid"}}
    return {
        "put": {
            "tags": ["xAPI"], "summary": "Store one statement", "operationId": "putStatement", "parameters": [_STATEMENT_ID.openapi()],
            "description": "Stores a statement under the id that the address names. An equal one that is there already is a success, a different one is a 409.",
            "requestBody": _statements_in(one), "responses": {"204": {"description": "It is stored."}},
        },
        "post": {
            "tags": ["xAPI"], "summary": "Store statements", "operationId": "postStatements",
            "description": "Stores one statement or several, all or none. An id that is there already with other content is a 409.",
            "requestBody": _statements_in(many),
            "responses": {"200": {"description": "Their ids, in the order of the statements.", "content": {"application/json": {"schema": ids}}}},
        },
    }


def _redrive() -> Described:
    """Return the POST that sends on a statement which was set aside, as services/ingest answers it."""
    one = {"$ref": "#/components/schemas/XapiStatement"}
    named = {"type": "object", "required": ["id", "statement"], "properties": {key: {"type": "string", "format": "uuid"} for key in ("id", "statement")}}
    return {"post": {
        "tags": ["quarantine"], "summary": "Send one of them on", "operationId": "postRedrive",
        "description": "Stores the statement that is the body, or without a body what was set aside, as the key that sent it would have stored it.",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}],
        "requestBody": {"required": False, "content": {"application/json": {"schema": one}}},
        "responses": {"200": {"description": "It is stored, under the id `statement`.", "content": {"application/json": {"schema": named}}}},
    }}


def _statements_in(schema: Described) -> Described:
    mixed = {
        "type": "string", "format": "binary",
        "description": f"The statements first, as application/json, then a part for each attachment whose content is sent, with its headers Content-Type, "
                       f"Content-Transfer-Encoding: binary and X-Experience-API-Hash. A boundary has at most {MAX_BOUNDARY} characters.",
    }
    return {"required": True, "content": {"application/json": {"schema": schema}, "multipart/mixed": {"schema": mixed}}}


def _document(operation: Described) -> None:
    """Describe what a GET of documents answers: one with its own type, or a list of ids."""
    operation["responses"]["200"] = {
        **operation["responses"]["200"], "description": "The document, with the Content-Type it was stored with; without its id the ids of all there are.",
        "content": {"application/json": {"schema": {}}, "*/*": {"schema": {"type": "string", "format": "binary"}}}}
    operation["responses"]["304"] = {"description": "It has an ETag that If-None-Match names."}


def _problem() -> Described:
    return {"description": "A problem.", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


@cache
def _shapes() -> Described:
    """Return the components of xAPI: the very schema that statements are checked with, and what lists and reads of it give."""
    text = (files("schemas") / "xapi" / _SCHEMA).read_text(encoding="utf-8")
    statement = _renamed(orjson.loads(text))
    shapes = {_name(name): schema for name, schema in statement.pop("$defs").items()}
    for key in ("$schema", "$id"):
        del statement[key]
    shapes["XapiStatement"] = statement
    shapes["StatementResult"] = {
        "type": "object", "required": ["statements", "more"], "description": "A page of statements; `more` is the address of the next, empty at the end.",
        "properties": {"statements": {"type": "array", "items": {"type": "object"}}, "more": {"type": "string"}}}
    texts = {"type": "array", "items": {"type": "string"}}
    shapes["Person"] = {
        "type": "object", "required": ["objectType"], "description": "Everything that an agent's statements say it is called.",
        "properties": {"objectType": {"const": "Person"}, **dict.fromkeys(("name", "mbox", "mbox_sha1sum", "openid"), texts),
                       "account": {"type": "array", "items": {"$ref": "#/components/schemas/XapiAccount"}}}}
    return shapes


def _name(name: str) -> str:
    return f"Xapi{name[0].upper()}{name[1:]}"


def _renamed(schema: Any) -> Any:
    """Return a schema whose references lead to components."""
    if isinstance(schema, dict):
        return {key: f"#/components/schemas/{_name(value.rpartition('/')[2])}" if key == "$ref" and isinstance(value, str) else _renamed(value)
                for key, value in schema.items()}
    return [_renamed(each) for each in schema] if isinstance(schema, list) else schema


_ANSWERS: dict[tuple[str, str], Described] = {
    (_STATEMENTS, "get"): {"anyOf": [{"$ref": "#/components/schemas/StatementResult"}, {"type": "object", "required": ["id", "actor", "verb", "object"]}]},
    ("/xapi/agents", "get"): {"$ref": "#/components/schemas/Person"},
    ("/xapi/activities", "get"): {"type": "object", "required": ["objectType", "id"], "properties": {
        "objectType": {"const": "Activity"}, "id": {"type": "string", "format": "iri"}, "definition": {"type": "object"}}},
}
