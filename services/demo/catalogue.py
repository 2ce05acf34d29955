"""The courses of the sample world and their assessments, as the platforms that play them name them."""
import datetime as dt
from typing import Any

from services.demo.oulad import Course, Oulad, Row
from services.demo.words import ACTIVITY, COURSERA, EDX, LMS, MODULES, MOODLE, TIN_ACTIVITY, W3, md5

Json = dict[str, Any]
SCALE = ({"grade": "A", "from": 0.85}, {"grade": "C", "from": 0.55}, {"grade": "E", "from": 0.4})


class Catalogue:
    """What is taught, where and when."""

    def __init__(self, oulad: Oulad) -> None:
        """A presentation of an OULAD module is a run of a course."""
        self._oulad = oulad
        self._places = {course: place for place, course in enumerate(sorted(oulad.days), 2)}

    def start(self, presentation: str) -> dt.datetime:
        """Return when a presentation begins: B in February, J in October."""
        return dt.datetime(int(presentation[:4]), 2 if presentation[4] == "B" else 10, 1, 6, tzinfo=dt.UTC)

    def course(self, course: Course) -> Json:
        """Return a course run as the object of a statement."""
        module, presentation = course
        english, swedish, platform, _ = MODULES[module]
        slug = english.lower().replace(" ", "-").replace(":", "")
        iri = {
            EDX: f"{EDX}/course/course-v1:KIx+{module}101x+{presentation}", MOODLE: f"{MOODLE}/course/view.php?id={self._places[course]}",
            COURSERA: f"{COURSERA}/learn/{slug}/{presentation.lower()}", LMS: f"{LMS}/course/{module}-{presentation}",
        }[platform]
        names = {"en": english} if platform == EDX else {"en": english, "sv": swedish}
        type_ = W3 + "cmi5/activitytype/course" if platform == LMS else ACTIVITY + "course"
        return {"objectType": "Activity", "id": iri, "definition": {"name": names, "type": type_}}

    def assessment(self, row: Row) -> Json:
        """Return an assessment as the object of a statement."""
        course, kind, id_ = (row["code_module"], row["code_presentation"]), row["assessment_type"], row["id_assessment"]
        platform, quiz = MODULES[course[0]][2], kind == "CMA"
        iri = {
            EDX: f"{EDX}/xblock/block-v1:KIx+{course[0]}101x+{course[1]}+type@{'problem' if quiz else 'openassessment'}+block@{md5(id_)}",
            MOODLE: f"{MOODLE}/mod/{'quiz' if quiz else 'assign'}/view.php?id={id_}",
            COURSERA: f"{self.course(course)['id']}/{'exam' if quiz else 'peer'}/{id_}", LMS: f"{LMS}/au/{id_}",
        }[platform]
        type_ = {"CMA": ACTIVITY + "assessment", "TMA": TIN_ACTIVITY + "school-assignment", "Exam": TIN_ACTIVITY + "project"}[kind]
        if platform == LMS and kind == "TMA":
            type_ = W3 + "cmi5/activitytype/block"
        name = {"CMA": "Quiz", "TMA": "Assignment", "Exam": "Capstone project"}[kind]
        return {"objectType": "Activity", "id": iri, "definition": {"name": {"en": f"{name} {id_}"}, "type": type_}}

    def described(self) -> Json:
        """Return the body of `PUT /v1/courses`."""
        return {"courses": [self._described(course) for course in sorted(self._oulad.days)]}

    def _described(self, course: Course) -> Json:
        parts = [
            {"id": self.assessment(row)["id"], "type": row["assessment_type"], "weight": float(row["weight"])} for row in self._oulad.assessments_of[course]]
        return {
            "id": self.course(course)["id"], "name": MODULES[course[0]][0], "credits": MODULES[course[0]][3], "scale": [dict(step) for step in SCALE],
            "starts": self.start(course[1]).isoformat(timespec="milliseconds").replace("+00:00", "Z"), "days": self._oulad.days[course], "parts": parts,
        }
