"""What a learner does between assessments: reading, watching, answering, talking."""
import datetime as dt
import random
from typing import Any

from services.demo.oulad import Course, Row
from services.demo.people import Person
from services.demo.script import Script
from services.demo.words import ACTIVITY, COURSERA, EDX, LMS, MODULES, MOODLE, TIN_ACTIVITY, VIDEO, W3, duration, uid

Json = dict[str, Any]
QUIZZES = ("quiz", "externalquiz", "questionnaire", "repeatactivity")
SEMINARS = ("oucollaborate", "ouelluminate")
PAGES = {
    "subpage": ACTIVITY + "module", "page": "http://activitystrea.ms/schema/1.0/page", "url": ACTIVITY + "link"}
ANSWERS = {
    "choice": ("1[,]3", "1[,]3"), "true-false": ("true", "true"), "numeric": ("4", "4[:]"), "fill-in": ("Bob", "Bob's your uncle"), "likert": ("2", "2"),
    "matching": ("0[.]1[,]2[.]3", "0[.]1[,]2[.]3"), "sequencing": ("2[,]1[,]0[,]3", "0[,]1[,]2[,]3"),
    "long-fill-in": ("Because of the “law” — naïvely", "{case_matters=false}"),
}
"""For each kind of interaction: what the learner answers, and what is right."""
COMPONENTS = {"choice": ("choices",), "sequencing": ("choices",), "likert": ("scale",), "matching": ("source", "target")}
POSTS = ("Tack! 👍", "I do not get week 3", "See the errata", "Är tentan på engelska?")


class Visits:
    """The visits of one person to one course run."""

    def __init__(self, script: Script, who: Person, course: Course, choices: random.Random) -> None:
        """`choices` are those of the enrolment, shared with what follows."""
        self._script, self._who, self._course, self._choices = script, who, course, choices
        self._platform = MODULES[course[0]][2]

    def visit(self, site: Row, at: dt.datetime, number: int) -> None:
        """Write what the visit of a site leaves."""
        kind, actor = site["activity_type"], self._who.actor(self._platform)
        session = {EDX: f"{at:%Y%m%d}", LMS: uid("sess", self._who.student, number)}.get(self._platform)
        context = self._script.context(self._who, self._course, session=session)
        key = (self._who.student, *self._course, "visit", number)
        if kind in QUIZZES:
            self._answer(key, actor, site, at, context)
        elif kind == "forumng":
            result = {"response": self._choices.choice(POSTS)} if self._platform != EDX else None
            self._script.say(key, actor, "posted", self._object(site, TIN_ACTIVITY + "discussion", "Thread"), at, context, result)
        elif kind in SEMINARS:
            result = {"duration": duration(self._choices.randrange(600, 7200))}
            self._script.say(key, actor, "attended", self._object(site, ACTIVITY + "meeting", "Seminar"), at, context, result)
        elif kind == "oucontent" and int(site["id_site"]) % 4 == 0:
            self._watch(key, actor, site, at, context)
        elif self._platform == LMS:
            until = at + dt.timedelta(seconds=self._choices.randrange(20, 2400))
            unit = {"objectType": "Activity", "id": self._iri(site)}
            self._script.say((*key, "i"), actor, "initialized", unit, at, context)
            self._script.say((*key, "t"), actor, "terminated", unit, until, context, {"duration": duration((until - at).total_seconds())})
        else:
            page = self._object(site, PAGES.get(kind, TIN_ACTIVITY + "resource"), kind)
            self._script.say(key, actor, "viewed" if self._platform == MOODLE else "experienced", page, at, context)

    def _iri(self, site: Row) -> str:
        module, presentation = self._course
        base: str = {
            EDX: f"{EDX}/xblock/block-v1:KIx+{module}101x+{presentation}+type@html+block@", MOODLE: f"{MOODLE}/mod/page/view.php?id=",
            COURSERA: self._script.catalogue.course(self._course)["id"] + "/item/", LMS: f"{LMS}/au/{module}-{presentation}/",
        }[self._platform]
        return base + site["id_site"]

    def _object(self, site: Row, type_: str, name: str) -> Json:
        return {"objectType": "Activity", "id": self._iri(site), "definition": {"type": type_, "name": {"en": f"{name} {site['id_site']}"}}}

    def _answer(self, key: tuple[object, ...], actor: Json, site: Row, at: dt.datetime, context: Json) -> None:
        kind = self._choices.choice(list(ANSWERS))
        given, right = ANSWERS[kind]
        components = [{"id": str(n), "description": {"en": f"Option {n}"}} for n in range(4)]
        definition = {
            "type": ACTIVITY + "cmi.interaction", "interactionType": kind, "name": {"en": f"Question {site['id_site']}"}, "correctResponsesPattern": [right],
            **dict.fromkeys(COMPONENTS.get(kind, ()), components)}
        question = {"objectType": "Activity", "id": self._iri(site), "definition": definition}
        result = {"response": given, "success": given == right, "duration": duration(self._choices.randrange(5, 400))}
        self._script.say(key, actor, "evaluated" if self._platform == EDX else "answered", question, at, context, result)

    def _watch(self, key: tuple[object, ...], actor: Json, site: Row, at: dt.datetime, context: Json) -> None:
        length, session = float(self._choices.randrange(90, 1500)), uid("vs", self._who.student, key[-1])
        watching = {**context, "extensions": {**context.get("extensions", {}), VIDEO + "session-id": session, VIDEO + "length": length}}
        video, place = self._object(site, W3 + "video/activity-type/video", "Video"), 0.0
        for part in range(self._choices.randrange(1, 4)):
            self._script.say((*key, "p", part), actor, "played", video, at, watching, {"extensions": {VIDEO + "time": round(place, 3)}})
            step = min(length - place, self._choices.uniform(5, length / 2))
            place, at = place + step, at + dt.timedelta(seconds=step + 3)
            if place >= length - 0.01:
                break
            heard = {VIDEO + "time": round(place, 3), VIDEO + "progress": round(place / length, 3), VIDEO + "played-segments": f"0[.]{round(place, 3)}"}
            self._script.say((*key, "q", part), actor, "paused", video, at, watching, {"extensions": heard})
