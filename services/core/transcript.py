"""The transcript: a pure function of the SET of standing evidence.

Evidence rows are summed up in a `Summary`; summaries merge in any order and any grouping to the same one, in exact numbers; a `Summary` and the ids of
the statements that decide give the `Line` that a transcript shows; a course description adds grade and credits when it is read.
"""
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from services.core.evidence import ATTEMPTED, COMPLETED, FAILED, LEVELS, PASSED, REGISTERED, WITHDRAWN, Facts, unpack
from services.core.result import HOUR
from services.core.timeline import rfc3339

STATUS = {REGISTERED: "registered", ATTEMPTED: "attempted", COMPLETED: "completed", FAILED: "failed", PASSED: "passed", WITHDRAWN: "withdrawn"}
MOST_STATEMENTS = 100
"""How many of the statements that decide a line are named, the earliest."""

_MOST = 2**63 - 1
_Tuple = TypeVar("_Tuple", bound=tuple[Any, ...])


class Row(NamedTuple):
    """A standing evidence row: `assured` is the greatest level that trusted others give it, or None."""

    statement: UUID
    seq: int
    at: int
    assured: int | None
    facts: Facts


class Standing(msgspec.Struct, array_like=True, gc=False):
    """What the evidence of one class amounts to."""

    n: int = 0
    best: float | None = None
    level: int = 0
    issuers: set[str] = msgspec.field(default_factory=set)


class Summary(msgspec.Struct, array_like=True, gc=False):
    """What a set of evidence rows amounts to. `add` and `absorb` commute; `seq` breaks the ties of event time."""

    n: int = 0
    first: int = _MOST
    last: int = -_MOST
    hours: int = 0
    classes: dict[int, Standing] = msgspec.field(default_factory=dict)
    begins: set[int] = msgspec.field(default_factory=set)
    outcomes: set[int] = msgspec.field(default_factory=set)
    sessions: dict[int, int] = msgspec.field(default_factory=dict)
    """The greatest duration of each session, in microseconds."""
    scored: tuple[int, int, float] | None = None
    """(at, seq, scaled) of the latest score."""
    registered: tuple[int, int] | None = None
    """(at, seq) of the latest registration."""
    withdrawn: tuple[int, int, bytes] | None = None
    """(at, seq, statement id) of the latest withdrawal."""
    begun: bytes = b""
    """More of `begins`, as 64-bit integers: so a summary is read back, for unpacking a million keys to merge them costs more than merging them."""
    ended: bytes = b""
    """More of `outcomes`."""

    def add(self, statement: UUID, seq: int, at: int, assured: int | None, facts: Facts) -> None:
        """Take in one evidence row."""
        self.n += 1
        self.first, self.last = min(at, self.first), max(at, self.last)
        self.hours += facts.hours
        standing = self.classes.get(facts.klass)
        if standing is None:
            standing = self.classes[facts.klass] = Standing()
        standing.n += 1
        standing.level = max(standing.level, facts.level, assured or 0)
        standing.issuers.add(facts.authority)
        if facts.scaled is not None:
            standing.best = _greater(standing.best, facts.scaled)
            self.scored = _later(self.scored, (at, seq, facts.scaled))
        if facts.begin is not None:
            self.begins.add(facts.begin)
        if facts.outcome is not None:
            self.outcomes.add(facts.outcome)
        if facts.session is not None and facts.duration is not None:
            self.sessions[facts.session] = max(self.sessions.get(facts.session, 0), facts.duration)
        if facts.klass == REGISTERED:
            self.registered = _later(self.registered, (at, seq))
        elif facts.klass == WITHDRAWN:
            self.withdrawn = _later(self.withdrawn, (at, seq, statement.bytes))

    def absorb(self, other: "Summary") -> None:
        """Take in the rows of another summary, which has none of these."""
        self.n += other.n
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.hours += other.hours
        for klass, theirs in other.classes.items():
            ours = self.classes.setdefault(klass, Standing())
            ours.n += theirs.n
            ours.best = _greater(ours.best, theirs.best)
            ours.level = max(ours.level, theirs.level)
            ours.issuers |= theirs.issuers
        self.begins |= other.begins
        self.begins.update(memoryview(other.begun).cast("q"))
        self.outcomes |= other.outcomes
        self.outcomes.update(memoryview(other.ended).cast("q"))
        for session, duration in other.sessions.items():
            self.sessions[session] = max(self.sessions.get(session, 0), duration)
        self.scored = _later(self.scored, other.scored)
        self.registered = _later(self.registered, other.registered)
        self.withdrawn = _later(self.withdrawn, other.withdrawn)

    def deciding(self) -> int:
        """Return the class that decides the status. There must be evidence."""
        if PASSED in self.classes:
            return PASSED
        if FAILED in self.classes:
            return FAILED
        if self.withdrawn is not None and (self.registered is None or self.withdrawn[:2] > self.registered):
            return WITHDRAWN
        return next(klass for klass in (COMPLETED, ATTEMPTED, REGISTERED, WITHDRAWN) if klass in self.classes)


