"""The description of the API as a page for people: each request with its parameters, its body and its answers, and the shapes that these are made of."""
import re
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from services.api import pages
from services.runtime.forwarded import public_path

Described = dict[str, Any]
_FOLDER = Path(__file__).with_name("templates")
_STYLE = pages.style(_FOLDER / "description.css")
POLICY = pages.policy(_STYLE)


def page(described: Described) -> str:
    """Return the page of an OpenAPI description."""
    operations = sorted((
        {"path": path, "method": method.upper(), "tag": operation["tags"][0], **operation}
        for path, methods in described["paths"].items() for method, operation in methods.items()), key=itemgetter("tag", "path"))
    return _TEMPLATE.render(
        info=described["info"], style=_STYLE, address=public_path("/docs/openapi.json"), shapes=described["components"]["schemas"],
        tags=[(tag, list(each)) for tag, each in groupby(operations, itemgetter("tag"))])


def prose(text: str) -> Markup:
    """Return a description as HTML; what it has between backticks is code."""
    parts = re.split(r"`([^`]*)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def kind(schema: Described | bool) -> Markup:
    """Return in a few words what a value of this schema is; a shape that has a name is a link to it."""
    if isinstance(schema, bool):
        return escape("anything" if schema else "nothing")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for several, word in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
        if several in schema:
            return escape(word).join(dict.fromkeys(kind(each) for each in schema[several]))
    if "if" in schema:
        choices = (kind(schema.get("then", True)), kind(schema.get("else", True)))
        return Markup(" or ").join(choice for choice in dict.fromkeys(choices) if choice != "nothing")
    if "const" in schema or "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(value) for value in schema.get("enum", [schema.get("const")]))
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
    """Return the object whose members say more of a schema than its kind: itself, what a list holds, or nothing."""
    if isinstance(schema, bool):
        return {}
    if "properties" in schema:
        return schema
    return inside(schema["items"]) if "items" in schema else {}


_PAGES = pages.templates(_FOLDER)
_PAGES.filters.update(prose=prose, kind=kind, inside=inside)
_TEMPLATE = _PAGES.get_template("description.html")
