"""A site beside the LRS, as an LMS or a publisher has one: pages, the scripts they load, and the fetch URL of a cmi5 launch."""
import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


class Site:
    """Serves `pages` at /, `packages` at /packages/, and at POST /fetch the credential: once, as cmi5 says (8.1.1)."""

    def __init__(self, pages: Path, packages: Path, credential: str) -> None:
        """`credential` is key:secret."""
        self._pages, self._packages = pages.resolve(), packages.resolve()
        self._token: str | None = base64.b64encode(credential.encode()).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The origin; its host is another than the LRS's too."""
        return f"http://localhost:{self._server.server_port}"

    def take_token(self) -> dict[str, str]:
        """Return what the fetch URL answers: the token, and an error from the second time on."""
        token, self._token = self._token, None
        return {"error-code": "1", "error-text": "The token was handed out already."} if token is None else {"auth-token": token}

    def file(self, path: str) -> Path | None:
        """Return the file a path means, None if there is none."""
        root, name = (self._packages, path.removeprefix("/packages/")) if path.startswith("/packages/") else (self._pages, path.lstrip("/"))
        found = (root / name).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = site.file(urlsplit(self.path).path)
                if found is None:
                    self._answer(404, "text/plain", b"")
                else:
                    self._answer(200, _TYPES.get(found.suffix, "application/octet-stream"), found.read_bytes())

            def do_POST(self) -> None:
                self._answer(200, "application/json", json.dumps(site.take_token()).encode())

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