class Line(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One line of a transcript as folded: all but what course descriptions add."""

    status: str
    attempts: int
    best: float | None
    last: float | None
    passing: float | None
    """The best score of a passed run, which the grade is for; None unless passed."""
    duration: int | None
    """Microseconds; None when no statement says any."""
    hours: int
    """In millionths."""
    first: int
    last_at: int
    level: int
    issuers: tuple[str, ...]
    """Canonical texts of the authorities behind the statements that decide."""
    statements: tuple[bytes, ...]
    evidence: int


_encode = msgspec.msgpack.Encoder().encode
_decode_line = msgspec.msgpack.Decoder(Line).decode
_decode_summary = msgspec.msgpack.Decoder(Summary).decode


def pack(folded: Line) -> bytes:
    """Return the bytes that an entry row keeps: the same line always gives the same bytes."""
    return _encode(folded)


def pack_summary(summary: Summary) -> bytes:
    """Return the bytes that a block row keeps of a summary that was made of rows."""
    begun, ended = array("q", summary.begins).tobytes(), array("q", summary.outcomes).tobytes()
    return _encode(msgspec.structs.replace(summary, begins=set(), outcomes=set(), begun=begun, ended=ended))


def unpack_line(packed: bytes) -> Line:
    """Return the line of an entry row."""
    return _decode_line(packed)


def unpack_summary(packed: bytes) -> Summary:
    """Return the summary of a block row, to be merged."""
    return _decode_summary(packed)


def summarise(rows: Iterable[Row]) -> Summary:
    """Return what standing evidence rows about one activity amount to."""
    total = Summary()
    for row in rows:
        total.add(*row)
    return total


def merge(summaries: Iterable[Summary]) -> Summary:
    """Return what the rows of all the summaries, which have none in common, amount to."""
    total = Summary()
    for summary in summaries:
        total.absorb(summary)
    return total


def named(rows: Iterable[Row], klass: int) -> list[tuple[int, int, bytes]]:
    """Return (at, seq, id) of the earliest rows of a class, as many as a line names."""
    return sorted((row.at, row.seq, row.statement.bytes) for row in rows if row.facts.klass == klass)[:MOST_STATEMENTS]


def line(summary: Summary, statements: Sequence[bytes]) -> Line:
    """Return the line of a summary with evidence; `statements` are the earliest of its deciding class (`named`), ignored for a withdrawal."""
    klass = summary.deciding()
    standing = summary.classes[klass]
    if klass == WITHDRAWN and summary.withdrawn is not None:
        statements = (summary.withdrawn[2],)
    best: float | None = None
    for each in summary.classes.values():
        best = _greater(best, each.best)
    return Line(
        STATUS[klass], max(len(summary.begins), len(summary.outcomes)), best, summary.scored[2] if summary.scored else None,
        standing.best if klass == PASSED else None, min(sum(summary.sessions.values()), _MOST) if summary.sessions else None,
        min(summary.hours, _MOST), summary.first, summary.last, standing.level, tuple(sorted(standing.issuers)), tuple(statements), summary.n,
    )


def fold(rows: Sequence[Row]) -> Line | None:
    """Return the line of the standing evidence of one learner about one activity, None if there is none."""
    if len(rows) < 2:  # as most entries begin
        return _line_of_one(rows[0]) if rows else None
    summary = summarise(rows)
    return line(summary, [id_ for _, _, id_ in named(rows, summary.deciding())])


def _line_of_one(row: Row) -> Line:
    facts, klass = row.facts, row.facts.klass
    scaled = facts.scaled
    return Line(
        STATUS[klass], int(facts.begin is not None or facts.outcome is not None), scaled, scaled, scaled if klass == PASSED else None,
        facts.duration if facts.session is not None else None, min(facts.hours, _MOST), row.at, row.at,
        max(facts.level, row.assured or 0), (facts.authority,), (row.statement.bytes,), 1,
    )


def transcript(rows: Iterable[tuple[UUID, UUID, int, int, int | None, bytes]]) -> dict[UUID, Line]:
    """Return the lines of a learner by activity key, from evidence rows (activity, statement_id, seq, at, assured, facts) of all the learner's IFIs.

    Which rows count is for the caller's query to say: standing ones, with `seq` at or below `known_at`, voided not at all or after it, and `at` at or
    below `as_of`.
    """
    of_activity: dict[UUID, list[Row]] = {}
    for activity, statement, seq, at, assured, facts in rows:
        of_activity.setdefault(activity, []).append(Row(statement, seq, at, assured, unpack(facts)))
    return {activity: folded for activity, each in of_activity.items() if (folded := fold(each)) is not None}


def finish(folded: Line, course: dict[str, Any] | None) -> dict[str, Any]:
    """Return the members of a transcript entry but for `activity`; `course` is the description in force, if any."""
    course = course or {}
    passed = folded.status == "passed"
    worth = course.get("credits")
    return {
        "status": folded.status,
        "success": True if passed else False if folded.status == "failed" else None,
        "grade": grade(folded.passing, course.get("scale")) if passed else None,
        "credits": worth if passed and isinstance(worth, int | float) else 0,
        "hours": hours(folded.hours),
        "attempts": folded.attempts,
        "score": {"best": folded.best, "last": folded.last},
        "duration": None if folded.duration is None else iso_duration(folded.duration),
        "first": rfc3339(folded.first),
        "last": rfc3339(folded.last_at),
        "identity": LEVELS[folded.level],
        "issuers": sorted(map(issuer, folded.issuers)),
        "statements": [str(UUID(bytes=id_)) for id_ in folded.statements],
        "evidence": folded.evidence,
    }


def grade(score: float | None, scale: Any) -> str | None:
    """Return the grade of the greatest `from` at or below the score; None without a score, a scale or such a grade."""
    if score is None or not isinstance(scale, list):
        return None
    reached = [step for step in scale if isinstance(step.get("from"), int | float) and step["from"] <= score]
    return max(reached, key=lambda step: step["from"]).get("grade") if reached else None


def issuer(authority: str) -> str:
    """Return an authority as answers and rules name it: a mailbox or openid as it is, an account as `homePage/name`."""
    kind, _, value = authority.partition(":")
    return value.replace(" ", "/", 1) if kind == "account" else value if kind in {"mbox", "openid"} else authority


def hours(millionths: int) -> float | int:
    """Return hours as a JSON number, whole ones without a fraction."""
    return millionths // HOUR if millionths % HOUR == 0 else millionths / HOUR


def iso_duration(micros: int) -> str:
    """Return microseconds as an ISO 8601 duration in hours, minutes and seconds."""
    seconds, fraction = divmod(micros, 10**6)
    minutes, seconds = divmod(seconds, 60)
    whole, minutes = divmod(minutes, 60)
    second = f"{seconds}.{fraction:06}".rstrip("0") if fraction else str(seconds)
    parts = (f"{whole}H" if whole else "") + (f"{minutes}M" if minutes else "") + (f"{second}S" if second != "0" else "")
    return "PT" + (parts or "0S")


def _greater(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None or a >= b else b


def _later(a: _Tuple | None, b: _Tuple | None) -> _Tuple | None:
    return b if a is None else a if b is None or a >= b else b
