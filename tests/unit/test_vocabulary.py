"""Names that mean the same under different IRIs."""

import pytest

from services.core import vocabulary


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("http://adlnet.gov/expapi/verbs/passed", "passed"),
        ("https://adlnet.gov/expapi/verbs/passed", "passed"),
        ("https://www.adlnet.gov/expapi/verbs/completed", "completed"),
        ("https://w3id.org/xapi/adl/verbs/satisfied", "satisfied"),
        ("https://w3id.org/xapi/adl/verbs/waived", "waived"),
        ("http://activitystrea.ms/schema/1.0/submit", "submitted"),
        ("http://activitystrea.ms/submit", "submitted"),
        ("http://id.tincanapi.com/verb/unregistered", "withdrawn"),
        ("http://adlnet.gov/expapi/verbs/voided", "voided"),
        ("https://xapi.edlm/profiles/edlm-lms/concepts/verbs/enrolled", "registered"),
        ("https://w3id.org/xapi/tla/verbs/verified", "verified"),
        ("https://w3id.org/xapi/dod-isd/verbs/scheduled", "registered"),
        ("http://www.tincanapi.co.uk/verbs/planned_learning", "planned"),
        ("http://example.com/verbs/passed", "http://example.com/verbs/passed"),
        ("passed", "passed"),
    ],
)
def test_a_verb_has_one_short_name_and_an_unknown_one_its_iri(iri: str, name: str) -> None:
    assert vocabulary.verb(iri) == name


@pytest.mark.parametrize(
    "iri",
    [
        "http://adlnet.gov/expapi/activities/course",
        "https://adlnet.gov/expapi/activities/course",
        "https://w3id.org/xapi/cmi5/activitytype/course",
        "https://w3id.org/xapi/cmi5/activities/course",
    ],
)
def test_a_course_is_a_course_under_each_of_its_types(iri: str) -> None:
    assert vocabulary.activity_type(iri) == "course"
    assert iri in vocabulary.COURSE_TYPES


def test_an_unknown_type_is_its_iri() -> None:
    assert vocabulary.activity_type("type:course") == "type:course"
    assert "type:course" not in vocabulary.COURSE_TYPES


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("https://w3id.org/testamur/ext/session", "session"),
        ("https://w3id.org/xapi/cmi5/context/extensions/sessionid", "session"),
        ("http://w3id.org/xapi/video/extensions/session-id", "session"),
        ("https://w3id.org/xapi/openedx/extensions/session-id", "session"),
        ("http://id.tincanapi.com/extension/attempt-id", "attempt"),
        ("https://w3id.org/testamur/ext/pd-hours", "pd-hours"),
        ("https://mooc-world.example.org/xapi/extensions/identity-assurance", "identity-assurance"),
        ("http://xapi.jisc.ac.uk/sessionId", "session"),
    ],
)
def test_an_extension_is_found_under_any_of_its_names(iri: str, name: str) -> None:
    assert vocabulary.extension({"https://e.org/other": 0, iri: "x"}, name) == "x"
    assert vocabulary.extension({iri: "x"}, "pd-hours" if name != "pd-hours" else "session") is None


def test_of_several_names_of_an_extension_the_same_counts_in_any_order() -> None:
    ours, theirs = "https://w3id.org/testamur/ext/session", "https://w3id.org/xapi/cmi5/context/extensions/sessionid"
    assert vocabulary.extension({theirs: 1, ours: 2}, "session") == vocabulary.extension({ours: 2, theirs: 1}, "session") == 2


def test_no_extensions_hold_nothing() -> None:
    assert vocabulary.extension(None, "session") is None
    assert vocabulary.extension({}, "session") is None
