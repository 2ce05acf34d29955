"""The alias table: verbs, activity types and extensions that mean the same under different IRIs.

Folds and rules read statements through it; xAPI queries never do (they compare IRIs as strings).
"""
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

_ADL = "adlnet.gov/expapi/verbs/"
_VERB_HOMES = (_ADL, "w3id.org/xapi/adl/verbs/", "w3id.org/xapi/tla/verbs/", "w3id.org/xapi/dod-isd/verbs/", "w3id.org/xapi/cred/verbs/",
               "w3id.org/xapi/comp/verbs/", "xapi.edlm/profiles/edlm-lms/concepts/verbs/", "id.tincanapi.com/verb/", "w3id.org/testamur/verbs/")
_VERBS = ("abandoned", "achieved", "asserted", "assessed", "attempted", "certified", "completed", "conferred", "earned", "expired", "failed",
          "forfeited", "initialized", "launched", "passed", "qualified", "registered", "resumed", "revoked", "satisfied", "scored", "suspended",
          "terminated", "validated", "verified", "waived", "withdrawn")
_STREAMS = ("activitystrea.ms/", "activitystrea.ms/schema/1.0/")
_STREAM_VERBS = {"complete": "completed", "satisfy": "satisfied", "schedule": "registered", "start": "attempted", "submit": "submitted",
                 "leave": "withdrawn", "unsatisfy": "unsatisfied"}
_SAME = {"enrolled": "registered", "scheduled": "registered", "subscribed": "registered", "unregistered": "withdrawn", "withdrew": "withdrawn",
         "unenrolled": "withdrawn", "started": "attempted", "finished": "completed"}
_VERB_ALIASES = {
    **{home + name: name for home in _VERB_HOMES for name in _VERBS},
    **{home + name: short for home in _VERB_HOMES for name, short in _SAME.items()},
    **{home + name: short for home in _STREAMS for name, short in _STREAM_VERBS.items()},
    _ADL + "voided": "voided",
    "tincanapi.co.uk/verbs/planned_learning": "planned",
    "tincanapi.co.uk/verbs/enrolled_onto_learning_plan": "registered",
    "openbadgespec.org/xapi/verbs/earned": "earned",
}

_TYPE_HOMES = ("adlnet.gov/expapi/activities/", "w3id.org/xapi/cmi5/activitytype/", "w3id.org/xapi/cmi5/activities/", "w3id.org/xapi/acrossx/activities/",
               "w3id.org/xapi/tla/activity-types/", "w3id.org/xapi/dod-isd/activities/", "id.tincanapi.com/activitytype/")
_TYPES = ("assessment", "attempt", "badge", "block", "competency", "course", "credential", "file", "lesson", "link", "media", "meeting", "module",
          "objective", "performance", "question", "resource", "simulation", "survey", "video")
_TYPE_ALIASES = {
    **{home + name: name for home in _TYPE_HOMES for name in _TYPES},
    "adlnet.gov/expapi/activities/cmi.interaction": "question",
    "activitystrea.ms/schema/1.0/question": "question",
    "activitystrea.ms/schema/1.0/video": "video",
    "activitystrea.ms/schema/1.0/badge": "badge",
    "w3id.org/xapi/video/activity-type/video": "video",
    "w3id.org/xapi/cred/activities/credential": "credential",
    "w3id.org/xapi/acrossx/activities/credential": "credential",
}

_EXTENSIONS = {
    "session": ("w3id.org/testamur/ext/session", "w3id.org/xapi/cmi5/context/extensions/sessionid", "w3id.org/xapi/openedx/extensions/session-id",
                "w3id.org/xapi/video/extensions/session-id", "xapi.jisc.ac.uk/sessionid"),
    "attempt": ("w3id.org/testamur/ext/attempt", "id.tincanapi.com/extension/attempt-id", "w3id.org/xapi/openedx/extensions/attempt-id"),
    "pd-hours": ("w3id.org/testamur/ext/pd-hours", "w3id.org/xapi/ext/pd-hours", "lrs.example.org/xapi/ext/pd-hours"),
    "identity-assurance": ("w3id.org/testamur/ext/identity-assurance", "w3id.org/testamur/ext/identity", "w3id.org/xapi/ext/identity",
                           "w3id.org/xapi/ext/identity-assurance", "mooc-world.example.org/xapi/extensions/identity-assurance",
                           "lrs.example.org/xapi/ext/identity", "lrs.example.org/xapi/ext/identity-assurance"),
}
_EXTENSION_OF = {alias: (name, rank) for name, aliases in _EXTENSIONS.items() for rank, alias in enumerate(aliases)}


def _bare(iri: str) -> str:
    """Return the IRI without `http://` or `https://` and without `www.`: real data has each name under both."""
    scheme, found, rest = iri.partition("://")
    if not found or scheme not in ("http", "https"):
        return iri
    return rest.removeprefix("www.")


@lru_cache(maxsize=4096)
def verb(iri: str) -> str:
    """Return the canonical short name of a verb (`passed`, `registered`, `withdrawn`, `voided`, …); an unknown IRI gives itself."""
    return _VERB_ALIASES.get(_bare(iri), iri)


@lru_cache(maxsize=4096)
def activity_type(iri: str) -> str:
    """Return the canonical short name of an activity type (`course`, `module`, `question`, …); an unknown IRI gives itself."""
    return _TYPE_ALIASES.get(_bare(iri), iri)


def extension(extensions: Mapping[str, Any] | None, name: str) -> Any:
    """Return the value of the extension `name` (`session`, `attempt`, `pd-hours`, `identity-assurance`) under any of its IRIs; None if absent.

    Where several of them are present, the one named first in the table counts, in whatever order they were sent.
    """
    if not extensions:
        return None
    found = sorted((place[1], iri) for iri in extensions if (place := _place(iri)) is not None and place[0] == name)
    return extensions[found[0][1]] if found else None


@lru_cache(maxsize=4096)
def _place(iri: str) -> tuple[str, int] | None:
    bare = _bare(iri)
    return _EXTENSION_OF.get(bare) or _EXTENSION_OF.get(bare.lower())


def _both(bare: Iterable[str]) -> frozenset[str]:
    return frozenset(scheme + text for text in bare for scheme in ("http://", "https://"))


COURSE_TYPES = _both(alias for alias, name in _TYPE_ALIASES.items() if name == "course")
"""Every IRI that makes an activity a course by its type."""
VERBS = frozenset(_VERB_ALIASES.values())
"""The canonical short names of verbs that have one."""
ACTIVITY_TYPES = frozenset(_TYPE_ALIASES.values())
"""Those of activity types."""
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"
"""The usageType of an attachment that is the statement's signature."""
SIGNATURE_TYPE = "application/octet-stream"
"""The one verb IRI that voids: here the specification knows no alias."""
