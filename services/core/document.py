"""Documents (xAPI Communication 2.2 and 3.1): their entity tags, the preconditions of a request, and what PUT and POST make of a document.

Everything here is decided on the document as it is, so whoever stores the outcome holds the document still meanwhile.
"""
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import orjson

from services.core.errors import BadRequest, Conflict, PreconditionFailed, TooLarge
from services.core.json_slices import load, most_values

JSON = "application/json"
OPAQUE = "application/octet-stream"
MAX_VALUES = 50_000
"""A merge reads both documents whole, while the document is locked: this bounds its time. Commas in strings count as well."""
MAX_TYPE = 1024
MAX_TAGS = 8192
"""How many characters of ETags are read."""
_TAG = re.compile(r'[ \t,]*+(?:(W/)?"([^"]*)"|([^\s",]++))[ \t]*+(?=,|\Z)')
_HEADER_SAFE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

Bare = Literal["allowed", "if new", "never"]
"""What becomes of a PUT with neither If-Match nor If-None-Match."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is stored at one place: bytes, and the Content-Type they came with."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags of If-Match or If-None-Match: strong ones, weak ones, or `*`."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    any: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """The preconditions of a request (RFC 9110, section 13); None where the header is absent."""

    match: Tags | None = None
    none_match: Tags | None = None

    @property
    def absent(self) -> bool:
        """Whether the request came with neither."""
        return self.match is None and self.none_match is None


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and how deep a document may be."""

    size: int
    depth: int


def etag(content: bytes) -> str:
    """Return the entity tag of a content, without its quotes: its SHA-1 in lower-case hex, as xAPI 1.0.3 wants it."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def conditions(match: str | None, none_match: str | None) -> Conditions:
    """Return the preconditions in the headers If-Match and If-None-Match. Raises BadRequest."""
    return Conditions(_tags("If-Match", match), _tags("If-None-Match", none_match))


def check(wanted: Conditions, current: str | None) -> None:
    """Raise PreconditionFailed unless a document with this tag (None: there is no document) is what a write wants. If-Match compares strongly."""
    if wanted.match is not None and (current is None or not (wanted.match.any or current in wanted.match.strong)):
        raise PreconditionFailed(
            "There is no document here, so If-Match cannot hold." if current is None
            else "The document is not what If-Match names: it has changed. Get it again, and repeat the change with its current ETag.")
    if is_known(wanted, current):
        raise PreconditionFailed("There is a document here already, which If-None-Match says there should not be.")


def is_known(wanted: Conditions, current: str | None) -> bool:
    """Return whether If-None-Match names the document with this tag: to a GET, that the client has it."""
    tags = wanted.none_match
    return tags is not None and current is not None and (tags.any or current in tags.strong or current in tags.weak)


def bare_put(version: str, *, state: bool) -> Bare:
    """Return what becomes of a PUT without preconditions in a version of xAPI, to the State resource or to one of the profiles.

    xAPI 1.0.3 lets state be overwritten; of a profile's sender it demands a precondition, even where nothing is yet.
    """
    if version == "1.0.3":
        return "allowed" if state else "never"
    return "if new"


def check_bare_put(allowed: Bare, *, exists: bool) -> None:
    """Raise Conflict (xAPI Communication 3.1) or BadRequest unless a PUT without preconditions is allowed."""
    if exists and allowed != "allowed":
        raise Conflict(
            "There is a document here already. Check its current state with a GET, and set If-Match to its current ETag to replace it, "
            "or If-None-Match: * to write only where nothing is yet.")
    if not exists and allowed == "never":
        raise BadRequest("A PUT of a profile needs If-Match with the ETag of the document it replaces, or If-None-Match: * for a new one.")


def posted(current: Document | None, sent: Document, limits: Limits) -> Document:
    """Return what a POST makes of a document: what was sent where there was none, else the two JSON objects merged by their top-level keys.

    The values' bytes stay as they were sent. Raises BadRequest when they cannot be merged, TooLarge.
    """
    if current is None:
        if is_json(sent.content_type):
            _read(sent.content, limits)
        return sent
    if not is_json(sent.content_type):
        raise BadRequest("There is a document here already, and only application/json can be merged with it; PUT replaces it.")
    if not is_json(current.content_type):
        raise BadRequest("The document here is not application/json, so nothing can be merged with it; PUT replaces it.")
    after = _object(sent, "What was sent", limits)
    try:
        before = _object(current, "The document here", limits)
    except (BadRequest, TooLarge) as error:
        raise BadRequest(f"Nothing can be merged with the document here: {error.detail} PUT replaces it.") from error
    return Document(_written(before | after, limits), sent.content_type)


def is_json(content_type: str) -> bool:
    """Return whether a Content-Type is that of JSON, whatever its parameters."""
    return content_type.partition(";")[0].strip().lower() == JSON


def checked_type(content_type: str | None) -> str:
    """Return the Content-Type to keep: as it was sent, or that of unknown bytes. Raises BadRequest for one that no answer could carry."""
    if not content_type:
        return OPAQUE
    if len(content_type) > MAX_TYPE or not _HEADER_SAFE.fullmatch(content_type):
        raise BadRequest(f"The Content-Type has at most {MAX_TYPE} characters, and no line breaks or other controls.")
    return content_type


def _tags(name: str, header: str | None) -> Tags | None:
    if header is None:
        return None
    if len(header) > MAX_TAGS:
        raise BadRequest(f"{name} has at most {MAX_TAGS} characters.")
    strong: set[str] = set()
    weak: set[str] = set()
    any_, listed, place = False, header.strip(" \t,"), 0
    while place < len(listed):
        found = _TAG.match(listed, place)
        if found is None:
            raise BadRequest(f"{name} is a list of ETags in quotes, or * alone.")
        is_weak, quoted, bare = found.groups()
        if bare == "*":
            any_ = True
        else:  # a widely used client sends the bare SHA-1
            (weak if is_weak else strong).add(quoted if bare is None else bare)
        place = found.end()
    if any_ == bool(strong or weak):
        raise BadRequest(f"{name} is a list of ETags in quotes, or * alone.")
    return Tags(frozenset(strong), frozenset(weak), any_)


def _read(content: bytes, limits: Limits) -> object:
    if most_values(content) > MAX_VALUES:
        raise TooLarge(f"A JSON document that is sent by POST holds at most {MAX_VALUES} values.")
    return load(content, max_depth=limits.depth)


def _object(document: Document, what: str, limits: Limits) -> dict[str, msgspec.Raw]:
    if not isinstance(_read(document.content, limits), dict):
        raise BadRequest(f"{what} is not a JSON object.", pointer="")
    return _members.decode(document.content)


def _written(members: Mapping[str, msgspec.Raw], limits: Limits) -> bytes:
    content = b"{%b}" % b",".join(b"%b:%b" % (orjson.dumps(key), bytes(value)) for key, value in members.items())
    if len(content) > limits.size:
        raise TooLarge(f"Merged, the document would have {len(content)} bytes; this server takes {limits.size}.")
    if most_values(content) > MAX_VALUES:
        raise TooLarge(f"Merged, the document would hold more than {MAX_VALUES} values.")
    return content
