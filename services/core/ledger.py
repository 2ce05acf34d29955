"""The ledger: which entries count, and what they make of awards. A pure function of the set of records about one (matter, IFI), in the order of their seq.

An entry counts if it is the next one and was decided with knowledge of the one before. Deciders may crash, repeat and race: each change happens once.
"""
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from services.core.timeline import stored_of

STATES = frozenset({"issued", "updated", "expiring", "suspended", "reinstated", "expired", "revoked"})
_CLOSING = frozenset({"expired", "revoked"})
_HOLDING = frozenset({"issued", "updated", "reinstated"})
"""The states whose entries say since when, until when and because of what an award is held."""


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one record says of award `n` of an IFI in a matter. Instants are microseconds since 2020."""

    id: UUID
    seq: int
    state: str
    n: int
    k: int
    """0 of a revocation by hand, which is the next entry whenever it comes."""
    since: int
    known_at: int
    valid_until: int | None = None
    version: int = 0
    rule: str = ""
    status: str | None = None
    remind: int | None = None
    reason: str | None = None
    credential: UUID | None = None
    inputs: tuple[dict[str, Any], ...] = ()

    @property
    def by_hand(self) -> bool:
        """Whether somebody revoked it, whatever its evidence."""
        return self.k == 0


class Held(msgspec.Struct, frozen=True, gc=False):
    """An award as its accepted entries leave it."""

    n: int
    k: int
    """Of the last entry."""
    state: str
    """Of the last entry that is no reminder; an `updated` leaves a suspended one suspended."""
    since: int
    valid_until: int | None
    ended: int | None
    """From when on it holds no more: the since of the entry that closed it."""
    version: int
    rule: str
    status: str | None
    reminded: int | None
    """The latest instant of which a reminder was given."""
    issued_seq: int
    last_seq: int
    closed: bool
    """Expired or revoked: for good."""
    credential: UUID | None
    inputs: tuple[dict[str, Any], ...]

    @property
    def suspended(self) -> bool:
        """Whether it counts for nothing at the moment."""
        return self.state == "suspended"


class Ledger(msgspec.Struct, gc=False):
    """The awards of one IFI in one matter, in order."""

    awards: list[Held] = []

    @property
    def last(self) -> Held | None:
        """The one award that may be open."""
        return self.awards[-1] if self.awards else None

    def accept(self, entry: Entry) -> Entry | None:
        """Take in the next record by seq; return the entry as which it counts, None if it has no effect (DESIGN 6, Acceptance)."""
        last = self.last
        if entry.by_hand:
            if last is None or last.n != entry.n or last.closed:
                return None
            entry = msgspec.structs.replace(entry, k=last.k + 1, version=last.version, rule=last.rule, status=last.status, credential=last.credential)
        if entry.state not in STATES or not _is_next(last, entry):
            return None
        if last is None or entry.k == 1:
            self.awards.append(_begun(entry))
        else:
            self.awards[-1] = _continued(last, entry)
        return entry


def fold(entries: Iterable[Entry]) -> tuple[Ledger, list[Entry]]:
    """Return the ledger that records about one (matter, IFI) make, given in any order and any number of times, and those that count, as they count."""
    ledger, counted = Ledger(), list[Entry]()
    for entry in sorted({entry.seq: entry for entry in entries}.values(), key=lambda entry: entry.seq):
        if (accepted := ledger.accept(entry)) is not None:
            counted.append(accepted)
    return ledger, counted


def held_at(entries: Iterable[Entry], as_of: int) -> list[Held]:
    """Return the awards as they were at an instant, by entries that count of one (matter, IFI), given in order.

    An entry counts from its since on, whenever it came: one that puts the beginning earlier counts from there, and what ended later is open.
    """
    awards: dict[int, Held] = {}
    first: dict[int, Entry] = {}
    for entry in entries:
        begun, held = first.setdefault(entry.n, entry), awards.get(entry.n)
        if entry.since > as_of:
            continue
        if held is not None:
            awards[entry.n] = _continued(held, entry)
        elif entry.state in _HOLDING:
            awards[entry.n] = msgspec.structs.replace(_begun(entry), issued_seq=begun.seq, credential=begun.credential)
    return [awards[n] for n in sorted(awards)]


def _is_next(last: Held | None, entry: Entry) -> bool:
    if (entry.state == "issued") != (entry.k == 1):
        return False
    if last is None:
        return (entry.n, entry.k) == (1, 1)
    if entry.known_at < stored_of(last.last_seq):
        return False
    return (entry.n, entry.k) == ((last.n + 1, 1) if last.closed else (last.n, last.k + 1))


def _begun(entry: Entry) -> Held:
    return Held(
        entry.n, entry.k, entry.state, entry.since, entry.valid_until, None, entry.version, entry.rule, entry.status, None, entry.seq, entry.seq,
        closed=False, credential=entry.credential, inputs=entry.inputs)


def _continued(held: Held, entry: Entry) -> Held:
    """Return the award after one more entry, which is its next."""
    changes: dict[str, Any] = {"k": entry.k, "last_seq": entry.seq}
    if entry.state == "expiring":
        reminded = [instant for instant in (held.reminded, entry.remind) if instant is not None]
        return msgspec.structs.replace(held, **changes, reminded=max(reminded, default=None))
    if entry.state in _HOLDING:
        changes |= {"since": entry.since, "valid_until": entry.valid_until, "version": entry.version, "rule": entry.rule, "status": entry.status,
                    "inputs": entry.inputs}
    if not (held.suspended and entry.state == "updated"):
        changes["state"] = entry.state
    if entry.state in _CLOSING:
        changes |= {"closed": True, "ended": entry.since}
    return msgspec.structs.replace(held, **changes)
