"""What a statement says, as 32 bytes: equal for two statements exactly if xAPI counts them as the same (xAPI Data 2.3.1 and 4.2).

Left out is what the LRS sets or may change (id, authority, stored, version, a timestamp nobody sent) and what is not part of a statement
(verb displays, activity definitions). Numbers compare by value, whole ones within 64 bits exactly and others as doubles; Group members in any order.
"""
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from services.core.actor import canonical_mailbox, ifi
from services.core.syntax import timestamp
from services.core.timeline import micros

VERSION = 1
"""The version of the canonical form: stored fingerprints of another version do not compare."""

_SET_BY_LRS = ("id", "authority", "stored", "version")


def fingerprint(statement: dict[str, Any]) -> bytes:
    """Return the SHA-256 sum of the canonical form of a valid statement."""
    return hashlib.sha256(orjson.dumps(canonical(statement), option=orjson.OPT_SORT_KEYS)).digest()


def canonical(statement: dict[str, Any]) -> dict[str, Any]:
    """Return the canonical form of a valid statement or SubStatement; what it shares with the statement must not be changed."""
    form = statement.copy()
    for key in _SET_BY_LRS:
        if key in form:
            del form[key]
    form["actor"], form["verb"], form["object"] = _actor(form["actor"]), {"id": form["verb"]["id"]}, _object(form["object"])
    if "result" in form:
        form["result"] = _number(form["result"])
    if "context" in form:
        form["context"] = _context(form["context"])
    if "timestamp" in form:
        form["timestamp"] = _moment(form["timestamp"])
    if "attachments" in form:
        form["attachments"] = _attachments(form["attachments"])
    return form


def _moment(text: str) -> list[Any]:
    """Return the instant of a valid timestamp, and what is finer than microseconds."""
    size = len(text)
    if (size <= 27 and text[-1] == "Z") or (size <= 32 and text[-3] == ":" and text[-6] in "+-"):  # no room for a seventh digit
        try:
            return [micros(datetime.fromisoformat(text)), ""]
        except ValueError:
            pass  # a leap second, say: the slower reader knows them all
    fraction = text.replace(",", ".").partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return [timestamp(text), digits[6:].rstrip("0")]


def _actor(agent: dict[str, Any]) -> dict[str, Any]:
    form = {"objectType": "Agent", **agent}
    if "mbox" in form:
        form["mbox"] = canonical_mailbox(form["mbox"])
    elif "mbox_sha1sum" in form:
        form["mbox_sha1sum"] = form["mbox_sha1sum"].lower()
    if "member" in form:
        members = [_actor(member) for member in form["member"]]
        form["member"] = sorted(members, key=lambda member: (ifi(member) or "", member.get("name", "")))
    return form


def _object(thing: dict[str, Any]) -> dict[str, Any]:
    kind = thing.get("objectType", "Activity")
    if kind == "Activity":
        return _activity(thing)
    if kind == "StatementRef":
        return _ref(thing)
    return canonical(thing) if kind == "SubStatement" else _actor(thing)


def _activity(activity: dict[str, Any]) -> dict[str, Any]:
    return {"objectType": "Activity", "id": activity["id"]}


def _ref(ref: dict[str, Any]) -> dict[str, Any]:
    return {"objectType": "StatementRef", "id": ref["id"].lower()}


def _language_map(texts: dict[str, Any]) -> dict[str, Any]:
    return {tag.lower(): text for tag, text in texts.items()}


def _activities(groups: dict[str, Any]) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for key, given in groups.items():
        form[key] = [{"objectType": "Activity", "id": one["id"]} for one in (given if type(given) is list else (given,))]
    return form


def _participants(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: _actor(value) if key in ("agent", "group") else value for key, value in entry.items()} for entry in entries]


def _context(context: dict[str, Any]) -> dict[str, Any]:
    form = context.copy()
    for key, of in _CONTEXT_FORMS:
        if key in form:
            form[key] = of(form[key])
    return form


def _attachments(attachments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: _ATTACHMENT_FORMS[key](value) if key in _ATTACHMENT_FORMS else value for key, value in one.items()} for one in attachments]


def _number(value: Any) -> Any:
    """Return the value with each number in one spelling: 1, 1.0 and 1e0 are the same; the values of text are left alone."""
    if type(value) is dict:
        form = value
        for key, member in value.items():
            if type(member) not in _SETTLED and (settled := _number(member)) is not member:
                form = value.copy() if form is value else form
                form[key] = settled
        return form
    if type(value) is list:
        return [_number(member) for member in value]
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return value


_SETTLED = frozenset({str, int, bool, type(None)})
"""Types whose values have one spelling."""
_CONTEXT_FORMS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("registration", str.lower), ("instructor", _actor), ("team", _actor), ("contextActivities", _activities), ("language", str.lower),
    ("statement", _ref), ("contextAgents", _participants), ("contextGroups", _participants), ("extensions", _number),
)
_ATTACHMENT_FORMS: dict[str, Any] = {"display": _language_map, "description": _language_map, "length": _number, "sha2": str.lower}
