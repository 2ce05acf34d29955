"""The alternate request syntax of xAPI 1.0.3 (Communication 1.3): a POST of a form that stands for another request. xAPI 2.0 has it no more.

Old browsers could not send other methods, headers or long addresses; some players of courses still do not. A form may be three times as large as what it
holds, so a large one is decoded for those alone who have a key, and a very large one read for those alone who show it in their head; no form costs much
more than its reading.
"""
import asyncio
import binascii
import codecs
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from services.core.errors import BadRequest, LrsError, TooLarge
from services.runtime.http import Receive, Scope, headers_of, parse_query, read_body, xapi_version

_FORM = b"application/x-www-form-urlencoded"
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_HEADERS = {name.lower(): name.lower().encode() for name in (
    "Authorization", "X-Experience-API-Version", "Content-Type", "If-Match", "If-None-Match", "Accept-Language", "Content-Length",
)}
_PAIR = re.compile(rb"[^&]+")
_STRAY = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_AS_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")
_MAX_FIELDS = 50
_UNSHOWN = 1 << 20
"""Bytes of a form without an Authorization header: who sends it can only be said inside it, so anybody may have it read."""
_SMALL = 64 << 10
"""Bytes of a form that is decoded for anybody. In a larger one everything but `content` has no more."""
_SLICE = 256 << 10
_MAX_UNENCODED = 10_000
_BODY_S = 30.0


def is_alternate(scope: Scope) -> bool:
    """Return whether a request stands for another one: a POST to /xapi with the parameter `method`, not said to be of xAPI 2.0."""
    if scope["method"] != "POST" or not any(pair.startswith(b"method=") for pair in scope["query_string"].split(b"&")):
        return False
    version = headers_of(scope).get(b"x-experience-api-version", b"")
    return not version.strip().startswith(b"2.")


async def stands_for(scope: Scope, receive: Receive, limit: int, recognise: Callable[[bytes | None], Awaitable[object]]) -> tuple[Scope, Receive]:
    """Return the request that this one stands for; its content may have `limit` bytes. Raises BadRequest, TooLarge, TooSlow or Disconnected.

    `recognise` raises for an Authorization header that opens nothing: that of a large form goes to it before the form is read, and before its content is
    decoded. Who may do what is for the resource to say.
    """
    method, headers = _head(scope)
    declared = headers.get(b"content-length")
    shown = headers.get(b"authorization")
    if shown and not (declared is not None and declared.isdigit() and int(declared[:20]) <= _SMALL):
        await recognise(shown)
    raw = await _form(receive, declared, 3 * limit + (64 << 10), shown=bool(shown))
    form, content = _fields(raw)
    if content is None and method in {"PUT", "POST"}:
        raise BadRequest("The field `content` is missing: it holds the body of the request that this form stands for.")
    del headers[b"content-type"]
    headers |= {_HEADERS[name.lower()]: value.encode("latin-1", "replace") for name, value in form.items() if name.lower() in _HEADERS}
    if _version(headers) == "2.0.0":
        raise BadRequest("xAPI 2.0 has no alternate request syntax.")
    if len(raw) > _SMALL:
        await recognise(headers.get(b"authorization"))
    body = b"" if content is None else await _decoded(raw, *content)
    headers[b"content-length"] = b"%d" % len(body)
    headers.pop(b"transfer-encoding", None)
    if content is not None:
        headers.setdefault(b"content-type", b"application/json")
    query = urlencode({name: value for name, value in form.items() if name.lower() not in _HEADERS}).encode()
    return {**scope, "method": method, "query_string": query, "headers": list(headers.items())}, _replay(body, receive)


async def _form(receive: Receive, declared: bytes | None, limit: int, *, shown: bool) -> bytes:
    try:
        return await read_body(receive, declared, limit=limit if shown else min(limit, _UNSHOWN), deadline_s=_BODY_S)
    except TooLarge as error:
        if shown:
            raise
        raise TooLarge(f"{error.detail} A form with its Authorization in its head may have more.") from error


def _head(scope: Scope) -> tuple[str, dict[bytes, bytes]]:
    """Return the method that a form stands for, and the headers that it came with."""
    parameters = parse_query(scope["query_string"])
    method = parameters.pop("method", "").upper()
    if parameters or method not in _METHODS:
        raise BadRequest("A request in the alternate syntax has the one query parameter `method`, a method of HTTP; all others are in its form.")
    headers = headers_of(scope)
    if headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower() != _FORM:
        raise BadRequest("A request in the alternate syntax is a form, as application/x-www-form-urlencoded.")
    return method, headers


def _version(headers: dict[bytes, bytes]) -> str | None:
    """Return the version of the request; None when it has none that is known, which its resource refuses."""
    try:
        return xapi_version(headers.get(b"x-experience-api-version", b"").decode("latin-1"))
    except LrsError:
        return None


def _fields(form: bytes) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Return the fields of a form but `content`, and from where to where in the form its value stands, which is not decoded here."""
    found: dict[str, str] = {}
    content, left = None, _SMALL
    if len(form.split(b"&", _MAX_FIELDS)) > _MAX_FIELDS:
        raise BadRequest(f"The form has more than {_MAX_FIELDS} fields.")
    for pair in _PAIR.finditer(form):
        start, end = pair.span()
        equals = form.find(b"=", start, end)
        name_end = end if equals < 0 else equals
        left -= name_end - start
        name = _text(form[start:name_end]) if left >= 0 else ""
        if name != "content":
            left -= end - name_end
        if left < 0:
            raise BadRequest(f"The fields of the form other than `content` have more than {_SMALL} bytes.")
        if name in found or (name == "content" and content is not None):
            raise BadRequest("A field of the form is given twice.")
        if name == "content":
            content = min(name_end + 1, end), end
        else:
            found[name] = _text(form[name_end + 1:end])
    return found, content


def _text(encoded: bytes) -> str:
    try:
        return _unquoted(encoded).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The form is not UTF-8.") from error


async def _decoded(form: bytes, at: int, end: int) -> bytes:
    """Return the value that stands from `at` to `end`, which is UTF-8. Others have their turn after each slice of it."""
    slices: list[bytes] = []
    characters = codecs.getincrementaldecoder("utf-8")()
    try:
        while at < end:
            until = min(at + _SLICE, end)
            if until < end and (cut := form.rfind(b"%", until - 2, until)) >= 0:
                until = cut
            slices.append(_unquoted(form[at:until]))
            characters.decode(slices[-1])
            at = until
            if at < end:
                await asyncio.sleep(0)
        characters.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadRequest("The form is not UTF-8.") from error
    return b"".join(slices)


def _unquoted(encoded: bytes) -> bytes:
    """Return what a percent-encoded text stands for; a percent sign that encodes nothing is itself.

    urllib makes two objects for each percent sign. Quoted-printable is the same with another sign, and its decoder makes none; but it would take a sign
    that stands alone for another one, so these are encoded first, of which there may be no more than a client forgets.
    """
    escaped, strays = _STRAY.subn(b"%25", encoded, count=_MAX_UNENCODED)
    if strays + encoded.count(b"=") >= _MAX_UNENCODED:
        raise BadRequest("The form is not percent-encoded: too many of its characters stand for themselves that must not.")
    return binascii.a2b_qp(escaped.replace(b"=", b"%3D").translate(_AS_QUOTED_PRINTABLE))


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> dict[str, object]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
