"""The refusal of a request for xAPI outside a framework: the problem, in the version that is spoken, with how far the store is by now."""
from services.core.errors import LrsError, Unauthenticated
from services.runtime.http import THROUGH_HEADER, VERSION_HEADER, RawHeaders, answered_version, problem, problem_headers, raw_headers
from services.runtime.state import State
from services.runtime.telemetry import AUTH_FAILURES

Answer = tuple[int, RawHeaders, bytes]
"""Status, headers and body."""


def refused(state: State, headers: dict[bytes, bytes], error: LrsError) -> Answer:
    """Return the answer to a request with these headers that comes to an error, which is counted if it is about who asks."""
    shown = headers.get(b"authorization")
    if isinstance(error, Unauthenticated):
        AUTH_FAILURES.labels("missing" if shown is None else "wrong").inc()
    asked = headers.get(b"x-experience-api-version")
    owed = {
        VERSION_HEADER: answered_version(None if asked is None else asked.decode("latin-1"), state.keys.spoken_version(shown)),
        THROUGH_HEADER: state.visibility.header.decode(), "LRS-Outcome": error.outcome,
    }
    return error.status, raw_headers({**owed, **problem_headers(error)}), problem(error)
