"""What the ledger lacks: from an award as it is held and what its rule says now, the next entry, if any. Pure; one entry for each award and evaluation.

The words of states, reasons and policies are those of services/core/ledger.py and services/core/rules/tree.py. Instants are microseconds since 2020; `as_of`
is the moment of the evaluation.
"""
from collections.abc import Callable
from uuid import UUID

import msgspec

from services.core.ledger import Held
from services.core.rules.calendar import subtract
from services.core.rules.outcome import Input, Outcome
from services.core.rules.tree import Programme

INPUT_VOIDED, INPUT_REVOKED, LAPSED, RULE_CHANGED, SUPERSEDED = "input_voided", "input_revoked", "lapsed", "rule_changed", "superseded"
"""Why an award is not held any more: a statement it rests on does not stand, a credential it rests on does not count, time has passed, the rule became
another, a later outcome is in force (of a course alone)."""


class Unmet(msgspec.Struct, frozen=True):
    """Why a held award's rule is not met."""

    reason: str
    since: int | None = None
    """Of LAPSED: from when on it was not met."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The next entry of an award, or the first of a new one."""

    state: str
    since: int
    """When the award began, of `issued`, `updated`, `expiring` and `reinstated`; of the others when the state began."""
    valid_until: int | None = None
    version: int = 0
    rule: str = ""
    status: str | None = None
    reason: str | None = None
    remind: int | None = None
    """Of `expiring`: the instant at which the reminder was due."""
    inputs: tuple[Input, ...] = ()

    @property
    def closes(self) -> bool:
        """Whether it ends the award."""
        return self.state in {"expired", "revoked"}


class Proposed(msgspec.Struct, frozen=True):
    """An entry that the ledger lacks, and of which award."""

    kind: str
    matter: str
    ifi: UUID
    n: int
    k: int
    change: Change
    is_credential: bool
    """Whether the matter awards a credential."""
    after: int | None = None
    """Of an award's first entry: the end of the award that it renews."""


def next_change(held: Held, programme: Programme, outcome: Outcome, as_of: int, unmet: Callable[[], Unmet]) -> Change | None:
    """Return the next entry of an open award, None if there is nothing to say.

    `programme` is the version that judges it and `outcome` what that says; `unmet` is asked for the reason where it is not met.
    """
    if _is_over(held, outcome, as_of):
        return None if programme.on.lapsed == "keep" else _of(held, programme, "expired", since=held.valid_until or as_of, reason=LAPSED)
    if not outcome.met:
        return _withdrawn(held, programme, unmet(), as_of)
    if held.suspended:
        return _held("reinstated", programme, outcome)
    if (outcome.since, outcome.valid_until) != (held.since, held.valid_until):
        return _held("updated", programme, outcome)
    return _reminder(held, programme, as_of)


def is_for_review(held: Held, programme: Programme, outcome: Outcome, as_of: int, unmet: Callable[[], Unmet]) -> bool:
    """Return whether an open award has no next entry because its policy leaves it to people: its rule is not met. The arguments are those of `next_change`."""
    return not _is_over(held, outcome, as_of) and not outcome.met and _policy(programme, unmet()) == "review"


def first_entry(programme: Programme, outcome: Outcome) -> Change | None:
    """Return the entry that awards something new, None if it is not met, or was over before it was first known to be met."""
    return _held("issued", programme, outcome) if outcome.met and not outcome.expired and outcome.tipping is not None else None


def course_change(held: Held | None, status: str | None, deciding: Input | None, unmet: str, as_of: int) -> Change | None:
    """Return the next entry about a course, None if there is nothing to say.

    `status` is `passed` or `completed`, None while neither is in force; `deciding` the statement that decides it; `unmet` the reason for having neither.
    """
    if status is None or deciding is None:
        return None if held is None else Change(state="revoked", since=as_of, reason=unmet, status=held.status)
    if held is not None and (held.status, held.since) == (status, deciding.at):
        return None
    return Change(state="issued" if held is None else "updated", since=deciding.at, status=status, inputs=(deciding,))


def reminders(programme: Programme, valid_until: int | None) -> list[int]:
    """Return the instants at which a reminder of this end is due, in order."""
    return [] if valid_until is None else sorted(subtract(valid_until, before) for before in programme.renewal.remind)


def _is_over(held: Held, outcome: Outcome, as_of: int) -> bool:
    """Return whether the award's time has run out, as the ledger has it: what is met now is the same award only if it began before that."""
    if held.valid_until is None or held.valid_until > as_of:
        return False
    goes_on = outcome.met and not outcome.expired and outcome.since is not None and outcome.since <= held.valid_until
    return not goes_on


def _withdrawn(held: Held, programme: Programme, unmet: Unmet, as_of: int) -> Change | None:
    policy = _policy(programme, unmet)
    if policy == "expire":
        return _of(held, programme, "expired", since=as_of if unmet.since is None else unmet.since, reason=unmet.reason)
    if policy == "revoke":
        return _of(held, programme, "revoked", since=as_of, reason=unmet.reason)
    if policy == "suspend" and not held.suspended:
        return _of(held, programme, "suspended", since=as_of, reason=unmet.reason)
    return None


def _policy(programme: Programme, unmet: Unmet) -> str:
    """Return what becomes of an award for this reason."""
    policies = {INPUT_VOIDED: programme.on.input_voided, INPUT_REVOKED: programme.on.input_revoked, RULE_CHANGED: "revoke", LAPSED: programme.on.lapsed}
    return policies[unmet.reason]


def _reminder(held: Held, programme: Programme, as_of: int) -> Change | None:
    due = [instant for instant in reminders(programme, held.valid_until) if held.since < instant <= as_of]
    if not due or (held.reminded is not None and due[-1] <= held.reminded):
        return None
    return Change(state="expiring", since=held.since, valid_until=held.valid_until, version=held.version, rule=held.rule, remind=due[-1])


def _held(state: str, programme: Programme, outcome: Outcome) -> Change:
    assert outcome.since is not None, "what is met is met since some instant"
    return Change(
        state=state, since=outcome.since, valid_until=outcome.valid_until, version=programme.version, rule=programme.sha256, inputs=outcome.inputs)


def _of(held: Held, programme: Programme, state: str, *, since: int, reason: str) -> Change:
    return Change(state=state, since=since, valid_until=held.valid_until, version=programme.version, rule=programme.sha256, reason=reason)
