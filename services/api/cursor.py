"""Where a page ended, as an opaque text that only this installation can have made and that is good for one caller and one question alone."""
import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from services.core.errors import BadRequest
from services.core.keys import KeyedHash
from services.runtime.callers.auth import Caller
from services.runtime.forwarded import public_path

_MAC_BYTES = 16
_MAX_TEXT = 1024
_INVALID = "This is not a place to go on from that was given to this API key for this question. Begin again without it."
Place = tuple[int | str, ...]


class Cursors:
    """Makes and checks cursors: a MAC binds each to tenant, credential, path and parameters, and to what the caller may see (OWASP API1)."""

    def __init__(self, hashes: KeyedHash) -> None:
        """`hashes` are keyed with the secret that all nodes share."""
        self._hashes = hashes

    def url(self, name: str, caller: Caller, path: str, params: Mapping[str, str], place: Place, *, view: str = "") -> str:
        """Return the path-absolute URL of the page after `place`: the same question, and the cursor in the parameter `name`."""
        question = {key: value for key, value in params.items() if key != name}
        message = msgspec.msgpack.encode(place)
        mac = self._mac(caller, path, question, view, message)
        return f"{public_path(path)}?{urlencode({**question, name: base64.urlsafe_b64encode(mac + message).rstrip(b'=').decode()})}"

    def place(self, name: str, caller: Caller, path: str, params: Mapping[str, str], *, view: str = "") -> Sequence[int | str] | None:
        """Return the place in the parameter `name`, None when there is none. Raises BadRequest for one made by others or for another question."""
        text = params.get(name)
        if text is None:
            return None
        whole = _decoded(text)
        mac, message = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
        question = {key: value for key, value in params.items() if key != name}
        if not hmac.compare_digest(mac, self._mac(caller, path, question, view, message)):
            raise BadRequest(_INVALID)
        return msgspec.msgpack.decode(message, type=list[int | str])

    def _mac(self, caller: Caller, path: str, question: Mapping[str, str], view: str, message: bytes) -> bytes:
        bound = (caller.tenant, caller.key, view, path, sorted(question.items()))
        return self._hashes.mac("cursor", msgspec.msgpack.encode((bound, message)))


def _decoded(text: str) -> bytes:
    if len(text) > _MAX_TEXT:
        raise BadRequest(_INVALID)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(_INVALID) from error
