"""The address that people see, when it is not the one this process listens on: behind a proxy that ends TLS, on another port, or under a path.

Only what trusted proxies say of a request is believed. Whoever makes a link within the installation asks `public_path`.
"""
import ipaddress
import re
from collections.abc import Mapping
from contextvars import ContextVar
from urllib.parse import urlsplit

from services.runtime.http import App, Receive, Scope, Send
from services.runtime.settings import Settings

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,10}/?")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_MOST = 4096
"""How many characters of such a header are read, from its end: what proxies add stands at the right."""
_prefix: ContextVar[str] = ContextVar("the public path of the request", default="")


def public_path(path: str) -> str:
    """Return a path of this installation as whoever sent the current request has to ask for it: under the path it is served at."""
    return _prefix.get() + path


class Front:
    """The outermost layer: takes the public path off what comes in, and gives client, scheme and host as trusted proxies tell them."""

    def __init__(self, app: App, settings: Settings) -> None:
        """`app` is what it surrounds."""
        self._app, self._trusted = app, trusted(settings.trusted_proxies)
        self._prefix = urlsplit(settings.public_url or "").path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        if scope["type"] != "http" or not (self._trusted or self._prefix):
            await self._app(scope, receive, send)
            return
        prefix = self._prefix
        if self._trusted and is_trusted(scope["client"], self._trusted):
            scope, told = forwarded(scope, self._trusted)
            prefix = prefix if told is None else told
        path: str = scope["path"]
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path[len(prefix):] or "/"
            scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")}
        before = _prefix.set(prefix)
        try:
            await self._app(scope, receive, send)
        finally:
            _prefix.reset(before)


def trusted(text: str) -> tuple[_Network, ...]:
    """Return the networks that a comma-separated list names. Raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(each.strip(), strict=False) for each in text.split(",") if each.strip())


def is_trusted(client: tuple[str, int] | None, networks: tuple[_Network, ...]) -> bool:
    """Return whether the other side of a connection is in one of `networks`."""
    return client is not None and (found := _address(client[0])) is not None and any(found in network for network in networks)


def forwarded(scope: Scope, networks: tuple[_Network, ...]) -> tuple[Scope, str | None]:
    """Return a request as the outermost trusted proxy got it, and the public path it was sent to, None if no proxy says.

    Every proxy adds itself at the right; what stands left of the first that is not trusted was made up by anybody. `X-Forwarded-*` wins over `Forwarded`.
    """
    said: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name.startswith((b"x-forwarded-", b"forwarded")):
            said[name] = f"{said[name]},{value.decode('latin-1')}" if name in said else value.decode("latin-1")
    said = {name: _end(value) for name, value in said.items()}
    hops, protos, hosts = _x_forwarded(said) if any(name != b"forwarded" for name in said) else _forwarded(said.get(b"forwarded", ""))
    client, back = scope["client"], 0
    for back, hop in enumerate(reversed(hops), 1):  # noqa: B007 - how far back the client is counts below
        client = (hop, 0) if _address(hop) is not None else client
        if not is_trusted((hop, 0), networks):
            break
    headers = scope["headers"]
    host = _at(hosts, back)
    if host is not None and _HOST.fullmatch(host):
        headers = [*((name, value) for name, value in headers if name != b"host"), (b"host", host.encode())]
    proto = (_at(protos, back) or "").lower()
    prefix = said.get(b"x-forwarded-prefix", "").rpartition(",")[2].strip()
    scheme = proto if proto in {"http", "https"} else scope["scheme"]
    return {**scope, "client": client, "scheme": scheme, "headers": headers}, prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else None


_Told = tuple[list[str], list[str], list[str]]
"""For each proxy, the outermost first: the address it was called from, and the scheme and the host it was called by."""


def _x_forwarded(said: Mapping[bytes, str]) -> _Told:
    hosts, port = _items(said.get(b"x-forwarded-host", "")), said.get(b"x-forwarded-port", "").strip()
    if port.isdigit() and port not in {"80", "443"}:
        hosts = [host if ":" in host else f"{host}:{port}" for host in hosts]
    return [_bare(hop) for hop in _items(said.get(b"x-forwarded-for", ""))], _items(said.get(b"x-forwarded-proto", "")), hosts


def _forwarded(text: str) -> _Told:
    """Read the header of RFC 7239."""
    elements = [
        {name.strip().lower(): value.strip().strip('"') for name, equals, value in (pair.partition("=") for pair in element.split(";")) if equals}
        for element in text.split(",")]
    return (
        [_bare(element["for"]) for element in elements if "for" in element], [element["proto"] for element in elements if "proto" in element],
        [element["host"] for element in elements if "host" in element])


def _end(value: str) -> str:
    """Return the items at the end of a list that together are not too long to read."""
    return value if len(value) <= _MOST else value[-_MOST:].partition(",")[2]


def _at(told: list[str], back: int) -> str | None:
    """Return what the proxy that is `back` steps away says, else the last that says anything so far out."""
    return told[-min(max(back, 1), len(told))] if told else None


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _bare(hop: str) -> str:
    """Return the address of `192.0.2.1:80`, `[2001:db8::1]:80` or an address alone."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
