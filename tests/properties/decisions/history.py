"""What happens in a history: people of several identities do things, authorities void and assure, registrars link, publishers change rules; each as the
record of the log that the services would append."""
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson

from services.core import actor, envelope
from services.core.keys import KeyedHash, partition_of
from services.core.rules.language import parse
from services.core.rules.tree import achievement_of
from services.core.timeline import rfc3339
from services.runtime.log import NewRecord
from tests.properties.decisions.programmes import ACTIVITIES, COURSE, HOURS, PROGRAMMES

TENANT = "default"
HASHES = KeyedHash(b"a secret for tests")
ADL = "http://adlnet.gov/expapi/verbs/"
TOOL = {"objectType": "Agent", "mbox": "mailto:tool@example.org"}
REGISTRAR = {"objectType": "Agent", "mbox": "mailto:registrar@example.org"}
ASSESSORS = tuple({"objectType": "Agent", "mbox": f"mailto:{name}@assessors.example.org"} for name in ("one", "two"))
ASSURANCE = "https://mooc-world.example.org/xapi/extensions/identity-assurance"
SECOND = 1_000_000


class History:
    """A random source of records. `now` is the instant at which it stands; ids are small, so that everything meets."""

    def __init__(self, seed: int, partitions: int, now: int) -> None:
        """The same seed gives the same history."""
        self.chance, self.partitions, self.now = random.Random(seed), partitions, now
        self.people = [{"account": {"homePage": "https://lms.example.org", "name": str(n)}} for n in range(self.chance.randint(1, 3))]
        self.statements: list[tuple[str, dict[str, Any]]] = []
        self.links: list[str] = []
        self.published: dict[str, int] = {}
        self._made = 0

    def another(self) -> NewRecord | None:
        """Return the record of what happens next; None if it is nothing that can happen now."""
        happenings: list[tuple[int, Callable[[], NewRecord | None]]] = [
            (40, self._does), (5, self._again), (16, self._voids), (8, self._assures), (5, self._links), (4, self._unlinks), (11, self._publishes),
            (1, self._retires), (1, self._describes),
        ]
        chosen = self.chance.choices([thing for _, thing in happenings], [weight for weight, _ in happenings])[0]
        return chosen()

    def publish(self, slug: str) -> NewRecord:
        """Return the record of the next version of a programme."""
        versions = PROGRAMMES[slug]
        number = min(self.published.get(slug, 0), len(versions) - 1)
        self.published[slug] = number + 1
        text = orjson.dumps(versions[number])
        programme = parse(text)
        body = {
            "slug": programme.slug, "iri": programme.iri, "version": programme.version, "effective": None, "source": text.decode(),
            "programme": programme.document, "rule": programme.sha256, "achievement": achievement_of(programme, "https://lrs.example.org"),
            "issuer": {"slug": None, "name": "Tests", "url": "https://lrs.example.org", "did": "did:web:lrs.example.org"},
        }
        return self._domain("programme.published", f"programme {programme.iri}", body)

    def revoke(self, credential: UUID, programme: str, identity: str, n: int) -> NewRecord:
        """Return the record of an explicit revocation of an award."""
        body = {"credential": str(credential), "programme": programme, "identity": identity, "n": n, "reason": "misconduct", "by": REGISTRAR}
        return self._domain("credential.revoked", identity, body)

    def _does(self) -> NewRecord:
        chance, kind = self.chance, self.chance.random()
        statement: dict[str, Any] = {"id": self._id(), "actor": chance.choice(self.people)}
        if chance.random() < 0.7:
            statement["timestamp"] = rfc3339(self.now - chance.choice([0, 1, SECOND, 5 * SECOND, 30 * SECOND, -3600 * SECOND]))
        by = TOOL
        if kind < 0.6:
            score = {"scaled": chance.choice([0.5, 0.7, 0.9])}
            name = chance.choice(["algebra", "logic", "proofs", "exam"])
            statement |= {"verb": {"id": ADL + chance.choice(["passed", "passed", "passed", "failed"])}, "object": {"id": ACTIVITIES[name]}}
            statement["result"] = {"score": score}
        elif kind < 0.75:
            statement |= {"verb": {"id": ADL + "attended"}, "object": {"id": ACTIVITIES[chance.choice(["workshop", "talk"])]}}
            statement["result"] = {"extensions": {HOURS: chance.choice([1, 2.5, 4])}}
        elif kind < 0.9:
            by = chance.choice(ASSESSORS)
            statement |= {"verb": {"id": ADL + "assessed"}, "object": {"id": ACTIVITIES["workshop"]}}
        else:
            verb = chance.choice(["registered", "attempted", "completed", "passed", "failed"])
            statement |= {"verb": {"id": ADL + verb}, "object": {"id": COURSE}}
            called = chance.random()
            if called < 0.65:
                statement["object"] |= {"definition": {"type": "http://adlnet.gov/expapi/activities/" + ("course" if called < 0.5 else "module")}}
        self.statements.append((statement["id"], by))
        return self._statements([statement], by, ("statements/write",))

    def _again(self) -> NewRecord | None:
        """The same id once more, from somebody else, about something else."""
        if not self.statements:
            return None
        id_, by = self.chance.choice(self.statements)
        statement = {"id": id_, "actor": self.chance.choice(self.people), "verb": {"id": ADL + "passed"},
                     "object": {"id": ACTIVITIES[self.chance.choice(["algebra", "logic"])]}}
        return self._statements([statement], by, ("statements/write",))

    def _voids(self) -> NewRecord | None:
        target, by = self._target()
        trusted = self.chance.random() < 0.5
        statement = {"id": self._id(), "actor": REGISTRAR, "verb": {"id": ADL + "voided"}, "object": {"objectType": "StatementRef", "id": target}}
        return self._statements([statement], REGISTRAR if trusted else by, ("statements/write", *(("lrs:void",) if trusted else ())))

    def _assures(self) -> NewRecord | None:
        target, _ = self._target()
        statement: dict[str, Any] = {"id": self._id(), "actor": REGISTRAR, "verb": {"id": "https://w3id.org/xapi/tla/verbs/verified"},
                                     "object": {"objectType": "StatementRef", "id": target}}
        if self.chance.random() < 0.3:
            statement["context"] = {"extensions": {ASSURANCE: {"method": "proctored", "level": "high"}}}
        self.statements.append((statement["id"], REGISTRAR))
        return self._statements([statement], REGISTRAR, ("statements/write", "lrs:assure"))

    def _links(self) -> NewRecord | None:
        if len(self.people) < 2:
            return None
        self.links.append(self._id())
        agents = self.chance.sample(self.people, 2)
        return self._domain("identity.linked", _identity(agents[0]), {"id": self.links[-1], "agents": agents, "reason": "tests", "by": REGISTRAR})

    def _unlinks(self) -> NewRecord | None:
        if not self.links:
            return None
        return self._domain("identity.unlinked", _identity(self.chance.choice(self.people)), {"id": self.chance.choice(self.links), "by": REGISTRAR})

    def _publishes(self) -> NewRecord:
        return self.publish(self.chance.choice(list(PROGRAMMES)))

    def _retires(self) -> NewRecord | None:
        if not self.published:
            return None
        slug = self.chance.choice(list(self.published))
        iri = PROGRAMMES[slug][0]["programme"]
        return self._domain("programme.retired", f"programme {iri}", {"slug": slug, "iri": iri, "by": REGISTRAR})

    def _describes(self) -> NewRecord:
        return self._domain("course.described", COURSE, {"course": {"id": COURSE, "name": "A course"}})

    def _target(self) -> tuple[str, dict[str, Any]]:
        """Return a statement, one in four times one that is yet to come."""
        if self.statements and self.chance.random() < 0.8:
            return self.chance.choice(self.statements[-12:])
        return str(UUID(int=self._made + self.chance.randint(1, 4), version=4)), TOOL

    def _id(self) -> str:
        self._made += 1
        return str(UUID(int=self._made, version=4))

    def _statements(self, statements: list[dict[str, Any]], by: dict[str, Any], scopes: tuple[str, ...]) -> NewRecord:
        raws = [orjson.dumps(statement) for statement in statements]
        value = envelope.encode_statements(
            batch=self._batch(), tenant=TENANT, authority=by, credential="key", scopes=list(scopes), received=rfc3339(self.now), xapi="1.0.3",
            statements=[(UUID(statement["id"]), raw[:16].hex(), raw) for statement, raw in zip(statements, raws, strict=True)])
        # Copies of one id, voids and their targets meet from any partition; a person's own statements share one, as ingest puts them.
        key = HASHES.partition_key(TENANT, _identity(statements[0]["actor"]))
        return NewRecord(partition_of(key, self.partitions), key, value, len(statements))

    def _domain(self, kind: Any, identity: str, body: dict[str, Any]) -> NewRecord:
        key = HASHES.partition_key(TENANT, identity)
        value = envelope.encode(
            kind, body=body, batch=self._batch(), tenant=TENANT, authority=REGISTRAR, credential="key", scopes=["lrs:admin"], received=rfc3339(self.now))
        return NewRecord(partition_of(key, self.partitions), key, value)

    def _batch(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)


def _identity(agent: dict[str, Any]) -> str:
    text = actor.ifi(agent)
    return actor.identity(text or "") or text or ""
