"""Actors by their inverse functional identifier (IFI): its one canonical text, the identity behind it, and the way back to xAPI JSON."""
import hashlib
from typing import Any

import orjson

_PLACEHOLDER_MAILBOX = "unknown@example.com"
_PLACEHOLDER_NAMES = frozenset({"", "anonymous"})


def ifi(agent: dict[str, Any]) -> str | None:
    """Return the canonical text of the IFI of a valid Agent or Group, or None if it has none (an anonymous Group).

    `mbox:mailto:…` (domain in lower case), `sha1:…` (lower case), `openid:…`, or `account:HOMEPAGE NAME` (a home page holds no blank).
    """
    if (account := agent.get("account")) is not None:
        return f"account:{account['homePage']} {account['name']}"
    if (mbox := agent.get("mbox")) is not None:
        return "mbox:" + canonical_mailbox(mbox)
    if (sha1 := agent.get("mbox_sha1sum")) is not None:
        return "sha1:" + str(sha1).lower()
    if (openid := agent.get("openid")) is not None:
        return f"openid:{openid}"
    return None


def canonical_mailbox(mbox: str) -> str:
    """Return a `mailto:` IRI with its domain in lower case; the local part may be case-sensitive and stays."""
    local, at, domain = mbox.rpartition("@")
    return local + at + domain.lower()


def identity(ifi_text: str) -> str | None:
    """Return the canonical IFI that stands for the same person whichever way it was sent: a mailbox is its SHA-1 sum.

    None for placeholders that stand for many people.
    """
    kind, _, value = ifi_text.partition(":")
    if kind == "mbox":
        kind, value = "sha1", hashlib.sha1(value.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    if kind == "sha1" and value in _PLACEHOLDER_SUMS:
        return None
    if kind == "account" and value.partition(" ")[2].strip().lower() in _PLACEHOLDER_NAMES:
        return None
    return f"{kind}:{value}"


def agent_of(ifi_text: str) -> dict[str, Any]:
    """Return the xAPI Agent that carries this canonical IFI and nothing else. Raises ValueError if it is not a canonical IFI."""
    kind, colon, value = ifi_text.partition(":")
    if colon and kind == "account":
        home_page, _, name = value.partition(" ")
        return {"objectType": "Agent", "account": {"homePage": home_page, "name": name}}
    if not colon or kind not in _MEMBERS:
        raise ValueError(f"not a canonical IFI: {ifi_text!r}")
    return {"objectType": "Agent", _MEMBERS[kind]: value}


def authority_text(agent: dict[str, Any]) -> str:
    """Return the canonical text of an authority: its IFI, or for an anonymous Group (OAuth) `group:` and its members' IFIs, sorted, as JSON."""
    if (text := ifi(agent)) is not None:
        return text
    members = sorted(ifi(member) or "" for member in agent.get("member", ()))
    return "group:" + orjson.dumps(members).decode()


_MEMBERS = {"mbox": "mbox", "sha1": "mbox_sha1sum", "openid": "openid"}
# Some senders hash the bare address instead of the mailto: IRI; either sum of a placeholder is a placeholder.
_PLACEHOLDER_SUMS = frozenset(
    hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for text in (_PLACEHOLDER_MAILBOX, "mailto:" + _PLACEHOLDER_MAILBOX)
)
