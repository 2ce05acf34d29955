"""Bodies in multipart/mixed as clients write them, and answers as an independent reader (the standard library's, of mail) understands them."""
import email
import email.policy
import hashlib
from typing import Any

import httpx
import orjson

BOUNDARY = "-------314159265358979323846"
MULTIPART = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
JSON_PART = {"Content-Type": "application/json"}


def sha2(content: bytes) -> str:
    """Return the SHA-256 of content."""
    return hashlib.sha256(content).hexdigest()


def attachment(content: bytes, **changes: Any) -> dict[str, Any]:
    """Return an attachment as it stands in a statement, without fileUrl; a member that is None is left out."""
    made = {"usageType": "http://example.org/attachments/essay", "display": {"en": "an essay"}, "contentType": "text/plain", "length": len(content),
            "sha2": sha2(content), **changes}
    return {name: value for name, value in made.items() if value is not None}


def part(content: bytes, **headers: str | None) -> tuple[dict[str, str], bytes]:
    """Return the part of an attachment; headers as keywords (`Content_Type`) replace the usual ones, None leaves one out."""
    usual: dict[str, str | None] = {"Content-Type": "text/plain", "Content-Transfer-Encoding": "binary", "X-Experience-API-Hash": sha2(content)}
    given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    return {name: value for name, value in given.items() if value is not None}, content


def multipart(statements: Any, *parts: tuple[dict[str, str], bytes], first: dict[str, str] | None = None) -> bytes:
    """Return a body: statements (bytes, or what becomes JSON), then parts."""
    body = statements if isinstance(statements, bytes) else orjson.dumps(statements)
    written = bytearray()
    for headers, content in ((JSON_PART if first is None else first, body), *parts):
        written += f"--{BOUNDARY}\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + content + b"\r\n"
    return bytes(written) + f"--{BOUNDARY}--\r\n".encode()


def read_answer(content_type: str, content: bytes) -> tuple[Any, list[tuple[dict[str, str], bytes]]]:
    """Return the JSON of an answer in multipart/mixed, and (headers, content) of its other parts."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + content, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/mixed"
    assert not message.defects
    parts = [({name: str(value) for name, value in each.items()}, _bytes(each)) for each in message.walk() if not each.is_multipart()]
    assert parts[0][0] == JSON_PART
    return orjson.loads(parts[0][1]), parts[1:]


def _bytes(message: Any) -> bytes:
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def parts_of(answer: httpx.Response) -> tuple[Any, list[tuple[dict[str, str], bytes]]]:
    """Return what `read_answer` does, of a response that must be good."""
    assert answer.status_code == 200, answer.text
    return read_answer(answer.headers["Content-Type"], answer.content)
