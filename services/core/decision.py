"""A proposed entry as the record of a decision: its ids, which the same decision always gets, and its body (schemas/envelope.py: DecisionBody)."""
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from services.core import envelope
from services.core.decide import Proposed
from services.core.keys import KeyedHash
from services.core.rules.outcome import Input
from services.core.timeline import rfc3339

CREDENTIAL = "testamur decider"
"""What the record says appended it, where others name an API key."""
MOST_INPUTS = 100
MOST_CAUSES = 20


def decision_id(hashes: KeyedHash, tenant: str, identity: str, proposed: Proposed, known_at: int) -> UUID:
    """Return the id of a decision, and of its event: the same for the same entry decided with the same knowledge."""
    return hashes.id(
        "decision", tenant, proposed.kind, proposed.matter, identity, str(proposed.n), str(proposed.k), rfc3339(known_at), proposed.change.state)


def credential_id(hashes: KeyedHash, tenant: str, programme: str, identity: str, n: int) -> UUID:
    """Return the id of the n-th credential of this programme that was issued to this canonical identity: nobody can guess it."""
    return hashes.id("credential", tenant, programme, identity, str(n))


def decision_body(hashes: KeyedHash, tenant: str, identity: str, proposed: Proposed, known_at: int, causes: Iterable[UUID] = ()) -> dict[str, Any]:
    """Return the body of the record. `identity` is the canonical identity of the award's IFI, `known_at` the instant it was decided at."""
    change = proposed.change
    credential = credential_id(hashes, tenant, proposed.matter, identity, proposed.n) if proposed.is_credential else None
    return {
        "id": str(decision_id(hashes, tenant, identity, proposed, known_at)), "kind": proposed.kind, "matter": proposed.matter, "identity": identity,
        "n": proposed.n, "k": proposed.k, "state": change.state, "since": rfc3339(change.since), "valid_until": _shown(change.valid_until),
        "version": change.version, "rule": change.rule, "status": change.status, "remind": _shown(change.remind), "reason": change.reason,
        "credential": None if credential is None else str(credential), "known_at": rfc3339(known_at), "after": _shown(proposed.after),
        "inputs": [_input(given) for given in change.inputs[:MOST_INPUTS]],
        "causes": [str(cause) for cause in sorted(set(causes))[:MOST_CAUSES]],
    }


def decision_record(tenant: str, body: dict[str, Any]) -> bytes:
    """Return the record of the log: nothing in it but what was decided, so that it is the same however often it is made."""
    return envelope.encode("decision", batch=UUID(body["id"]), tenant=tenant, credential=CREDENTIAL, body=body)


def _input(given: Input) -> dict[str, str]:
    return {given.kind: str(given.id)}


def _shown(instant: int | None) -> str | None:
    return None if instant is None else rfc3339(instant)
