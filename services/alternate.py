"""The alternate request syntax of xAPI 1.0.3 (Communication 1.3): a POST of a form that stands for another request. xAPI 2.0 has it no more.

Old browsers could not send other methods, headers or long addresses; some players of courses still do not.
"""
from urllib.parse import unquote_to_bytes, urlencode

from services.core.errors import BadRequest, LrsError
from services.runtime.http import Receive, Scope, headers_of, parse_query, read_body, xapi_version

_FORM = b"application/x-www-form-urlencoded"
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_HEADERS = {name.lower(): name.lower().encode() for name in (
    "Authorization", "X-Experience-API-Version", "Content-Type", "If-Match", "If-None-Match", "Accept-Language", "Content-Length",
)}
_MAX_FIELDS = 50
_BODY_S = 30.0


def is_alternate(scope: Scope) -> bool:
    """Return whether a request stands for another one: a POST to /xapi with the parameter `method`, not said to be of xAPI 2.0."""
    if scope["method"] != "POST" or not any(pair.startswith(b"method=") for pair in scope["query_string"].split(b"&")):
        return False
    version = headers_of(scope).get(b"x-experience-api-version", b"")
    return not version.strip().startswith(b"2.")


async def stands_for(scope: Scope, receive: Receive, limit: int) -> tuple[Scope, Receive]:
    """Return the request that this one stands for; its content may have `limit` bytes. Raises BadRequest, TooLarge, TooSlow or Disconnected."""
    parameters = parse_query(scope["query_string"])
    method = parameters.pop("method", "").upper()
    if parameters or method not in _METHODS:
        raise BadRequest("A request in the alternate syntax has the one query parameter `method`, a method of HTTP; all others are in its form.")
    headers = headers_of(scope)
    if headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower() != _FORM:
        raise BadRequest("A request in the alternate syntax is a form, as application/x-www-form-urlencoded.")
    form = _fields(await read_body(receive, headers.get(b"content-length"), limit=3 * limit + (64 << 10), deadline_s=_BODY_S))
    content = form.pop("content", None)
    if content is None and method in {"PUT", "POST"}:
        raise BadRequest("The field `content` is missing: it holds the body of the request that this form stands for.")
    del headers[b"content-type"]
    headers |= {_HEADERS[name.lower()]: value.encode("latin-1", "replace") for name, value in form.items() if name.lower() in _HEADERS}
    if _version(headers) == "2.0.0":
        raise BadRequest("xAPI 2.0 has no alternate request syntax.")
    body = (content or "").encode()
    headers[b"content-length"] = b"%d" % len(body)
    headers.pop(b"transfer-encoding", None)
    if content is not None:
        headers.setdefault(b"content-type", b"application/json")
    query = urlencode({name: value for name, value in form.items() if name.lower() not in _HEADERS}).encode()
    return {**scope, "method": method, "query_string": query, "headers": list(headers.items())}, _replay(body, receive)


def _version(headers: dict[bytes, bytes]) -> str | None:
    """Return the version of the request; None when it has none that is known, which its resource refuses."""
    try:
        return xapi_version(headers.get(b"x-experience-api-version", b"").decode("latin-1"))
    except LrsError:
        return None


def _fields(body: bytes) -> dict[str, str]:
    pairs = [pair.split(b"=", 1) for pair in body.split(b"&", _MAX_FIELDS) if pair]
    if len(pairs) > _MAX_FIELDS:
        raise BadRequest(f"The form has more than {_MAX_FIELDS} fields.")
    try:
        fields = [[unquote_to_bytes(part.replace(b"+", b" ")).decode() for part in (*pair, b"")[:2]] for pair in pairs]
    except UnicodeDecodeError as error:
        raise BadRequest("The form is not UTF-8.") from error
    found = dict(fields)
    if len(found) != len(fields):
        raise BadRequest("A field of the form is given twice.")
    return found


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> dict[str, object]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
