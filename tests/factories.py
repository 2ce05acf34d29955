"""Valid statements and actors to build tests from: override by keyword, leave out with `None`."""
from typing import Any
from uuid import UUID

Statement = dict[str, Any]


def actor(name: str = "ada", /, **members: Any) -> dict[str, Any]:
    """Return an Agent known by its mailbox; an IFI given by keyword replaces the mailbox, `None` leaves a member out."""
    agent: dict[str, Any] = {"objectType": "Agent"}
    if not members.keys() & {"mbox", "mbox_sha1sum", "openid", "account", "member"}:
        agent["mbox"] = f"mailto:{name}@example.org"
    return _without_none(agent | members)


def activity(path: str = "course/1", /, **members: Any) -> dict[str, Any]:
    """Return an Activity of example.org; `type` and other members of the definition go in `definition`."""
    return _without_none({"objectType": "Activity", "id": f"https://example.org/{path}"} | members)


def verb(name: str = "completed", /, **members: Any) -> dict[str, Any]:
    """Return one of ADL's verbs."""
    return _without_none({"id": f"http://adlnet.gov/expapi/verbs/{name}", "display": {"en-US": name}} | members)


def statement(number: int | None = None, **members: Any) -> Statement:
    """Return a statement of Ada's that completed a course, valid as it is.

    `number` makes an id of it; `verb` may be a short name, `actor` a person's name and `object` a path of example.org.
    """
    for name, make in (("actor", actor), ("verb", verb), ("object", activity)):
        if isinstance(members.get(name), str):
            members[name] = make(members[name])
    given: Statement = {"actor": actor(), "verb": verb(), "object": activity()}
    if number is not None:
        given = {"id": str(UUID(int=number, version=4)), **given}
    return _without_none(given | members)


def rich_statement(number: int = 1, **members: Any) -> Statement:
    """Return a statement of about two kilobytes that uses most of what xAPI offers."""
    course = activity("course/1", definition={
        "type": "http://adlnet.gov/expapi/activities/course", "name": {"en-US": "Data Structures", "sv": "Datastrukturer"},
        "description": {"en-US": "Lists, trees, hash tables and the algorithms on them, in eight weeks."}, "moreInfo": "https://example.org/about/1"})
    unit = activity("course/1/unit/3", definition={"type": "http://adlnet.gov/expapi/activities/module", "name": {"en-US": "Trees"}})
    rich: Statement = {
        "actor": actor(account={"homePage": "https://courses.example.org", "name": f"learner-{number}"}, name="Ada Lovelace"),
        "verb": verb("passed", display={"en-US": "passed", "sv": "godkänd"}),
        "object": activity("course/1/exam", definition={
            "type": "http://adlnet.gov/expapi/activities/assessment", "name": {"en-US": "Final exam"}, "description": {"en-US": "Three hours, proctored."}}),
        "result": {"score": {"scaled": 0.875, "raw": 87.5, "min": 0, "max": 100}, "success": True, "completion": True, "duration": "PT2H41M12.5S",
                   "extensions": {"https://w3id.org/testamur/ext/pd-hours": 1.5}},
        "context": {
            "registration": str(UUID(int=number, version=4)), "platform": "Example Courses", "language": "en-US",
            "instructor": actor("grace", name="Grace Hopper"),
            "team": {"objectType": "Group", "name": "Autumn", "member": [actor("ada"), actor("linus")]},
            "contextActivities": {"parent": [unit], "grouping": [course], "category": [activity("profile/exam")]},
            "extensions": {"https://w3id.org/testamur/ext/session": f"s-{number}", "https://w3id.org/testamur/ext/identity-assurance":
                           {"method": "proctored", "level": "substantial"}}},
        "timestamp": "2026-05-01T12:00:00.123Z", "version": "1.0.3",
    }
    return statement(number, **(rich | members))


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}
