"""What a history says of everybody, worked out from the records of the log alone: the naive reading that decisions at rest are compared with.

It reads records as JSON and rules by tests/reference_rules.py, and imports nothing of the services.
"""
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests import reference_fold
from tests.reference_fold import Copy, Identity, Link, Person
from tests.reference_rules import Answer, Reading

COURSE_TYPE = "http://adlnet.gov/expapi/activities/course"
Said = dict[str, Any]
Says = Callable[[int | None], Answer]
"""What a rule says of the award that follows an end, None: of the first."""


@dataclass(frozen=True)
class Placed:
    """A record of the log in its place."""

    partition: int
    stored: int
    said: Said

    @property
    def seq(self) -> int:
        """Its place in the one order of all."""
        return self.stored << 8 | self.partition


@dataclass
class Known:
    """All that was stored up to an instant."""

    through: int
    copies: list[Copy] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    revocations: list[Placed] = field(default_factory=list)
    published: dict[str, list[Placed]] = field(default_factory=dict)
    retired: dict[str, list[int]] = field(default_factory=dict)
    described: set[str] = field(default_factory=set)

    @property
    def everybody(self) -> set[Identity]:
        """Everybody whom a statement or a link named."""
        named = [copy.statement["actor"] for copy in self.copies] + [agent for link in self.links for agent in link.agents or ()]
        return {who for agent in named if (who := reference_fold.identity(agent)) is not None}

    def people(self, at: int | None = None) -> dict[Identity, Person]:
        """Return who everybody is, by the links stored up to `seq` `at`."""
        return reference_fold.people_by(self.everybody, [link for link in self.links if at is None or link.seq <= at])

    def ever_linked(self) -> set[Identity]:
        """Return those whom a link ever named."""
        return {who for link in self.links for agent in link.agents or () if (who := reference_fold.identity(agent)) is not None}

    def versions(self, iri: str) -> list[Said]:
        """Return the versions of a programme that count: each above all before it."""
        accepted: list[Said] = []
        for placed in self.published.get(iri, ()):
            if not accepted or placed.said["body"]["version"] > accepted[-1]["version"]:
                accepted.append({**placed.said["body"], "seq": placed.seq})
        return accepted

    def is_retired(self, iri: str) -> bool:
        """Return whether the last version of a programme was retired."""
        return any(seq > self.versions(iri)[-1]["seq"] for seq in self.retired.get(iri, ()))

    def standing(self) -> list[Copy]:
        """Return the statements that count: the first copy of each id, unless it is voided."""
        first: dict[str, Copy] = {}
        for copy in sorted(self.copies, key=lambda copy: copy.seq):
            first.setdefault(copy.statement["id"], copy)
        voided = reference_fold.voided_among(first)
        return [copy for id_, copy in first.items() if id_ not in voided]

    def facts(self) -> list[Said]:
        """Return what everybody did, as facts of the naive reading."""
        standing = self.standing()
        assured = reference_fold.assurances({copy.statement["id"]: copy for copy in standing}, set())
        found: list[Said] = []
        for copy in standing:
            who = reference_fold.identity(copy.statement["actor"])
            if who is not None and copy.statement["object"].get("objectType", "Activity") == "Activity":
                found.append(_fact(copy, who, assured))
        return found

    def cut_offs(self, iri: str) -> dict[Identity, int]:
        """Return up to which `seq` nothing counts any more for a programme, for those linked to a revoked award's IFI when it was revoked."""
        cut: dict[Identity, int] = {}
        for placed in self.revocations:
            if placed.said["body"]["programme"] != iri:
                continue
            people = self.people(placed.seq)
            owner = next((who for who in people if text_of(who) == placed.said["body"]["identity"]), None)
            for who in people[owner] if owner is not None else ():
                cut[who] = max(cut.get(who, -1), placed.seq)
        return cut


def text_of(who: Identity) -> str:
    """Return an identity as records name it."""
    return f"account:{who[1]} {who[2]}" if who[0] == "account" else ":".join(who)


def known(records: Iterable[Placed], through: int, counts: Callable[[Placed], bool]) -> Known:
    """Return what the records stored up to an instant say; `counts` says which revocations closed an award."""
    found = Known(through)
    for placed in sorted(records, key=lambda placed: placed.seq):
        if placed.stored <= through:
            take(found, placed, counts)
    return found


