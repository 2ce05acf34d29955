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


_GRANTED_BY = {wanted: frozenset({wanted, *(scope for scope, implied in _IMPLIED.items() if wanted in implied)}) for wanted in KNOWN}
_NOTHING: frozenset[str] = frozenset()


def grants(held: "frozenset[str] | list[str] | tuple[str, ...]", wanted: str) -> bool:
    """Return whether a credential that carries the scopes `held` may do what `wanted` allows. A scope nobody knows is granted by none."""
    return not _GRANTED_BY.get(wanted, _NOTHING).isdisjoint(held)
