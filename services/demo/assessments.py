"""The assessments of one person in one course run, with the marks that OULAD has: quizzes, assignments, capstone projects, and work banked from before."""
import copy
import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

from services.demo.oulad import Row
from services.demo.people import Agent, Person, person
from services.demo.script import Script
from services.demo.words import ATTEMPT, CMI5, EDX, EXTENSION, IDENTITY, LMS, MODULES, MOODLE, W3, duration, uid

Json = dict[str, Any]
PASS = 40
REASON = W3 + "cmi5/result/extensions/reason"
BANKED = EXTENSION + "banked-score"
REVIEW = {"response": "Well argued; sources are thin in §2."}


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that counts."""

    row: Row
    score: int
    banked: bool

    @property
    def is_exam(self) -> bool:
        """Whether it is the capstone's."""
        return self.row["assessment_type"] == "Exam"


def _result(score: int) -> Json:
    return {"score": {"scaled": round(score / 100, 4), "raw": score, "min": 0, "max": 100}, "success": score >= PASS, "completion": True}


class Assessments:
    """Everything that one enrolment submits."""

    def __init__(self, script: Script, who: Person, row: Row, choices: random.Random, *, verified: bool) -> None:
        """`choices` are those of the enrolment; who is on a verified track proves who they are."""
        self._script, self._who, self._student, self._chance, self._verified = script, who, row["id_student"], choices, verified
        self._course = (row["code_module"], row["code_presentation"])
        self._platform = MODULES[self._course[0]][2]
        self._of_course = script.catalogue.course(self._course)
        self._marks: list[Mark] = []

    def play(self) -> list[Mark]:
        """Write what is submitted and what becomes of it; return the marks that count."""
        submissions = self._script.oulad.submissions.get((*self._course, self._student), [])
        for submission in sorted(submissions, key=lambda row: (int(row["date_submitted"]), int(row["id_assessment"]))):
            row = self._script.oulad.assessments[submission["id_assessment"]]
            at = self._script.catalogue.start(self._course[1]) + dt.timedelta(days=int(submission["date_submitted"]), hours=self._chance.uniform(0, 16))
            score = int(submission["score"]) if submission["score"] else None
            if submission["is_banked"] == "1":
                self._bank(row, at, score)
            elif row["assessment_type"] == "CMA":
                self._quiz(row, at, score)
            else:
                self._submit(row, at, score)
            if score is not None:
                self._marks.append(Mark(row, score, banked=submission["is_banked"] == "1"))
        return self._marks

    def _key(self, row: Row, *rest: object) -> tuple[object, ...]:
        return (self._who.student, *self._course, row["id_assessment"], *rest)

    def _context(self, row: Row, extensions: Json | None = None) -> Json:
        session = uid(self._script.seed, "as", self._who.student, row["id_assessment"])
        return self._script.context(
            self._who, self._course, extensions, parent=self._of_course if self._platform != LMS else None, session=session)

    def _identity(self, row: Row) -> Json | None:
        if not self._verified:
            return None
        return {IDENTITY: {"method": "proctored" if row["assessment_type"] == "Exam" else "photo-id", "level": "substantial"}}

    def _me(self) -> Agent:
        return self._who.actor(self._platform)

    def _bank(self, row: Row, at: dt.datetime, score: int | None) -> None:
        result: Json = {"completion": True}
        if score is not None:
            result = {"success": True, "completion": True, "extensions": {REASON: "Equivalent", BANKED: score}}
        assessment = self._script.catalogue.assessment(row)
        self._script.say(self._key(row, "bank"), self._me(), "waived", assessment, at, self._context(row, {REASON: "Administrative"}), result)

    def _quiz(self, row: Row, at: dt.datetime, score: int | None) -> None:
        tries = 1 + (self._chance.random() < 0.35) + (self._chance.random() < 0.1)
        for attempt in range(tries):
            final = attempt == tries - 1
            reached = score if score is not None and final else max(0, int(score if score is not None else 50) - self._chance.randrange(5, 40))
            began = at - dt.timedelta(hours=(tries - 1 - attempt) * self._chance.uniform(1, 30))
            seconds = self._chance.randrange(200, 3600)
            if self._platform == LMS:
                self._launch(row, began, attempt, reached, seconds, may_abandon=not final)
            else:
                self._attempt(row, began, attempt, reached, seconds)

    def _attempt(self, row: Row, at: dt.datetime, attempt: int, score: int, seconds: int) -> None:
        quiz = self._script.catalogue.assessment(row)
        self._script.say(self._key(row, "at", attempt), self._me(), "attempted", quiz, at, self._context(row))
        verb = "evaluated" if self._platform == EDX else "completed"
        context = self._context(row, {**(self._identity(row) or {}), ATTEMPT: attempt + 1})
        result = {**_result(score), "duration": duration(seconds)}
        self._script.say(self._key(row, "ev", attempt), self._me(), verb, quiz, at + dt.timedelta(seconds=seconds), context, result)

    def _launch(self, row: Row, at: dt.datetime, attempt: int, score: int, seconds: int, *, may_abandon: bool) -> None:
        """Write a session of a cmi5 unit."""
        say, ends = self._script.say, at + dt.timedelta(seconds=seconds)
        session = uid(self._script.seed, "as", self._who.student, row["id_assessment"], attempt)
        context = self._script.context(self._who, self._course, {CMI5 + "masteryscore": 0.4, **(self._identity(row) or {})}, session=session)
        moving_on = copy.deepcopy(context)
        moving_on["contextActivities"]["category"].append({"id": W3 + "cmi5/context/categories/moveon"})
        unit = {"objectType": "Activity", "id": self._script.catalogue.assessment(row)["id"]}
        launch = {
            **context["extensions"], CMI5 + "launchmode": "Normal", CMI5 + "launchurl": "https://content.example.org/" + row["id_assessment"],
            CMI5 + "moveon": "CompletedAndPassed"}
        say(self._key(row, "la", attempt), self._me(), "launched", unit, at, {**context, "extensions": launch})
        say(self._key(row, "in", attempt), self._me(), "initialized", unit, at + dt.timedelta(seconds=4), context)
        if self._chance.random() < 0.04 and may_abandon:
            say(self._key(row, "ab", attempt), self._me(), "abandoned", unit, at + dt.timedelta(hours=3), context, {"duration": duration(seconds)})
            return
        passed = score >= PASS
        say(self._key(row, "co", attempt), self._me(), "completed", unit, ends, moving_on, {"completion": True, "duration": duration(seconds)})
        result = {"score": {"scaled": round(score / 100, 4)}, "success": passed, "duration": duration(seconds)}
        say(self._key(row, "pf", attempt), self._me(), "passed" if passed else "failed", unit, ends + dt.timedelta(seconds=1), moving_on, result)
        result = {"duration": duration(seconds + 9)}
        say(self._key(row, "te", attempt), self._me(), "terminated", unit, ends + dt.timedelta(seconds=9), context, result)

    def _submit(self, row: Row, at: dt.datetime, score: int | None) -> None:
        capstone, assignment = row["assessment_type"] == "Exam", self._script.catalogue.assessment(row)
        who = self._me()
        if capstone and self._platform == MOODLE and self._chance.random() < 0.25:
            who = self._team(who)
        result = {"completion": True, **({"duration": duration(self._chance.randrange(3600, 40 * 3600))} if capstone else {})}
        self._script.say(self._key(row, "sub"), who, "submitted", assignment, at, self._context(row, self._identity(row)), result)
        if capstone and self._chance.random() < 0.5:
            self._review(row, assignment, at)
        if score is not None:
            self._mark(row, assignment, at, score)

    def _team(self, me: Agent) -> Agent:
        """Return the team in which a capstone was handed in: the next two students of the run."""
        mates = self._script.oulad.students[self._course]
        place = mates.index(self._student)
        others = [person(self._script.seed, self._script.first_of[mate]).agents[self._platform] for mate in mates[place + 1:place + 3]]
        return {"objectType": "Group", "name": f"Team {place // 3}", "member": [me, *others]}

    def _review(self, row: Row, assignment: Json, at: dt.datetime) -> None:
        for number in range(2):
            peer = {"objectType": "Agent", "account": {"homePage": self._platform, "name": uid("peer", self._who.student, number)}}
            when, context = at + dt.timedelta(days=2 + number), self._context(row)
            result = {**REVIEW, "score": {"raw": self._chance.randrange(1, 6), "min": 1, "max": 5}}
            self._script.say(self._key(row, "rev", number), peer, "reviewed", assignment, when, context, result, style=0)

    def _mark(self, row: Row, assignment: Json, at: dt.datetime, score: int) -> None:
        say, marked = self._script.say, at + dt.timedelta(days=self._chance.uniform(2, 16))
        context = self._context(row, self._identity(row))
        examiner = int(row["id_assessment"]) % 7
        context["instructor"] = {"objectType": "Agent", "name": "Dr Examiner", "mbox": f"mailto:examiner{examiner}@ki.example.org"}
        first = say(self._key(row, "sco"), self._me(), "scored", assignment, marked, context, _result(score))
        if self._chance.random() < 0.012:  # marked wrong, voided, marked again
            first["result"] = _result(max(0, score - 30))
            self._script.void(self._key(row, "vo"), first, marked + dt.timedelta(days=3), early=self._chance.random() < 0.1)
            again = marked + dt.timedelta(days=3, minutes=5)
            say(self._key(row, "sco2"), self._me(), "scored", assignment, again, context, _result(score))
