"""What is logged, and what strangers cannot have logged."""
import logging

from services.runtime.telemetry import configure_logging


def test_a_stranger_who_sends_no_http_is_not_logged() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    uvicorn = logging.getLogger("uvicorn.error")
    try:
        configure_logging("web")
        seen: list[str] = []
        root.handlers[:] = [_Kept(seen)]
        uvicorn.warning("Invalid HTTP request received.")
        uvicorn.error("Exception in ASGI application\n")
        root.setLevel(logging.DEBUG)
        uvicorn.warning("Invalid HTTP request received.")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert seen == ["Exception in ASGI application\n", "Invalid HTTP request received."]


class _Kept(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append(record.getMessage())
