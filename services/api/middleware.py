"""Around every route: HEAD is a GET without its body, and each answer is counted by its route."""
import time

from services.runtime.http import App, Receive, Scope, Send
from services.runtime.telemetry import observe_http


class Around:
    """The outermost layer of the api."""

    def __init__(self, app: App) -> None:
        """`app` is what it surrounds."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, and count it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method: str = scope["method"]
        inner = {**scope, "method": "GET" if method == "HEAD" else method, "head": method == "HEAD"}
        status, started = 500, time.perf_counter()

        async def sent(message: dict[str, object]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(inner, receive, sent)
        finally:
            route = inner.get("route")
            observe_http(getattr(route, "path", "none"), method if method in _METHODS else "other", status, time.perf_counter() - started)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
