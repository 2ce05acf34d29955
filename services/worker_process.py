"""What a child of `testamur up` runs: `python -m services.worker_process web|projector --lifeline FD [--socket FD] [--owner UUID]`.

SIGTERM drains; the end of the parent, seen as the end of the lifeline pipe, ends the process at once, whatever its event loop is doing.
"""
import argparse
import logging
import os
import socket
import sys
import threading
from uuid import UUID


def main() -> None:
    """Play one role until told to stop."""
    parser = argparse.ArgumentParser(prog="services.worker_process")
    parser.add_argument("role", choices=["web", "projector"])
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--socket", type=int)
    parser.add_argument("--owner", type=UUID, required=True)
    arguments = parser.parse_args()
    threading.Thread(target=_end_with_parent, args=(arguments.lifeline,), daemon=True, name="lifeline").start()
    _play(arguments.role, arguments.socket, arguments.owner)


def _play(role: str, listener: int, owner: UUID) -> None:
    import structlog  # noqa: PLC0415 - the lifeline is watched before anything that takes time

    from services import serve  # noqa: PLC0415 - as above
    from services.runtime.log import WrongLog  # noqa: PLC0415 - as above
    from services.runtime.settings import Settings  # noqa: PLC0415 - as above
    from services.runtime.telemetry import configure_logging  # noqa: PLC0415 - as above

    configure_logging(role, logging.WARNING)  # a person watches the terminal of `up`
    settings = Settings()
    assert settings.database_url is not None, "the parent names the database"
    dsn = settings.database_url.get_secret_value()
    try:
        if role == "projector":
            serve.until_signalled(lambda stop: serve.projector(settings, dsn, owner, stop))
            return
        from services.web import create_app  # noqa: PLC0415 - a projector needs nothing of it

        serve.until_signalled(lambda stop: serve.web(settings, dsn, socket.socket(fileno=listener), create_app, stop))
    except WrongLog as wrong:
        structlog.get_logger().error("the log cannot be used", error=str(wrong))
        sys.exit(1)


def _end_with_parent(lifeline: int) -> None:
    """Nothing is ever written to the pipe: a read returns when the last writer, the parent, is gone."""
    os.read(lifeline, 1)
    os._exit(3)


if __name__ == "__main__":
    main()
