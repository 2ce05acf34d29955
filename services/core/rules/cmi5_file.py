"""Read a cmi5 course structure (cmi5.xml, cmi5 14.1) into the description of a course."""
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from services.core.errors import BadRequest
from services.core.evidence import display
from services.core.rules.course import MAX_DEPTH, MAX_UNITS, MOVE_ON
from services.core.syntax import is_iri

MAX_BYTES = 1 << 20

_NAMESPACE = "{https://w3id.org/xapi/profiles/cmi5/v1/CourseStructure.xsd}"


def course_of(xml: bytes) -> dict[str, Any]:
    """Return the description that `PUT /v1/courses` takes: `{"id", "name", "cmi5": {"children": [unit or block, …]}}`.

    Raises BadRequest, in a sentence, for what is no course structure, and for XML that declares a document type or entities.
    """
    if len(xml) > MAX_BYTES:
        raise BadRequest(f"The cmi5 file has {len(xml)} bytes; at most {MAX_BYTES >> 10} KiB are read.")
    try:
        root = fromstring(xml, forbid_dtd=True)
    except DefusedXmlException as error:
        raise BadRequest("The cmi5 file declares a document type or entities; it is not read.") from error
    except ParseError as error:
        raise BadRequest(f"The cmi5 file is not XML: {error}.", line=error.position[0]) from error
    except (ValueError, LookupError) as error:  # in an encoding that there is not
        raise BadRequest(f"The cmi5 file is not XML: {error}.", line=1) from error
    course = root.find(_NAMESPACE + "course")
    if root.tag != _NAMESPACE + "courseStructure" or course is None:
        raise BadRequest("The cmi5 file must be a courseStructure with a course, in the namespace of cmi5's first version.")
    children = _children(root, 1)
    if _count(children) > MAX_UNITS:
        raise BadRequest(f"The course has more than {MAX_UNITS} assignable units.")
    if not _count(children):
        raise BadRequest("The course has no assignable unit.")
    return {"id": _id(course), **_name(course), "cmi5": {"children": children}}


def _children(parent: Element, depth: int) -> list[dict[str, Any]]:
    if depth > MAX_DEPTH:
        raise BadRequest(f"The course nests blocks more than {MAX_DEPTH} deep.")
    found = []
    for child in parent:
        if child.tag == _NAMESPACE + "au":
            found.append(_unit(child))
        elif child.tag == _NAMESPACE + "block":
            found.append({"id": _id(child), "type": "block", **_name(child), "children": _children(child, depth + 1)})
    return found


def _unit(unit: Element) -> dict[str, Any]:
    iri, move_on, mastery = _id(unit), unit.get("moveOn", "NotApplicable"), unit.get("masteryScore")
    if move_on not in MOVE_ON:
        raise BadRequest(f"The unit {iri} has the moveOn {move_on[:40]}; it must be one of {', '.join(MOVE_ON)}.")
    described: dict[str, Any] = {"id": iri, "type": "au", **_name(unit), "moveOn": move_on}
    if mastery is not None:
        described["masteryScore"] = _score(mastery, iri)
    return described


def _score(text: str, iri: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise BadRequest(f"The unit {iri} has the masteryScore {text[:40]}; it must be a number from 0 to 1.")
    return score


def _id(element: Element) -> str:
    iri = (element.get("id") or "").strip()
    if not is_iri(iri):
        raise BadRequest(f"A {element.tag.removeprefix(_NAMESPACE)} of the cmi5 file has the id {iri[:200] or '(none)'}, which is no absolute IRI.")
    return iri


def _name(element: Element) -> dict[str, str]:
    texts = element.findall(f"{_NAMESPACE}title/{_NAMESPACE}langstring")
    name = display({text.get("lang", "und"): words for text in texts if (words := (text.text or "").strip())})
    return {} if name is None else {"name": name}


def _count(children: list[dict[str, Any]]) -> int:
    return sum(_count(child["children"]) if child["type"] == "block" else 1 for child in children)
