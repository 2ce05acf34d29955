"""Random sets of records of a small universe, where everything that can meet does: copies under other actors, voids and assurances of anything, links."""
import hashlib
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tests.folding import At, authority, link_at, record_at, statement_at
from tests.ledger_bodies import decision_body, programme_body, retirement_body, revocation_body

ADL = "http://adlnet.gov/expapi/verbs/"
MAIL = "mailto:ada@example.org"
SUM = hashlib.sha1(MAIL.encode(), usedforsecurity=False).hexdigest()
ACTORS: list[dict[str, Any]] = [
    {"mbox": MAIL}, {"mbox": "mailto:ada@EXAMPLE.org", "name": "Ada"}, {"mbox_sha1sum": SUM, "name": "A. Lovelace"},
    {"account": {"homePage": "https://edx.example.org", "name": "7"}}, {"account": {"homePage": "https://moodle.example.org", "name": "7"}, "name": "Åda"},
    {"openid": "https://openid.example.org/ada"}, {"mbox": "mailto:unknown@example.com"},
    {"objectType": "Group", "member": [{"mbox": MAIL}]}, {"account": {"homePage": "https://edx.example.org", "name": "anonymous"}},
]
LINKED = ACTORS[:6]
ACTIVITIES = ["https://a.example.org/course", "https://a.example.org/quiz"]
VERBS = [ADL + verb for verb in ("registered", "attempted", "initialized", "launched", "completed", "passed", "failed", "experienced")] + [
    "https://w3id.org/xapi/adl/verbs/satisfied", "https://w3id.org/xapi/adl/verbs/waived", "http://id.tincanapi.com/verb/unregistered"]
VOIDED, VERIFIED = ADL + "voided", "https://w3id.org/xapi/tla/verbs/verified"
IDS = [str(UUID(int=number, version=4)) for number in range(1, 8)]
LINKS = [UUID(int=number, version=4) for number in range(1, 5)]
AUTHORITIES = [authority("lms@example.org"), authority("mooc@example.org"), authority("registrar@example.org", "lrs:void", "lrs:assure")]
NOW = 1_000_000_000
PARTITIONS = 3

_results = st.fixed_dictionaries({}, optional={
    "success": st.booleans(), "completion": st.booleans(), "duration": st.sampled_from(["PT1M", "PT1H2M3.5S", "P1D"]),
    "score": st.one_of(
        st.sampled_from([{"scaled": -.0}, {"scaled": .5}, {"scaled": .85}, {"scaled": 1}, {"raw": 3}]),
        st.sampled_from([{"raw": 1, "min": 0, "max": 3}, {"raw": .1, "min": 0, "max": .3}, {"raw": 0, "min": 0, "max": 0}])),
    "extensions": st.sampled_from([{"https://w3id.org/testamur/ext/pd-hours": 1.1}, {"https://w3id.org/testamur/ext/pd-hours": 2}]),
})
_extensions = st.fixed_dictionaries({}, optional={
    "https://w3id.org/xapi/cmi5/context/extensions/sessionid": st.sampled_from(["s1", "s2"]),
    "http://id.tincanapi.com/extension/attempt-id": st.sampled_from([1, 2, "1"]),
    "https://mooc-world.example.org/xapi/extensions/identity-assurance": st.sampled_from(
        [{"method": "proctored", "level": "substantial"}, {"method": "photo-id", "level": "substantial"}, {"method": "photo-id", "level": "low"}]),
})
_contexts = st.fixed_dictionaries({"extensions": _extensions}, optional={"registration": st.sampled_from([IDS[0], IDS[1]])})
_times = st.sampled_from(["2020-01-01T00:00:01Z", "2020-01-01T00:00:02Z", "2020-01-01T01:00:02+01:00", "2031-01-01T00:00:00Z"])
_names = st.sampled_from([{"en": "Course"}, {"sv": "Kurs", "en": "A course"}, {"sv": "Kurs"}])
_definitions = st.fixed_dictionaries({}, optional={"name": _names, "type": st.sampled_from(["http://adlnet.gov/expapi/activities/course", "https://x.example/quiz"])})


