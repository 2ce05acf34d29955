"""Scopes: who may do what. The xAPI ones mean exactly what xAPI Communication 4.2 says and imply none of ours."""

XAPI = frozenset({"statements/write", "statements/read/mine", "statements/read", "state", "define", "profile", "all/read", "all"})
OURS = frozenset({"lrs:read", "lrs:link", "lrs:void", "lrs:assure", "lrs:manage", "lrs:admin"})
KNOWN = XAPI | OURS
DEFAULT = ("statements/write", "statements/read/mine")

_IMPLIED: dict[str, frozenset[str]] = {
    "lrs:admin": KNOWN,
    "all": XAPI,
    "all/read": frozenset({"statements/read", "statements/read/mine"}),
    "statements/read": frozenset({"statements/read/mine"}),
}


def grants(held: "frozenset[str] | list[str] | tuple[str, ...]", wanted: str) -> bool:
    """Return whether a credential that carries the scopes `held` may do what `wanted` allows."""
    return any(scope == wanted or wanted in _IMPLIED.get(scope, ()) for scope in held)
