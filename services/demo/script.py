"""The statements of the sample world as they are written: each with its arrival, and what a store should do with it where that is not plain."""
import datetime as dt
from dataclasses import dataclass
from typing import Any

from services.demo.catalogue import Catalogue
from services.demo.oulad import Course, Oulad
from services.demo.people import Agent, Person
from services.demo.words import ADL, CMI5, COURSERA, EDX, LMS, MODULES, MOODLE, TIN_ACTIVITY, VERBS, W3, iso, md5, uid

Json = dict[str, Any]
Key = tuple[object, ...]
REGISTRAR = {"objectType": "Agent", "account": {"homePage": "https://admin.example.org", "name": "registrar"}}
STYLES = {EDX: 2, MOODLE: 1}
MOODLE_SITE = {"objectType": "Activity", "id": MOODLE, "definition": {"type": TIN_ACTIVITY + "lms", "name": {"en": "KI Moodle"}}}
MOODLE_INFO = {
    "http://lrs.learninglocker.net/define/extensions/info": {"http://moodle.org": "4.5.0", "event_name": "\\core\\event\\generated"}}


@dataclass(slots=True)
class Arrival:
    """A statement, when it arrives, and a note for `expect.ndjson` where a store should do something about it."""

    at: dt.datetime
    statement: Json
    note: Json | None = None


class Script:
    """All statements of a world, in the order they are written."""

    def __init__(self, oulad: Oulad, seed: int, first_of: dict[str, str]) -> None:
        """Begin an empty one; `first_of` says for each student who, among those who are the same person, names that person."""
        self.oulad, self.seed, self.first_of, self.catalogue = oulad, seed, first_of, Catalogue(oulad)
        self.arrivals: list[Arrival] = []

    def say(  # noqa: PLR0913, PLR0917 - one argument for each part of a statement
        self, key: Key, actor: Agent, verb: str, object_: Json, at: dt.datetime, context: Json | None = None, result: Json | None = None,
        *, style: int | None = None, attachments: list[Json] | None = None,
    ) -> Json:
        """Write a statement and return it; its key makes its id."""
        iri, display = VERBS[verb]
        statement: Json = {
            "id": uid(self.seed, *key), "actor": actor, "verb": {"id": iri, "display": {"en-US" if iri.startswith(ADL) else "en": display}}, "object": object_}
        if result:
            statement["result"] = result
        if context:
            statement["context"] = context
        written = STYLES.get((actor.get("account") or {}).get("homePage", ""), 0) if style is None else style
        statement["timestamp"] = iso(at, written)
        if attachments is not None:
            statement["attachments"] = attachments
        if written == 2:
            statement["version"] = "1.0.3"
        self.arrivals.append(Arrival(at, statement))
        return statement

    def void(self, key: Key, target: Json, at: dt.datetime, *, early: bool) -> None:
        """Void a statement; an early void arrives long before its target."""
        iri, display = VERBS["voided"]
        statement = {
            "id": uid(self.seed, *key), "actor": REGISTRAR, "verb": {"id": iri, "display": {"en-US": display}},
            "object": {"objectType": "StatementRef", "id": target["id"]}, "timestamp": iso(at)}
        kind = "void-before-target" if early else "void"
        self.arrivals.append(Arrival(at - dt.timedelta(days=60) if early else at, statement, {"kind": kind, "expect": "200", "target": target["id"]}))

    def context(
        self, who: Person, course: Course, extensions: Json | None = None, *, parent: Json | None = None, session: str | None = None,
    ) -> Json:
        """Return the context that the course's platform gives."""
        platform, activity = MODULES[course[0]][2], self.catalogue.course(course)
        registration = uid(self.seed, "reg", who.student, *course)
        made = _CONTEXTS[platform](activity, registration, session)
        if parent and platform != EDX:
            made["contextActivities"].setdefault("parent", []).append(parent)
        if extensions:
            made.setdefault("extensions", {}).update(extensions)
        return made


def _lms(course: Json, registration: str, session: str | None) -> Json:
    activities = {"category": [{"id": W3 + "cmi5/context/categories/cmi5"}], "grouping": [{"objectType": "Activity", "id": course["id"]}]}
    return {"registration": registration, "contextActivities": activities, "extensions": {CMI5 + "sessionid": session or registration}}


def _edx(course: Json, registration: str, session: str | None) -> Json:
    extensions = {
        W3 + "openedx/extension/transformer-version": "event-routing-backends@9.3.8",
        W3 + "openedx/extensions/session-id": md5(f"{registration}{session}")}
    return {"extensions": extensions, "contextActivities": {"parent": [course]}}


def _moodle(course: Json, _registration: str, _session: str | None) -> Json:
    activities = {"category": [MOODLE_SITE], "grouping": [course]}
    return {"platform": "Moodle", "language": "en", "contextActivities": activities, "extensions": dict(MOODLE_INFO)}


def _coursera(course: Json, registration: str, _session: str | None) -> Json:
    return {"registration": registration, "contextActivities": {"grouping": [course]}}


_CONTEXTS = {LMS: _lms, EDX: _edx, MOODLE: _moodle, COURSERA: _coursera}
