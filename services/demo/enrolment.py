"""One person's way through one course run: registration, visits, assessments with their real marks, and how it ends."""
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

from services.demo.assessments import Assessments, Mark
from services.demo.oulad import Course, Row
from services.demo.people import Person
from services.demo.script import Script
from services.demo.visits import Visits
from services.demo.words import EDX, IDENTITY, LMS, MODULES, TRACK, W3, chance, uid

Json = dict[str, Any]
MAX_REAL_VISITS = 40
ACTIVITY_OF = {"Withdrawn": 0.4, "Fail": 0.7, "Pass": 1.15, "Distinction": 1.5}
"""How much more than the mean somebody visits who ends so."""
CERTIFICATE = "https://www.opigno.org/en/tincan_registry/activity_type/certificate"


@dataclass(slots=True)
class End:
    """What a transcript says in the end."""

    result: str
    grade: str | None = None
    score: float | None = None
    credits: float = 0
    certificate: str | None = None


class Enrolment:
    """An enrolment of OULAD, played by a person."""

    def __init__(self, script: Script, who: Person, row: Row) -> None:
        """`row` is one of studentInfo; the person may be several students, so its student may be another than the person's first."""
        self._script, self._who, self._row = script, who, row
        self.course: Course = (row["code_module"], row["code_presentation"])
        self._platform, self._student = MODULES[self.course[0]][2], row["id_student"]
        self._key = (who.student, *self.course)
        self._chance = chance(script.seed, "pres", *self._key)
        self._object = script.catalogue.course(self.course)
        self._days = script.oulad.days[self.course]

    def play(self, density: float) -> Json:
        """Write everything that happens; return what a correct transcript says in the end. `density` is the mean number of made-up visits."""
        registration = self._script.oulad.registrations.get((*self.course, self._student), {})
        begins, left = int(registration.get("date_registration") or -20), registration.get("date_unregistration")
        last = int(left) if left else self._days
        track = "verified" if self._chance.random() < 0.35 else "audit"
        upgraded = track == "verified" and self._chance.random() < 0.3 and max(begins, 0) + 20 < last
        enrolled = self._register(begins, track, upgraded=upgraded)
        self._visit(last, density)
        assessments = Assessments(self._script, self._who, self._row, self._chance, verified=track == "verified")
        marks = assessments.play()
        overall = _overall(marks)
        end = self._finish(track, overall, left=int(left) if left else self._days, enrolled=enrolled)
        return self._truth(track, marks, end)

    def _day(self, day: int, hour: float | None = None) -> dt.datetime:
        hours = self._chance.uniform(0, 16) if hour is None else hour
        return self._script.catalogue.start(self.course[1]) + dt.timedelta(days=day, hours=hours)

    def _register(self, begins: int, track: str, *, upgraded: bool) -> dt.datetime:
        say, actor, enrolled = self._script.say, self._who.actor(self._platform), self._day(begins)
        first = "audit" if upgraded else track
        say((*self._key, "reg"), actor, "registered", self._of_track(first), enrolled, self._tracked(first))
        if upgraded:
            enrolled = self._day(max(begins, 0) + 20)
            say((*self._key, "upg"), actor, "registered", self._of_track(track), enrolled, self._tracked(track))
        return enrolled

    def _of_track(self, track: str) -> Json:
        """Return the course as its platform names it in a registration: edX tells the track there, others in the context."""
        if self._platform != EDX:
            return self._object
        return {**self._object, "definition": {**self._object["definition"], "extensions": {W3 + "acrossx/extensions/type": track}}}

    def _tracked(self, track: str) -> Json:
        return self._script.context(self._who, self.course, None if self._platform == EDX else {TRACK: track})

    def _visit(self, last: int, density: float) -> None:
        visits, oulad = Visits(self._script, self._who, self.course, self._chance), self._script.oulad
        real = oulad.clicks.get((*self.course, self._student))
        if real:
            for number, row in enumerate(real[:MAX_REAL_VISITS]):
                visits.visit(oulad.sites[row["id_site"]], self._day(int(row["date"])), number)
            return
        sites = oulad.sites_of.get(self.course) or []
        often = density * ACTIVITY_OF[self._row["final_result"]]
        for number in range(int(self._chance.expovariate(1 / max(0.01, often))) if sites else 0):
            if last > -10:
                site = self._chance.choice(sites)
                opens = int(site["week_from"]) * 7 if site["week_from"] else -10
                day = max(-10, opens, min(last, int(self._chance.triangular(-10, last, last / 4))))
                visits.visit(site, self._day(min(last, day)), number)

    def _finish(self, track: str, overall: float, *, left: int, enrolled: dt.datetime) -> End:
        at = self._day(self._days + 14, 9)
        assured = {IDENTITY: {"method": "proctored", "level": "substantial"}} if track == "verified" else None
        context = self._script.context(self._who, self.course, assured)
        final = self._row["final_result"]
        if final == "Withdrawn":
            gone = max(self._day(left), enrolled + dt.timedelta(hours=1))
            self._script.say((*self._key, "unreg"), self._who.actor(self._platform), "unregistered", self._object, gone, context)
            return End("withdrawn")
        if final == "Fail":
            scaled = round(min(0.39, overall / 100), 3)
            result = {"score": {"scaled": scaled}, "success": False, "completion": overall > 0}
            self._script.say((*self._key, "fail"), self._who.actor(self._platform), "failed", self._object, at, context, result)
            return End("failed", score=scaled)
        distinction = final == "Distinction"
        return self._pass(track, max(85 if distinction else 40, min(overall, 100 if distinction else 84.9)), at, context)

    def _pass(self, track: str, score: float, at: dt.datetime, context: Json) -> End:
        say, actor = self._script.say, self._who.actor
        if self._chance.random() < 0.01:  # a wrong fail first, voided
            result: Json = {"score": {"scaled": 0.1}, "success": False}
            wrong = say((*self._key, "wrong"), actor(self._platform), "failed", self._object, at - dt.timedelta(days=2), context, result)
            self._void("wv", wrong, at - dt.timedelta(days=1))
        result = {"score": {"scaled": round(score / 100, 3), "raw": score, "min": 0, "max": 100}, "success": True, "completion": True}
        passed = say((*self._key, "pass"), actor(self._platform), "passed", self._object, at, context, result)
        done = at + dt.timedelta(seconds=2)
        if self._platform == LMS:
            say((*self._key, "done"), actor(self._platform), "satisfied", self._object, done, context)
        else:
            say((*self._key, "done"), actor(self._platform), "completed", self._object, done, context, {"completion": True})
        end = End("passed", "A" if score >= 85 else "C" if score >= 55 else "E", round(score / 100, 3), MODULES[self.course[0]][3])
        if track == "verified":
            end.certificate = self._certify(at)
        if self._chance.random() < 0.004:  # academic misconduct: the pass is voided, nothing replaces it
            self._void("mis", passed, at + dt.timedelta(days=40))
            end = End("revoked", certificate=end.certificate)
        return end

    def _void(self, name: str, target: Json, at: dt.datetime) -> None:
        self._script.void((*self._key, name), target, at, early=self._chance.random() < 0.1)

    def _certify(self, at: dt.datetime) -> str:
        id_, (english, swedish, *_) = uid(self._script.seed, "cert", *self._key), MODULES[self.course[0]]
        iri = f"{self._platform}/certificates/{id_}"
        names = {"en": f"Certificate: {english}", "sv": f"Intyg: {swedish}"}
        certificate = {"objectType": "Activity", "id": iri, "definition": {"type": CERTIFICATE, "name": names}}
        document = {
            "usageType": "http://id.tincanapi.com/attachment/certificate-of-completion", "display": {"en": "certificate"}, "contentType": "application/pdf",
            "length": 48213, "sha2": hashlib.sha256(id_.encode()).hexdigest(), "fileUrl": f"{iri}.pdf"}
        context = self._script.context(self._who, self.course, parent=self._object)
        self._script.say(
            (*self._key, "cert"), self._who.actor(self._platform), "earned", certificate, at + dt.timedelta(days=3), context, attachments=[document])
        return iri

    def _truth(self, track: str, marks: list[Mark], end: End) -> Json:
        return {
            "person": uid(self._script.seed, "person", self._who.student), "course": self._object["id"], "module": self.course[0],
            "presentation": self.course[1], "platform": self._platform, "track": track, "real_final_result": self._row["final_result"],
            "credits": end.credits, "assessments": {mark.row["id_assessment"]: mark.score for mark in marks},
            "banked": sorted(mark.row["id_assessment"] for mark in marks if mark.banked), "capstone": any(mark.is_exam for mark in marks),
            "result": end.result, "grade": end.grade, "score": end.score, "certificate": end.certificate,
        }


def _overall(marks: list[Mark]) -> float:
    weighted = sum(float(mark.row["weight"]) * mark.score for mark in marks if not mark.is_exam) / 100
    exams = [mark.score for mark in marks if mark.is_exam]
    return round(min(100, (weighted + exams[0]) / 2 if exams else weighted), 1)
