"""What a statement says, as 32 bytes: equal for two statements exactly if xAPI counts them as the same (xAPI Data 2.3.1 and 4.2).

Left out is what the LRS sets or may change (id, authority, stored, version, a timestamp nobody sent) and what is not part of a statement
(verb displays, activity definitions). Numbers compare by value, whole ones within 64 bits exactly and others as doubles; Group members in any order.
"""
import hashlib
from typing import Any

import orjson

from services.core.actor import canonical_mailbox, ifi
from services.core.syntax import timestamp

VERSION = 1
"""The version of the canonical form: stored fingerprints of another version do not compare."""

_SET_BY_LRS = frozenset({"id", "authority", "stored", "version"})


def fingerprint(statement: dict[str, Any]) -> bytes:
    """Return the SHA-256 sum of the canonical form of a valid statement."""
    return hashlib.sha256(orjson.dumps(canonical(statement), option=orjson.OPT_SORT_KEYS)).digest()


def canonical(statement: dict[str, Any]) -> dict[str, Any]:
    """Return the canonical form of a valid statement or SubStatement; what it shares with the statement must not be changed."""
    form: dict[str, Any] = {}
    for key, value in statement.items():
        if key == "timestamp":
            form[key] = _moment(value)
        elif key not in _SET_BY_LRS:
            form[key] = _FORMS[key](value) if key in _FORMS else value
    return form


def _moment(text: str) -> list[Any]:
    """Return the instant of a timestamp, and what is finer than microseconds."""
    fraction = text.replace(",", ".").partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return [timestamp(text), digits[6:].rstrip("0")]


def _actor(agent: dict[str, Any]) -> dict[str, Any]:
    form = {**agent, "objectType": agent.get("objectType", "Agent")}
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


def _verb(verb: dict[str, Any]) -> dict[str, Any]:
    return {"id": verb["id"]}


def _language_map(texts: dict[str, Any]) -> dict[str, Any]:
    return {tag.lower(): text for tag, text in texts.items()}


def _activities(groups: dict[str, Any]) -> dict[str, Any]:
    return {key: [_activity(one) for one in (given if isinstance(given, list) else [given])] for key, given in groups.items()}


def _participants(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: _actor(value) if key in ("agent", "group") else value for key, value in entry.items()} for entry in entries]


def _context(context: dict[str, Any]) -> dict[str, Any]:
    return {key: _CONTEXT_FORMS[key](value) if key in _CONTEXT_FORMS else value for key, value in context.items()}


def _attachments(attachments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: _ATTACHMENT_FORMS[key](value) if key in _ATTACHMENT_FORMS else value for key, value in one.items()} for one in attachments]


def _number(value: Any) -> Any:
    """Return the value with each number in one spelling: 1, 1.0 and 1e0 are the same; the values of text are left alone."""
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    if type(value) is dict:
        return {key: _number(member) for key, member in value.items()}
    if type(value) is list:
        return [_number(member) for member in value]
    return value


_CONTEXT_FORMS: dict[str, Any] = {
    "registration": str.lower, "instructor": _actor, "team": _actor, "contextActivities": _activities, "language": str.lower, "statement": _ref,
    "contextAgents": _participants, "contextGroups": _participants, "extensions": _number,
}
_ATTACHMENT_FORMS: dict[str, Any] = {"display": _language_map, "description": _language_map, "length": _number, "sha2": str.lower}
_FORMS: dict[str, Any] = {"actor": _actor, "verb": _verb, "object": _object, "result": _number, "context": _context, "attachments": _attachments}
