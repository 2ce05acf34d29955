"""Named places where a test of faults can make this process die, freeze or fail. They do nothing unless TESTAMUR_FAILPOINTS names them."""
import os
import signal
from dataclasses import dataclass, field


class FailpointHit(Exception):
    """A failpoint with the action `error` was reached."""


@dataclass(slots=True)
class _Armed:
    action: str
    after: int
    """How often it is passed before it acts."""


@dataclass(slots=True)
class Failpoints:
    """`arm("projector.in_transaction=kill@3,…")`: kill, freeze (SIGSTOP) or error at the third hit, once."""

    _armed: dict[str, _Armed] = field(default_factory=dict)

    def arm(self, pairs: str | None) -> None:
        """Replace what is armed by `name=action` or `name=action@n` pairs, comma-separated. Raises ValueError for an unknown action."""
        self._armed = {}
        for pair in filter(None, (pairs or "").split(",")):
            name, _, action = pair.partition("=")
            action, _, nth = action.partition("@")
            if action not in {"kill", "freeze", "error"}:
                raise ValueError(f"failpoint action {action!r} of {name!r} is none of kill, freeze, error")
            self._armed[name.strip()] = _Armed(action, int(nth or 1) - 1)

    def hit(self, name: str) -> None:
        """Act if the failpoint is armed and due."""
        if not self._armed or (armed := self._armed.get(name)) is None:
            return
        if armed.after > 0:
            armed.after -= 1
            return
        del self._armed[name]
        if armed.action == "error":
            raise FailpointHit(name)
        os.kill(os.getpid(), signal.SIGKILL if armed.action == "kill" else signal.SIGSTOP)


FAILPOINTS = Failpoints()
hit = FAILPOINTS.hit