@st.composite
def _statement(draw: st.DrawFn) -> dict[str, Any]:
    statement: dict[str, Any] = {"id": draw(st.sampled_from(IDS)), "actor": draw(st.sampled_from(ACTORS))}
    kind = draw(st.integers(0, 6))
    if kind in (0, 1):
        statement |= {"verb": {"id": VOIDED}, "object": {"objectType": "StatementRef", "id": draw(st.sampled_from(IDS))}}
    elif kind == 2:
        statement |= {"verb": {"id": VERIFIED}, "object": {"objectType": "StatementRef", "id": draw(st.sampled_from(IDS))}}
        if draw(st.booleans()):
            statement["context"] = draw(_contexts)
    else:
        target: dict[str, Any] = {"id": draw(st.sampled_from(ACTIVITIES))}
        if draw(st.booleans()):
            target["definition"] = draw(_definitions)
        statement |= {"verb": {"id": draw(st.sampled_from(VERBS))}, "object": target, "result": draw(_results), "context": draw(_contexts)}
    if draw(st.booleans()):
        statement["timestamp"] = draw(_times)
    return statement


@st.composite
def _ledger(draw: st.DrawFn, number: int, kinds: tuple[int, int] = (0, 7)) -> At:
    """Return a record of a programme (kind 0 or 1), or of the ledger. Those of one programme or person lie in any partitions, as after a log was carried
    to one with more."""
    stored, kind, partition = NOW + number, draw(st.integers(*kinds)), draw(st.integers(0, PARTITIONS - 1))
    if kind < 2:
        slug = draw(st.sampled_from(["welding", "welding", "welding", "crane"]))
        requires = {"statement": {"activity": draw(st.sampled_from(ACTIVITIES))}}
        published = programme_body(slug, draw(st.integers(1, 3)), requires, award=draw(st.booleans()))
        retires = draw(st.integers(0, 2)) == 0
        return record_at("programme.retired" if retires else "programme.published", retirement_body(slug) if retires else published, stored, partition)
    identity, n = draw(st.sampled_from(["openid:https://openid.example.org/ada", "openid:https://openid.example.org/bo"])), draw(st.integers(1, 2))
    if kind == 2:
        return record_at("credential.revoked", revocation_body(identity, n), stored, partition)
    state = draw(st.sampled_from(["issued", "issued", "issued", "updated", "expiring", "suspended", "expired"]))
    return record_at("decision", decision_body(
        identity, state, draw(st.integers(stored - 5, stored - 1)), n=n,
        k=draw(st.sampled_from([1, 1, 2, 2, 3])), version=draw(st.integers(1, 3)),
        inputs=[{"statement": draw(st.sampled_from(IDS))}], credential=draw(st.sampled_from([None, IDS[0], IDS[1]])),
        course=draw(st.sampled_from([None, None, ACTIVITIES[0]])),
    ), stored, partition)


@st.composite
def ledger_sets(draw: st.DrawFn, *, most: int = 16) -> list[At]:
    """Return records of programmes or of the ledger alone, in the order of `seq`."""
    kinds = draw(st.sampled_from([(0, 1), (2, 7)]))
    return [draw(_ledger(number, kinds)) for number in range(draw(st.integers(4, most)))]


@st.composite
def record_sets(draw: st.DrawFn, *, links: bool = True, ledger: bool = False, most: int = 24) -> list[At]:
    """Return records in the order of `seq`, each in one of a few partitions: no two have one `seq`."""
    records: list[At] = []
    kinds = draw(st.lists(st.integers(-3 if ledger else 0, 9 if links else 7), min_size=1, max_size=most))
    for number, kind in enumerate(kinds):
        partition = draw(st.integers(0, PARTITIONS - 1))
        if kind < 0:
            records.append(draw(_ledger(number)))
        elif kind < 8:
            records.append(statement_at(draw(_statement()), NOW + number, partition, draw(st.sampled_from(AUTHORITIES))))
        else:
            agents = draw(st.lists(st.sampled_from(LINKED), min_size=2, max_size=2)) if draw(st.integers(0, 3)) else None
            records.append(link_at(draw(st.sampled_from(LINKS)), agents, NOW + number, partition))
    return records


@st.composite
def runs_of(draw: st.DrawFn, records: list[At]) -> list[list[At]]:
    """Return the records in any order, cut into runs of any size."""
    order: list[At] = draw(st.permutations(records))
    runs: list[list[At]] = [[]]
    for record in order:
        runs[-1].append(record)
        if draw(st.booleans()):
            runs.append([])
    return [run for run in runs if run]