def placed_in(partition: int, records: Sequence[tuple[int, bytes]]) -> list[Placed]:
    """Return the records of a partition, given as (timestamp, value), one for each statement, with their `stored`."""
    found: list[Placed] = []
    head = -(2**62)
    for timestamp, value in records:
        said = json.loads(value)
        first = max(timestamp, head + 1)
        each = [{**said, "statements": [one]} for one in said.get("statements", ())] or [said]
        found += [Placed(partition, first + n, one) for n, one in enumerate(each)]
        head = first + len(each) - 1
    return found


def rule_of(now: Known, iri: str) -> Said:
    """Return the last version of a programme, by which all its awards are judged."""
    rule: Said = now.versions(iri)[-1]["programme"]
    return rule


def judged(now: Known, iri: str, person: Person, awards: list[Said]) -> Says:
    """Return what the last version of a programme says of a person now. `awards` are all there are of the person's."""
    cut = now.cut_offs(iri)
    facts = [fact for fact in now.facts() if fact["ifi"] in person and fact["seq"] > cut.get(fact["ifi"], -1)]
    counting = [award for award in awards if award["seq"] > cut.get(award["ifi"], -1)]
    rule = rule_of(now, iri)
    return lambda end: Reading(rule, facts, counting, {}, end).answer(now.through)


def due_after(last_end: int | None, says: Says) -> tuple[int | None, Answer | None]:
    """Return what is due when the last award has ended, None: nothing, and the end that it follows."""
    answer = says(last_end)
    while answer.met and answer.expired:  # over before it was known: passed over like one that was given, for the next may be due
        later = says(answer.valid_until)
        if not later.met or answer.valid_until is None or (last_end is not None and answer.valid_until <= last_end):
            break
        last_end, answer = answer.valid_until, later
    return last_end, answer if answer.met and not answer.expired else None


def completed(now: Known, course: str, person: Person) -> str | None:
    """Return how a person completed a course: `passed`, `completed` or None."""
    described = course in now.described
    deciding = [
        copy for copy in now.standing() if copy.statement["object"]["id"] == course and reference_fold.identity(copy.statement["actor"]) in person
        and reference_fold.class_of(copy.statement) != "attempted" and (described or _type(copy) in {None, COURSE_TYPE})]
    if not described and not any(_type(copy) == COURSE_TYPE for copy in deciding):
        return None
    status = reference_fold.entry(deciding, {})["status"] if deciding else None
    return status if status in {"passed", "completed"} else None


def _type(copy: Copy) -> Any:
    return copy.statement["object"].get("definition", {}).get("type")


def take(found: Known, placed: Placed, counts: Callable[[Placed], bool]) -> None:
    """Note what one more record says, later than all before."""
    kind, body = placed.said["kind"], placed.said.get("body", {})
    if kind == "statements":
        statement = json.loads(json.dumps(placed.said["statements"][0]["raw"]))
        found.copies.append(Copy(statement, placed.stored, placed.seq, "mbox:" + placed.said["authority"]["mbox"], frozenset(placed.said["scopes"])))
    elif kind in {"identity.linked", "identity.unlinked"}:
        found.links.append(Link(body["id"], placed.seq, tuple(body["agents"]) if "agents" in body else None))
    elif kind == "programme.published":
        found.published.setdefault(body["iri"], []).append(placed)
    elif kind == "programme.retired":
        found.retired.setdefault(body["iri"], []).append(placed.seq)
    elif kind == "credential.revoked" and counts(placed):
        found.revocations.append(placed)
    elif kind == "course.described":
        found.described.add(body["course"]["id"])


def _fact(copy: Copy, who: Identity, assured: dict[str, int]) -> Said:
    statement = copy.statement
    result = statement.get("result", {})
    return {
        "id": statement["id"], "ifi": who, "at": reference_fold.event_time(copy), "seq": copy.seq, "activity": statement["object"]["id"],
        "verb": statement["verb"]["id"], "type": statement["object"].get("definition", {}).get("type"),
        "parent": [], "grouping": [], "category": [], "other": [], "success": result.get("success"), "score": reference_fold.scaled_of(statement),
        "authority": copy.authority.removeprefix("mbox:"), "level": max(reference_fold.level_of(copy), assured.get(statement["id"], 0)), "evidence": 0,
        "registration": None, "measures": {iri: str(value) for iri, value in result.get("extensions", {}).items()}, "duration": None, "mastery": None,
    }
