"""The tables of the Open University Learning Analytics Dataset (data/ATTRIBUTION.md), keyed as the sample world asks for them."""
import csv
import io
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

Row = dict[str, str]
Course = tuple[str, str]
"""Module and presentation, such as AAA 2013J."""
Enrolment = tuple[str, str, str]
"""Module, presentation and student."""


class Oulad:
    """The tables, an unknown value being the empty text."""

    def __init__(self, folder: Path, modules: set[str] | None) -> None:
        """Read them; `modules` limits whose students there are."""
        self.enrolments: dict[str, list[Row]] = {}
        self.students: dict[Course, list[str]] = {}
        for row in _table(folder, "studentInfo"):
            if not modules or row["code_module"] in modules:
                self.enrolments.setdefault(row["id_student"], []).append(row)
        for student, rows in self.enrolments.items():
            for row in rows:
                self.students.setdefault(_course(row), []).append(student)
        self.registrations = {(*_course(row), row["id_student"]): row for row in _table(folder, "studentRegistration")}
        self.assessments = {row["id_assessment"]: row for row in _table(folder, "assessments")}
        self.assessments_of = _grouped(self.assessments.values())
        sites = list(_table(folder, "vle"))
        self.sites_of = _grouped(sites)
        self.sites = {row["id_site"]: row for row in sites}
        self.submissions: dict[Enrolment, list[Row]] = {}
        for row in _table(folder, "studentAssessment"):
            self.submissions.setdefault((*_course(self.assessments[row["id_assessment"]]), row["id_student"]), []).append(row)
        self.clicks: dict[Enrolment, list[Row]] = {}
        for row in _table(folder, "studentVle_sample"):
            self.clicks.setdefault((*_course(row), row["id_student"]), []).append(row)
        self.days = {_course(row): int(row["module_presentation_length"]) for row in _table(folder, "courses")}


def _course(row: Row) -> Course:
    return row["code_module"], row["code_presentation"]


def _grouped(rows: Iterable[Row]) -> dict[Course, list[Row]]:
    groups: dict[Course, list[Row]] = {}
    for row in rows:
        groups.setdefault(_course(row), []).append(row)
    return groups


def _table(folder: Path, name: str) -> Iterator[Row]:
    plain = folder / f"{name}.csv"
    with plain.open(encoding="utf-8") if plain.exists() else io.TextIOWrapper(lzma.open(f"{plain}.xz"), encoding="utf-8") as file:
        yield from ({column: "" if value == "?" else value for column, value in row.items()} for row in csv.DictReader(file))
