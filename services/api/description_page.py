"""The description of the API as a page for people: each request with its parameters, its body and its answers, and the shapes that these are made of."""
import re
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
from markupsafe import Markup, escape

from services.api import pages

Described = dict[str, Any]
_FOLDER = Path(__file__).with_name("templates")
_STYLE = pages.style(_FOLDER / "description.css")
POLICY = pages.policy(_STYLE)


def page(described: Described, address: str) -> str:
    """Return the page of an OpenAPI description that is at `address`."""
    operations = sorted((
        {"path": path, "method": method.upper(), "tag": operation["tags"][0], **operation}
        for path, methods in described["paths"].items() for method, operation in methods.items()), key=itemgetter("tag", "path"))
    return _TEMPLATE.render(
        info=described["info"], style=_STYLE, address=address, shapes=described["components"]["schemas"],
        tags=[(tag, list(each)) for tag, each in groupby(operations, itemgetter("tag"))])


def prose(text: str) -> Markup:
    """Return a description as HTML; what it has between backticks is code."""
    parts = re.split(r"`([^`]*)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def sentence(text: str) -> str:
    """Return a summary as a sentence: with a full stop, unless it ends with a sign of its own."""
    return text if text.endswith((".", "?")) else f"{text}."


def kind(schema: Described | bool) -> Markup:
    """Return in a few words what a value of this schema is; a shape that has a name is a link to it."""
    if isinstance(schema, bool):
        return escape("anything" if schema else "nothing")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for several, word in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
        if several in schema and "type" not in schema:
            return escape(word).join(dict.fromkeys(kind(each) for each in schema[several]))
    if "if" in schema:
        choices = (kind(schema.get("then", True)), kind(schema.get("else", True)))
        return Markup(" or ").join(choice for choice in dict.fromkeys(choices) if choice != "nothing")
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(" or ").join(Markup("<code>{}</code>").format(value if isinstance(value, str) else orjson.dumps(value).decode()) for value in values)
    return _plain(schema)


def _plain(schema: Described) -> Markup:
    types = schema.get("type", "anything")
    words = []
    for one in types if isinstance(types, list) else [types]:
        if one == "array":
            words.append(Markup("list of {}").format(kind(schema.get("items", True))))
        elif one == "object" and isinstance(more := schema.get("additionalProperties"), dict) and "properties" not in schema:
            words.append(Markup("object whose values are {}").format(kind(more)))
        else:
            words.append(escape(schema["format"] if one == "string" and "format" in schema else one))
    return Markup(" or ").join(words)


def inside(schema: Described | bool) -> Described:
    """Return the members of a schema's object, or of what a list of it holds: how each is described, nothing of one that is only required."""
    if isinstance(schema, bool):
        return {}
    if "properties" in schema or "required" in schema:
        return {**dict.fromkeys(schema.get("required", ()), True), **schema.get("properties", {})}
    return inside(schema["items"]) if "items" in schema else {}


def required(schema: Described) -> frozenset[str]:
    """Return the names of those that must be there."""
    return frozenset(schema.get("required", ())) or (required(schema["items"]) if isinstance(schema.get("items"), dict) else frozenset())


_PAGES = pages.templates(_FOLDER)
_PAGES.filters.update(prose=prose, kind=kind, inside=inside, required=required, sentence=sentence)
_TEMPLATE = _PAGES.get_template("description.html")
