"""Random small programmes, as the plain dicts of their documents, over the small universe of tests/properties/rules_world.py.

A `Focus` narrows what is drawn: to all by default, to one corner of the language where a test looks for one bug.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

HOME = "https://learn.example.org/"
A, B, C, COURSE, AU1, AU2, LAUNCH, PARENT, PROFILE = (HOME + name for name in ("a", "b", "c", "course", "au/1", "au/2", "launch", "parent", "profile"))
ITEM = "https://frameworks.example.org/items/1"
PUBLISHER = "https://publisher.example.org/au/2"
ADL, W3ID = "http://adlnet.gov/expapi/verbs/", "https://w3id.org/xapi/adl/verbs/"
PASSED, FAILED, COMPLETED, WAIVED, SATISFIED, ASSESSED = (
    ADL + "passed", ADL + "failed", W3ID + "completed", W3ID + "waived", W3ID + "satisfied", ADL + "assessed")
DANCED = "https://x.example/verbs/danced"
COURSES = ("http://adlnet.gov/expapi/activities/course", "https://w3id.org/xapi/cmi5/activitytype/course", "http://adlnet.gov/expapi/activities/module")
REGISTRATIONS = ("3f1a1d2e-6f0b-4a57-9a51-000000000001", "3f1a1d2e-6f0b-4a57-9a51-000000000002")
AUTHORITIES: tuple[Any, ...] = (("https://pd.example.org", "1"), ("https://pd.example.org", "2"), "mailto:registrar@example.org")
MEASURES = ("https://w3id.org/testamur/ext/pd-hours", "https://lrs.example.org/xapi/ext/pd-hours", "https://x.example/points")
GIVEN = (HOME + "achievements/x", HOME + "achievements/y")
ISSUERS = (("museum", "https://museum.example.org", "did:web:museum.example.org"), ("library", "https://library.example.org"), ("parks",))
TARGETS = ("https://city.example.org/stem", "https://city.example.org/arts")
DAYS = (
    "2023-01-28T10:00:00Z", "2023-01-30T09:00:00Z", "2023-01-31T00:00:00Z", "2023-01-31T08:00:00Z", "2023-02-28T00:00:00Z", "2023-02-28T08:00:00Z",
    "2023-02-28T10:00:00Z", "2023-03-31T08:00:00Z", "2024-01-31T08:00:00Z", "2024-02-28T08:00:00Z", "2024-02-29T00:00:00Z", "2024-02-29T08:00:00Z",
    "2024-03-01T08:00:00Z", "2024-03-31T00:00:00Z", "2025-02-28T08:00:00Z",
)
LENGTHS = ("P1M", "P30D", "P1Y", "P1W", "P2M", "P1M1D", "PT36H", "P1Y1M")
MEMBERS: dict[str, tuple[Any, ...]] = {
    "activity": (A, B, C), "activity_in": ([A, B], [B, C]), "under": (PARENT, ITEM), "category": (PROFILE, ITEM), "competency": (ITEM, PARENT, PROFILE, A),
    "type": ("course", *COURSES, DANCED), "verb": ("passed", PASSED, W3ID + "passed", "completed", "failed", DANCED),
    "verb_in": (["passed", "completed"], [W3ID + "failed", DANCED]), "success": (True, False), "score_gte": (0.5, 0.7, 1),
    "authority_in": (["https://pd.example.org/1"], ["https://pd.example.org/1", "mailto:registrar@example.org"]),
    "identity": ("none", "asserted", "verified", "proctored"), "evidence": (1, 2), "since": ("2023-02-28", "2023-02-28T08:00:00Z"),
    "until": ("2024-02-29", "2024-02-29T08:00:00Z"), "registration": (REGISTRATIONS[0], REGISTRATIONS[1].upper()),
}

_NAMED: dict[str, tuple[Any, ...]] = {
    "achievement": GIVEN[:1], "alignment": TARGETS[:1], "issuer": ("museum", "did:web:museum.example.org", "parks"),
    "issuer_in": (["museum", "parks"], ["https://museum.example.org", "library"]),
}


@dataclass(frozen=True)
class Focus:
    """What is drawn: which leaves, which nodes above them, how much of the rest."""

    leaves: Sequence[str] = ("statement", "statement", "statement", "statement", "sum", "credential", "cmi5")
    nodes: Sequence[str] = ("all", "sequence", "within", "ordered", "any", "at_least", "issuers", "leaf", "leaf")
    members: int = 2
    """How many members a match has at most."""
    windows: Sequence[str] = ("none", "none", "last", "cycle", "awarded")
    validity: Sequence[str] = ("none", "for", "lapse")
    defaults: Sequence[bool] = (True, False, False, False)
    only: Sequence[str] = ()
    """The members of which every match has one."""
    counts: Sequence[int] = (1, 1, 1, 2, 2, 3)
    lengths: Sequence[str] = LENGTHS
    days: Sequence[str] = DAYS
    noise: Sequence[str] = ()
    """The members of facts that differ from what the rule asks; none: any."""


@st.composite
def programmes(draw: st.DrawFn, focus: Focus) -> dict[str, Any]:
    """Return a programme that the language accepts."""
    found: dict[str, Any] = {"programme": HOME + "programmes/p", "version": 1, "title": "P", "requires": draw(_nodes(focus, 2))}
    if draw(st.sampled_from(focus.defaults)):
        found["defaults"] = {"match": draw(_matches(focus))}
    validity = draw(st.sampled_from(focus.validity))
    if validity == "lapse":
        found["validity"] = {"until": "lapse"}
    elif validity == "for":
        found["validity"] = {"for": draw(st.sampled_from(focus.lengths))}
        found["renewal"] = {name: draw(st.sampled_from(focus.lengths)) for name in ("open", "grace") if draw(st.booleans())}
    if validity != "none" and draw(st.booleans()):
        found.setdefault("renewal", {})["remind"] = draw(st.lists(st.sampled_from(focus.lengths), min_size=1, max_size=2, unique=True))
    if not found.get("renewal", True):
        del found["renewal"]
    return found


@st.composite
def _nodes(draw: st.DrawFn, focus: Focus, depth: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(focus.nodes)) if depth else "leaf"
    if kind == "leaf":
        return draw(_leaves(focus))
    if kind == "issuers":
        clauses = draw(st.lists(_credentials(focus, counted=False), min_size=2, max_size=3))
        return {"at_least": {"n": 2, "distinct": "issuer", "of": [{"credential": clause} for clause in clauses]}}
    children = [draw(_nodes(focus, depth - 1 if not draw(st.integers(0, 2)) else 0)) for _ in range(draw(st.integers(2, 3)))]
    if kind == "at_least":
        return {"at_least": {"n": draw(st.integers(1, len(children))), "of": children}}
    if kind == "any":
        return {"any": children}
    node: dict[str, Any] = {"all": children}
    if kind in ("sequence", "ordered"):
        node["sequence"] = True
    if kind in ("within", "ordered"):
        node["within"] = draw(st.sampled_from(focus.lengths))
    return node


@st.composite
def _leaves(draw: st.DrawFn, focus: Focus) -> dict[str, Any]:
    kind = draw(st.sampled_from(focus.leaves))
    if kind == "credential":
        return {"credential": draw(_credentials(focus, counted=True))}
    if kind == "cmi5":
        return {"cmi5": {"course": COURSE}}
    clause: dict[str, Any] = {}
    if (window := draw(st.sampled_from(focus.windows))) != "none":
        length = draw(st.sampled_from(focus.lengths))
        anchor = "awarded" if window == "awarded" else draw(st.sampled_from(("2023-01-31", "2024-02-29", "2023-02-28T08:00:00Z")))
        clause["window"] = {"last": length} if window == "last" else {"cycle": length, "anchor": anchor}
    if kind == "statement":
        clause |= draw(_matches(focus)) | draw(_counted(focus, ("activity", "authority", "issuer", "registration")))
        return {"statement": clause}
    clause |= {"of": draw(st.sampled_from(("duration", *MEASURES))), "at_least": draw(st.sampled_from((1, 2.5, 5)))}
    if draw(st.booleans()):
        clause["match"] = draw(_matches(focus))
    if draw(st.booleans()):
        clause["cap_each"] = draw(st.sampled_from((1, 1.5, 2.5)))
    if draw(st.booleans()):
        clause["distinct"] = "activity"
    return {"sum": clause}


@st.composite
def _credentials(draw: st.DrawFn, focus: Focus, *, counted: bool) -> dict[str, Any]:
    clause = {name: draw(st.sampled_from(_NAMED[name])) for name in draw(st.lists(st.sampled_from(sorted(_NAMED)), min_size=1, max_size=2, unique=True))}
    if draw(st.integers(0, 2)) == 0:
        clause["status"] = draw(st.sampled_from(("active", "issued")))
    if draw(st.integers(0, 3)) == 0:
        member = draw(st.sampled_from(("since", "until")))
        clause[member] = draw(st.sampled_from(MEMBERS[member]))
    return clause | (draw(_counted(focus, ("issuer", "achievement"))) if counted else {})


@st.composite
def _counted(draw: st.DrawFn, focus: Focus, distinct: Sequence[str]) -> dict[str, Any]:
    count = draw(st.sampled_from(focus.counts))
    clause: dict[str, Any] = {} if count == 1 else {"count": count}
    return clause | ({"distinct": draw(st.sampled_from(distinct))} if count > 1 and draw(st.booleans()) else {})


@st.composite
def _matches(draw: st.DrawFn, focus: Focus) -> dict[str, Any]:
    names = [draw(st.sampled_from(focus.only))] if focus.only else draw(st.lists(st.sampled_from(sorted(MEMBERS)), max_size=focus.members, unique=True))
    match = {name: draw(st.sampled_from(MEMBERS[name])) for name in names}
    for one, other in (("verb", "verb_in"), ("activity", "activity_in")):
        if one in match:
            match.pop(other, None)
    return match
