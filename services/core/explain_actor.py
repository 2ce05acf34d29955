"""What is wrong with an Agent or a Group (xAPI Data 2.4.2), wherever it stands."""
from typing import Any

from services.core import syntax
from services.core.explain_shapes import Check, Fault, array_of, iri, one_of, record, text, text_that

IFIS = ("mbox", "mbox_sha1sum", "openid", "account")

account = record({"homePage": iri, "name": text}, required=("homePage", "name"))
_IDENTIFIERS: dict[str, Check] = {
    "mbox": text_that(syntax.is_mailbox, "mailto: and one e-mail address"),
    "mbox_sha1sum": text_that(syntax.is_sha1, "a SHA-1 sum: 40 hexadecimal digits"),
    "openid": iri,
    "account": account,
}


def _identifiers(value: dict[str, Any]) -> list[str]:
    return [name for name in IFIS if name in value]


def _exactly_one(value: Any, pointer: str) -> list[Fault]:
    found = _identifiers(value)
    if len(found) == 1 or value.get("objectType", "Agent") != "Agent":  # then the type is what is wrong
        return []
    so = f"has {' and '.join(found)}" if found else "has none"
    return [Fault(pointer, f"an Agent needs exactly one of {', '.join(IFIS)}, and this one {so}")]


def _one_or_members(value: Any, pointer: str) -> list[Fault]:
    found = _identifiers(value)
    if len(found) > 1:
        return [Fault(pointer, f"a Group may have one of {', '.join(IFIS)}, and this one has {' and '.join(found)}")]
    if not found and "member" not in value:
        return [Fault(pointer, f"a Group needs one of {', '.join(IFIS)}, or else member")]
    return []


def _two_members(value: Any, pointer: str) -> list[Fault]:
    if _identifiers(value):
        return [Fault(pointer, "an authority that is a Group must be anonymous")]
    members = value.get("member")
    if isinstance(members, list) and len(members) != 2:
        return [Fault(f"{pointer}/member", "an authority that is a Group has exactly two members")]
    return _one_or_members(value, pointer)


agent = record({"objectType": one_of("Agent"), "name": text, **_IDENTIFIERS}, also=_exactly_one)
_GROUP: dict[str, Check] = {"objectType": one_of("Group"), "name": text, **_IDENTIFIERS, "member": array_of(agent)}
group = record(_GROUP, required=("objectType",), also=_one_or_members)
_authority_group = record(_GROUP, required=("objectType",), also=_two_members)


def _is_group(value: Any) -> bool:
    return isinstance(value, dict) and value.get("objectType") == "Group"


def actor(value: Any, pointer: str) -> list[Fault]:
    """An Agent, or a Group that says so."""
    return group(value, pointer) if _is_group(value) else agent(value, pointer)


def authority(value: Any, pointer: str) -> list[Fault]:
    """An Agent, or an anonymous Group of two (OAuth)."""
    return _authority_group(value, pointer) if _is_group(value) else agent(value, pointer)
